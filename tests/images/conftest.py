"""Small files of every format, orientation, mode and shape that is read."""

import io

import numpy as np
import PIL.Image
import pytest

from simclr_keras import compat


def _encode(image, kind, **options):
    if not isinstance(image, PIL.Image.Image):
        image = PIL.Image.fromarray(image)
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def _turned(orientation):
    exif = PIL.Image.Exif()
    exif[0x0112] = orientation
    return {"exif": exif}


def _picture(height, width, seed=0):
    """A smooth picture without symmetry."""
    coarse = np.random.default_rng(seed).integers(0, 256, (3, 4, 3), np.uint8)
    image = PIL.Image.fromarray(coarse)
    return image.resize((width, height), PIL.Image.Resampling.BICUBIC)


def _masked_bitmap():
    """A bitmap of 16 bits, by hand: 5 red, 6 green, 5 blue; top row first."""
    pixels = np.arange(20 * 24, dtype="<u2").reshape(20, 24) * 131
    head = np.array([40, 24, -20 & 0xFFFFFFFF], "<u4").tobytes()
    head += np.array([1, 16], "<u2").tobytes()
    head += np.array([3, pixels.nbytes, 0, 0, 0, 0], "<u4").tobytes()
    head += np.array([0xF800, 0x07E0, 0x001F], "<u4").tobytes()
    sizes = np.array([14 + len(head) + pixels.nbytes, 0, 14 + len(head)])
    return b"BM" + sizes.astype("<u4").tobytes() + head + pixels.tobytes()


@pytest.fixture(scope="session")
def every_kind():
    """Dict of file name -> content; all that an export decodes too."""
    rgb = _picture(40, 64)
    alpha = PIL.Image.fromarray(np.tile(np.arange(0, 256, 4), (40, 1)) * 1.0)
    alpha = alpha.convert("L")
    rgba = rgb.copy()
    rgba.putalpha(alpha)
    palette = rgb.quantize(32)
    deep = np.asarray(rgb.convert("L")).astype(np.uint16) * 256 + 77
    files = {
        f"turned{k}.jpg": _encode(rgb, "JPEG", **_turned(k))
        for k in range(1, 9)
    }
    files.update(
        {
            "grey.jpg": _encode(rgb.convert("L"), "JPEG"),
            "cmyk.jpg": _encode(rgb.convert("CMYK"), "JPEG"),
            "progressive.jpg": _encode(rgb, "JPEG", progressive=True),
            "rgb.png": _encode(rgb, "PNG"),
            "turned6.png": _encode(rgb, "PNG", **_turned(6)),
            "rgba.png": _encode(rgba, "PNG"),
            "grey.png": _encode(rgb.convert("L"), "PNG"),
            "grey_alpha.png": _encode(rgba.convert("LA"), "PNG"),
            "palette.png": _encode(palette, "PNG"),
            "hidden_color.png": _encode(palette, "PNG", transparency=3),
            "one_bit.png": _encode(rgb.convert("1"), "PNG"),
            "sixteen_bits.png": _encode(deep, "PNG"),
            "palette.gif": _encode(palette, "GIF"),
            "hidden_color.gif": _encode(palette, "GIF", transparency=3),
            "interlaced.gif": _encode(palette, "GIF", interlace=1),
            "animated.gif": _encode(
                palette,
                "GIF",
                save_all=True,
                append_images=[_picture(40, 64, 1).quantize(32)],
            ),
            "rgb.bmp": _encode(rgb, "BMP"),
            "rgba.bmp": _encode(rgba, "BMP"),
            "palette.bmp": _encode(palette, "BMP"),
            "one_bit.bmp": _encode(rgb.convert("1"), "BMP"),
            "sixteen_bits.bmp": _masked_bitmap(),
            "square.jpg": _encode(_picture(33, 33, 2), "JPEG"),
            "fits.png": _encode(_picture(32, 32, 3), "PNG"),
            "tall.jpg": _encode(_picture(200, 30, 4), "JPEG"),
            "flat.png": _encode(_picture(7, 90, 5), "PNG"),
            "large.jpg": _encode(_picture(300, 401, 6), "JPEG"),
        }
    )
    if compat.DECODES_WEBP:
        files.update(
            {
                "lossy.webp": _encode(rgb, "WEBP"),
                "lossless.webp": _encode(rgb, "WEBP", lossless=True),
                "rgba.webp": _encode(rgba, "WEBP", lossless=True),
                "turned5.webp": _encode(rgb, "WEBP", **_turned(5)),
            }
        )
    return files
