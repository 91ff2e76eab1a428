"""SimCLR's augmentation of keras-cv's layers."""

import keras_cv


def augmenter(size, crop):
    """Function of float images in [0, 1], with what `TwoViews` draws.

    But for the resize, which is bilinear: this layer knows no bicubic one.

    Args:
        size: of the views in pixels.
        crop: whether to crop and resize.
    """
    layers = []
    if crop:
        layers.append(
            keras_cv.layers.RandomCropAndResize(
                (size, size),
                crop_area_factor=(0.08, 1.0),
                aspect_ratio_factor=(3 / 4, 4 / 3),
            )
        )
    layers.append(keras_cv.layers.RandomFlip("horizontal"))
    jitter = keras_cv.layers.RandomColorJitter(
        value_range=(0, 1),
        brightness_factor=0.8,
        contrast_factor=0.8,
        # 0.5 leaves the saturation as it is.
        saturation_factor=(0.1, 0.9),
        hue_factor=0.2,
    )
    grayscale = keras_cv.layers.Grayscale(output_channels=3)
    for layer, rate in ((jitter, 0.8), (grayscale, 0.2)):
        layers.append(keras_cv.layers.RandomApply(layer, rate))
    if size > 32:
        kernel_size = 2 * (size // 20) + 1
        blur = keras_cv.layers.RandomGaussianBlur(kernel_size, (0.1, 2.0))
        layers.append(keras_cv.layers.RandomApply(blur, 0.5))

    def augment(images):
        for layer in layers:
            images = layer(images, training=True)
        return images

    return augment
