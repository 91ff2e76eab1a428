"""Draws the two views of every image that SimCLR contrasts."""

from __future__ import annotations

import functools
from typing import Any

import keras
import tensorflow as tf

from simclr_keras import compat
from simclr_keras import randomness
from simclr_keras import scalars
from simclr_keras.images import channels as channel_counts
from simclr_keras.images import checks
from simclr_keras.images import interpolation
from simclr_keras.images import value_range
from simclr_keras.images import xla
from simclr_keras.views import custom_layers
from simclr_keras.views.view import View


def _config_without_name(view):
    config = view.get_config()
    return {k: v for k, v in config.items() if k not in ("name", "trainable")}


def _make_branches(image_size, color_strength, blur, second, arguments):
    first = {"color_strength": color_strength, **arguments}
    if blur is not None:
        checks.choice("blur", blur, (True, False))
        if "blur_probability" in first:
            raise ValueError(
                "`blur` cannot be given together with `blur_probability`."
                f" Received: blur={blur!r},"
                f" blur_probability={first['blur_probability']!r}"
            )
        first["blur_probability"] = 0.5 if blur else 0.0
    if second is None:
        second = {}
    if not isinstance(second, dict) or "image_size" in second:
        raise ValueError(
            "`second` must be a dictionary of View's arguments (without"
            f" `image_size`) that differ. Received: second={second!r}"
        )
    return View(image_size, **first), View(image_size, **{**first, **second})


def _check_branches(branches, arguments):
    if arguments:
        raise ValueError(
            "`branches` replaces the arguments of the views. Received besides"
            f" it: {sorted(arguments)}"
        )
    if (
        not isinstance(branches, (tuple, list))
        or len(branches) != 2
        or not all(custom_layers.is_layer(b) for b in branches)
    ):
        raise ValueError(
            "`branches` must be two layers or models that map images to"
            f" images. Received: branches={branches!r}"
        )
    return tuple(branches)


@compat.register
class TwoViews(keras.layers.Layer):
    """Draws two random views of every image: SimCLR's data augmentation.

    Stateless: the views are a pure function of (seed, step, position in the
    global batch, view), however the batch is split over replicas.

    Args:
        image_size: int or (height, width), size of the views in pixels.
        color_strength: see `View`. Default 1.
        blur: True blurs half of the views, False none. Default None: True for
            images of more than 32 pixels.
        seed: integer, the seed of the run. Default 0.
        second: dictionary of `View` arguments that differ for the second
            view. Default None: both views have the same distribution.
        branches: pair of `View`s, or of any Keras or keras-cv layers or models,
            in place of the arguments of the views. A layer that is not a `View`
            gets whole images, float32 in [0, 1] (set its `value_range`, if it
            has one, to (0, 1)), with `training=True`; it must return
            `[B, height, width, C]`, which is clipped to [0, 1]. It draws from
            its own random generator, so such views are not stateless.
        channels: number C of channels of the images, see `View`. Default 3,
            RGB.
        jit: whether XLA compiles the views, independently of the training
            step. `"auto"` (default): if TensorFlow was built with XLA. Layers
            that are not a `View` are never compiled.
        **view_arguments: further arguments of `View`, for both views; and
            `name` and `dtype` of the Keras layer.

    Call:
        images: `[B, H, W, C]`, `uint8` in [0, 255] or float in [0, 1]; or
            ready views `[B, 2, height, width, C]`, crops made on the host,
            which are not cropped again.
        step: integer scalar, the training step.
        positions: integers `[B]`, position of each image in the global batch.
            Default None: 0, 1, ..., B - 1, which is right on one replica.
        first_view: Python integer, number of the first view in the seeds; the
            second view has the next number. Training uses 0 (default),
            validation 2.

    Returns:
        Pair of `float32` tensors `[B, height, width, C]` in [0, 1].

    Raises:
        ValueError: an argument breaks its rule.

    Example:
        >>> views = TwoViews(image_size=32, color_strength=0.5, seed=1)
        >>> view_a, view_b = views(images, step=0)

    References:
        Chen et al. 2020 (arXiv 2002.05709), section 2.1 and appendix A.
    """

    def __init__(
        self,
        image_size: int | tuple[int, int],
        *,
        color_strength: float = 1.0,
        blur: bool | None = None,
        seed: int = 0,
        second: dict | None = None,
        branches: tuple | None = None,
        channels: int = 3,
        jit: bool | str = "auto",
        **view_arguments,
    ):
        layer = {"dtype": "float32"}
        for key in ("name", "dtype", "trainable"):
            if key in view_arguments:
                layer[key] = view_arguments.pop(key)
        super().__init__(**layer)
        self.size = checks.size("image_size", image_size)
        if not scalars.is_whole(seed):
            raise ValueError(f"`seed` must be an integer. Received: {seed!r}")
        self.seed = int(seed)
        self.jit = checks.choice("jit", jit, ("auto", True, False))
        self.channels = channel_counts.check(channels) or channel_counts.RGB
        if branches is None:
            view_arguments["channels"] = self.channels
            branches = _make_branches(
                self.size, color_strength, blur, second, view_arguments
            )
        else:
            arguments = dict(view_arguments, second=second, blur=blur)
            if color_strength != 1.0:
                arguments["color_strength"] = color_strength
            arguments = {k for k, v in arguments.items() if v is not None}
            branches = _check_branches(branches, arguments)
        for branch in branches:
            if isinstance(branch, View) and branch.size != self.size:
                raise ValueError(
                    "`branches` must make views of `image_size`. Received:"
                    f" image_size={self.size} and a view of {branch.size}"
                )
            if isinstance(branch, View) and branch.channels != self.channels:
                raise ValueError(
                    "`branches` must be views of as many `channels`. Received:"
                    f" channels={self.channels} and a view of"
                    f" channels={branch.channels}"
                )
        self.first, self.second = branches
        self.built = True

    @functools.cached_property
    def _alike(self):
        """Whether both branches are equal, so one pass can draw both views."""
        if not all(isinstance(b, View) for b in (self.first, self.second)):
            return False
        first, second = map(_config_without_name, (self.first, self.second))
        return first == second

    @property
    def left_out(self) -> tuple[str, ...]:
        """Operations that either view leaves out, see `View.left_out`."""
        branches = self.first, self.second
        names = [n for each in branches for n in getattr(each, "left_out", ())]
        return tuple(dict.fromkeys(names))

    @functools.cached_property
    def _compiled(self):
        return xla.compile_with_xla(self._draw, self.jit)

    def __call__(self, images, step, *args, **kwargs):
        """Calls the layer; `step` may be a Python integer.

        Keras 3 refuses positional arguments that are not tensors.
        """
        step = tf.cast(step, tf.int64)
        return super().__call__(images, step, *args, **kwargs)

    def call(
        self,
        images: tf.Tensor,
        step: tf.Tensor,
        positions: tf.Tensor | None = None,
        first_view: int = 0,
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Returns the two views; see the class."""
        images = tf.convert_to_tensor(images)
        if images.shape.rank not in (4, 5) or (
            images.shape.rank == 5 and images.shape[1] != 2
        ):
            raise ValueError(
                "`images` must be [B, H, W, C], or ready views [B, 2, H, W, C]."
                f" Received: shape {images.shape}"
            )
        checks.view_channels(images, self.channels)
        value_range.check_eagerly(images)
        if positions is None:
            positions = tf.range(tf.shape(images)[0])
        drawn, seeds = self._compiled(
            images, tf.cast(step, tf.int64), positions, first_view
        )
        return tuple(
            self._finish(*branch)
            for branch in zip((self.first, self.second), drawn, seeds)
        )

    def _draw(self, images, step, positions, first_view):
        """Runs the stateless part of both branches, which XLA compiles.

        A branch that is not a `View` gets its images unchanged.
        """
        seeds = [
            randomness.stateless_seeds(self.seed, step, positions, view)
            for view in (first_view, first_view + 1)
        ]
        ready = images.shape.rank == 5
        images = [images[:, i] if ready else images for i in range(2)]
        if self._alike:
            both = tf.concat(images, 0), tf.concat(seeds, 0)
            return tf.split(self.first.draw(*both, ready), 2), seeds
        drawn = [
            branch.draw(x, s, ready) if isinstance(branch, View) else x
            for branch, x, s in zip((self.first, self.second), images, seeds)
        ]
        return drawn, seeds

    def _finish(self, branch, views, seeds):
        if isinstance(branch, View):
            return branch.finish(views, seeds)
        views = interpolation.to_float32(views)
        return custom_layers.call(branch, views, self.size)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments, with the branches serialised."""
        return {
            **super().get_config(),
            "image_size": self.size,
            "seed": self.seed,
            "channels": self.channels,
            "jit": self.jit,
            "branches": custom_layers.serialize((self.first, self.second)),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> TwoViews:
        """Makes the layer from the dict of `get_config`."""
        branches = custom_layers.deserialize(config["branches"])
        return cls(**{**config, "branches": branches})
