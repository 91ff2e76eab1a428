"""Draws views image by image in `tf.data`, with operations of `tf.image`.

Operations and their probabilities are the defaults of `simclr_keras.TwoViews`;
see `View`.
"""

import tensorflow as tf


def two_views(size, crop=True):
    """Returns a function that draws two views of an image or a pair of crops.

    Args:
        size: side of the views in pixels.
        crop: whether to crop and resize. If not, the function takes a pair of
            crops `[2, size, size, 3]`.
    """

    def draw(images):
        pair = (images, images) if crop else tf.unstack(images, num=2)
        return tuple(view(image, size, crop) for image in pair)

    return draw


def view(image, size, crop=True):
    """One random view `[size, size, 3]` of a uint8 image, in [0, 1]."""
    image = tf.cast(image, tf.float32) / 255.0
    if crop:
        image = _random_crop(image, size)
    image = tf.image.random_flip_left_right(image)
    image = _sometimes(0.8, _jitter, image)
    image = _sometimes(0.2, _grayscale, image)
    if size > 32:
        image = _sometimes(0.5, lambda x: _blur(x, size // 10), image)
    return tf.clip_by_value(image, 0.0, 1.0)


def _sometimes(probability, function, image):
    chosen = tf.random.uniform(()) < probability
    return tf.cond(chosen, lambda: function(image), lambda: image)


def _random_crop(image, size):
    begin, extent, _ = tf.image.sample_distorted_bounding_box(
        tf.shape(image),
        tf.zeros((1, 0, 4)),
        area_range=(0.08, 1.0),
        aspect_ratio_range=(3 / 4, 4 / 3),
        max_attempts=100,
        use_image_if_no_bounding_boxes=True,
    )
    image = tf.slice(image, begin, extent)
    image = tf.image.resize(image, (size, size), "bicubic")
    return tf.ensure_shape(image, (size, size, 3))


def _jitter(image):
    """Changes brightness, contrast, saturation and hue, in a random order."""

    def change(place, image):
        changes = {
            0: lambda: image * tf.random.uniform((), 0.2, 1.8),
            1: lambda: tf.image.random_contrast(image, 0.2, 1.8),
            2: lambda: tf.image.random_saturation(image, 0.2, 1.8),
            3: lambda: tf.image.random_hue(image, 0.2),
        }
        return tf.clip_by_value(tf.switch_case(place, changes), 0.0, 1.0)

    for place in tf.unstack(tf.random.shuffle(tf.range(4))):
        image = change(place, image)
    return image


def _grayscale(image):
    return tf.image.grayscale_to_rgb(tf.image.rgb_to_grayscale(image))


def _blur(image, kernel_size):
    """Blurs by a Gaussian of 0.1 to 2 pixels, one axis after the other."""
    radius = kernel_size // 2
    offsets = tf.range(-radius, radius + 1, dtype=tf.float32)
    sigma = tf.random.uniform((), 0.1, 2.0)
    weights = tf.exp(-tf.square(offsets) / (2.0 * tf.square(sigma)))
    weights /= tf.reduce_sum(weights)
    image = image[tf.newaxis]
    for shape in ((-1, 1, 1, 1), (1, -1, 1, 1)):
        kernel = tf.tile(tf.reshape(weights, shape), (1, 1, 3, 1))
        image = tf.nn.depthwise_conv2d(image, kernel, (1, 1, 1, 1), "SAME")
    return image[0]


def pipeline(dataset, size, batch, crop=True):
    """Endless batches of view pairs `([B, S, S, 3], [B, S, S, 3])`.

    Args:
        dataset: endless `tf.data.Dataset` of inputs of `two_views`.
        size: side of the views in pixels.
        batch: images in a batch.
        crop: whether to crop and resize.
    """
    dataset = dataset.map(two_views(size, crop), tf.data.AUTOTUNE)
    return dataset.batch(batch, drop_remainder=True).prefetch(tf.data.AUTOTUNE)
