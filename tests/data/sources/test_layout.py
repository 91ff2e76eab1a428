"""What sub-folders of images mean, and what becomes of all other files."""

import os
import pathlib
import warnings

import numpy as np
import pytest

from simclr_keras import data


@pytest.fixture
def tree(tmp_path):
    """Function that makes files, whose content opening does not look at."""

    def make(*names):
        for name in names:
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        return tmp_path

    return make


def opened(root, split="train", **options):
    return data.open_source(f"folder:{root}", split, **options)


def labelled(source):
    """Class name of each image, and the names of all classes."""
    names = source.class_names
    return [names[k] for k in source.labels], names


SPLITS = ["train/a/1.png", "train/b/1.png", "test/a/1.png", "test/b/2.png"]


def test_splits_with_classes(tree):
    root = tree(*SPLITS)
    assert opened(root).layout == "splits train, test; classes a, b"
    assert labelled(opened(root, "test")) == (["a", "b"], ("a", "b"))


def test_classes(tree):
    source = opened(tree("a/1.png", "b/x/2.png", "c/3.png"))
    assert source.layout == "classes a, b, c"
    assert source.summary() == (
        f"{source.name} train: 3 images; classes a, b, c"
    )


def test_many_classes_are_shortened(tree):
    root = tree(*[f"{k:03}/1.png" for k in range(120)])
    assert opened(root).layout == (
        "120 classes: 000, 001, 002, 003, 004, 005, 006, 007, ..."
    )


@pytest.mark.parametrize(
    "beside, said",
    [
        (["extra/1.png"], "the folder extra"),
        (["extra/1.png", "more/1.png", "1.png"], "the folder more and 1 image"),
        (["cover.jpg"], "beside them lie 1 image. "),
    ],
)
def test_what_lies_beside_splits_is_refused(tree, beside, said):
    """They were taken for classes, and the test images were trained on."""
    root = tree(*SPLITS, *beside)
    for split in ("train", "test"):
        with pytest.raises(ValueError, match=said) as error:
            opened(root, split)
    message = str(error.value)
    assert "test, train would be splits" in message
    assert "--folder_layout=splits" in message
    assert "Received: folder_layout=auto" in message


def test_the_choice_is_taken(tree):
    root = tree(*SPLITS, "extra/1.png", "cover.jpg")
    with pytest.warns(UserWarning, match="2 images outside the splits"):
        train = opened(root, folder_layout="splits")
    assert train.num_examples == 2
    assert train.left_out == (("images outside the splits", 2),)
    assert train.layout == "splits train, test; classes a, b"
    with pytest.warns(UserWarning, match="1 images outside the classes"):
        classes = opened(root, folder_layout="classes")
    assert classes.class_names == ("extra", "test", "train")
    assert classes.num_examples == 5
    flat = opened(root, folder_layout="flat")
    assert not flat.has_labels and flat.num_examples == 6
    assert flat.layout == "no classes" and not flat.left_out


@pytest.mark.parametrize(
    "names, layout, message",
    [
        (["a/1.png", "b/1.png"], "splits", "named as splits.*none is named"),
        (["a/1.png"], "classes", "two or more folders.*1 of them"),
        (["1.png"], "classes", "two or more folders.*0 of them"),
        (["1.png"], "split", "must be one of auto, splits,.*='split'"),
    ],
)
def test_a_choice_that_does_not_fit(tree, names, layout, message):
    with pytest.raises(ValueError, match=message):
        opened(tree(*names), folder_layout=layout)


def test_splits_in_a_folder_of_their_own(tree):
    """As an archive unpacks: all of it would be one unlabelled split."""
    root = tree(*[f"flowers/{name}" for name in SPLITS], "licence.txt")
    with pytest.raises(ValueError, match=f"Name folder:{root}/flowers as"):
        opened(root)
    assert opened(root, folder_layout="flat").num_examples == 4
    assert opened(root / "flowers").num_examples == 2


def test_splits_inside_classes(tree):
    root = tree(
        "a/train/1.png", "a/test/2.png", "b/train/1.png", "b/test/2.png"
    )
    with pytest.raises(ValueError, match="a has the folders test, train"):
        opened(root)
    assert opened(root, folder_layout="classes").num_examples == 4


@pytest.mark.parametrize(
    "names",
    [("training_set", "test_set"), ("train2017", "val2017", "annotated")],
)
@pytest.mark.filterwarnings("ignore:Left out")
def test_folders_that_look_like_splits(tree, names):
    """As data sets of others call them; each would be a class."""
    root = tree(*[f"{name}/{c}/1.png" for name in names for c in "ab"])
    with pytest.raises(ValueError, match="look like splits and would be"):
        opened(root)
    options = {"folder_layout": "splits"}
    assert opened(root, names[0], **options).class_names == ("a", "b")
    assert len(opened(root, folder_layout="classes").class_names) == len(names)


def test_images_beside_folders_have_no_classes_and_that_is_said(tree):
    source = opened(tree("a/1.png", "b/1.png", "loose.png"))
    assert not source.has_labels
    said = "no classes, as 1 image lie beside the folders"
    assert source.layout == said
    with pytest.raises(
        ValueError, match=f"Labels are needed.*Received: .*{said}"
    ):
        data.require_labels(source)


def test_a_folder_without_images_does_not_count(tree):
    root = tree(*SPLITS, "annotations/1.xml")
    assert opened(root).layout == "splits train, test; classes a, b"


def test_a_split_with_one_class_only_has_its_label(tree):
    """Classes are those of all splits together."""
    root = tree("train/a/1.png", "train/b/1.png", "test/b/1.png")
    assert labelled(opened(root, "test")) == (["b"], ("a", "b"))
    root = tree("val/c/1.png", "val/b/1.png")
    assert labelled(opened(root, "test")) == (["b"], ("a", "b", "c"))


def test_a_lone_folder_of_another_name_is_no_class(tree):
    root = tree("train/a/1.png", "train/b/1.png", "test/images/1.png")
    assert not opened(root, "test").has_labels
    assert opened(root).layout == (
        "splits train, test; classes a, b; none in test"
    )


def test_one_folder_in_every_split_is_no_class(tree):
    root = tree("train/images/1.png", "test/images/1.png")
    assert not opened(root).has_labels
    assert opened(root).layout == "splits train, test; no classes"


def test_folders_of_unlabelled_images_are_no_classes(tree):
    root = tree(*SPLITS, "unlabeled/2019/1.png", "unlabeled/2020/1.png")
    assert not opened(root, "unlabeled").has_labels
    assert opened(root).class_names == ("a", "b")


def test_a_link_from_one_split_to_another(tree):
    """`train` vanished, as each folder was read once."""
    root = tree("train/a/1.png", "train/b/1.png")
    (root / "test").symlink_to(root / "train")
    for split in ("train", "test"):
        source = opened(root, split)
        assert source.num_examples == 2
        assert labelled(source) == (["a", "b"], ("a", "b"))


def test_legacy_is_what_runs_did_before(tree):
    """The rules in the README of the first release."""
    root = tree(*SPLITS, "test/a/2.png", "extra/1.png")
    source = opened(root, folder_layout="legacy")
    assert source.class_names == ("extra", "test", "train")
    assert source.num_examples == 6
    root = tree("cover.png")
    assert not opened(root, folder_layout="legacy").has_labels
    (root / "cover.png").unlink()
    (root / "extra" / "1.png").unlink()
    (root / "test" / "b" / "2.png").unlink()
    assert not opened(root, "test", folder_layout="legacy").has_labels
    assert opened(root, folder_layout="legacy").class_names == ("a", "b")


# What is left out.


def test_every_file_left_out_is_counted_by_kind(tree):
    root = tree(
        "a/1.jpg",
        "b/1.jpg",
        "a/2.TIF",
        "b/3.tif",
        "b/4.heic",
        "notes",
        ".git/x",
    )
    (root / "a" / "gone.jpg").symlink_to(root / "nowhere.jpg")
    os.mkfifo(root / "b" / "pipe.jpg")
    with pytest.warns(UserWarning) as caught:
        source = opened(root)
    assert dict(source.left_out) == {
        ".tif": 2,
        ".heic": 1,
        "broken links": 1,
        "hidden": 1,
        "special files": 1,
        "without an extension": 1,
    }
    assert source.num_examples == 2
    assert source.summary().endswith(
        "classes a, b; left out: 2 .tif, 1 .heic, 1 broken links, 1 hidden,"
        " 1 special files, 1 without an extension"
    )
    (said,) = [str(each.message) for each in caught]
    assert "2 .tif, 1 .heic, 1 broken links." in said


def test_what_is_no_image_is_counted_and_not_warned_of(tree):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        source = opened(tree("1.jpg", "licence.txt", ".DS_Store"))
    assert source.left_out == ((".txt", 1), ("hidden", 1))


def test_left_out_of_a_split_is_what_lies_in_it_or_in_none(tree):
    root = tree(*SPLITS, "train/a/1.tiff", "test/2.csv", "README.md")
    with pytest.warns(UserWarning, match="1 .tiff"):
        assert dict(opened(root).left_out) == {".tiff": 1, ".md": 1}
    assert dict(opened(root, "test").left_out) == {".csv": 1, ".md": 1}


def test_a_folder_of_other_files_says_what_it_has(tree):
    root = tree("1.tiff", "2.tiff", "notes.txt")
    with pytest.raises(ValueError, match="has none but 2 .tiff, 1 .txt; conv"):
        opened(root)


def test_a_slice_and_a_subset_keep_the_count(tree):
    source = opened(tree("1.png", "2.png", "3.png", "x.txt"), "train[:2]")
    assert source.left_out == ((".txt", 1),)


@pytest.fixture
def unreadable(tree, monkeypatch):
    """A class folder that may not be read; this process may be root."""
    root = tree("a/1.png", "b/1.png", "b/2.png", "c/1.png")
    scandir = os.scandir

    def refuse(path):
        if pathlib.Path(path) == root / "b":
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    return root


def test_an_unreadable_folder_is_an_error_by_name(unreadable):
    with pytest.raises(ValueError, match="must be readable.*/b', which is not"):
        opened(unreadable)


def test_an_unreadable_folder_can_be_left_out(unreadable, monkeypatch):
    from simclr_keras.data.sources import folder

    with pytest.warns(UserWarning, match="1 unreadable folders"):
        source = folder.open_folder(unreadable, skip_corrupt=True)
    assert source.class_names == ("a", "c")
    assert source.left_out == (("unreadable folders", 1),)
    np.testing.assert_array_equal(source.labels, [0, 1])
