"""Distorts the colours of a batch: jitter in random order, then grayscale.

A batch is a plane for each channel (red, green, blue), `[B, h, w]` float32,
because XLA vectorises this work only with separate channels. Factors are `[B]`,
one per image. Brightness and contrast take any number of planes, the other
operations three.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Mapping
from typing import Any

import tensorflow as tf

from simclr_keras.images import batch_parts
from simclr_keras.images.channels import RGB

STREAMS = (
    JITTER_STREAM,
    ORDER_STREAM,
    BRIGHTNESS_STREAM,
    CONTRAST_STREAM,
    SATURATION_STREAM,
    HUE_STREAM,
    GRAYSCALE_STREAM,
) = tuple(range(10, 17))

# Row i: ranks of brightness, contrast, saturation and hue in the i-th order.
_RANKS = tuple(itertools.permutations(range(4)))
# Arguments of `jitter` with one value per image.
_JITTER_INPUTS = ("ranks", "brightness", "contrast", "saturation", "hue")
_GRAY_WEIGHTS = (0.2989, 0.5870, 0.1140)


def left_out(view: Any) -> tuple[str, ...]:
    """Names of operations that a `View` leaves out, as they need RGB."""
    if view.channels == RGB:
        return ()
    jitter = view.jitter_probability and view.color_strength
    asked = {
        "saturation": jitter and view.saturation,
        "hue": jitter and view.hue,
        "grey": view.grayscale_probability,
    }
    return tuple(name for name, value in asked.items() if value)


def clip(planes: list[tf.Tensor]) -> list[tf.Tensor]:
    """Clips to [0, 1]."""
    return [tf.clip_by_value(p, 0.0, 1.0) for p in planes]


def select(
    condition: tf.Tensor, planes: list[tf.Tensor], others: list[tf.Tensor]
) -> list[tf.Tensor]:
    """Images of `planes` for which the condition `[B]` holds, else `others`."""
    condition = condition[:, None, None]
    return [tf.where(condition, p, o) for p, o in zip(planes, others)]


def adjust_brightness(
    planes: list[tf.Tensor], factors: tf.Tensor, additive: bool = False
) -> list[tf.Tensor]:
    """Returns x * factor, or x + factor if `additive` (SimCLRv1)."""
    factors = factors[:, None, None]
    return [p + factors if additive else p * factors for p in planes]


def adjust_contrast(
    planes: list[tf.Tensor], factors: tf.Tensor
) -> list[tf.Tensor]:
    """Returns (x - m) * factor + m, m the channel's mean over the image."""
    factors = factors[:, None, None]
    means = [tf.reduce_mean(p, axis=(1, 2), keepdims=True) for p in planes]
    return [(p - m) * factors + m for p, m in zip(planes, means)]


def adjust_hsv(
    planes: list[tf.Tensor], factors: tf.Tensor, is_hue: tf.Tensor
) -> list[tf.Tensor]:
    """Shifts the hue or scales the saturation, in the HSV colour model.

    Args:
        planes: three planes `[B, h, w]`.
        factors: `[B]`: shift of the hue in turns, in [-1, 1]; or factor of the
            saturation, which is then clipped to [0, 1].
        is_hue: `bool` `[B]`, whether the factor is a shift of the hue.

    Returns:
        Three planes.
    """
    factors, is_hue = factors[:, None, None], is_hue[:, None, None]
    red, green, blue = planes
    value = tf.maximum(tf.maximum(red, green), blue)
    spread = value - tf.minimum(tf.minimum(red, green), blue)
    inverse = tf.where(spread > 0.0, 1.0 / spread, 0.0)
    # Hue in sixths of a turn, from the sector of the largest channel.
    sixths = tf.where(
        value == red,
        (green - blue) * inverse,
        tf.where(
            value == green,
            2.0 + (blue - red) * inverse,
            4.0 + (red - green) * inverse,
        ),
    )
    sixths += tf.where(is_hue, 6.0 * factors, 0.0)
    sixths -= 6.0 * tf.floor(sixths / 6.0)
    # S is spread / value (0 if value is not positive). Scaling S scales the
    # spread, and clipping S keeps the spread below the value.
    scaled = spread * tf.minimum(factors, tf.maximum(value * inverse, 0.0))
    spread = tf.where(is_hue, spread, scaled)
    distances = (
        2.0 - tf.abs(sixths - 3.0),
        tf.abs(sixths - 2.0) - 1.0,
        tf.abs(sixths - 4.0) - 1.0,
    )
    return [value - spread * tf.clip_by_value(d, 0.0, 1.0) for d in distances]


def grayscale(planes: list[tf.Tensor]) -> list[tf.Tensor]:
    """Returns 0.2989 R + 0.5870 G + 0.1140 B as all three planes."""
    weighted = [w * p for w, p in zip(_GRAY_WEIGHTS, planes)]
    return [tf.add_n(weighted)] * 3


def jitter(
    planes: list[tf.Tensor],
    ranks: tf.Tensor,
    brightness: tf.Tensor | None,
    contrast: tf.Tensor | None,
    saturation: tf.Tensor | None,
    hue: tf.Tensor | None,
    additive: bool = False,
) -> list[tf.Tensor]:
    """Applies four colour operations in a random order, clipping after each.

    Saturation and hue divide an order into three segments. A segment holds
    brightness and contrast, one of them, or neither; so two HSV conversions,
    which are expensive, suffice for all 24 orders.

    Args:
        planes: three planes `[B, h, w]`, which may leave [0, 1]; any number
            of them without saturation and hue.
        ranks: `int32` `[B, 4]`: the ranks, 0 to 3, of brightness, contrast,
            saturation and hue in the image's order.
        brightness: factors `[B]`; None leaves the operation out.
        contrast: factors `[B]`, or None.
        saturation: factors `[B]`, or None.
        hue: shifts `[B]`, or None.
        additive: see `adjust_brightness`.

    Returns:
        As many planes, in [0, 1] unless all four operations are None.
    """
    at_brightness, at_contrast, at_saturation, at_hue = tf.unstack(
        ranks, axis=1
    )

    def tone(planes, after, before):
        """Applies brightness and contrast if they rank between two bounds."""

        def brighten(planes, when):
            now = (after < at_brightness) & (at_brightness < before) & when
            new = clip(adjust_brightness(planes, brightness, additive))
            return select(now, new, planes)

        if brightness is not None:
            planes = brighten(planes, at_brightness < at_contrast)
        if contrast is not None:
            now = (after < at_contrast) & (at_contrast < before)
            new = clip(adjust_contrast(planes, contrast))
            planes = select(now, new, planes)
        if brightness is not None:
            planes = brighten(planes, at_brightness > at_contrast)
        return planes

    if saturation is None and hue is None:
        return tone(planes, -1, 4)
    if saturation is None:
        saturation = tf.ones(tf.shape(at_hue))
    if hue is None:
        hue = tf.zeros(tf.shape(at_hue))

    def segment(after, *planes):
        """Applies the operations up to the next HSV operation, inclusive."""
        to_saturation = tf.where(at_saturation > after, at_saturation, 4)
        to_hue = tf.where(at_hue > after, at_hue, 4)
        before = tf.minimum(to_saturation, to_hue)
        planes = tone(planes, after, before)
        is_hue = to_hue < to_saturation
        planes = adjust_hsv(planes, tf.where(is_hue, hue, saturation), is_hue)
        return before, *clip(planes)

    # A loop, because XLA takes minutes to compile the unrolled operations.
    after, *planes = tf.while_loop(
        lambda *_: True,
        segment,
        (tf.fill(tf.shape(at_hue), -1), *planes),
        maximum_iterations=2,
    )
    return tone(planes, after, 4)


def jitter_chosen(
    planes: list[tf.Tensor],
    chosen: tf.Tensor,
    factors: Mapping[str, tf.Tensor | None],
    additive: bool = False,
) -> list[tf.Tensor]:
    """Jitters the colours of the chosen images of a batch.

    Args:
        planes: see `jitter`.
        chosen: `bool` `[B]`.
        factors: dict with the arguments `ranks` to `hue` of `jitter`, of all
            images.
        additive: see `adjust_brightness`.

    Returns:
        As many planes.
    """
    inputs = {name: factors[name] for name in _JITTER_INPUTS}
    return batch_parts.apply_to_chosen(
        functools.partial(jitter, additive=additive),
        planes,
        chosen,
        {"planes": planes, **inputs},
    )


def grayscale_chosen(
    planes: list[tf.Tensor], chosen: tf.Tensor
) -> list[tf.Tensor]:
    """`grayscale` of those images for which `chosen`, `bool` `[B]`, holds."""
    # In parts like the jitter, because TensorFlow 2.15 otherwise rounds
    # differently on replicas.
    return batch_parts.apply_to_chosen(
        grayscale, planes, chosen, {"planes": planes}
    )


def random_order(u: tf.Tensor) -> tf.Tensor:
    """Maps uniform numbers to one of the 24 orders per image.

    Args:
        u: `[B]`, uniform in [0, 1).

    Returns:
        `int32` `[B, 4]`, the `ranks` of `jitter`.
    """
    return tf.gather(tf.constant(_RANKS), tf.cast(24.0 * u, tf.int32))


def random_factors(
    u: tf.Tensor, half_range: float, centre: float = 1.0
) -> tf.Tensor | None:
    """Maps uniform numbers to factors in centre -+ half_range.

    Factors around 1 do not fall below 0, as in the official brightness.

    Args:
        u: `[B]`, uniform in [0, 1).
        half_range: largest distance from the centre, at least 0.
        centre: 1 for factors, 0 for shifts. Default 1.

    Returns:
        `float32` `[B]`, or None if the range is empty: no operation is needed.
    """
    if not half_range:
        return None
    low = max(centre - half_range, 0.0) if centre else -half_range
    return low + (centre + half_range - low) * u
