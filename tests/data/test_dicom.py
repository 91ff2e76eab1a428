"""Folders of DICOM files."""

import builtins
import warnings

import numpy as np
import PIL.Image
import pytest

from simclr_keras import data

SIGNATURE = bytes(128) + b"DICM"


def test_a_folder_without_pydicom_is_an_error_at_once(tmp_path, monkeypatch):
    (tmp_path / "a.DCM").write_bytes(SIGNATURE)
    original = builtins.__import__

    def without(name, *arguments, **more):
        if name == "pydicom":
            raise ImportError("No module named 'pydicom'")
        return original(name, *arguments, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ImportError, match="install the extra dicom"):
        data.open_source(f"folder:{tmp_path}")


pydicom = pytest.importorskip("pydicom")


@pytest.fixture
def scans(tmp_path):
    """Eight slices of Hounsfield units -1000 to 1000, two of them named so."""
    from pydicom.data import get_testdata_file

    name = get_testdata_file("CT_small.dcm", download=False)
    dataset = pydicom.dcmread(name)
    dataset.Rows = dataset.Columns = 16
    for number in range(8):
        folder = tmp_path / f"class {number % 2}"
        folder.mkdir(exist_ok=True)
        stored = np.linspace(24, 2024, 256).astype("<i2") + number
        dataset.PixelData = stored.tobytes()
        ending = ".dicom" if number < 2 else ".dcm"
        dataset.save_as(folder / f"{number}{ending}")
    return tmp_path


def _expected(number):
    units = np.linspace(24, 2024, 256).astype(int) + number - 1024
    scaled = np.clip(np.round((units + 1000) * 255 / 1400), 0, 255)
    return scaled.reshape(16, 16, 1)


@pytest.mark.parametrize("channels, cache", [(1, "none"), (None, "memory")])
def test_a_folder_of_dicom(scans, channels, cache):
    batches = data.load(
        f"folder:{scans}",
        channels=channels,
        pixel_range=(-1000, 400),
        cache=cache,
        batch_size=8,
        image_size=16,
        training=False,
        labelled=True,
    )
    ((found, labels),) = batches
    assert found.shape == (8, 16, 16, channels or 3)
    assert labels.numpy().tolist() == [0] * 4 + [1] * 4
    expected = np.stack([_expected(k) for k in (0, 2, 4, 6, 1, 3, 5, 7)])
    expected = np.broadcast_to(expected, found.shape)
    np.testing.assert_allclose(np.asarray(found) * 255, expected, atol=1e-3)


def _give_window(files):
    for path in files:
        dataset = pydicom.dcmread(path)
        dataset.WindowCenter, dataset.WindowWidth = 0, 2000
        dataset.save_as(path)


def test_values_without_a_window_need_a_range(scans):
    """-1000 to 1007 of 16 bits would be three shades of grey."""
    message = "--pixel_range=-1000,1007; .* of -33792 to 31743 in 8 images"
    with pytest.raises(ValueError, match=message):
        data.open_source(f"folder:{scans}")
    some, others = (list(scans.rglob(f"*.{e}")) for e in ("dicom", "dcm"))
    _give_window(some)
    with pytest.warns(UserWarning, match="in 6 images .*and 2 images with a"):
        data.open_source(f"folder:{scans}")
    _give_window(others)
    with warnings.catch_warnings():
        warnings.filterwarnings("error", "DICOM images")
        assert data.open_source(f"folder:{scans}").num_examples == 8


def test_what_is_no_image_is_named_or_left_out(scans):
    from pydicom.data import get_testdata_file

    plan = get_testdata_file("rtplan.dcm", download=False)
    (scans / "class 0" / "plan.dcm").write_bytes(open(plan, "rb").read())
    rgb = np.zeros((16, 16, 3), np.uint8)
    PIL.Image.fromarray(rgb).save(scans / "class 0" / "photo.png")
    how = {"pixel_range": (-1000, 400), "skip_corrupt": True}
    with pytest.warns(UserWarning, match="1 of 10 .*\n.*plan.dcm"):
        source = data.open_source(f"folder:{scans}", **how)
    assert source.num_examples == 9
    with pytest.raises(ValueError, match="photo.png, which has 3 channels"):
        data.open_source(
            f"folder:{scans}", channels=1, pixel_range=(-1000, 400)
        )
