"""Suite views: two views of every image, drawn by us, by tf.data, by keras-cv.

All draw the same operations with the same probabilities. Views of 224 pixels
are drawn from ready crops, as with photographs; those of 32 from whole images.
"""

import importlib.util
import itertools

import numpy as np
import tensorflow as tf

import simclr_keras as sk
from benchmarks import measure
from benchmarks import plain_views

# Size of the views in pixels -> images in a batch, batches in a row.
_SIZES = {32: (256, 20), 224: (32, 4)}


def define_flags(parser):
    """Adds the flags of this suite."""
    parser.add_argument(
        "--size",
        type=int,
        action="append",
        choices=_SIZES,
        help="of the views in pixels; may be repeated; default: 32 and 224",
    )


def run(options):
    """Yields a `measure.Comparison` for each size and batch."""
    for size in options.size or _SIZES:
        default, steps = _SIZES[size]
        for batch in options.batch or [default]:
            yield _compare(size, batch, options.steps or steps, options.repeats)


def _compare(size, batch, steps, repeats):
    ready = size > 32
    shape = (batch, 2, size, size, 3) if ready else (batch, size, size, 3)
    images = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    slices = tf.data.Dataset.from_tensor_slices(images).repeat()
    pipelines = {
        "ours, compiled by XLA": _ours(images, size, jit=True),
        "ours, not compiled": _ours(images, size, jit=False),
        "tf.image in tf.data, image by image": plain_views.pipeline(
            slices, size, batch, crop=not ready
        ).__iter__,
    }
    if importlib.util.find_spec("keras_cv"):
        pipelines["keras-cv in tf.data, batched"] = _keras_cv(
            images, size, ready
        ).__iter__
    subjects = {
        name: measure.stream(start, steps) for name, start in pipelines.items()
    }
    first = next(iter(subjects))
    return measure.Comparison(
        f"Views of {size} pixels, batch {batch}",
        f"Two views of every image; {steps} batches in a row.",
        measure.in_turn(subjects, repeats, f"{size} pixels"),
        images=batch,
        reference={name: first for name in subjects if name != first},
    )


def _ours(images, size, jit):
    """Function that starts endless view pairs of one batch, by `TwoViews`."""
    images = tf.constant(images)
    draw = tf.function(sk.TwoViews(size, jit=jit), autograph=False)
    return lambda: drawn(itertools.repeat(images), draw)


def drawn(batches, draw):
    """Yields the pair of views of each batch once the device has drawn it."""
    for step, images in enumerate(batches):
        pair = draw(images, tf.constant(step, tf.int64))
        float(pair[0][0, 0, 0, 0])
        yield pair


def _keras_cv(images, size, ready):
    """Endless view pairs of one batch, drawn by keras-cv's layers.

    They draw the operations of `TwoViews`, except that crops are resized
    bilinearly: the layer cannot resize bicubically.
    """
    import keras_cv

    layers = keras_cv.layers
    jitter = layers.RandomColorJitter(
        value_range=(0, 1),
        brightness_factor=0.8,
        contrast_factor=0.8,
        saturation_factor=(0.1, 0.9),  # 0.5 leaves the saturation as it is
        hue_factor=0.2,
    )
    augment = [
        layers.RandomFlip("horizontal"),
        layers.RandomApply(jitter, 0.8),
        layers.RandomApply(layers.Grayscale(output_channels=3), 0.2),
    ]
    if not ready:
        crop = layers.RandomCropAndResize(
            (size, size),
            crop_area_factor=(0.08, 1.0),
            aspect_ratio_factor=(3 / 4, 4 / 3),
        )
        augment.insert(0, crop)
    if size > 32:
        blur = layers.RandomGaussianBlur(2 * (size // 20) + 1, (0.1, 2.0))
        augment.append(layers.RandomApply(blur, 0.5))

    def draw(images):
        images = tf.cast(images, tf.float32) / 255.0
        views = tf.unstack(images, axis=1) if ready else [images, images]
        for layer in augment:
            views = [layer(view, training=True) for view in views]
        return tuple(views)

    dataset = tf.data.Dataset.from_tensors(images).repeat()
    return dataset.map(draw, tf.data.AUTOTUNE).prefetch(tf.data.AUTOTUNE)
