"""Every format, mode and bit depth is decoded to the right RGB."""

import functools
import io

import numpy as np
import PIL.Image
import PIL.ImageOps
import pytest
import tensorflow as tf

from simclr_keras import compat
from simclr_keras import images

pytestmark = pytest.mark.newest
HEIGHT, WIDTH = 24, 32
# A gradient, smooth enough for JPEG.
_Y, _X = np.mgrid[:HEIGHT, :WIDTH]
RGB = np.stack([_X * 7, _Y * 9, 255 - _X * 3 - _Y * 3], -1).astype(np.uint8)
GREY = RGB[..., 0]


def encode(image, kind, **options):
    if not isinstance(image, PIL.Image.Image):
        image = PIL.Image.fromarray(image)
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


@functools.cache
def _exported():
    """Traced once."""
    return tf.function(
        lambda encoded: images.decode(encoded, in_graph=True),
        input_signature=[tf.TensorSpec([], tf.string)],
    )


def decode(encoded):
    """Decodes as an export does, and checks that the header says the size.

    By Pillow where TensorFlow is too old to decode WebP.
    """
    by_pillow = encoded[8:12] == b"WEBP" and not compat.DECODES_WEBP
    image = (images.decode if by_pillow else _exported())(encoded)
    size = images.image_size(encoded)
    np.testing.assert_array_equal(size, image.shape[:2])
    return image.numpy()


@pytest.mark.parametrize("kind", ["PNG", "BMP", "WEBP"])
def test_lossless_rgb(kind):
    options = {"lossless": True} if kind == "WEBP" else {}
    np.testing.assert_array_equal(decode(encode(RGB, kind, **options)), RGB)


@pytest.mark.parametrize(
    "options", [{}, {"progressive": True}, {"quality": 30}]
)
def test_jpeg_is_decoded_as_pillow_does(options):
    encoded = encode(RGB, "JPEG", **options)
    expected = np.array(PIL.Image.open(io.BytesIO(encoded)))
    np.testing.assert_array_equal(decode(encoded), expected)


@pytest.mark.parametrize("kind", ["PNG", "BMP", "GIF"])
def test_grey_is_repeated(kind):
    expected = np.repeat(GREY[..., None], 3, axis=-1)
    np.testing.assert_array_equal(decode(encode(GREY, kind)), expected)


def test_grey_jpeg():
    decoded = decode(encode(GREY, "JPEG", quality=95)).astype(int)
    assert np.all(decoded == decoded[..., :1])
    assert np.abs(decoded[..., 0] - GREY).max() <= 4


@pytest.mark.parametrize("kind", ["PNG", "BMP", "GIF"])
def test_palette(kind):
    image = PIL.Image.fromarray(RGB).quantize(16)
    expected = np.array(image.convert("RGB"))
    np.testing.assert_array_equal(decode(encode(image, kind)), expected)


@pytest.mark.parametrize("kind", ["PNG", "BMP"])
def test_one_bit(kind):
    image = PIL.Image.fromarray(GREY > 100)
    expected = np.repeat(np.where(GREY > 100, 255, 0)[..., None], 3, axis=-1)
    np.testing.assert_array_equal(decode(encode(image, kind)), expected)


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_transparent_pixels_lie_on_white(kind):
    """Half covered: (color + white) / 2, whatever the hidden color is."""
    alpha = np.full((HEIGHT, WIDTH, 1), 255, np.uint8)
    alpha[:8], alpha[8:16] = 0, 51
    options = {"lossless": True, "exact": True} if kind == "WEBP" else {}
    decoded = decode(
        encode(np.concatenate([RGB, alpha], -1), kind, **options)
    ).astype(int)
    np.testing.assert_array_equal(decoded[:8], 255)
    expected = np.round(0.2 * RGB[8:16] + 0.8 * 255)
    assert np.abs(decoded[8:16] - expected).max() <= 1
    np.testing.assert_array_equal(decoded[16:], RGB[16:])


def test_grey_with_alpha():
    image = np.stack([GREY, np.where(_Y < 12, 0, 255)], -1).astype(np.uint8)
    decoded = decode(encode(PIL.Image.fromarray(image, "LA"), "PNG"))
    np.testing.assert_array_equal(decoded[:12], 255)
    np.testing.assert_array_equal(decoded[12:, :, 1], GREY[12:])


@pytest.mark.parametrize("kind", ["PNG", "GIF"])
def test_transparent_colour_of_a_palette(kind):
    image = PIL.Image.fromarray((GREY // 64).astype(np.uint8), "P")
    image.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255, 9, 9, 9])
    decoded = decode(encode(image, kind, transparency=1))
    np.testing.assert_array_equal(decoded[GREY // 64 == 1], 255)
    assert set(map(tuple, decoded[GREY // 64 == 2])) == {(0, 0, 255)}


def test_sixteen_bits_lose_their_lower_eight():
    deep = GREY.astype(np.uint16) * 256 + 77
    encoded = encode(PIL.Image.fromarray(deep), "PNG")
    expected = np.repeat(GREY[..., None], 3, axis=-1)
    np.testing.assert_array_equal(decode(encoded), expected)


def test_cmyk_jpeg():
    """Pillow's own conversion; the two round differently."""
    image = PIL.Image.fromarray(RGB).convert("CMYK")
    encoded = encode(image, "JPEG", quality=95, subsampling=0)
    expected = PIL.Image.open(io.BytesIO(encoded)).convert("RGB")
    error = decode(encoded).astype(int) - np.array(expected)
    assert np.abs(error).max() <= 3


def test_first_frame_of_an_animation():
    frames = [PIL.Image.fromarray(x) for x in (GREY, 255 - GREY)]
    encoded = encode(frames[0], "GIF", save_all=True, append_images=frames[1:])
    np.testing.assert_array_equal(decode(encoded)[..., 0], GREY)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "WEBP"])
def test_exif_orientation(orientation, kind):
    """Peer: Pillow's `exif_transpose`."""
    exif = PIL.Image.Exif()
    exif[0x0112] = orientation
    options = {"lossless": True} if kind == "WEBP" else {"quality": 95}
    encoded = encode(RGB[:20], kind, exif=exif, **options)
    stored = PIL.Image.open(io.BytesIO(encoded))
    upright = PIL.ImageOps.exif_transpose(stored)
    np.testing.assert_array_equal(decode(encoded), upright)


def test_broken_exif_is_no_obstacle():
    encoded = encode(RGB, "JPEG", exif=b"Exif\x00\x00nonsense")
    assert decode(encoded).shape == RGB.shape


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "BMP", "GIF", "WEBP"])
def test_cut_short(kind):
    noise = np.random.default_rng(0).integers(0, 256, RGB.shape, np.uint8)
    encoded = encode(noise, kind)
    with pytest.raises(tf.errors.OpError):
        decode(encoded[: len(encoded) // 2])


@pytest.mark.parametrize("content", [b"", b"not an image", b"\xff\xd8\xff"])
def test_no_image(content):
    with pytest.raises(tf.errors.OpError):
        decode(content)


def test_arrays_to_rgb():
    """By hand: 16 bits halved by 256, floats times 255, alpha on white."""
    to_rgb = images.array_to_rgb
    grey16 = np.array([[[513]]], np.uint16)
    np.testing.assert_array_equal(to_rgb(grey16), [[[2, 2, 2]]])
    floats = np.array([[[0.0, 0.5, 1.0]]], np.float32)
    np.testing.assert_array_equal(to_rgb(floats), [[[0, 128, 255]]])
    rgba = np.array([[[0, 100, 255, 51], [1, 2, 3, 255]]], np.uint8)
    np.testing.assert_array_equal(to_rgb(rgba), [[[204, 224, 255], [1, 2, 3]]])


def _jpegs():
    """JPEG files of many kinds, whole and damaged."""
    exif = PIL.Image.Exif()
    whole = [
        encode(RGB, "JPEG"),
        encode(GREY, "JPEG"),
        encode(RGB, "JPEG", progressive=True),
        encode(PIL.Image.fromarray(RGB).convert("CMYK"), "JPEG"),
        encode(RGB, "JPEG", comment=b"Exif\0\0II*\0"),
    ]
    for orientation in range(10):  # 0 and 9 have no meaning
        exif[0x0112] = orientation
        whole.append(encode(RGB, "JPEG", exif=exif))
    cut = [whole[-4][:length] for length in (3, 20, 60, 300, 500, -30)]
    turned = whole[-4]
    broken = [turned[:k] + b"\xff" + turned[k + 1 :] for k in range(2, 90, 4)]
    return [*whole, *cut, *broken]


def test_a_pipeline_decodes_as_an_export_does():
    """JPEG in the pipeline itself; others by one function for the process."""
    files = [*_jpegs(), encode(RGB, "PNG"), encode(RGB, "GIF"), b"\xff\xd8"]

    def made(function):
        numbered = tf.data.Dataset.from_tensor_slices(files).enumerate()
        numbered = numbered.map(lambda k, file: (k, function(file)))
        found = numbered.ignore_errors().as_numpy_iterator()
        return {int(k): value for k, value in found}

    sizes, pictures = made(images.image_size), made(images.decode)
    decoded = 0
    for k, file in enumerate(files):
        try:
            expected = _exported()(file).numpy()
        except tf.errors.OpError:
            assert k not in pictures
            continue
        decoded += 1
        np.testing.assert_array_equal(pictures[k], expected)
        np.testing.assert_array_equal(sizes[k], expected.shape[:2])
    assert 18 <= decoded < len(files) - 3
