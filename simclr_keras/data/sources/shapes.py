"""Draws the embedded data set: ten motifs scattered over coloured grounds.

Nothing is shipped or fetched; the pictures are drawn with NumPy. The class is
the shape of the motif. The size, rotation, place, number and colour of its
copies, and the two colours of the ground, are drawn from the same distribution
for every class. So colour says nothing about the class, but two crops of one
picture share their colours: a network that can compare colours learns nothing
else. Colour distortion prevents that. The data set is a diagnostic, not a
benchmark.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from simclr_keras.images.formats.pixel_range import unit_to_uint8

SPLITS = {"train": 10_000, "test": 2_000}
DEFAULT_SIZE = 32

# Number of pictures drawn at once. Each chunk has its own random generator, so
# another number would change the pictures of a seed.
_CHUNK = 100
_COPIES = 4


def _disc(x, y):
    return np.hypot(x, y) - 0.95


def _ring(x, y):
    return np.abs(np.hypot(x, y) - 0.9) - 0.3


def _frame(x, y):
    return np.abs(np.maximum(np.abs(x), np.abs(y)) - 0.76) - 0.24


def _triangle(x, y):
    sides = 0.866 * np.abs(x) + 0.5 * y
    return np.maximum(sides, -y) - 0.68


def _star(x, y):
    spikes = np.arcsin(0.97 * np.sin(5 * np.arctan2(y, x))) / 1.32
    return 0.7 * (np.hypot(x, y) - 0.88 - 0.42 * spikes)


def _cross(x, y):
    x, y = np.abs(x), np.abs(y)
    across = np.maximum(x - 1.2, y - 0.36)
    return np.minimum(across, np.maximum(y - 1.2, x - 0.36))


def _crescent(x, y):
    return np.maximum(np.hypot(x, y) - 1.15, 0.8 - np.hypot(x - 0.55, y))


def _twins(x, y):
    return np.hypot(np.abs(x) - 0.62, y) - 0.55


def _checker(x, y):
    square = np.maximum(np.abs(x), np.abs(y)) - 0.95
    edge = np.minimum(np.abs(x), np.abs(y))
    return np.maximum(square, 0.5 * np.sign(x * y) * edge)


def _bars(x, y):
    bar = np.abs(np.abs(x) - 0.62) - 0.31
    return np.maximum(bar, np.abs(y) - 1.15)


# Each motif is a field over the plane, negative inside, in units of its radius.
_MOTIFS = (
    _disc,
    _ring,
    _frame,
    _triangle,
    _star,
    _cross,
    _crescent,
    _twins,
    _checker,
    _bars,
)
CLASS_NAMES = tuple(motif.__name__[1:] for motif in _MOTIFS)


def _color(rng, hues, light):
    """RGB `[n, 1, 1, 3]` of hues in turns, light or dark as `light` says."""
    saturation = rng.uniform(0.25, 0.95, len(hues))[:, None]
    value = np.where(
        light,
        rng.uniform(0.70, 1.0, len(hues)),
        rng.uniform(0.10, 0.45, len(hues)),
    )
    # Hue, saturation, value -> red, green, blue, one formula for all sextants.
    sextants = (hues[:, None] * 6 + np.array([5, 3, 1])) % 6
    ramps = np.clip(np.minimum(sextants, 4 - sextants), 0, 1)
    colors = value[:, None] * (1 - saturation * ramps)
    return colors.astype(np.float32)[:, None, None]


def _ground(rng, x, y, light):
    """Two neighbouring hues, mixed by a gradient or by soft waves."""

    def draw(low, high):
        values = rng.uniform(low, high, (len(light), 1, 1))
        return values.astype(np.float32)

    angle, frequency, phase = draw(0, 6.28), draw(2, 8), draw(0, 6.28)
    along = np.cos(angle) * (x - 0.5) + np.sin(angle) * (y - 0.5)
    across = x * np.sin(angle) - y * np.cos(angle)
    along = along + draw(0, 0.08) * np.sin(9 * across + phase)
    waves = 0.5 + 0.5 * np.sin(2 * frequency * along + phase)
    mix = np.where(draw(0, 1) < 0.5, along + 0.5, waves)[..., None]
    hues = rng.uniform(0, 1, len(light))
    neighbours = hues + rng.uniform(-0.2, 0.2, len(light))
    first, second = _color(rng, hues, light), _color(rng, neighbours, light)
    return first + mix * (second - first)


def _coverage(rng, x, y, labels):
    """Fraction of each pixel that each copy covers: `[copies, n, size, size]`.

    The copies lie in the four quarters of the picture, randomly displaced, in
    random order. A picture has two to four of them.
    """
    n = len(labels)

    def draw(low, high, *shape):
        values = rng.uniform(low, high, (*shape, n, 1, 1))
        return values.astype(np.float32)

    quarters = rng.permuted(np.tile(np.arange(_COPIES), (n, 1)), axis=1)
    quarters = quarters.T[:, :, None, None].astype(np.float32)
    center_x = (quarters % 2 + 0.5) / 2 + draw(-0.09, 0.09, _COPIES)
    center_y = (quarters // 2 + 0.5) / 2 + draw(-0.09, 0.09, _COPIES)
    radius = draw(0.17, 0.23) * draw(0.85, 1.15, _COPIES)
    turn = draw(-0.35, 0.35, _COPIES)
    u, v = (x - center_x) / radius, (y - center_y) / radius
    u, v = (
        np.cos(turn) * u + np.sin(turn) * v,
        np.cos(turn) * v - np.sin(turn) * u,
    )
    field = np.empty_like(u)
    for label, motif in enumerate(_MOTIFS):
        mine = labels == label
        field[:, mine] = motif(u[:, mine], v[:, mine])
    there = np.arange(_COPIES)[:, None] < rng.integers(2, _COPIES + 1, n)
    size = x.shape[-1]
    covered = np.clip(0.5 - field * radius * size, 0, 1)
    return covered * there[:, :, None, None]


def _draw_chunk(rng, labels, size):
    """Pictures of the given classes, `uint8` `[n, size, size, 3]`."""
    n = len(labels)
    y, x = (np.mgrid[:size, :size].astype(np.float32) + 0.5) / size
    light = rng.uniform(0, 1, n) < 0.5
    images = _ground(rng, x, y, light)
    # Motifs are dark on light grounds and light on dark ones, of two colours.
    inks = [_color(rng, rng.uniform(0, 1, n), ~light) for _ in range(2)]
    choices = rng.uniform(0, 1, (_COPIES, n, 1, 1, 1)) < 0.5
    for covered, choice in zip(_coverage(rng, x, y, labels), choices):
        covered = covered[..., None]
        images += covered * (np.where(choice, *inks) - images)
    grain = rng.uniform(0, 0.03, (n, 1, 1, 1)).astype(np.float32)
    images += grain * rng.standard_normal(images.shape, np.float32)
    return unit_to_uint8(images)


def draw_shapes(
    count: int,
    seed: int | Sequence[int],
    size: int = DEFAULT_SIZE,
    first: int = 0,
) -> tuple[np.ndarray, np.ndarray]:
    """Draws pictures and their classes.

    Args:
        count: number of pictures. Every ten in a row show the ten classes in
            random order. A smaller count gives the first pictures of a larger
            one.
        seed: seed of the pictures, an integer or a sequence of integers.
        size: height and width in pixels. Default 32.
        first: number of the first picture, counted from 0. Default 0.

    Returns:
        images: `uint8` `[count, size, size, 3]`.
        labels: `int64` `[count]`, indexes of `CLASS_NAMES`.
    """
    classes = len(CLASS_NAMES)
    seed = list(np.atleast_1d(seed))
    images = np.empty((count, size, size, 3), np.uint8)
    labels = np.empty(count, np.int64)
    for chunk in range(first // _CHUNK, -(-(first + count) // _CHUNK)):
        rng = np.random.default_rng([*seed, chunk])
        rows = np.tile(np.arange(classes), (_CHUNK // classes, 1))
        drawn = rng.permuted(rows, axis=1).ravel()
        # Rows of this chunk that are returned, and their place in the result.
        low = max(first - chunk * _CHUNK, 0)
        high = min(first + count - chunk * _CHUNK, _CHUNK)
        at = chunk * _CHUNK + low - first
        pictures = _draw_chunk(rng, drawn, size)
        images[at : at + high - low] = pictures[low:high]
        labels[at : at + high - low] = drawn[low:high]
    return images, labels
