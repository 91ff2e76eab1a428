"""Path objects: local ones are pathlib's, remote ones use TensorFlow."""

import pathlib
import uuid

import pytest
import tensorflow as tf

from simclr_keras import paths


@pytest.fixture
def folder():
    return paths.as_path(f"ram://{uuid.uuid4().hex}")


@pytest.mark.parametrize(
    "text, local",
    [
        ("runs/first", "runs/first"),
        ("/tmp/a", "/tmp/a"),
        ("a:b/c", "a:b/c"),
        ("C:/runs", "C:/runs"),
        ("file:///tmp/a", "/tmp/a"),
    ],
)
def test_a_local_path_is_a_path_of_pathlib(text, local):
    assert paths.as_path(text) == pathlib.Path(local)
    assert not paths.is_remote(paths.as_path(text))


def test_parts():
    path = paths.as_path("gs://bucket/runs//first/metrics.csv")
    assert str(path) == "gs://bucket/runs/first/metrics.csv"
    assert (path.name, path.stem, path.suffix) == (
        "metrics.csv",
        "metrics",
        ".csv",
    )
    assert (
        str(path.with_name("x") / "y" / "z") == "gs://bucket/runs/first/x/y/z"
    )
    above = ["gs://bucket/runs/first", "gs://bucket/runs", "gs://bucket"]
    assert list(map(str, path.parents)) == above
    assert path.relative_to(path.parents[1]) == pathlib.PurePosixPath(
        "first/metrics.csv"
    )
    # What has no server has an empty part in front.
    nameless = paths.RemotePath("hdfs:///user/a")
    assert str(nameless / "b") == "hdfs:///user/a/b"
    with pytest.raises(ValueError, match="is not below"):
        path.relative_to(nameless)


@pytest.mark.parametrize(
    "text, message",
    [
        ("nowhere://bucket/run", "no folder named 'nowhere:' is made"),
        ("gs:/bucket/run", "two slashes"),
        (pathlib.Path("gs://bucket/run"), "give it as a string"),
        ("gs://", "name something behind the scheme"),
    ],
)
def test_what_is_refused(text, message):
    with pytest.raises(ValueError, match=f"model_dir must.*{message}"):
        paths.as_path(text, "model_dir")


def test_it_is_not_taken_for_a_local_path(folder):
    """`open` and pathlib would make a folder named `ram:`."""
    with pytest.raises(TypeError):
        pathlib.Path(folder)
    with pytest.raises(TypeError):
        open(folder / "x", "w")


def test_a_shorter_content_takes_the_place_of_a_longer_one(folder):
    """`ram://` itself writes over the beginning and keeps the end."""
    file = folder / "a.txt"
    for text in ("a longer text", "short", ""):
        file.write_text(text)
        assert file.read_text() == text and file.stat().st_size == len(text)
    assert [path.name for path in folder.iterdir()] == ["a.txt"]


def test_text_is_as_in_a_local_file(folder, tmp_path):
    for root in (folder, tmp_path):
        with (root / "t").open("w", encoding="utf-8", newline="") as file:
            file.write("ä\r\n")
        with (root / "t").open("a", encoding="utf-8") as file:
            file.write("b\n")
        with (root / "new").open("a") as file:
            file.write("c")
    for name in ("t", "new"):
        ours = (folder / name).read_bytes()
        assert ours == (tmp_path / name).read_bytes()
    assert (folder / "t").read_text() == "ä\nb\n"


def test_nothing_is_written_where_writing_fails(folder):
    (folder / "a").write_bytes(b"old")
    for name in ("a", "b"):
        with pytest.raises(RuntimeError):
            with (folder / name).open("wb") as file:
                file.write(b"new")
                raise RuntimeError
    assert (folder / "a").read_bytes() == b"old"
    assert not (folder / "b").exists()


def test_errors_are_those_of_python(folder, monkeypatch):
    """As for local files, with the path."""
    for read in (
        (folder / "x").read_text,
        (folder / "x").stat,
        (folder / "x").unlink,
        lambda: list((folder / "x").iterdir()),
    ):
        with pytest.raises(FileNotFoundError, match=f"{folder}/x"):
            read()
    (folder / "x").unlink(missing_ok=True)
    folder.mkdir(parents=True)
    with pytest.raises(FileExistsError):
        folder.mkdir()

    def denied(path):
        raise tf.errors.PermissionDeniedError(None, None, "no rights")

    monkeypatch.setattr(tf.io.gfile, "exists", denied)
    with pytest.raises(PermissionError, match=f"no rights: '{folder}'"):
        folder.exists()


def test_walk_and_glob(folder, tmp_path):
    for root in (folder, tmp_path):
        for name in ("b/1.png", "a/x/2.png", "3.txt"):
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_bytes(b"1")
    found = [
        sorted(
            (str(where.relative_to(root)), sorted(below), sorted(names))
            for where, below, names in paths.walk(root)
        )
        for root in (folder, tmp_path)
    ]
    assert found[0] == found[1]
    assert list((folder / "b").glob("*.png")) == [folder / "b" / "1.png"]
    assert not list((folder / "none").glob("*"))
    assert not list(paths.walk(folder / "none"))
    paths.remove_tree(folder / "a")
    assert not (folder / "a").exists() and (folder / "b").is_dir()


def test_a_folder_that_marks_its_folders(monkeypatch):
    """As `gs://` lists: no question for each of a million files."""
    lists = {"gs://b": ["photos/", "1.png"], "gs://b/photos": ["", "2.png"]}
    monkeypatch.setattr(tf.io.gfile, "listdir", lists.__getitem__)
    asked = []
    monkeypatch.setattr(
        tf.io.gfile, "isdir", lambda path: asked.append(path) or path in lists
    )
    found = [names for _, _, names in paths.walk(paths.as_path("gs://b"))]
    assert found == [["1.png"], ["2.png"]] and asked == ["gs://b"]


def test_copies(folder):
    (folder / "a").write_bytes(b"12")
    paths.link_or_copy(folder / "a", folder / "b")
    with paths.local_copy(folder / "b") as local:
        assert local.read_bytes() == b"12" and local.name == "b"
    assert not local.exists()


def test_a_folder_made_locally_is_copied_in_order(folder, monkeypatch):
    """What makes an export readable comes last; of half a one nothing stays."""
    order = []
    copy = paths.RemotePath.copy_from

    def noted(path, file):
        order.append(path.name)
        if path.name == "broken":
            raise OSError("disk full")
        copy(path, file)

    monkeypatch.setattr(paths.RemotePath, "copy_from", noted)
    with paths.made_locally(folder / "1", ("a.pb",)) as made:
        (made / "variables").mkdir(parents=True)
        (made / "a.pb").write_bytes(b"1")
        (made / "variables" / "v").write_bytes(b"2")
    assert order == ["v", "a.pb"]
    assert (folder / "1" / "variables" / "v").read_bytes() == b"2"
    with pytest.raises(OSError, match="disk full"):
        with paths.made_locally(folder / "2") as made:
            made.mkdir()
            (made / "a").write_bytes(b"1")
            (made / "broken").write_bytes(b"1")
    assert not (folder / "2").exists()


def test_a_tilde_is_the_home_directory(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert paths.as_path("~/runs/first") == tmp_path / "runs" / "first"
    assert paths.as_path("a/~b") == pathlib.Path("a/~b")
    assert paths.as_path("~nobody-of-this-name") == pathlib.Path(
        "~nobody-of-this-name"
    )
