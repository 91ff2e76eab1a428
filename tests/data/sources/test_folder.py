"""Folders of images: what is found, what are splits, classes and errors."""

import numpy as np
import PIL.Image
import pytest
import tensorflow as tf

from simclr_keras import data

pytestmark = pytest.mark.newest


def write(root, *names, size=(12, 10)):
    """Writes pictures whose red channel counts them."""
    for number, name in enumerate(names):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        PIL.Image.new("RGB", size, (number, 50, 200)).save(path)


def opened(root, split="train", **options):
    return data.open_source(f"folder:{root}", split, **options)


def short(source, root):
    return [path[len(str(root)) + 1 :] for path in source.ids]


def test_searched_at_every_depth_in_order(tmp_path):
    write(tmp_path, "b.png", "x/y/c.JPG", "a.webp", "x/d.gif", ".hid/e.png")
    (tmp_path / "notes.txt").write_text("no image")
    source = opened(tmp_path)
    assert short(source, tmp_path) == [
        "a.webp",
        "b.png",
        "x/d.gif",
        "x/y/c.JPG",
    ]
    assert source.num_examples == 4
    assert not source.has_labels
    assert source.image_shape is None


def test_a_folder_per_class(tmp_path):
    write(tmp_path, "dog/1.png", "cat/9.png", "cat/deep/2.png", "eel/1.png")
    source = opened(tmp_path)
    assert source.class_names == ("cat", "dog", "eel")
    np.testing.assert_array_equal(source.labels, [0, 0, 1, 2])


def test_images_beside_the_folders_have_no_class(tmp_path):
    write(tmp_path, "dog/1.png", "cat/9.png", "loose.png")
    assert not opened(tmp_path).has_labels


def test_split_folders_share_their_classes(tmp_path):
    """A class that is missing from one split does not shift the others."""
    write(tmp_path, "train/a/1.png", "train/b/1.png", "train/c/1.png")
    write(tmp_path, "test/b/1.png", "test/c/1.png", "unlabeled/1.png")
    test = opened(tmp_path, "test")
    assert test.class_names == ("a", "b", "c")
    np.testing.assert_array_equal(test.labels, [1, 2])
    assert short(test, tmp_path) == ["test/b/1.png", "test/c/1.png"]
    assert not opened(tmp_path, "unlabeled").has_labels


def test_a_class_may_be_called_train(tmp_path):
    write(tmp_path, "train/1.png", "car/1.png", "plane/1.png")
    source = opened(tmp_path, folder_layout="classes")
    assert source.class_names == ("car", "plane", "train")


def test_a_link_to_a_folder_above_is_not_followed(tmp_path):
    write(tmp_path, "real/a.png")
    (tmp_path / "real" / "up").symlink_to(tmp_path)
    with pytest.warns(UserWarning, match="1 links to a folder above"):
        assert opened(tmp_path).num_examples == 1


def test_slices_by_position(tmp_path):
    write(tmp_path, *[f"{k:02}.png" for k in range(15)])
    head, tail = (
        opened(tmp_path, split, split_order="position")
        for split in ("train[:90%]", "train[90%:]")
    )
    assert short(head.take([0]), tmp_path) == ["00.png"]
    assert short(tail, tmp_path) == ["14.png"]  # 13.5 is rounded up, as TFDS
    assert head.num_examples == 14
    assert head.split == "train[:90%]"


@pytest.mark.parametrize(
    ("split", "message"),
    [
        ("test", "must be one that folder:.* has: train; .*Received: 'test'"),
        ("train[3:3]", "at least one of the 4 .*Received: split='train.3:3.'"),
        ("train[", "a name with at most one slice.*Received: split='train.'"),
    ],
)
def test_wrong_splits(tmp_path, split, message):
    write(tmp_path, "1.png", "2.png", "3.png", "4.png")
    with pytest.raises(ValueError, match=message):
        opened(tmp_path, split)


def test_no_folder_and_no_images(tmp_path):
    with pytest.raises(ValueError, match="an existing folder.*Received: .*nix"):
        opened(tmp_path / "nix")
    (tmp_path / "notes.txt").write_text("no image")
    with pytest.raises(ValueError, match="must hold images.*Received: .*none"):
        opened(tmp_path)


def test_labels_missing(tmp_path):
    write(tmp_path, "1.png", "2.png")
    with pytest.raises(
        ValueError, match="Labels are needed: .*Received: folder:.*no classes"
    ):
        data.load(
            f"folder:{tmp_path}", image_size=8, batch_size=2, labelled=True
        )


@pytest.fixture
def broken(tmp_path):
    """Twelve images, of which a cut JPEG, a text and an empty one are bad."""
    write(tmp_path, *[f"{k:02}.png" for k in range(9)])
    PIL.Image.effect_noise((64, 64), 50).save(tmp_path / "04b.jpg")
    content = (tmp_path / "04b.jpg").read_bytes()
    (tmp_path / "04b.jpg").write_bytes(content[: len(content) // 2])
    (tmp_path / "06b.png").write_text("no image at all")
    (tmp_path / "09b.webp").write_bytes(b"")
    return tmp_path


@pytest.mark.parametrize("batch_size", [1, 4, 5, 12])
def test_a_corrupt_image_stops_the_run_by_name(broken, batch_size):
    """In the source's order the cut JPEG, at place 5, is met first."""
    source = opened(broken)
    dataset = data.make_dataset(
        source, batch_size=batch_size, image_size=8, training=False
    )
    seen = 0
    with pytest.raises(tf.errors.InvalidArgumentError, match="04b.jpg"):
        for batch in dataset:
            seen += len(batch)
    assert seen == 5 // batch_size * batch_size


@pytest.mark.parametrize("batch_size", [1, 2, 3])
def test_the_last_image_is_corrupt(tmp_path, batch_size):
    write(tmp_path, "1.png", "2.png")
    (tmp_path / "3.png").write_bytes(b"")
    dataset = data.make_dataset(
        opened(tmp_path), batch_size=batch_size, image_size=8, training=False
    )
    with pytest.raises(tf.errors.InvalidArgumentError, match="3.png"):
        list(dataset)


def test_a_corrupt_image_stops_training_by_name(broken):
    dataset = data.load(f"folder:{broken}", image_size=8, batch_size=4)
    message = "(?s)Corrupt image.*skip_corrupt=True.*(04b.jpg|06b.png|09b.webp)"
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        list(dataset)


def test_skip_corrupt_counts_and_names_them(broken):
    with pytest.warns(UserWarning, match="3 of 12 images .*") as caught:
        source = opened(broken, skip_corrupt=True)
    bad = [str(broken / name) for name in ("04b.jpg", "06b.png", "09b.webp")]
    assert list(source.skipped) == bad
    assert all(name in str(caught[0].message) for name in bad)
    assert source.num_examples == 9
    dataset = data.make_dataset(
        source, batch_size=4, image_size=8, training=False
    )
    red = np.concatenate([x[:, 0, 0, 0] for x in dataset])
    np.testing.assert_allclose(255 * red, range(9), rtol=0, atol=1e-3)


def test_nothing_but_corrupt_images(tmp_path):
    (tmp_path / "1.png").write_bytes(b"")
    with pytest.raises(ValueError, match="can be decoded. Received: 1 of 1"):
        opened(tmp_path, skip_corrupt=True)


def test_phone_photographs_are_turned_upright(tmp_path):
    """Orientation 6: stored lying, the top is on the left."""
    exif = PIL.Image.Exif()
    exif[0x0112] = 6
    stored = np.zeros((40, 60, 3), np.uint8)
    stored[:, :30] = 255
    PIL.Image.fromarray(stored).save(tmp_path / "1.jpg", exif=exif)
    dataset = data.make_dataset(
        opened(tmp_path),
        batch_size=1,
        image_size=(30, 20),
        training=False,
        crop_proportion=1.0,
    )
    image = next(iter(dataset)).numpy()[0]
    assert image[:10].min() > 0.8
    assert image[20:].max() < 0.2


def test_an_image_over_the_bound_stops_the_run_by_name(tmp_path):
    """64 * 65 pixels are more than 64 * 64."""
    for name, width in (("fits.png", 64), ("large.png", 65)):
        image = np.zeros((64, width, 3), np.uint8)
        PIL.Image.fromarray(image).save(tmp_path / name)
    options = dict(image_size=8, batch_size=2)
    text = f"folder:{tmp_path}"
    for training in (True, False):
        dataset = data.load(
            text, max_pixels=64 * 64, training=training, **options
        )
        message = "large.png: it has 64 x 65 pixels, max_pixels=4096"
        with pytest.raises(tf.errors.InvalidArgumentError, match=message):
            list(dataset)
    assert list(data.load(text, max_pixels=64 * 65, **options))
    with pytest.raises(ValueError, match="`max_pixels` must be .*max_pixels=0"):
        data.load(text, max_pixels=0, **options)


def test_a_link_to_itself_is_a_broken_link(tmp_path):
    write(tmp_path, "a.png")
    (tmp_path / "self.jpg").symlink_to(tmp_path / "self.jpg")
    with pytest.warns(UserWarning, match="1 broken links"):
        assert opened(tmp_path).num_examples == 1


def test_an_empty_path_is_not_the_current_directory(tmp_path, monkeypatch):
    """A variable of the shell that is not set gives `folder:`."""
    write(tmp_path, "a.png")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="must be followed by an existing"):
        data.open_source("folder:")
    assert data.open_source("folder:.").num_examples == 1
