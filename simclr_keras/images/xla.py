"""Compiles functions with XLA, and keeps XLA from recomputing values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf


def compile_with_xla(
    draw: Callable[..., Any], jit: str | bool = "auto"
) -> Callable[..., Any]:
    """Wraps a function so that XLA compiles it, whatever calls it.

    Args:
        draw: function of tensors, such as `View.draw`.
        jit: whether to compile; `"auto"` (default): if TensorFlow was built
            with XLA.

    Returns:
        `tf.function`; or `draw` itself if `jit` is off.
    """
    if not (tf.test.is_built_with_xla() if jit == "auto" else jit):
        return draw
    return tf.function(draw, jit_compile=True, autograph=False)


def fusion_barrier(x: tf.Tensor) -> tf.Tensor:
    """Returns `x` `[B, K, ...]` unchanged, and makes XLA store it in memory.

    XLA would fuse the operations that compute `x` (the random generator, one
    pass of a blur or a resize) into those that follow, and recompute `x` for
    every pixel or tap. XLA does not fuse across a loop; this loop reverses
    axis 1 twice.
    """
    return tf.while_loop(
        lambda _: True,
        lambda x: (tf.reverse(x, axis=[1]),),
        (x,),
        maximum_iterations=2,
    )[0]
