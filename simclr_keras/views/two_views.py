"""A batch of images and a step -> the two views that SimCLR contrasts."""

import functools

import keras
import tensorflow as tf

from simclr_keras import compat
from simclr_keras import randomness
from simclr_keras.images import checks
from simclr_keras.images import interpolation
from simclr_keras.images import value_range
from simclr_keras.views import foreign
from simclr_keras.views.view import View
from simclr_keras.views.view import compiled


def _essence(view):
    """What a view does, without what it is called."""
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


def _check_branches(branches, given):
    if given:
        raise ValueError(
            "`branches` replaces the arguments of the views. Received besides"
            f" it: {sorted(given)}"
        )
    if (
        not isinstance(branches, (tuple, list))
        or len(branches) != 2
        or not all(foreign.is_layer(b) for b in branches)
    ):
        raise ValueError(
            "`branches` must be two layers or models that map images to"
            f" images. Received: branches={branches!r}"
        )
    return tuple(branches)


@compat.register
class TwoViews(keras.layers.Layer):
    """Two random views of every image: SimCLR's data augmentation.

    Stateless: the views are a pure function of (seed, step, position in the
    global batch, view), however the batch is split over replicas.

    Args:
        image_size: int or (height, width), size of the views in pixels.
        color_strength: see `View`. Default 1.
        blur: True blurs half of the views, False none. Default None: True for
            images of more than 32 pixels.
        seed: integer, the seed of the run. Default 0.
        second: dictionary of `View` arguments that differ for the second
            view. Default None: both views are drawn alike.
        branches: two `View`s, or any Keras or keras-cv layers or models, to be
            used instead; then no argument of the views may be given. A layer
            that is not a `View` gets whole images, float32 in [0, 1] (a
            `value_range` of theirs is (0, 1)), with `training=True`; it must
            return `[B, height, width, 3]`, which is clipped to [0, 1]. It draws
            from its own generator, so the promise of statelessness ends there.
        jit: whether XLA compiles the views by themselves, also where the
            training step is not compiled. `"auto"` (default): where TensorFlow
            was built with XLA. Foreign layers are never compiled.
        **view_arguments: further arguments of `View`, for both views; and
            `name` and `dtype` of the Keras layer.

    Call:
        images: `[B, H, W, 3]`, `uint8` in [0, 255] or float in [0, 1]; or
            ready views `[B, 2, height, width, 3]`, crops made on the host, of
            which each branch takes its own and only flips it.
        step: integer scalar, the training step.
        positions: integers `[B]`, place of each image in the global batch.
            Default None: 0, 1, ..., B - 1, right on one replica.
        first_view: Python integer, number of the first view in the seeds; the
            second's is one more. Training has 0 (default), validation 2.

    Returns:
        Pair of `float32` tensors `[B, height, width, 3]` in [0, 1].

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
        image_size,
        *,
        color_strength=1.0,
        blur=None,
        seed=0,
        second=None,
        branches=None,
        jit="auto",
        **view_arguments,
    ):
        layer = {"dtype": "float32"}
        for key in ("name", "dtype", "trainable"):
            if key in view_arguments:
                layer[key] = view_arguments.pop(key)
        super().__init__(**layer)
        self.size = checks.size("image_size", image_size)
        if not isinstance(seed, int):
            raise ValueError(f"`seed` must be an integer. Received: {seed!r}")
        self.seed = seed
        self.jit = checks.choice("jit", jit, ("auto", True, False))
        if branches is None:
            branches = _make_branches(
                self.size, color_strength, blur, second, view_arguments
            )
        else:
            given = dict(view_arguments, second=second, blur=blur)
            if color_strength != 1.0:
                given["color_strength"] = color_strength
            given = {k for k, v in given.items() if v is not None}
            branches = _check_branches(branches, given)
        for branch in branches:
            if isinstance(branch, View) and branch.size != self.size:
                raise ValueError(
                    "`branches` must make views of `image_size`. Received:"
                    f" image_size={self.size} and a view of {branch.size}"
                )
        self.first, self.second = branches
        self.built = True

    @functools.cached_property
    def _alike(self):
        """Whether one pass can draw both views."""
        if not all(isinstance(b, View) for b in (self.first, self.second)):
            return False
        return _essence(self.first) == _essence(self.second)

    @functools.cached_property
    def _compiled(self):
        return compiled(self._draw, self.jit)

    def __call__(self, images, step, *args, **kwargs):
        """Calls the layer; Keras 3 alone would refuse a Python `step`."""
        step = tf.cast(step, tf.int64)
        return super().__call__(images, step, *args, **kwargs)

    def call(self, images, step, positions=None, first_view=0):
        """Returns the two views; see the class."""
        images = tf.convert_to_tensor(images)
        if images.shape.rank not in (4, 5) or (
            images.shape.rank == 5 and images.shape[1] != 2
        ):
            raise ValueError(
                "`images` must be [B, H, W, 3], or ready views [B, 2, H, W, 3]."
                f" Received: shape {images.shape}"
            )
        checks.rgb(images)
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
        """What is ours, compiled; a foreign branch gets its images back."""
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
        return foreign.call(branch, views, self.size)

    def get_config(self):
        """Returns the arguments, with the branches serialised."""
        return {
            **super().get_config(),
            "image_size": self.size,
            "seed": self.seed,
            "jit": self.jit,
            "branches": foreign.serialize((self.first, self.second)),
        }

    @classmethod
    def from_config(cls, config):
        """Makes the layer again from `get_config`."""
        branches = foreign.deserialize(config["branches"])
        return cls(**{**config, "branches": branches})
