"""Crops are drawn and resized as the official code does."""

import numpy as np
import pytest
import tensorflow as tf

from simclr_keras.images import cropping
from simclr_keras.images import random_crops

pytestmark = pytest.mark.newest


def _statistics(boxes, height, width):
    y, x, h, w = np.asarray(boxes, np.float64).T
    return {
        "area": h * w / (height * width),
        "aspect": w / h,
        "height_frac": h / height,
        "width_frac": w / width,
        "offset_y_frac": (y / np.maximum(height - h, 1))[h < height],
        "offset_x_frac": (x / np.maximum(width - w, 1))[w < width],
    }


def _ks_distance(a, b):
    grid = np.union1d(a, b)
    a = np.searchsorted(np.sort(a), grid, "right") / len(a)
    b = np.searchsorted(np.sort(b), grid, "right") / len(b)
    return np.abs(a - b).max()


def test_crops_have_the_official_distribution(preprocess, seeds, close_to):
    """preprocess.npz: 30,000 draws for each of four shapes of images."""
    for crop in preprocess.info["crops"]:
        (height, width), key = crop["image_h_w"], crop["key"]
        boxes = random_crops.sample_crops(seeds(30000), height, width).numpy()
        assert (boxes[:, :2] >= 0).all()
        assert (boxes[:, 0] + boxes[:, 2] <= height).all()
        assert (boxes[:, 1] + boxes[:, 3] <= width).all()
        # Boxes of a 32-pixel image lie on a coarse grid: quantiles jump.
        tolerance = 0.02 if height > 32 else 0.03
        statistics = _statistics(boxes, height, width)
        assert statistics["area"].min() >= 0.1
        for name, samples in statistics.items():
            expected = getattr(preprocess, f"{key}_{name}")
            close_to(samples, expected, tolerance)
            assert samples.max() <= max(expected[10], 1.0) + 0.35
        whole = (boxes[:, 2:] == [height, width]).all(axis=1).mean()
        # A binomial fraction near 0.003: standard error 0.0003 a side.
        expected = getattr(preprocess, f"{key}_full_image_fraction")
        assert abs(whole - expected) < 0.002


@pytest.mark.parametrize(
    "height, width, target, area",
    [
        (40, 60, 1.0, (0.3, 1.0)),
        (64, 48, 1.0, (0.2, 0.5)),
        (50, 50, 1.5, (0.02, 1.0)),
    ],
)
def test_other_arguments_follow_tensorflows_sampler(
    seeds, height, width, target, area
):
    """Peer: tf.image's own sampler with `min_object_covered` 0.1.

    Two samples of 4,000 differ by less than 0.05 in the Kolmogorov-Smirnov
    distance, at a level of 1e-4: sqrt(-log(5e-5) / 2) * sqrt(2 / 4000).
    """

    def official(i):
        begin, extent, _ = tf.image.stateless_sample_distorted_bounding_box(
            [height, width, 3],
            tf.constant([[[0.0, 0.0, 1.0, 1.0]]]),
            seed=tf.stack([i, 7]),
            min_object_covered=0.1,
            aspect_ratio_range=(target * 3 / 4, target * 4 / 3),
            area_range=area,
            max_attempts=100,
            use_image_if_no_bounding_boxes=True,
        )
        return tf.concat([begin[:2], extent[:2]], axis=0)

    # A tenth of the time of `tf.map_fn`.
    peer = tf.data.Dataset.range(4000).map(official).batch(4000)
    peer = peer.get_single_element()
    ours = random_crops.sample_crops(seeds(4000), height, width, target, area)
    peer = _statistics(peer, height, width)
    ours = _statistics(ours, height, width)
    for name in ours:
        assert _ks_distance(ours[name], peer[name]) < 0.05, name


def _torchvision_box(random, height, width, area, aspect):
    """RandomResizedCrop's definition, one image at a time."""
    for _ in range(10):
        target = height * width * random.uniform(*area)
        ratio = np.exp(random.uniform(*np.log(aspect)))
        w = int(round(np.sqrt(target * ratio)))
        h = int(round(np.sqrt(target / ratio)))
        if 0 < w <= width and 0 < h <= height:
            y = random.randint(0, height - h + 1)
            return y, random.randint(0, width - w + 1), h, w
    raise AssertionError("ten failures are far too rare here")


def test_torchvision_crops_follow_its_loop(seeds):
    """A NumPy loop; tolerance as for TensorFlow's sampler."""
    random, area = np.random.RandomState(3), (0.08, 0.6)
    peer = [
        _torchvision_box(random, 60, 70, area, (3 / 4, 4 / 3))
        for _ in range(4000)
    ]
    ours = random_crops.sample_crops(
        seeds(4000), 60, 70, area=area, sampler="torchvision"
    )
    peer, ours = _statistics(peer, 60, 70), _statistics(ours, 60, 70)
    for name in ours:
        assert _ks_distance(ours[name], peer[name]) < 0.05, name


@pytest.mark.parametrize(
    "sampler, height, width, expected",
    [
        # By hand: no box of aspect 3/4 to 4/3 covers a tenth of it.
        ("official", 10, 1000, [0, 0, 10, 1000]),
        # By hand: 20 * 4/3 = 26.7 columns in the middle of 200.
        ("torchvision", 20, 200, [0, 86, 20, 27]),
        ("torchvision", 200, 20, [86, 0, 27, 20]),
        # Central and whole, as the aspect 1.2 is allowed.
        ("torchvision", 50, 60, [0, 0, 50, 60]),
    ],
)
def test_fallbacks(seeds, sampler, height, width, expected):
    area = (0.08, 1.0) if sampler == "official" else (0.999, 1.0)
    if (height, width) == (50, 60):
        area = (1.0, 1.0)
    aspect = (1.3, 1.3) if (height, width) == (50, 60) else (3 / 4, 4 / 3)
    if aspect == (1.3, 1.3):
        # 60 / 50 lies below 1.3: full width, 60 / 1.3 = 46 rows.
        expected = [2, 0, 46, 60]
    boxes = random_crops.sample_crops(
        seeds(5), height, width, area=area, aspect=aspect, sampler=sampler
    )
    np.testing.assert_array_equal(boxes, [expected] * 5)


def test_sizes_may_differ_from_image_to_image(seeds):
    one = random_crops.sample_crops(seeds(4), 60, 80)
    other = random_crops.sample_crops(seeds(4), 33, 90)
    both = random_crops.sample_crops(
        seeds(4), tf.constant([60, 33, 60, 33]), tf.constant([80, 90, 80, 90])
    )
    expected = tf.where([[True], [False], [True], [False]], one, other)
    np.testing.assert_array_equal(both, expected)


@pytest.mark.long
def test_compiled_crops_are_the_same(seeds):
    """Bit for bit; the short run compares compiled views only."""
    compiled = tf.function(random_crops.sample_crops, jit_compile=True)
    np.testing.assert_array_equal(
        compiled(seeds(200), 90, 61),
        random_crops.sample_crops(seeds(200), 90, 61),
    )


def test_crop_and_resize_equals_the_official_numbers(preprocess):
    """preprocess.npz; sums of 16 products of size 1 round to below 2e-6."""
    for crop in preprocess.info["boxcrops"]:
        image = getattr(preprocess, crop["image"])
        box, size = np.int32(crop["box_y_x_h_w"]), crop["size"]
        expected = getattr(preprocess, crop["key"])
        ours = cropping.crop_and_resize(image[None], box[None], size)
        np.testing.assert_allclose(ours[0], expected, rtol=0, atol=2e-6)
        flipped = cropping.crop_and_resize(
            image[None], box[None], size, flip=tf.constant([True])
        )
        np.testing.assert_allclose(
            flipped[0], expected[:, ::-1], rtol=0, atol=2e-6
        )
        one = cropping.crop_and_resize_one(image, box, size)
        np.testing.assert_allclose(one, expected, rtol=0, atol=2e-6)


def test_every_image_has_its_own_box_and_flip(pictures):
    """Peer: `tf.image.resize` of each cropped box."""
    images = pictures(3, 40)
    boxes = np.int32([[0, 3, 40, 20], [10, 5, 7, 9], [8, 0, 30, 40]])
    flip = np.array([False, True, True])
    ours = cropping.crop_and_resize(images, boxes, (16, 24), flip)
    for image, (y, x, h, w), flipped, result in zip(images, boxes, flip, ours):
        cut = image[y : y + h, x : x + w] / np.float32(255)
        expected = tf.image.resize(cut, (16, 24), "bicubic").numpy()
        expected = expected[:, ::-1] if flipped else expected
        np.testing.assert_allclose(result, expected, rtol=0, atol=2e-6)


def test_antialias_is_that_of_tensorflow(preprocess):
    """Peer: `tf.image.resize(antialias=True)`.

    Positions of up to 150 pixels are rounded to 1e-5 in float32, and the
    kernel's slope is below 1, so that weights of up to 30 taps differ by 1e-5.
    """
    image, box = preprocess.image4, np.int32([3, 9, 85, 120])
    cut = image[3:88, 9:129] / np.float32(255)
    expected = tf.image.resize(cut, (24, 32), "bicubic", antialias=True)
    ours = cropping.crop_and_resize(
        image[None], box[None], (24, 32), antialias=True
    )
    np.testing.assert_allclose(ours[0], expected, rtol=0, atol=1e-5)
    one = cropping.crop_and_resize_one(image, box, (24, 32), antialias=True)
    np.testing.assert_allclose(one, expected, rtol=0, atol=1e-6)
    assert (
        np.abs(
            ours - cropping.crop_and_resize(image[None], box[None], (24, 32))
        ).max()
        > 0.02
    )


def test_host_pipeline_crops_images_of_mixed_sizes(pictures, seeds):
    """`tf.data` draws the boxes that a batch on the device would draw."""
    images = [pictures(1, 40)[0], pictures(1, 56)[0][:33]]
    data = tf.data.Dataset.from_generator(
        lambda: zip(images, seeds(2)),
        output_signature=(
            tf.TensorSpec([None, None, 3], tf.uint8),
            tf.TensorSpec([2], tf.uint32),
        ),
    )

    def crop(image, seed):
        shape = tf.shape(image)
        box = random_crops.sample_crops(seed[None], shape[0], shape[1])[0]
        return cropping.crop_and_resize_one(image, box, 24)

    for i, ours in enumerate(data.map(crop)):
        image = images[i][None]
        boxes = random_crops.sample_crops(
            seeds(2)[i : i + 1], *image.shape[1:3]
        )
        expected = cropping.crop_and_resize(image, boxes, 24)[0]
        np.testing.assert_allclose(ours, expected, rtol=0, atol=2e-6)


@pytest.mark.parametrize(
    "argument, message",
    [
        (dict(area=(0.0, 1.0)), "crop_area"),
        (dict(area=(0.5, 0.4)), "crop_area"),
        (dict(area=(0.05, 0.09)), "torchvision"),
        (dict(aspect=(2.0, 1.0)), "crop_aspect"),
        (dict(sampler="uniform"), "'official', 'torchvision'"),
    ],
)
def test_wrong_arguments_are_named(seeds, argument, message):
    with pytest.raises(ValueError, match=message):
        random_crops.sample_crops(seeds(1), 32, 32, **argument)
