"""Makes images with their transformation as label, for the paper's table 3."""

from __future__ import annotations

import tensorflow as tf

from simclr_keras import data
from simclr_keras import randomness
from simclr_keras.views import transformed

# Number of the view in the seeds: training has 0 and 1, validation 2 and 3.
_VIEW = 4


def transformed_images(
    source: data.Source,
    name: str,
    image_size: int,
    batch_size: int,
    *,
    seed: int = 0,
    held_out: bool = False,
) -> data.Batches:
    """Evaluation images of a source, each transformed or not.

    The transformation of an image depends on the seed and on its number in the
    data set (`Source.positions`), not on its batch or on the other images.

    Args:
        source: `data.Source`; needs no labels.
        name: "gray", "rotation", "noise" or "sobel"; see
            `views.transformed`.
        image_size: side of the images in pixels.
        batch_size: images per batch.
        seed: Python integer. Default 0.
        held_out: whether these are the test images. They draw other random
            numbers than the training images, although both are numbered from 0.
            Default False.

    Returns:
        `data.Batches` of images `[B, S, S, C]`, `float32` in [0, 1], in the
        order of the source, and of the classes of their transformations,
        `int64` `[B]`.

    Raises:
        ValueError: there is no such transformation; or see
            `data.evaluation_images`.

    References:
        Chen et al. 2020 (arXiv 2002.05709), table 3.
    """
    if name == "gray":
        transformed.check_gray(source.num_channels)
    batches = data.evaluation_images(
        source, image_size, batch_size, labelled=False
    )
    numbers = tf.data.Dataset.from_tensor_slices(source.positions)
    numbers = numbers.batch(batch_size)

    def transform(images, positions):
        seeds = randomness.stateless_seeds(
            seed, int(held_out), positions, _VIEW
        )
        return transformed.transform(images, seeds, name)

    def one_epoch(epoch, first_step, part, crops):
        index, parts = part
        size = batch_size // parts
        own = numbers.skip(first_step).map(
            lambda positions: positions[index * size :][:size]
        )
        images = batches.one_epoch(epoch, first_step, part, crops)
        return tf.data.Dataset.zip((images, own)).map(transform)

    shape = batches.element_spec.shape
    spec = tf.TensorSpec(shape), tf.TensorSpec(shape[:1], tf.int64)
    return data.Batches(one_epoch, batches.steps, spec)
