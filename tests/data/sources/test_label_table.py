"""Labels of a folder's images in a CSV file: rows, columns, splits, errors."""

import warnings

import numpy as np
import PIL.Image
import pytest
import tensorflow as tf

from simclr_keras import data
from simclr_keras import paths

TABLE = """\
file,label,split
b/2.png,dog,train
a/1.png,cat,train
a/3.png,cat,test
./c.png,eel,test
"""


@pytest.fixture
def photos(tmp_path):
    """Five images, of which `b/5.png` has no row in `TABLE`."""
    root = tmp_path / "photos"
    for k, name in enumerate(
        ("a/1.png", "b/2.png", "a/3.png", "c.png", "b/5.png")
    ):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        PIL.Image.new("RGB", (12, 10), (40 * k, 9, 9)).save(root / name)
    return root


def _opened(root, text, split="train", *, encoding="utf-8", **options):
    path = root.parent / "labels.csv"
    path.write_bytes(text.encode(encoding))
    table = data.LabelTable(path, **options)
    return data.open_source(f"folder:{root}", split, labels=table)


def _short(source, root):
    return [path[len(str(root)) + 1 :] for path in source.ids]


def test_labels_and_splits_are_those_of_the_table(photos):
    """In the order of the paths; classes are numbered over all splits."""
    train, test = (_opened(photos, TABLE, x) for x in ("train", "test"))
    assert train.class_names == test.class_names == ("cat", "dog", "eel")
    assert _short(train, photos) == ["a/1.png", "b/2.png"]
    assert _short(test, photos) == ["a/3.png", "c.png"]
    np.testing.assert_array_equal(train.labels, [0, 1])
    np.testing.assert_array_equal(test.labels, [0, 2])
    assert train.summary().endswith(
        "2 images; labels of labels.csv; splits train, test, unlabelled;"
        " classes cat, dog, eel; left out: 1 images without a row"
    )


def test_images_without_a_row_are_a_split(photos):
    source = _opened(photos, TABLE, "unlabelled")
    assert _short(source, photos) == ["b/5.png"]
    assert not source.has_labels


def test_batches_have_the_labels(photos):
    path = photos.parent / "labels.csv"
    path.write_text(TABLE)
    batches = data.load(
        f"folder:{photos}",
        labels=path,
        split="test",
        image_size=8,
        batch_size=2,
        labelled=True,
        training=False,
    )
    ((images, labels),) = list(batches)
    assert images.shape == (2, 8, 8, 3)
    np.testing.assert_array_equal(labels, [0, 2])


@pytest.mark.newest
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_spreadsheets_have_several_ways(photos, encoding, delimiter, end):
    text = TABLE.replace(",", delimiter).replace("\n", end) + end
    source = _opened(photos, text, encoding=encoding)
    assert source.class_names == ("cat", "dog", "eel")
    assert source.num_examples == 2


@pytest.mark.newest
@pytest.mark.parametrize(
    "text",
    [
        '"file, path";label\na/1.png;"big\ncat"\nb/2.png;dog\n',
        "file, if, any;label\na/1.png;big cat\nb/2.png;dog\n",
        'file, label\na/1.png, "big  cat"\nb/2.png, "dog"\n',
    ],
)
def test_separators_and_lines_within_quotes(photos, text):
    assert _opened(photos, text).class_names == ("big cat", "dog")


@pytest.mark.newest
def test_columns_by_name(photos):
    text = 'id,kind,"fold, old",where\n1,x,train,a/1.png\n2,y,train,b/2.png\n'
    source = _opened(
        photos,
        text,
        file_column="where",
        label_columns="kind",
        split_column="fold, old",
    )
    assert source.class_names == ("x", "y")


@pytest.mark.newest
def test_the_only_other_column_is_the_label(photos):
    source = _opened(photos, "image,species\na/1.png,x\nb/2.png,y\n")
    assert source.class_names == ("x", "y")
    assert source.split == "train"


@pytest.mark.newest
def test_whole_numbers_are_in_the_order_of_their_values(photos):
    text = "file,label\na/1.png,10\nb/2.png,9\nc.png,-1\n"
    assert _opened(photos, text).class_names == ("-1", "9", "10")


@pytest.mark.newest
def test_other_spellings_of_paths(photos):
    """Of the last name, the file has the accent as a character of its own."""
    (photos / "c.png").rename(photos / "cafe\u0301.png")
    text = f"file,label\n{photos}/a/1.png,x\nb\\2.png,y\nb//5.png,x\n"
    assert _short(_opened(photos, text + "caf\u00e9.png,y\n"), photos) == [
        "a/1.png",
        "b/2.png",
        "b/5.png",
        "cafe\u0301.png",
    ]


@pytest.mark.newest
def test_sub_folders_are_splits_where_the_table_has_none(photos):
    """As without a table; what the table does not name is left out."""
    for name in ("a", "b"):
        folder = "train" if name == "a" else "test"
        (photos / name).rename(photos / folder)
    (photos / "c.png").unlink()
    text = "file,label\ntrain/1.png,x\ntrain/3.png,y\ntest/2.png,y\n"
    test = _opened(photos, text, "test")
    assert _short(test, photos) == ["test/2.png"]
    assert test.class_names == ("x", "y")


@pytest.mark.newest
def test_images_outside_of_splits_are_counted_with_and_without_a_row(photos):
    """`b/5.png` and `c.png` have none; `a` becomes the only split."""
    (photos / "a").rename(photos / "train")
    path = photos.parent / "labels.csv"
    path.write_text("file,label\ntrain/1.png,x\ntrain/3.png,y\nb/2.png,y\n")
    table = data.LabelTable(path)
    with pytest.warns(UserWarning, match="3 images outside the splits"):
        source = data.open_source(
            f"folder:{photos}", labels=table, folder_layout="splits"
        )
    assert _short(source, photos) == ["train/1.png", "train/3.png"]
    assert source.left_out == (("images outside the splits", 3),)


@pytest.mark.newest
def test_a_table_is_read_once_and_first(photos):
    """Before the folder is looked at; later changes do not matter."""
    path = photos.parent / "labels.csv"
    path.write_text(TABLE)
    table = data.LabelTable(path)
    path.unlink()
    splits = [
        data.open_source(f"folder:{photos}", split, labels=table)
        for split in ("train", "test")
    ]
    assert [each.num_examples for each in splits] == [2, 2]
    with pytest.raises(ValueError, match="existing CSV file"):
        data.open_source(f"folder:{photos}/none", labels=path)
    path.write_text(TABLE)
    for layout, column in (("flat", None), ("classes", ""), ("legacy", "")):
        with pytest.raises(ValueError, match=f"--folder_layout={layout}"):
            data.open_source(
                f"folder:{photos}/none",
                labels=data.LabelTable(path, split_column=column),
                folder_layout=layout,
            )


@pytest.mark.newest
def test_rows_that_are_left_out_are_counted(photos):
    text = TABLE + "gone.png,cat,train\nb/2.png,dog,train\nb/5.png,,train\n"
    with pytest.warns(UserWarning, match="1 of 7 rows.*'gone.png' in line 6"):
        source = _opened(photos, text)
    assert dict(source.left_out) == {
        "rows without an image": 1,
        "repeated rows": 1,
        "rows without a label": 1,
    }


@pytest.mark.newest
def test_no_labels_keeps_rows_without_one(photos):
    text = TABLE + "b/5.png,,train\n"
    source = _opened(photos, text, label_columns=())
    assert source.num_examples == 3
    assert not source.has_labels


@pytest.mark.newest
def test_slices_have_their_share_of_every_class(photos):
    for k in range(20):
        PIL.Image.new("RGB", (8, 8)).save(photos / f"{k:02}.png")
    rows = "".join(f"{k:02}.png,{'xy'[k // 10]}\n" for k in range(20))
    source = _opened(photos, "file,label\n" + rows, "train[:50%]")
    np.testing.assert_array_equal(np.bincount(source.labels), [5, 5])


@pytest.mark.newest
@pytest.mark.parametrize(
    "text, options, message",
    [
        ("", {}, "a line that names its columns. Received: .*empty"),
        ("file,label\n", {}, "a row for each image.*only: file, label"),
        ("file,label\na/1.png\n", {}, "2 cells.*Received: 1 in line 2"),
        ('file,label\n"a/1.png,x\n', {}, "must be a CSV file.*line 2"),
        ("file,x,y\na/1.png,1,2\n", {}, "--label_columns.*columns file, x, y"),
        (TABLE, {"label_columns": ["kind"]}, "'kind', and the columns file,"),
        (TABLE, {"file_column": "image"}, "--file_column.*'image'"),
        (TABLE, {"split_column": "fold"}, "--split_column.*'fold'"),
        (TABLE, {"label_columns": ["split"]}, "must all differ"),
        ("file,label,label\nc.png,1,2\n", {}, "--label_columns"),
        ("id,label\n7,x\n8,y\n", {}, "such as 'a/1.png'.*2 rows .*first '7'"),
        (TABLE + "c.png,cat,test\n", {}, "'c.png' in lines 5 and 6"),
        (TABLE + "c.png,eel,train\n", {}, "'c.png' in lines 5 and 6"),
        ("file,label\nc.png,x\n", {}, "two classes.*'x' for all 1 images"),
        ("file,label\nc.png,\n", {}, "Received: 1 rows without a label"),
        (
            "file,label\na/1.png,1.5\nc.png,2.5\n",
            {},
            "--task=regression. Received: 2 different",
        ),
        (
            "file;label\na/1.png;1,5\nc.png;2,5\n",
            {},
            "--task=regression. Received: 2 different",
        ),
        ("PK\x03\x04", {}, "as 'CSV UTF-8'. Received: labels.csv"),
        ("a/1.png,x\nc.png,y\n", {}, "name its columns.*: a/1.png, x"),
        ("file|label\na/1.png|x\n", {}, "one column, file.label, by commas"),
        (
            TABLE + "b/5.png,dog,Train\n",
            {},
            "one spelling in labels.csv. Received: Train, train",
        ),
        (
            "file,label\na/1.png,1e39\nc.png,1\n",
            {"task": "regression"},
            "float32.*'1e39' in column label, line 2",
        ),
        (
            "file,label\na/1.png,NA\nc.png,1\n",
            {"task": "regression"},
            "empty where an image has none. Received: 'NA'",
        ),
        (
            "file,label\na/1.png,\nc.png,\n",
            {"task": "multilabel"},
            "must name labels.*2 empty cells",
        ),
        (
            "file,label\na/1.png,1\nc.png,\n",
            {"task": "multilabel"},
            "line 3; write 0, or leave the row out",
        ),
        (
            "file,label,split\na/1.png,x,the first\nc.png,y,test\n",
            {},
            "Received: 'the first' in line 2",
        ),
    ],
)
def test_what_is_wrong_is_said(photos, text, options, message):
    with pytest.raises(ValueError, match=message):
        _opened(photos, text, **options)


@pytest.mark.newest
def test_wrong_encodings(photos):
    with pytest.raises(ValueError, match="latin1.*line 2 has the byte 0xe9"):
        _opened(photos, "file,label\na/1.png,é\n", encoding="latin-1")
    with pytest.raises(ValueError, match="which is UTF-16"):
        _opened(photos, TABLE, encoding="utf-16")


@pytest.mark.newest
def test_wrong_arguments(photos):
    with pytest.raises(ValueError, match="existing CSV file.*'nix.csv'"):
        data.open_source(f"folder:{photos}", labels="nix.csv")
    with pytest.raises(ValueError, match="any data set but.*Received: shapes"):
        data.open_source("shapes", labels="labels.csv")
    with pytest.raises(ValueError, match="one column for classification"):
        data.LabelTable("labels.csv", label_columns=["a", "b"])
    with pytest.raises(ValueError, match="Received: task='ranking'"):
        data.LabelTable("labels.csv", task="ranking")
    with pytest.raises(ValueError, match="has: test, train, unlabelled"):
        _opened(photos, TABLE, "validation")


@pytest.mark.newest
def test_names_with_a_bar_are_one_class(photos):
    with pytest.warns(UserWarning, match="--task=multilabel"):
        source = _opened(photos, "file,label\na/1.png,x|y\nb/2.png,y\n")
    assert source.class_names == ("x|y", "y")


@pytest.mark.newest
def test_classes_of_one_image_each_are_doubtful(photos):
    for k in range(11):
        PIL.Image.new("RGB", (8, 8)).save(photos / f"{k:02}.png")
    rows = "".join(f"{k:02}.png,{k}\n" for k in range(11))
    with pytest.warns(UserWarning, match="11 classes for 11 .*'0'.*regression"):
        _opened(photos, "file,label\n" + rows)


@pytest.mark.newest
def test_words_for_missing_labels_are_doubtful(photos):
    text = "file,label\na/1.png,x\nb/2.png,y\nc.png,NA\n"
    with pytest.warns(UserWarning, match="the classes NA; images without"):
        assert _opened(photos, text).num_classes == 3


@pytest.mark.newest
def test_an_accent_is_no_other_class(photos):
    text = "file,label\na/1.png,caf\u00e9\nb/2.png,cafe\u0301\nc.png,x\n"
    assert _opened(photos, text).class_names == ("caf\u00e9", "x")


@pytest.mark.newest
def test_commas_do_not_separate_labels(photos):
    text = "file;label\na/1.png;x, y\nb/2.png;y\n"
    with pytest.warns(UserWarning, match="1 of the 2 labels.*'x, y'"):
        source = _opened(photos, text, task="multilabel")
    assert source.class_names == ("x, y", "y")


def _several(photos, text, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return _opened(photos, text, task="multilabel", **options)


def test_several_labels_in_one_column(photos):
    text = "file,label\na/1.png,x|y\nb/2.png, y ;z\nc.png,\n"
    source = _several(photos, text)
    assert source.class_names == ("x", "y", "z")
    expected = [[1, 1, 0], [0, 1, 1], [0, 0, 0]]
    np.testing.assert_array_equal(source.labels, expected)
    assert source.labels.dtype == np.float32
    assert source.has_labels and not source.has_classes
    assert "labels x, y, z, 1.33 an image, none at 1;" in source.summary()
    texts = data.label_texts(source.labels, source.class_names, source.task)
    assert texts == ["x|y", "y|z", ""]


@pytest.mark.newest
def test_columns_of_zeros_and_ones(photos):
    text = "file,red,blue\na/1.png,1,0\nb/2.png,True,1.0\nc.png,0,\n"
    source = _several(photos, text, label_columns=["red", "blue"])
    np.testing.assert_array_equal(source.labels, [[1, 0], [1, 1]])
    assert source.class_names == ("red", "blue")
    assert ("rows without a label", 1) in source.left_out
    single = _several(photos, text, label_columns="red")
    np.testing.assert_array_equal(single.labels, [[1], [1], [0]])
    with pytest.raises(ValueError, match="'-1' in column blue, line 2"):
        _several(
            photos,
            "file,red,blue\na/1.png,1,-1\n",
            label_columns=["red", "blue"],
        )


def test_numbers(photos):
    text = "file,price,age\na/1.png,1.5,3\nb/2.png,-2e1,4\nc.png,,1\n"
    options = {"task": "regression", "label_columns": ["price", "age"]}
    source = _opened(photos, text, **options)
    np.testing.assert_array_equal(source.labels, [[1.5, 3], [-20, 4]])
    assert source.class_names == ("price", "age")
    assert "numbers price (-20 to 1.5), age (3 to 4)" in source.summary()
    with pytest.raises(ValueError, match="3.5, or .* '1,5' in .* line 2"):
        _opened(photos, "file;price\na/1.png;1,5\n", task="regression")


@pytest.mark.parametrize("training", [False, True])
def test_rows_of_labels_come_with_their_images(photos, training):
    """The red channel says which image it is; three of five in a batch."""
    text = "file,n\na/1.png,0\nb/2.png,40\na/3.png,80\nc.png,120\nb/5.png,160\n"
    source = _opened(photos, text, task="regression")
    batches = data.make_dataset(
        source,
        batch_size=3,
        image_size=8,
        training=training,
        labelled=True,
        views=1,
    )
    spec = batches.element_spec[1]
    assert spec.dtype == tf.float32 and spec.shape[1:] == [1]
    seen = 0
    for images, labels in batches:
        scale = 1 if images.dtype == tf.uint8 else 255
        red = scale * tf.cast(images[:, 4, 4, 0], tf.float32)
        np.testing.assert_allclose(labels[:, 0], red, atol=1)
        seen += len(labels)
    assert seen == (3 if training else 5)


@pytest.mark.newest
def test_few_labels_of_numbers_are_a_random_part(photos):
    rows = []
    for k in range(40):
        PIL.Image.new("RGB", (8, 8)).save(photos / f"{k:02}.png")
        rows.append(f"{k:02}.png,{k}.5\n")
    source = _opened(photos, "file,n\n" + "".join(rows), task="regression")
    small, large, again = (
        data.label_subset(source, fraction, seed)
        for fraction, seed in ((0.1, 0), (0.5, 0), (0.1, 1))
    )
    assert (small.num_examples, large.num_examples) == (4, 20)
    assert set(small.positions) < set(large.positions)
    assert set(small.positions) != set(again.positions)
    np.testing.assert_array_equal(small.labels[:, 0], small.positions + 0.5)


@pytest.mark.newest
def test_a_remote_folder_and_table(photos):
    remote = paths.as_path("ram://label_table/photos")
    for path in photos.rglob("*.png"):
        target = remote / path.relative_to(photos).as_posix()
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())
    table = remote.parent / "labels.csv"
    table.write_bytes(TABLE.replace("./c.png", f"{remote}/c.png").encode())
    source = data.open_source(f"folder:{remote}", "test", labels=str(table))
    assert _short(source, remote) == ["a/3.png", "c.png"]
    np.testing.assert_array_equal(source.labels, [0, 2])
