"""DICOM files: rescale, windows, colours, and what is refused.

Values are worked out here by the formulas of the DICOM standard, part 3, C.11.
"""

import io

import numpy as np
import pytest
import tensorflow as tf

from simclr_keras import images
from simclr_keras.images.formats import dicom

pydicom = pytest.importorskip("pydicom")

LIMIT = 10**6


def _shipped(name):
    """A test file that comes with pydicom."""
    from pydicom.data import get_testdata_file

    return pydicom.dcmread(get_testdata_file(name, download=False))


def _encode(dataset):
    file = io.BytesIO()
    dataset.save_as(file)
    return file.getvalue()


def _file(values, bits=16, signed=False, **elements):
    """DICOM file of stored values `[H, W]` or `[H, W, 3]`.

    An element is a value, or a pair (value representation, value).
    """
    dataset = _shipped("CT_small.dcm")
    for name in ("RescaleSlope", "RescaleIntercept", "PixelPaddingValue"):
        if name in dataset:
            delattr(dataset, name)
    values = np.asarray(values)
    size = "1" if bits <= 8 else "2"
    dataset.Rows, dataset.Columns = values.shape[:2]
    dataset.SamplesPerPixel = values.size // (dataset.Rows * dataset.Columns)
    dataset.BitsAllocated, dataset.BitsStored = 8 * int(size), bits
    dataset.HighBit = bits - 1
    dataset.PixelRepresentation = int(signed)
    content = values.astype("<" + "ui"[signed] + size).tobytes()
    dataset.PixelData = content + b"\0" * (len(content) % 2)
    if dataset.SamplesPerPixel == 3:
        dataset.PhotometricInterpretation = "RGB"
        dataset.PlanarConfiguration = 0
    for name, value in elements.items():
        if isinstance(value, tuple):
            dataset.add_new(name, *value)
        else:
            setattr(dataset, name, value)
    return _encode(dataset)


def _item(**elements):
    item = pydicom.Dataset()
    for name, value in elements.items():
        setattr(item, name, value)
    return pydicom.Sequence([item])


def _table(entries, first, bits):
    data = np.array(entries, "<u2").tobytes()
    item = pydicom.Dataset()
    item.add_new("LUTDescriptor", "SS", [len(entries), first, bits])
    item.add_new("LUTData", "OW", data)
    return pydicom.Sequence([item])


def _decode(encoded, pixel_range=None, channels=1):
    return dicom.decode(
        encoded, LIMIT, pixel_range=pixel_range, channels=channels
    )


def test_a_slice_of_computed_tomography():
    """16 bits, signed, of Hounsfield units plus 1024, without a window."""
    dataset = _shipped("CT_small.dcm")
    encoded = _encode(dataset)
    stored = np.frombuffer(dataset.PixelData, "<i2").reshape(128, 128)
    assert (stored.min(), stored.max()) == (128, 2191)
    units = stored.astype(float) - 1024
    found = _decode(encoded)[..., 0]
    np.testing.assert_array_equal(
        found, np.round((units + 33792) * 255 / 65535)
    )
    found = _decode(encoded, (-1000, 400))[..., 0]
    expected = np.clip(np.round((units + 1000) * 255 / 1400), 0, 255)
    np.testing.assert_array_equal(found, expected)
    assert len(np.unique(found)) > 100
    bits = (-33792, 31743)
    assert dicom.used_range(encoded, LIMIT) == ((-896, 1167), bits)


@pytest.mark.parametrize(
    "name",
    [
        "MR_small.dcm",
        "MR_small_RLE.dcm",
        "MR_small_bigendian.dcm",
        "MR_small_jp2klossless.dcm",
    ],
)
def test_the_window_of_a_file_in_several_encodings(name):
    """Its centre is 600 and its width 1600: from -200 to 1399."""
    plain = _shipped("MR_small.dcm")
    stored = np.frombuffer(plain.PixelData, "<i2").reshape(64, 64)
    expected = np.clip(((stored - 599.5) / 1599 + 0.5) * 255, 0, 255)
    found = _decode(_encode(_shipped(name)))[..., 0]
    np.testing.assert_allclose(found, expected, atol=0.5 + 1e-9)
    assert dicom.used_range(_encode(plain), LIMIT) is None


STORED = [[0, 100, 200], [300, 400, 1000]]  # 2 x - 10: -10, 190, 390, ..., 1990
RESCALE = {"RescaleSlope": 2, "RescaleIntercept": -10}


@pytest.mark.parametrize(
    "elements, expected",
    [
        # From 390 - 0.5 - 199.5 to 390 - 0.5 + 199.5.
        ({}, [0, 0, 128, 255, 255, 255]),
        ({"VOILUTFunction": "LINEAR_EXACT"}, [0, 0, 128, 255, 255, 255]),
        # 255 / (1 + exp(-4 (x - 390) / 400))
        ({"VOILUTFunction": "SIGMOID"}, [5, 30, 128, 225, 250, 255]),
        ({"WindowCenter": [490, 0]}, [0, 0, 64, 192, 255, 255]),
        (
            {"PhotometricInterpretation": "MONOCHROME1"},
            [255, 255, 127, 0, 0, 0],
        ),
    ],
)
def test_windows_are_in_rescaled_units(elements, expected):
    how = {"WindowCenter": 390, "WindowWidth": 400, **RESCALE, **elements}
    if isinstance(how["WindowCenter"], list):
        how["WindowWidth"] = [400, 1]
    found = _decode(_file(STORED, bits=12, **how))
    assert found.ravel().tolist() == expected


def test_linear_and_exact_windows_differ():
    """Of width 4: x from 98 to 101, or from 98 to 102."""
    stored = [[98, 99, 100, 101, 102]]
    how = {"WindowCenter": 100, "WindowWidth": 4, "bits": 12}
    assert _decode(_file(stored, **how)).ravel().tolist() == [
        *(0, 85, 170, 255, 255)
    ]
    exact = _file(stored, VOILUTFunction="LINEAR_EXACT", **how)
    assert _decode(exact).ravel().tolist() == [0, 64, 128, 191, 255]


@pytest.mark.parametrize(
    "kind, expected",
    [("MONOCHROME2", [0, 0, 64, 191]), ("MONOCHROME1", [255, 255, 191, 64])],
)
def test_a_stated_range_wins(kind, expected):
    encoded = _file(
        [STORED[0] + [300]],
        bits=12,
        WindowCenter=1,
        WindowWidth=1,
        PhotometricInterpretation=kind,
        **RESCALE,
    )
    found = _decode(encoded, (290, 690))  # of -10, 190, 390, 590
    assert found.ravel().tolist() == expected


def test_a_negative_slope():
    """0, -1000, -4095 of 12 bits; a window from -3000 to -1000."""
    how = {"RescaleSlope": -1, "RescaleIntercept": 0, "bits": 12}
    stored = [[0, 1500, 4095]]
    found = _decode(_file(stored, **how))
    assert found.ravel().tolist() == [255, 162, 0]
    window = {"WindowCenter": -2000, "WindowWidth": 2000}
    exact = _file(stored, VOILUTFunction="LINEAR_EXACT", **window, **how)
    assert _decode(exact).ravel().tolist() == [255, 191, 0]


def test_lookup_tables():
    """The first maps stored values to 8 bits, the second rescaled ones."""
    modality = _file(
        [[0, 1, 2, 3]],
        ModalityLUTSequence=_table([0, 51, 102], first=1, bits=16),
    )
    assert dicom.used_range(modality, LIMIT) == ((0, 102), (0, 65535))
    assert _decode(modality, (0, 255)).ravel().tolist() == [0, 0, 51, 102]
    window = _file(
        [[0, 1, 2, 3]],
        VOILUTSequence=_table([0, 9, 4095, 9, 2048], first=-8, bits=12),
        **RESCALE,  # to -10, -8, -6, -4
    )
    assert _decode(window).ravel().tolist() == [0, 0, 255, 128]


def test_the_rescale_and_window_of_an_enhanced_object():
    rescale = _item(RescaleType="HU", **RESCALE)
    window = _item(WindowCenter=390, WindowWidth=400)
    encoded = _file(
        STORED,
        bits=12,
        NumberOfFrames=1,
        SharedFunctionalGroupsSequence=_item(
            PixelValueTransformationSequence=rescale
        ),
        PerFrameFunctionalGroupsSequence=_item(FrameVOILUTSequence=window),
    )
    assert _decode(encoded).ravel().tolist() == [0, 0, 128, 255, 255, 255]
    assert dicom.used_range(encoded, LIMIT) is None


def test_values_of_8_bits_stay():
    stored = [[0, 7], [200, 255]]
    encoded = _file(stored, bits=8)
    assert dicom.describe(encoded, LIMIT) == ((2, 2, 1), np.uint8)
    for stated in (None, (0, 100)):
        assert _decode(encoded, stated)[..., 0].tolist() == stored
    rescaled = _file(stored, bits=8, **RESCALE)
    assert dicom.describe(rescaled, LIMIT) == ((2, 2, 1), np.float64)
    assert _decode(rescaled, (0, 400))[..., 0].tolist() == [[0, 3], [249, 255]]


def test_colours():
    rgb = np.arange(24).reshape(2, 4, 3) * 10
    for stated in (None, (0, 100)):
        found = _decode(_file(rgb, bits=8), stated, channels=3)
        np.testing.assert_array_equal(found, rgb)
    deep = _decode(_file(rgb * 16, bits=12), channels=None)
    np.testing.assert_allclose(deep, rgb * 16 * 255 / 4095, atol=0.5)


def test_luminance_and_chrominance():
    """By part 3, C.7.6.3.1.2: red is (76, 85, 255)."""
    stored = [[[76, 85, 255], [0, 128, 128]], [[255, 128, 128]] * 2]
    encoded = _file(stored, bits=8, PhotometricInterpretation="YBR_FULL")
    found = _decode(encoded, channels=3).astype(int)
    expected = [[[255, 0, 0], [0] * 3], [[255] * 3] * 2]
    np.testing.assert_allclose(found, expected, atol=1)
    # pydicom's picture of colour bars, in YBR and JPEG: the first is red.
    bars = _decode(_encode(_shipped("SC_rgb_dcmtk_+eb+cy+np.dcm")), channels=3)
    np.testing.assert_allclose(bars[5, 50].astype(int), [255, 0, 0], atol=2)


def test_a_palette():
    how = {"PhotometricInterpretation": "PALETTE COLOR", "bits": 8}
    for k, color in enumerate(("Red", "Green", "Blue")):
        name = color + "PaletteColorLookupTable"
        how[name + "Descriptor"] = ("US", [2, 0, 16])
        entries = np.array([257 * 10 * (k + 1), 0xFFFF], "<u2")
        how[name + "Data"] = ("OW", entries.tobytes())
    found = _decode(_file([[0, 1]], **how), channels=3)
    assert found.tolist() == [[[10, 20, 30], [255, 255, 255]]]


@pytest.mark.parametrize("run", [lambda f: f, tf.function])
def test_decoding_as_any_format(run):
    """Grey becomes RGB, unless a number of channels is stated."""
    stored = np.arange(6).reshape(2, 3) * 800
    encoded = tf.constant(_file(stored, bits=12))
    grey = np.round(stored * 255 / 4095)[..., np.newaxis]
    for channels in (None, 1):
        size = run(lambda x, n=channels: images.image_size(x, channels=n))
        decode = run(lambda x, n=channels: images.decode(x, channels=n))
        assert size(encoded).numpy().tolist() == [2, 3]
        expected = np.repeat(grey, channels or 3, axis=-1)
        np.testing.assert_array_equal(decode(encoded), expected)
    assert images.stored_channels(encoded.numpy()) == 1
    color = tf.constant(_file(np.zeros([2, 3, 3]), bits=8))
    with pytest.raises(tf.errors.InvalidArgumentError, match="3 channels"):
        run(lambda x: images.decode(x, channels=1))(color)
    with pytest.raises(tf.errors.InvalidArgumentError, match="JPEG, PNG"):
        images.decode(encoded, in_graph=True)


@pytest.mark.parametrize(
    "elements, reason",
    [
        ({"NumberOfFrames": 2}, "it has 2 frames"),
        ({"Rows": 5000}, "it has 5000 x 3 pixels, max_pixels=10000"),
        ({"Rows": 3}, "corrupt, cut short"),
        ({"RescaleSlope": 0, "RescaleIntercept": 1}, "its RescaleSlope is 0"),
        ({"WindowCenter": 5, "WindowWidth": 0}, "Window Width"),
        ({"PhotometricInterpretation": "CMYK"}, "'CMYK' with 1 samples"),
    ],
)
def test_the_reason_why_a_file_is_refused(elements, reason):
    encoded = _file(STORED, bits=12, **elements)
    assert reason in images.problem(encoded, 10_000)
    with pytest.raises(tf.errors.OpError):
        images.decode(tf.constant(encoded), 10_000)


def test_max_pixels_is_checked_without_the_pixels():
    encoded = _file(STORED, bits=12)
    header = encoded[: encoded.rindex(b"\xe0\x7f\x10\x00")]
    assert dicom.describe(header, 6)[0] == (2, 3, 1)
    with pytest.raises(ValueError, match="2 x 3 pixels, max_pixels=5"):
        dicom.describe(header, 5)


@pytest.mark.parametrize(
    "name, reason",
    [
        ("rtplan.dcm", "it has no image"),
        ("MR_truncated.dcm", "corrupt, cut short"),
        ("image_dfl.dcm", "it is deflated"),
    ],
)
def test_files_that_are_not_read(name, reason):
    from pydicom.data import get_testdata_file

    with open(get_testdata_file(name, download=False), "rb") as file:
        encoded = file.read()
    assert reason in images.problem(encoded)


def test_damaged_files_end_in_an_error():
    """At any place where a file is cut; `ValueError` and nothing else."""
    encoded = _encode(_shipped("MR_small_jp2klossless.dcm"))
    for end in range(dicom.HEAD, len(encoded), 397):
        try:
            _decode(encoded[:end])
        except ValueError as error:
            assert str(error)
