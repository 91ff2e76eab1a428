"""Draws the header of a picture of views: its content and settings."""

from __future__ import annotations

import pathlib
import textwrap
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import keras
import matplotlib
import numpy as np
from PIL import Image
from PIL import ImageDraw
from PIL import ImageFont

from simclr_keras.views import View

_PIXELS = 12  # size of the font
_LINE = 17  # pixels, height of a line
_LETTER = 7.2  # pixels, average width of a letter
_INK = (230, 230, 230)


def describe(
    two_views: keras.layers.Layer, count: int, size: Sequence[int]
) -> list[str]:
    """Lines of text about the views of some images.

    Args:
        two_views: layer with the interface of `TwoViews`.
        count: number of images in the picture.
        size: (height, width) of a view in pixels.
    """
    lines = [
        f"{count} images of the first batch, each with its two views of"
        f" {size[1]} x {size[0]} pixels, which training contrasts."
    ]
    branches = [
        _settings(getattr(two_views, name, two_views))
        for name in ("first", "second")
    ]
    if branches[0] == branches[1]:
        return [*lines, f"Both views: {branches[0]}."]
    return [
        *lines,
        *(f"View {k}: {text}." for k, text in enumerate(branches, 1)),
    ]


def _settings(view):
    if not isinstance(view, View):
        return f"layer {type(view).__name__}"
    low, high = view.crop_area
    parts = [
        f"crops of {low:.0%} to {high:.0%} of the area"
        if view.crop
        else "no crops",
        _how_often("flip", view.flip_probability),
    ]
    rgb = view.channels == 3
    what = "colour jitter" if rgb else "jitter of brightness and contrast"
    color = f"{what} of strength {view.color_strength:g}"
    parts.append(_how_often(color, view.jitter_probability))
    parts.append(_how_often("grey", rgb * view.grayscale_probability))
    parts.append(_how_often("blur", view.blur_probability))
    parts += [_name(layer) for layer in view.append]
    return ", ".join(filter(None, parts))


def _how_often(what, probability):
    """Text with the probability; without it if it is 1, "" if it is 0."""
    if not probability:
        return ""
    return what if probability == 1 else f"{what} ({probability:.0%})"


def _name(layer: Any) -> str:
    return layer if isinstance(layer, str) else type(layer).__name__


def draw(
    lines: Sequence[str], names: Mapping[int, str], width: int
) -> np.ndarray:
    """Draws lines of text, and below them the names of columns.

    Args:
        lines: lines of text; long ones are wrapped.
        names: dict of left edge of a column, in pixels -> its name.
        width: width of the picture in pixels.

    Returns:
        uint8 `[H, width, 3]`, light on black.
    """
    folder = pathlib.Path(matplotlib.get_data_path(), "fonts", "ttf")
    font = ImageFont.truetype(str(folder / "DejaVuSans.ttf"), _PIXELS)
    letters = max(12, int(width / _LETTER))
    broken = [part for line in lines for part in textwrap.wrap(line, letters)]
    height = (len(broken) + 1) * _LINE + _LINE // 2
    image = Image.new("RGB", (width, height))
    pen = ImageDraw.Draw(image)
    for row, line in enumerate(broken):
        pen.text((4, row * _LINE + 2), line, _INK, font)
    for left, name in names.items():
        pen.text((left + 2, height - _LINE), name, _INK, font)
    return np.asarray(image, np.uint8)
