"""Works on those images of a batch for which an operation was drawn."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from simclr_keras.distribute import strategy

# On CPUs. Where half of the images are chosen, nine of sixteen parts are worked
# on at most, and a part stays in a processor's cache from one operation to the
# next: cropping 128 images of 256 px to 224 took 0.24 s of processor time in
# parts, 0.72 s at once (AVX2). An accelerator gets the whole batch.
_PARTS = 16
# Images in a part, at least: the mean of an image alone is a sum over all of a
# tensor, which TensorFlow may divide among threads, and so round otherwise.
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
    left. The function must treat each image alone; so what becomes of an image
    does not depend on the others.

    Args:
        function: of the inputs of `b` images, by name; returns as many tensors
            `[b, ...]` as `before` has.
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
    # The last part can reach beyond the end: image 0 stands in there. Its
    # inputs are the same as in its own part, and so is what becomes of it.
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
