"""Draws one random view of each image, one branch of SimCLR's augmentation."""

from __future__ import annotations

import inspect
from typing import Any

import keras
import tensorflow as tf

from simclr_keras import compat
from simclr_keras.images import channels as channel_counts
from simclr_keras.images import checks
from simclr_keras.images import cropping
from simclr_keras.images import interpolation
from simclr_keras.images import random_crops
from simclr_keras.images import value_range
from simclr_keras.views import appended
from simclr_keras.views import blur
from simclr_keras.views import color
from simclr_keras.views import custom_layers
from simclr_keras.views import random_numbers


@compat.register
class View(keras.layers.Layer):
    """Draws a random view of every image of a batch, on the device.

    In this order: random crop, bicubic resize, left-right flip; colour jitter
    (brightness, contrast, saturation, hue in a random order per image, clipped
    to [0, 1] after each); grayscale; Gaussian blur; then the operations in
    `append`. Images are augmented independently. The draws are a pure function
    of the seeds given to `call`, and each kind of draw has its own stream of
    random numbers, so changing one probability does not change other draws.

    Brightness and contrast change all channels alike. Saturation, hue and
    grayscale need three channels, and are left out for another number.

    Args:
        image_size: int or (height, width), size of the view in pixels.
        crop: whether to crop and resize on the device. If False, images must
            have the size of the view, as crops made on the host do; these
            follow the next four arguments too. Default True.
        crop_area: bounds of the crop's area as a fraction of the image's.
            Default 0.08 to 1.
        crop_aspect: bounds of the crop's width / height. Default 3/4 to 4/3.
        crop_sampler: `"official"` (default) or `"torchvision"`, see
            `random_crops.sample_crops`.
        antialias: whether to antialias when shrinking. Default False, as in the
            official code.
        flip_probability: in [0, 1]. Default 0.5.
        color_strength: scales the four ranges below. 0 means no jitter.
            Default 1; the paper's CIFAR-10 recipe has 0.5.
        jitter_probability: in [0, 1]. Default 0.8.
        brightness: largest distance of the brightness factor from 1, at
            strength 1. Default 0.8.
        contrast: the same for the contrast factor. Default 0.8.
        saturation: the same for the saturation factor. Default 0.8.
        hue: largest shift of the hue, in turns. Default 0.2; at most 0.5 when
            multiplied by the strength.
        additive_brightness: whether to add a number around 0 instead of
            multiplying by one around 1 (SimCLRv1). Default False.
        grayscale_probability: in [0, 1]. Default 0.2.
        blur_probability: in [0, 1]. Default None: 0.5, and 0 for images of
            at most 32 pixels.
        blur_sigma: bounds of the blur's standard deviation in pixels. The
            kernel's width is a tenth of the height. Default 0.1 to 2.
        append: sequence of names (`"cutout"`, `"rotation"`, `"noise"`,
            `"sobel"`) and Keras layers that map images to images, applied
            last. Layers are called with `training=True` on float32 images in
            [0, 1] (set a layer's `value_range`, if it has one, to (0, 1)), and
            draw from their own random generators.
        channels: number C of channels of the images. Default 3, RGB.
        **kwargs: `name` and `dtype` of the Keras layer. The work is float32
            under every policy.

    Call:
        images: `[B, H, W, C]`, `uint8` in [0, 255] or float in [0, 1].
        seeds: `uint32` `[B, 2]` of `randomness.stateless_seeds`.
        ready: whether the images are crops of the view's size, made on the
            host, which are not cropped again. Default False.

    Returns:
        `float32` tensor `[B, height, width, C]` in [0, 1].

    Raises:
        ValueError: an argument breaks its rule.

    Example:
        >>> view = View(image_size=224, crop_area=(0.2, 1.0))
        >>> seeds = stateless_seeds(0, step, tf.range(len(images)), view=0)
        >>> view(images, seeds)

    References:
        Chen et al. 2020 (arXiv 2002.05709), appendix A.
    """

    def __init__(
        self,
        image_size: int | tuple[int, int],
        *,
        crop: bool = True,
        crop_area: tuple[float, float] = (0.08, 1.0),
        crop_aspect: tuple[float, float] = (3 / 4, 4 / 3),
        crop_sampler: str = "official",
        antialias: bool = False,
        flip_probability: float = 0.5,
        color_strength: float = 1.0,
        jitter_probability: float = 0.8,
        brightness: float = 0.8,
        contrast: float = 0.8,
        saturation: float = 0.8,
        hue: float = 0.2,
        additive_brightness: bool = False,
        grayscale_probability: float = 0.2,
        blur_probability: float | None = None,
        blur_sigma: tuple[float, float] = (0.1, 2.0),
        append: tuple = (),
        channels: int = 3,
        **kwargs,
    ):
        super().__init__(**{"dtype": "float32", **kwargs})
        self.size = checks.size("image_size", image_size)
        self.crop = checks.choice("crop", crop, (True, False))
        self.crop_area, self.crop_aspect = random_crops.check_crops(
            crop_area, crop_aspect, crop_sampler
        )
        self.crop_sampler = crop_sampler
        self.antialias = checks.choice("antialias", antialias, (True, False))
        self.color_strength = checks.number("color_strength", color_strength)
        self.brightness = checks.number("brightness", brightness)
        self.contrast = checks.number("contrast", contrast)
        self.saturation = checks.number("saturation", saturation)
        self.hue = checks.number("hue", hue)
        if self.hue * self.color_strength > 0.5:
            raise ValueError(
                "`hue` times `color_strength` must be at most 0.5, half a turn."
                f" Received: hue={hue!r}, color_strength={color_strength!r}"
            )
        self.additive_brightness = checks.choice(
            "additive_brightness", additive_brightness, (True, False)
        )
        self.flip_probability = checks.number(
            "flip_probability", flip_probability, 0, 1
        )
        self.jitter_probability = checks.number(
            "jitter_probability", jitter_probability, 0, 1
        )
        self.grayscale_probability = checks.number(
            "grayscale_probability", grayscale_probability, 0, 1
        )
        self.blur_probability = blur.check_probability(
            blur_probability, self.size
        )
        self.blur_sigma = checks.interval("blur_sigma", blur_sigma)
        self.append = appended.check(append, self.size)
        self.channels = channel_counts.check(channels) or color.RGB
        self.built = True

    @property
    def is_stateless(self) -> bool:
        """Whether `append` has no Keras layer.

        The view is then a pure function of images and seeds, and XLA compiles
        all of it.
        """
        return not appended.split(self.append)[1]

    @property
    def crops(self) -> random_crops.Crops:
        """`random_crops.Crops` of the view, on the device or on the host."""
        return random_crops.Crops(
            self.crop_area, self.crop_aspect, self.crop_sampler, self.antialias
        )

    @property
    def left_out(self) -> tuple[str, ...]:
        """Names of operations that the channels do not allow, a tuple."""
        return color.left_out(self)

    def call(
        self, images: tf.Tensor, seeds: tf.Tensor, ready: bool = False
    ) -> tf.Tensor:
        """Returns the views; see the class."""
        return self.finish(self.draw(images, seeds, ready), seeds)

    def draw(
        self, images: tf.Tensor, seeds: tf.Tensor, ready: bool = False
    ) -> tf.Tensor:
        """Draws the view up to the first Keras layer in `append`."""
        images = tf.convert_to_tensor(images)
        checks.view_channels(images, self.channels)
        value_range.check_eagerly(images)
        sampled = self.sample(seeds)
        planes = self._geometry(images, seeds, sampled["flip"], ready)
        planes = self._blur(self._color(planes, sampled), sampled)
        images = tf.ensure_shape(
            tf.stack(planes, axis=-1), [None, *self.size, self.channels]
        )
        stateless, _ = appended.split(self.append)
        return appended.apply(stateless, images, seeds)

    def finish(self, images: tf.Tensor, seeds: tf.Tensor) -> tf.Tensor:
        """Applies `append` from its first Keras layer on, outside of XLA."""
        return appended.apply(appended.split(self.append)[1], images, seeds)

    def sample(self, seeds: tf.Tensor) -> dict[str, tf.Tensor | None]:
        """Draws the parameters of each image's augmentation, except its crop.

        Returns:
            Dictionary of `[B]` tensors: `flip`, `jitter`, `grayscale`, `blur`
            (bool), `brightness`, `contrast`, `saturation`, `hue` (float32, or
            None where the range is empty), `sigma` (float32, pixels), and
            `ranks` (`int32` `[B, 4]`, see `color.jitter`).
        """
        u = random_numbers.uniforms(
            seeds, (random_crops.FLIP_STREAM, *color.STREAMS, *blur.STREAMS)
        )

        def factors(stream, half_range, centre=1.0):
            half_range = self.color_strength * half_range
            return color.random_factors(u[stream], half_range, centre)

        low, high = self.blur_sigma
        rgb = self.channels == color.RGB
        return {
            "flip": u[random_crops.FLIP_STREAM] < self.flip_probability,
            "jitter": u[color.JITTER_STREAM] < self.jitter_probability,
            "ranks": color.random_order(u[color.ORDER_STREAM]),
            "brightness": factors(
                color.BRIGHTNESS_STREAM,
                self.brightness,
                0.0 if self.additive_brightness else 1.0,
            ),
            "contrast": factors(color.CONTRAST_STREAM, self.contrast),
            "saturation": factors(
                color.SATURATION_STREAM, rgb * self.saturation
            ),
            "hue": factors(color.HUE_STREAM, rgb * self.hue, centre=0.0),
            "grayscale": u[color.GRAYSCALE_STREAM] < self.grayscale_probability,
            "blur": u[blur.BLUR_STREAM] < self.blur_probability,
            "sigma": low + (high - low) * u[blur.SIGMA_STREAM],
        }

    def _geometry(self, images, seeds, flip, ready):
        if self.crop and not ready:
            shape = tf.shape(images)
            ratio = self.size[1] / self.size[0]
            crops = self.crop_area, self.crop_aspect, self.crop_sampler
            boxes = random_crops.sample_crops(
                seeds, shape[1], shape[2], ratio, *crops
            )
            return cropping.crop_to_planes(
                images, boxes, self.size, flip, self.antialias
            )
        what, count = "`images` that are not cropped", self.channels
        checks.view_shape(what, images, self.size, count)
        planes = tf.unstack(interpolation.to_float32(images), count, axis=-1)
        if self.flip_probability:
            planes = cropping.flip_planes(planes, flip)
        return planes

    def _color(self, planes, sampled):
        if self.jitter_probability and self.color_strength:
            planes = color.jitter_chosen(
                planes, sampled["jitter"], sampled, self.additive_brightness
            )
        if self.grayscale_probability and self.channels == color.RGB:
            planes = color.grayscale_chosen(planes, sampled["grayscale"])
        return color.clip(planes)

    def _blur(self, planes, sampled):
        if not self.blur_probability:
            return planes
        planes = blur.blur_chosen(
            planes, sampled["blur"], sampled["sigma"], self.size[0]
        )
        return color.clip(planes)

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments, appended layers serialised."""
        arguments = {
            name: getattr(self, name)
            for name in inspect.signature(View.__init__).parameters
            if name not in ("self", "image_size", "append", "kwargs")
        }
        return {
            **super().get_config(),
            **arguments,
            "image_size": self.size,
            "append": custom_layers.serialize(self.append),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> View:
        """Makes the layer from the dict of `get_config`."""
        append = custom_layers.deserialize(config.get("append", ()))
        return cls(**{**config, "append": append})
