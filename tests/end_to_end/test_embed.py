"""simclr-embed: killed and resumed, of several layers, and what it draws."""

import csv
import pathlib
import signal
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import simclr_keras as sk
from simclr_keras import data
from simclr_keras.commands import embed
from simclr_keras.commands.common import command_line

SPLIT = "test[:300]"
SLOWLY = pathlib.Path(__file__).with_name("slow_embedding.py")


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """A small model, untrained; what it knows does not matter here."""
    keras.utils.set_random_seed(0)
    model = sk.SimCLR(
        sk.TinyResNet((8, 16)),
        sk.ProjectionHead(num_layers=2, out_dim=6),
        sk.TwoViews(32),
    )
    path = tmp_path_factory.mktemp("model") / "model.keras"
    model.save(path)
    return path


def _arguments(checkpoint, directory, *more):
    return [
        f"--checkpoint={checkpoint}",
        f"--model_dir={directory}",
        f"--split={SPLIT}",
        "--eval_batch_size=8",
        "--precision=float32",
        "--verbose=0",
        *more,
    ]


def _run(*arguments):
    flags = command_line.parse(embed.define_flags, _arguments(*arguments))
    return embed.run(flags)


def test_layers(checkpoint, tmp_path):
    """Each as the model itself gives it."""
    images = data.open_source("shapes", SPLIT).images
    model = sk.load(checkpoint).model
    outputs = model(images, training=False)
    encoder = model.encoder
    group = encoder.outputs_of(["block_group1"])
    found = {
        name: np.load(
            _run(checkpoint, tmp_path / name, f"--layer={name}")
            / "embeddings.npy"
        )
        for name in ("h", "z", "block_group1")
    }
    np.testing.assert_allclose(found["h"], outputs["h"], atol=1e-5)
    np.testing.assert_allclose(found["z"], outputs["z"], atol=1e-5)
    features = group(images / np.float32(255), training=False)
    features = features[0] if isinstance(features, list) else features
    np.testing.assert_allclose(
        found["block_group1"], tf.reduce_mean(features, (1, 2)), atol=1e-5
    )
    with pytest.raises(ValueError, match="block_group1, block_group2"):
        _run(checkpoint, tmp_path / "no", "--layer=block_group7")
    assert not (tmp_path / "no").exists()


@pytest.mark.newest
def test_killed_and_resumed(checkpoint, fork, tmp_path, capsys):
    """Ends with the same bits, in the order of its index."""
    whole = _run(checkpoint, tmp_path / "whole")
    cut = tmp_path / "cut"
    process = fork(SLOWLY, _arguments(checkpoint, cut))
    notes = cut / "embeddings.npy.rows"
    process.wait_for(
        lambda: notes.exists() and int(notes.read_text() or 0) >= 24, 120
    )
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (cut / "embeddings.npy").exists()
    capsys.readouterr()
    _run(checkpoint, cut)
    begun = int(capsys.readouterr().out.split("Resuming after ")[1].split()[0])
    assert 24 <= begun < 300
    for name in ("embeddings.npy", "index.csv", "results.json"):
        assert (cut / name).read_bytes() == (whole / name).read_bytes()
    rows = list(csv.DictReader((cut / "index.csv").open()))
    source = data.open_source("shapes", SPLIT)
    assert [int(row["label"]) for row in rows] == source.labels.tolist()
    assert [row["id"] for row in rows] == source.ids


@pytest.mark.newest
def test_what_is_drawn(checkpoint, tmp_path, capsys):
    """Of a run that has ended, without embedding anew."""
    path = _run(checkpoint, tmp_path / "run")
    written = (path / "embeddings.npy").stat().st_mtime_ns
    source = data.open_source("shapes", SPLIT)
    query = tmp_path / "query.png"
    Image.fromarray(source.images[17]).save(query)
    _run(checkpoint, path, f"--neighbors={query}", "--neighbors_k=3")
    with Image.open(path / "neighbors.png") as picture:
        grid = np.asarray(picture.convert("RGB"))
    # 32 pixels, twice, below a heading of 24; 7 of frame and white: the query
    # is its own neighbour.
    cells = [grid[31:95, left : left + 64] for left in (7, 78 + 12 + 7)]
    assert np.abs(cells[0].astype(int) - cells[1].astype(int)).max() <= 1
    _run(checkpoint, path, "--neighbors=random:5", "--map", "--projector")
    said = capsys.readouterr().out
    assert "Neighbours of the class of their query: " in said
    with Image.open(path / "neighbors.png") as picture:
        # Below each image, its name and similarity in 22 pixels.
        assert picture.size == (9 * 78 + 12, 5 * (78 + 22) + 24)
        assert "of the class of their query" in picture.info["Description"]
    with Image.open(path / "map.png") as picture:
        assert picture.size == (1120, 900)
    for name in ("neighbors", "map"):
        assert (path / f"{name}.svg").read_text().startswith("<?xml")
        assert (path / f"{name}.pdf").read_bytes().startswith(b"%PDF")
    assert len(list(csv.reader((path / "map.csv").open()))) == 301
    folder = path / "tensorboard" / "projector"
    tensors = np.loadtxt(folder / "tensors.tsv", delimiter="\t")
    h = np.load(path / "embeddings.npy")
    np.testing.assert_allclose(tensors, h, rtol=1e-5, atol=1e-6)
    lines = (folder / "metadata.tsv").read_text().splitlines()
    assert lines[0] == "id\tlabel" and len(lines) == 301
    assert lines[1].split("\t")[1] == source.class_names[source.labels[0]]
    with Image.open(folder / "sprite.png") as sprite:
        pixels = sprite.size[0] // 18
    assert sprite.size == (18 * pixels,) * 2
    assert (
        f"single_image_dim: {pixels}"
        in (folder / "projector_config.pbtxt").read_text()
    )
    assert (path / "embeddings.npy").stat().st_mtime_ns == written


def _parts(path, name):
    return sorted(path.glob(name))


@pytest.mark.newest
def test_files_of_rows(checkpoint, tmp_path):
    """With the bits of one file, as a file holds whole batches; also drawn."""
    whole = _run(checkpoint, tmp_path / "whole", "--neighbors=random:2")
    path = _run(checkpoint, tmp_path / "parts", "--rows_per_file=128")
    files = _parts(path, "embeddings-*-of-00003.npy")
    rows = np.concatenate([np.load(file) for file in files])
    np.testing.assert_array_equal(rows, np.load(whole / "embeddings.npy"))
    indexes = _parts(path, "index-*-of-00003.csv")
    found = [row for file in indexes for row in csv.reader(file.open())]
    found = [row for row in found if row[0] != "row"]
    expected = list(csv.reader((whole / "index.csv").open()))[1:]
    assert found == expected and len(files) == len(indexes) == 3
    draw = ("--neighbors=random:2", "--map", "--projector")
    _run(checkpoint, path, "--rows_per_file=128", *draw)
    pictures = [(each / "neighbors.png").read_bytes() for each in (path, whole)]
    assert pictures[0] == pictures[1]
    assert (path / "map.png").exists()
    with pytest.raises(ValueError, match="rows_per_file"):
        _run(checkpoint, path, "--rows_per_file=64")


@pytest.mark.newest
def test_missing_files_of_rows_are_written_and_no_other(checkpoint, tmp_path):
    flags = ("--rows_per_file=128",)
    path = _run(checkpoint, tmp_path / "run", *flags)
    files = _parts(path, "embeddings-*.npy")
    before = [file.read_bytes() for file in files]
    kept = files[2].stat().st_mtime_ns
    (path / "results.json").unlink()
    files[1].unlink()
    files[0].write_bytes(before[2])  # of fewer rows
    with pytest.raises(ValueError, match=f"{files[0]} must have 128 rows"):
        _run(checkpoint, path, *flags)
    files[0].write_bytes(before[0])
    (path / f"{files[2].name}.rows").write_text("40")  # killed as it ended
    _run(checkpoint, path, *flags)
    assert not _parts(path, "*.rows")
    assert [file.read_bytes() for file in files] == before
    assert files[2].stat().st_mtime_ns == kept


@pytest.mark.parametrize("rows_per_file", [0, 128])
def test_parquet(checkpoint, tmp_path, rows_per_file):
    """The same embeddings; a file that was not converted yet is converted."""
    reader = pytest.importorskip("pyarrow.parquet", exc_type=ImportError)
    whole = _run(checkpoint, tmp_path / "whole")
    flags = ("--format=parquet", f"--rows_per_file={rows_per_file}")
    path = _run(checkpoint, tmp_path / "run", *flags)
    names = "embeddings*.parquet"
    for again in (False, True):
        files = _parts(path, names)
        assert len(files) == (3 if rows_per_file else 1)
        tables = [reader.read_table(file) for file in files]
        columns = [table["embedding"].to_pylist() for table in tables]
        rows = np.float32(sum(columns, []))
        np.testing.assert_array_equal(rows, np.load(whole / "embeddings.npy"))
        ids = sum((table["id"].to_pylist() for table in tables), [])
        assert ids == data.open_source("shapes", SPLIT).ids
        left = {each.name for each in path.iterdir()} - {
            each.name for each in files
        }
        assert not any("embeddings" in name for name in left), left
        if not again:
            first = rows[: rows_per_file or None]
            np.save(files[0].with_suffix(".npy"), first)
            files[0].unlink()
            (path / "results.json").unlink()
            _run(checkpoint, path, *flags)


def test_parquet_is_refused_before_any_work(checkpoint, tmp_path, monkeypatch):
    with pytest.raises(ValueError, match="--format must be npy for"):
        _run(checkpoint, tmp_path / "run", "--format=parquet", "--map")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.delitem(sys.modules, "pyarrow.parquet", raising=False)
    with pytest.raises(ValueError, match="--format can be parquet only with"):
        _run(checkpoint, tmp_path / "run", "--format=parquet")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "flag", ["--neighbors=nothing.jpg", "--neighbors=random:0"]
)
def test_wrong_queries_are_refused_first(checkpoint, tmp_path, flag):
    with pytest.raises(ValueError, match="--neighbors"):
        _run(checkpoint, tmp_path / "run", flag)
    assert not (tmp_path / "run").exists()


def test_a_query_that_is_no_image_is_refused_first(checkpoint, tmp_path):
    query = tmp_path / "a.png"
    query.write_text("no image")
    with pytest.raises(ValueError, match=f"--neighbors={query}: its first"):
        _run(checkpoint, tmp_path / "run", f"--neighbors={query}")
    assert not (tmp_path / "run").exists()
