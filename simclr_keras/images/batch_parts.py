"""Applies a random operation only to the images that it was drawn for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from simclr_keras.distribute import strategy

# Parts of a batch on CPUs; an accelerator gets the whole batch. A part stays in
# the processor's cache from one operation to the next: cropping 128 images of
# 256 px to 224 took 0.24 s of processor time in parts, 0.72 s at once (AVX2).
# If half of the images are chosen, at most eight of the sixteen parts are run.
_PARTS = 16
# Fewest images in a part. The mean of a single image would be a sum over the
# whole tensor, which TensorFlow may split among threads and so round
# differently.
_LEAST = 2


def apply_to_chosen(
    function: Callable[..., list[tf.Tensor]],
    before: list[tf.Tensor],
    chosen: tf.Tensor | None,
    inputs: dict[str, Any],
) -> list[tf.Tensor]:
    """Calls a function for the chosen images of a batch only.

    Shapes stay static, as XLA needs them: the chosen images are sorted to the
    front, and a loop works on a part of the batch at a time until none is
    left. The function must treat images independently, so the result of an
    image does not depend on the others.

    Args:
        function: takes the inputs of `b` images as keyword arguments; returns
            as many tensors `[b, ...]` as `before` has.
        before: list of tensors `[B, ...]`: the results of images that are not
            chosen.
        chosen: bool `[B]`; None for all images.
        inputs: name -> tensor `[B, ...]`, list of such tensors, or None.

    Returns:
        List of tensors of the shapes of `before`.
    """
    batch = tf.shape(before[0])[0]
    parts = _PARTS if strategy.only_cpus() else 1
    size = tf.maximum((batch + parts - 1) // parts, _LEAST)
    if chosen is None:
        order, count = tf.range(batch), batch
    else:
        order = tf.argsort(tf.cast(~chosen, tf.int32), stable=True)
        count = tf.reduce_sum(tf.cast(chosen, tf.int32))
    # The last part can reach beyond the end, and is filled up with image 0. Its
    # inputs are the same as in its own part, and so are its results.
    order = tf.pad(order, [[0, size]])

    def work(start, *results):
        rows = tf.slice(order, [start], [size])
        new = function(**tf.nest.map_structure(_rows(rows), inputs))
        if chosen is not None:
            keep = ~tf.gather(chosen, rows)
            new = [
                tf.where(_broadcast(keep, y), tf.gather(x, rows), y)
                for x, y in zip(before, new)
            ]
        results = [
            tf.tensor_scatter_nd_update(x, rows[:, None], y)
            for x, y in zip(results, new)
        ]
        return start + size, *results

    _, *results = tf.while_loop(
        lambda start, *_: start < count, work, (tf.constant(0), *before)
    )
    return results


def _rows(rows):
    return lambda tensor: None if tensor is None else tf.gather(tensor, rows)


def _broadcast(condition, tensor):
    ones = [1] * (tensor.shape.rank - 1)
    return tf.reshape(condition, [-1, *ones])
