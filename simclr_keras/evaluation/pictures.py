"""Pictures of what features say: neighbours, and maps of many images."""

import colorsys

import numpy as np
from PIL import Image
from PIL import ImageDraw

_GAP = 4  # pixels
_GREEN, _RED, _GREY = (40, 160, 60), (200, 50, 50), (150, 150, 150)


def neighbors_picture(rows, matches=None):
    """Queries, each with its neighbours behind it.

    Args:
        rows: list of uint8 arrays `[1 + k, H, W, 3]`: a query and its
            neighbours, the nearest first. All of one size.
        matches: list of boolean arrays `[k]`, whether a neighbour is of the
            query's class: framed in green, else in red. Default: grey frames.

    Returns:
        uint8 array `[height, width, 3]`; the query stands apart, on the left.
    """
    scale = max(1, 64 // rows[0].shape[1])
    lines = []
    for number, images in enumerate(rows):
        colors = [_GREY] * len(images)
        if matches is not None:
            colors[1:] = [_GREEN if m else _RED for m in matches[number]]
        cells = [_framed(*each, scale) for each in zip(images, colors)]
        cells.insert(1, np.full((cells[0].shape[0], 12, 3), 255, np.uint8))
        lines.append(np.concatenate(cells, axis=1))
    return np.concatenate(lines, axis=0)


def _framed(image, color, scale):
    image = image.repeat(scale, axis=0).repeat(scale, axis=1)
    sides = [(3, 3), (3, 3)]
    planes = [
        np.pad(image[..., i], sides, constant_values=color[i]) for i in range(3)
    ]
    white = [(_GAP, _GAP), (_GAP, _GAP), (0, 0)]
    return np.pad(np.stack(planes, axis=-1), white, constant_values=255)


def sprite(images):
    """A square of small images row by row, as TensorBoard's projector reads.

    Args:
        images: uint8 `[n, S, S, 3]`.

    Returns:
        uint8 `[side * S, side * S, 3]`, where side is the root of n, rounded
        up; black where there is no image.
    """
    count, size = images.shape[:2]
    side = int(np.ceil(np.sqrt(count)))
    cells = np.zeros((side * side, size, size, 3), np.uint8)
    cells[:count] = images
    cells = cells.reshape(side, side, size, size, 3)
    return cells.transpose(0, 2, 1, 3, 4).reshape(side * size, side * size, 3)


def map_picture(points, labels=None, names=None, side=900):
    """Points of a plane, coloured by label, with a legend.

    Args:
        points: float `[n, 2]`.
        labels: integers `[n]`, or None: all of one colour.
        names: names of the labels; shown where there are at most 30.
        side: height and width of the plane in pixels.

    Returns:
        uint8 array `[side, width, 3]`.
    """
    low, high = points.min(axis=0), points.max(axis=0)
    places = (points - low) / np.maximum(high - low, 1e-12) * (side - 20) + 10
    classes = sorted(set([] if labels is None else np.asarray(labels).tolist()))
    colors = dict(zip(classes, _palette(len(classes))))
    legend = names is not None and 0 < len(classes) <= 30
    image = Image.new("RGB", (side + 220 * legend, side), "white")
    draw = ImageDraw.Draw(image)
    for row, (x, y) in enumerate(places):
        color = _GREY if labels is None else colors[int(labels[row])]
        draw.ellipse([x - 2, y - 2, x + 2, y + 2], fill=color)
    for line, label in enumerate(classes if legend else ()):
        top = 20 + 28 * line
        draw.rectangle([side, top, side + 14, top + 14], fill=colors[label])
        draw.text((side + 22, top + 1), str(names[label])[:28], fill="black")
    return np.asarray(image)


def _palette(count):
    """Colours that differ, in turn light and dark."""
    return [
        tuple(
            round(255 * part)
            for part in colorsys.hsv_to_rgb(
                i / max(count, 1), 0.85, (0.9, 0.65)[i % 2]
            )
        )
        for i in range(count)
    ]
