"""Order, crops and sizes of the batches: pure in (seed, epoch, step)."""

import numpy as np
import PIL.Image
import pytest
import tensorflow as tf

from simclr_keras import data
from simclr_keras import randomness
from simclr_keras.images import random_crops


def numbered(count):
    """Images that say their number in red and green; labels say it too."""
    numbers = np.arange(count)
    images = np.zeros((count, 2, 2, 3), np.uint8)
    images[..., 0] = (numbers // 256)[:, None, None]
    images[..., 1] = (numbers % 256)[:, None, None]
    return images, numbers


def batches(dataset):
    return [x.numpy() for x in dataset]


def rows(images):
    return [int(x[0, 0, 0]) * 256 + int(x[0, 0, 1]) for x in images]


def load(count=50, batch_size=8, **options):
    return data.load(numbered(count), batch_size=batch_size, **options)


def epoch(dataset):
    return [rows(batch) for batch in batches(dataset)]


# Order


@pytest.mark.newest
def test_every_example_once_in_every_epoch():
    """50 // 8 = 6 batches of 48 different examples, others left each time."""
    dataset = load()
    left = set()
    for _ in range(8):
        seen = sum(epoch(dataset), [])
        assert len(seen) == len(set(seen)) == 48
        left |= set(range(50)) - set(seen)
    assert len(left) > 8


@pytest.mark.newest
def test_epochs_differ_and_are_a_function_of_seed_and_number():
    first, second = load(seed=1), load(seed=1)
    epochs = [epoch(first) for _ in range(3)]
    assert epochs[0] != epochs[1] != epochs[2]
    assert [epoch(second) for _ in range(3)] == epochs
    assert epoch(load(seed=2)) != epochs[0]


@pytest.mark.newest
def test_resumed_at_an_epoch():
    dataset, resumed = load(seed=1), load(seed=1)
    epochs = [epoch(dataset) for _ in range(4)]
    resumed.seek(2)
    assert [epoch(resumed), epoch(resumed)] == epochs[2:]
    assert resumed.epoch == 4


@pytest.mark.newest
def test_resumed_at_a_step():
    dataset = load(seed=1)
    epochs = [epoch(dataset) for _ in range(2)]
    rest = data.from_step(dataset, 4)
    assert len(rest) == 2
    dataset.seek(1)
    assert epoch(rest) == epochs[1][4:]
    assert dataset.epoch == 2


@pytest.mark.newest
@pytest.mark.parametrize("step", [-1, 6])
def test_resumed_at_no_step(step):
    with pytest.raises(ValueError, match=r"\[0, 6\).*Received: step="):
        data.from_step(load(), step)


@pytest.mark.newest
def test_global_seeds_do_not_reach_in():
    tf.random.set_seed(1)
    first = epoch(load())
    tf.random.set_seed(2)
    assert epoch(load()) == first


@pytest.mark.newest
def test_the_epoch_is_read_when_the_first_batch_is_drawn():
    dataset, other = load(seed=1), load(seed=1)
    iterator = iter(dataset)
    dataset.seek(5)
    other.seek(5)
    assert rows(next(iterator).numpy()) == epoch(other)[0]
    assert dataset.epoch == 6


@pytest.mark.newest
@pytest.mark.parametrize(
    "use",
    [
        randomness.EXAMPLES,
        pytest.param(randomness.FILES, marks=pytest.mark.long),
    ],
)
def test_permutations_are_uniform(use):
    """3,000 permutations of 3: each of 6 is met 500 times.

    Four standard deviations of a count: 4 sqrt(3000 * 1/6 * 5/6) = 82.
    """
    numbers = tf.data.Dataset.range(3000)
    drawn = numbers.map(
        lambda number: randomness.permutation(3, 7, number, use)
    )
    drawn = list(drawn.as_numpy_iterator())
    _, counts = np.unique(drawn, axis=0, return_counts=True)
    assert len(counts) == 6
    assert np.abs(counts - 500).max() < 82


@pytest.mark.newest
def test_permutation_sorts_its_words():
    """Written out in NumPy from the words of the generator."""
    words = randomness.stateless_seeds(
        5, 3, tf.range(1000), randomness.EXAMPLES
    )
    words = words.numpy().astype(np.uint64)
    expected = np.lexsort((words[:, 1], words[:, 0]))
    drawn = randomness.shuffled(1000, 5, 3, randomness.EXAMPLES)
    np.testing.assert_array_equal(drawn, expected)


# Batches


def test_batches_in_memory():
    dataset = load(labelled=True)
    assert len(dataset) == 6
    images, labels = dataset.element_spec
    assert (images.shape, images.dtype) == ((8, 2, 2, 3), tf.uint8)
    assert (labels.shape, labels.dtype) == ((8,), tf.int64)
    for images, labels in dataset:
        assert rows(images.numpy()) == labels.numpy().tolist()


@pytest.mark.newest
def test_evaluation_is_in_order_and_whole():
    dataset = load(training=False, labelled=True)
    assert len(dataset) == 7
    labels = [y.numpy().tolist() for _, y in dataset]
    assert sum(labels, []) == list(range(50))
    assert len(labels[-1]) == 2


@pytest.mark.newest
def test_remainder_by_argument():
    assert len(load(drop_remainder=False)) == 7
    assert sorted(sum(epoch(load(drop_remainder=False)), [])) == list(range(50))
    assert len(load(training=False, drop_remainder=True)) == 6


@pytest.mark.newest
def test_few_labels():
    images, _ = numbered(60)
    labels = np.arange(60) % 6
    dataset = data.load(
        (images, labels), batch_size=6, labelled=True, label_fraction=0.2
    )
    seen = np.concatenate([y for _, y in dataset])
    np.testing.assert_array_equal(np.bincount(seen), [2] * 6)


@pytest.mark.newest
def test_batch_larger_than_the_data_set():
    with pytest.raises(ValueError, match="has 50 examples.*batch_size=51"):
        load(batch_size=51)
    assert len(batches(load(batch_size=51, training=False))) == 1


@pytest.mark.newest
@pytest.mark.parametrize("batch_size", [0, -1, 2.5, None, True])
def test_wrong_batch_sizes(batch_size):
    with pytest.raises(ValueError, match="positive integer. Received: batch"):
        load(batch_size=batch_size)


# Photographs


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Twenty images of many sizes: smooth patterns of their own colours."""
    root = tmp_path_factory.mktemp("photographs")
    rng = np.random.default_rng(0)
    for k in range(20):
        height, width = rng.integers(40, 120, 2)
        small = rng.integers(0, 256, (4, 5, 3), np.uint8)
        image = PIL.Image.fromarray(small).resize((int(width), int(height)))
        (root / "ab"[k % 2]).mkdir(exist_ok=True)
        image.save(root / "ab"[k % 2] / f"{k:02}.png")
    return f"folder:{root}"


def reference_views(
    source,
    seed,
    number,
    batch_size,
    views=2,
    area=(0.08, 1),
    sampler="official",
):
    """The crops of an epoch: NumPy slices, one `tf.image.resize` each."""
    steps = source.num_examples // batch_size
    drawn = randomness.shuffled(
        source.num_examples, seed, number, randomness.EXAMPLES
    )
    files = source.files[drawn[: steps * batch_size]]
    images = [np.array(PIL.Image.open(path)) for path in files]
    lengths = tf.constant([image.shape[:2] for image in images])
    places = tf.range(len(images), dtype=tf.int64)
    expected = []
    for view in range(views):
        seeds = randomness.stateless_seeds(
            seed,
            number * steps + places // batch_size,
            places % batch_size,
            view,
        )
        boxes = random_crops.sample_crops(
            seeds, lengths[:, 0], lengths[:, 1], area=area, sampler=sampler
        )
        for image, (y, x, h, w) in zip(images, boxes.numpy()):
            cut = image[y : y + h, x : x + w].astype(np.float32)
            cut = tf.image.resize(cut, (16, 16), method="bicubic")
            expected.append(np.clip(np.round(cut), 0, 255))
    expected = np.reshape(expected, (views, steps, batch_size, 16, 16, 3))
    return np.moveaxis(expected, 0, 2)


def test_two_views_are_the_boxes_of_seed_step_position_and_view(folder):
    """Rounded values may fall to the other side of a half: one level."""
    source = data.open_source(folder)
    dataset = data.make_dataset(
        source, batch_size=6, image_size=16, training=True, seed=3
    )
    assert dataset.element_spec.shape == (6, 2, 16, 16, 3)
    for number in range(2):
        expected = reference_views(source, 3, number, 6)
        got = np.stack(batches(dataset)).astype(int)
        assert np.abs(got - expected).max() <= 1


@pytest.mark.newest
def test_one_view_of_another_sampler_with_labels(folder):
    source = data.open_source(folder)
    dataset = data.make_dataset(
        source,
        batch_size=5,
        image_size=16,
        training=True,
        labelled=True,
        views=1,
        crop_area=(0.3, 0.9),
        crop_sampler="torchvision",
    )
    expected = reference_views(
        source, 0, 0, 5, 1, area=(0.3, 0.9), sampler="torchvision"
    )
    shuffled = source.labels[randomness.shuffled(20, 0, 0, randomness.EXAMPLES)]
    for step, (images, labels) in enumerate(dataset):
        assert images.shape == (5, 16, 16, 3)
        error = images.numpy().astype(int) - expected[step][:, 0]
        assert np.abs(error).max() <= 1
        np.testing.assert_array_equal(labels, shuffled[step * 5 : step * 5 + 5])


def test_photographs_resumed_at_a_step(folder):
    dataset = data.load(folder, image_size=8, batch_size=6, seed=2)
    epochs = [batches(dataset) for _ in range(2)]
    rest = data.from_step(dataset, 1)
    dataset.seek(1)
    np.testing.assert_array_equal(batches(rest), epochs[1][1:])
    assert not np.array_equal(epochs[0], epochs[1])


@pytest.mark.newest
def test_photographs_in_evaluation(folder):
    """Largest central square at small sizes, in the source's order."""
    source = data.open_source(folder)
    dataset = data.make_dataset(
        source, batch_size=8, image_size=16, training=False, labelled=True
    )
    got = list(dataset)
    assert [len(images) for images, _ in got] == [8, 8, 4]
    labels = np.concatenate([labels for _, labels in got])
    np.testing.assert_array_equal(labels, source.labels)
    images = np.concatenate([images for images, _ in got])
    for path, image in zip(source.files, images):
        photo = np.array(PIL.Image.open(path)).astype(np.float32)
        side = min(photo.shape[:2])
        y, x = [(length - side + 1) // 2 for length in photo.shape[:2]]
        photo = photo[y : y + side, x : x + side]
        photo = tf.image.resize(photo, (16, 16), method="bicubic")
        expected = np.clip(photo, 0, 255) / 255
        np.testing.assert_allclose(image, expected, rtol=0, atol=1e-5)


@pytest.mark.newest
def test_antialiased_crops_are_smoother(folder):
    """Shrinking without antialiasing keeps more of the high frequencies."""
    sharp, smooth = (
        np.concatenate(
            batches(
                data.load(
                    folder,
                    image_size=8,
                    batch_size=20,
                    training=False,
                    antialias=antialias,
                )
            )
        ).astype(float)
        for antialias in (False, True)
    )
    assert np.abs(sharp - smooth).max() > 2 / 255
    assert (
        np.abs(np.diff(smooth, axis=2)).sum()
        < np.abs(np.diff(sharp, axis=2)).sum()
    )


@pytest.mark.newest
def test_real_photographs(photos_dir):
    """Two crops of one photograph resemble each other, others do not."""
    dataset = data.load(f"folder:{photos_dir}", image_size=64, batch_size=50)
    (views, _) = batches(dataset)
    colors = views.reshape(50, 2, -1, 3).mean(axis=2)
    colors -= colors.mean(axis=(0, 1))
    same = np.linalg.norm(colors[:, 0] - colors[:, 1], axis=-1).mean()
    other = np.linalg.norm(colors[:, 0] - colors[::-1, 1], axis=-1).mean()
    assert same < 0.7 * other


@pytest.mark.newest
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"image_size": None}, "`image_size` is needed: the images of folder"),
        ({"image_size": 0}, "`image_size` must be an integer of at least 8"),
        ({"views": 3}, "`views` must be one of 1, 2. Received: views=3"),
        ({"crop_sampler": "x"}, "`crop_sampler` must be one of 'official'"),
        ({"crop_area": (0.5, 0.2)}, "`crop_area` must be a pair"),
        (
            {"training": False, "crop_proportion": 2.0},
            "`crop_proportion` must be a pair|`crop_proportion`",
        ),
    ],
)
def test_wrong_options(folder, options, message):
    options = {"image_size": 16, "batch_size": 4, **options}
    with pytest.raises(ValueError, match=message):
        data.load(folder, **options)


@pytest.mark.newest
def test_numpy_integers_are_integers():
    plain, numpys = (
        load(batch_size=number(8), seed=number(3), views=number(2))
        for number in (int, np.int64)
    )
    for mine, yours in zip(epoch(plain), epoch(numpys), strict=True):
        np.testing.assert_array_equal(mine, yours)
    with pytest.raises(ValueError, match="`batch_size` must be .*=True"):
        load(batch_size=True)
