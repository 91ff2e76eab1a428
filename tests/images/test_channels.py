"""Image files of a stated number of channels, TIFF among them."""

import io

import numpy as np
import PIL.Image
import pytest
import tensorflow as tf

from simclr_keras import images
from simclr_keras.images.formats import tiff

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 256, (9, 7), np.uint8)
RGB = RNG.integers(0, 256, (9, 7, 3), np.uint8)
RGBA = RNG.integers(0, 256, (9, 7, 4), np.uint8)


def _file(image, kind="PNG"):
    file = io.BytesIO()
    PIL.Image.fromarray(image).save(file, kind)
    return file.getvalue()


@pytest.mark.parametrize(
    "image, in_graph", [(GREY, True), (RGBA, True), (GREY, False)]
)
def test_a_file_keeps_its_channels(image, in_graph):
    """And one of other channels is refused."""
    pixels = image.reshape(9, 7, -1)
    count = pixels.shape[-1]
    encoded = _file(image)
    decode = tf.function(
        lambda x: images.decode(x, channels=count, in_graph=in_graph)
    )
    np.testing.assert_array_equal(decode(tf.constant(encoded)), pixels)
    with pytest.raises(tf.errors.InvalidArgumentError):
        decode(tf.constant(_file(RGB)))


@pytest.mark.parametrize("image", [GREY, RGB, RGBA])
def test_the_reason_says_the_channels(image):
    encoded = _file(image)
    count = image.size // GREY.size
    assert images.stored_channels(encoded) == count
    plural = "s" * (count > 1)
    message = f"it has {count} channel{plural}, and channels=5 is stated"
    assert images.problem(encoded, channels=5) == message


@pytest.mark.parametrize("run", [lambda f: f, tf.function])
def test_a_grey_jpeg(run):
    """Also by the operations that a pipeline has for JPEG."""
    decode = run(lambda x: images.decode(x, channels=1))
    encoded = _file(GREY, "JPEG")
    found = decode(tf.constant(encoded))
    with pytest.raises(tf.errors.InvalidArgumentError):
        decode(tf.constant(_file(RGB, "JPEG")))
    expected = np.asarray(PIL.Image.open(io.BytesIO(encoded)))
    np.testing.assert_array_equal(found[..., 0], expected)
    assert images.stored_channels(encoded) == 1


def test_a_grey_png_of_16_bits():
    deep = GREY.astype(np.uint16) * 16
    encoded = tf.constant(_file(deep))
    found = images.decode(encoded, channels=1, pixel_range=(0, 4080))
    np.testing.assert_array_equal(found[..., 0], GREY)


@pytest.mark.parametrize("kind", ["BMP", "GIF"])
def test_these_formats_are_rgb(kind):
    assert images.stored_channels(_file(RGB, kind)) == 3


def test_without_a_number_tiff_is_refused():
    start = tiff.SIGNATURES[0] + bytes(40)
    with pytest.raises(tf.errors.InvalidArgumentError, match="JPEG, PNG"):
        images.decode(tf.constant(start))


tifffile = pytest.importorskip("tifffile")

BANDS = RNG.integers(0, 10001, (9, 7, 13), np.uint16)
BANDS[BANDS % 1000 == 0] += 1  # which lie between two of 256 levels
SCALED = np.round(np.minimum(BANDS / 10000, 1) * 255)


def _tiff(array, **how):
    file = io.BytesIO()
    tifffile.imwrite(file, array, **how)
    return file.getvalue()


@pytest.mark.parametrize(
    "array, how",
    [
        (BANDS, {"photometric": "minisblack", "planarconfig": "contig"}),
        (
            BANDS.transpose(2, 0, 1),
            {"photometric": "minisblack", "planarconfig": "separate"},
        ),
        (BANDS.transpose(2, 0, 1), {"photometric": "minisblack"}),  # pages
        (
            BANDS.astype(np.float32),
            {"photometric": "minisblack", "planarconfig": "contig"},
        ),
        (
            BANDS,
            {
                "photometric": "minisblack",
                "planarconfig": "contig",
                "bigtiff": True,
                "byteorder": ">",
                "compression": "zlib",
                "tile": (16, 16),
            },
        ),
    ],
    ids=["contig", "separate", "pages", "float", "tiled"],
)
def test_bands_of_a_tiff(array, how):
    encoded = _tiff(array, **how)
    assert tiff.describe(encoded, 100) == ((9, 7, 13), array.dtype)
    np.testing.assert_array_equal(tiff.read(encoded, 100), BANDS)

    @tf.function
    def decode(encoded):
        size = images.image_size(encoded, channels=13)
        image = images.decode(encoded, channels=13, pixel_range=(0, 10000))
        return size, image

    size, image = decode(tf.constant(encoded))
    assert size.numpy().tolist() == [9, 7]
    np.testing.assert_array_equal(image, SCALED)


def test_an_rgb_tiff_of_8_bits_is_as_it_is():
    encoded = tf.constant(_tiff(RGB, photometric="rgb"))
    for stated in (None, (0, 100)):
        found = images.decode(encoded, channels=3, pixel_range=stated)
        np.testing.assert_array_equal(found, RGB)


@pytest.mark.parametrize("value", range(1, 9))
def test_a_tiff_is_turned_upright(value):
    """As Pillow does it."""
    encoded = _tiff(
        RGB, photometric="rgb", extratags=[(274, "H", 1, value, True)]
    )
    from PIL import ImageOps

    expected = ImageOps.exif_transpose(PIL.Image.open(io.BytesIO(encoded)))
    found = images.decode(tf.constant(encoded), channels=3)
    np.testing.assert_array_equal(found, np.asarray(expected))
    size = images.image_size(tf.constant(encoded), channels=3)
    assert tuple(size.numpy()) == found.shape[:2]


def test_white_is_zero_and_one_bit():
    encoded = _tiff(GREY, photometric="miniswhite")
    found = images.decode(tf.constant(encoded), channels=1)
    np.testing.assert_array_equal(found[..., 0], 255 - GREY)
    encoded = _tiff(GREY > 99, photometric="minisblack")
    found = images.decode(tf.constant(encoded), channels=1)
    np.testing.assert_array_equal(found[..., 0], (GREY > 99) * 255)


@pytest.mark.parametrize(
    "array, how, reason",
    [
        (BANDS, {"photometric": "minisblack"}, "it has 9 channels"),
        (GREY.astype(np.float32), {}, "whose black and white pixel_range"),
        (GREY.astype(np.int32), {}, "values of int32 from"),
        (np.full((9, 7), np.nan, np.float32), {}, "NaN or infinite"),
        (np.zeros((2, 2, 9, 7), np.uint8), {}, "it has the axes"),
        (np.zeros((20, 7), np.uint8), {}, "it has 20 x 7 pixels, max_pixels"),
        (
            GREY,
            {
                "photometric": "palette",
                "colormap": np.zeros((3, 256), np.uint16),
            },
            "it has a palette",
        ),
    ],
)
def test_a_tiff_that_cannot_be_read_says_why(array, how, reason):
    how = {"photometric": "minisblack", **how}
    encoded = _tiff(array, **how)
    assert reason in images.problem(encoded, 100, channels=1)
    with pytest.raises(tf.errors.OpError):
        images.decode(tf.constant(encoded), 100, channels=1)


def test_a_tiff_cut_short():
    encoded = _tiff(BANDS)
    for end in (8, len(encoded) // 2):
        assert images.problem(encoded[:end], channels=9)
        with pytest.raises(tf.errors.OpError):
            images.decode(tf.constant(encoded[:end]), channels=9)
