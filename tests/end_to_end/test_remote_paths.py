"""All commands on `ram://`, TensorFlow's file system in memory.

What comes out is held to the same commands on a local disk.
"""

import csv
import io
import pathlib
import uuid

import keras
import numpy as np
import pytest
import tensorflow as tf
from absl import flags
from PIL import Image

import simclr_keras as sk
from simclr_keras import paths
from simclr_keras.commands import embed
from simclr_keras.commands import export
from simclr_keras.commands import linear_eval
from simclr_keras.commands import pretrain
from simclr_keras.commands import report
from simclr_keras.commands.common import command_line

pytestmark = pytest.mark.newest
SMALL = (
    "--encoder=tiny",
    "--width_multiplier=0.25",
    "--image_size=16",
    "--train_batch_size=8",
    "--train_steps=4",
    "--checkpoint_steps=2",
    "--log_every=2",
    "--learning_rate=0.1",
    "--eval_split=",
    "--lineareval_while_pretraining=false",
    "--verbose=0",
)


def _run(command, *arguments):
    return command.run(command_line.parse(command.define_flags, arguments))


def _arrays(checkpoint):
    with np.load(io.BytesIO(checkpoint)) as file:
        return {name: file[name] for name in file.files if "json" not in name}


def _checkpoint(directory, step):
    path = directory / "checkpoints" / f"step-{step:08d}.npz"
    return path, _arrays(path.read_bytes())


def _rows(directory):
    return list(
        csv.DictReader(io.StringIO((directory / "metrics.csv").read_text()))
    )


def _assert_equal(ours, theirs):
    assert ours.keys() == theirs.keys() and len(ours) > 20
    for name, value in ours.items():
        np.testing.assert_array_equal(value, theirs[name], err_msg=name)


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """The same 24 images of 2 classes in a local folder and in ram://."""
    local = tmp_path_factory.mktemp("photos")
    remote = paths.as_path(f"ram://{uuid.uuid4().hex}/photos")
    rng = np.random.default_rng(0)
    for number in range(24):
        level = 64 + 128 * (number % 2)
        pixels = rng.integers(level - 60, level + 60, (16, 16, 3), np.uint8)
        name = f"{'ab'[number % 2]}/{number}.png"
        for root in (local, remote):
            (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(local / name)
        (remote / name).write_bytes((local / name).read_bytes())
    return local, remote


@pytest.fixture(scope="module")
def pretrained(photos):
    """Run directory of a pre-training in ram://."""
    return _pretrain(photos[1], photos[1].parent / "runs" / "first")


def _pretrain(data, directory):
    arguments = [f"--dataset=folder:{data}", f"--model_dir={directory}"]
    _run(pretrain, *SMALL, *arguments)
    return directory


def _embed(run, data):
    directory = run.with_name("first_embeddings")
    _run(
        embed,
        f"--checkpoint={run}",
        f"--dataset=folder:{data}",
        f"--neighbors={data}/a/0.png",
        "--neighbors_k=2",
        "--projector",
        "--verbose=0",
        f"--model_dir={directory}",
    )
    rows = io.BytesIO((directory / "embeddings.npy").read_bytes())
    return np.load(rows), {path.name for path in directory.iterdir()}


def test_it_resumes(pretrained, photos, capsys):
    """From a checkpoint in the middle, to the end of the undisturbed run."""
    path, last = _checkpoint(pretrained, 4)
    rows = _rows(pretrained)
    assert len(rows) > 2
    events = [path.name for path in (pretrained / "tensorboard").iterdir()]
    assert any("tfevents" in name for name in events)
    for left in (path, pretrained / "results.json"):
        left.unlink()
    _pretrain(photos[1], pretrained)
    assert f"Resumed from {pretrained}/checkpoints/step-00000002" in (
        capsys.readouterr().out
    )
    _assert_equal(_checkpoint(pretrained, 4)[1], last)
    assert _rows(pretrained) == rows
    assert not pathlib.Path("ram:").exists()


def test_its_flags_are_read_where_they_are(pretrained, capsys):
    _run(pretrain, f"--flagfile={pretrained}/flags.txt")
    assert "Finished already" in capsys.readouterr().out
    with pytest.raises(ValueError, match="temperature=0.1 there|0.1 there"):
        _run(
            pretrain,
            f"--flagfile={pretrained}/flags.txt",
            "--temperature=0.5",
        )


def test_evaluation_and_report(pretrained, photos):
    """The page has the run beside it that began with it."""
    directory = pretrained.with_name("first_knn")
    results = _run(
        linear_eval,
        f"--checkpoint={pretrained}",
        f"--dataset=folder:{photos[1]}",
        "--eval_split=train",
        "--protocol=knn",
        f"--model_dir={directory}",
    )
    assert results["test_images"] == 24
    assert (directory / "class_names.txt").read_text() == "a\nb\n"
    page = _run(report, f"--model_dir={pretrained}")
    assert str(page) == f"{pretrained}/report.html"
    assert "first_knn" in page.read_text()
    figures = {path.name for path in page.with_name("report_figures").iterdir()}
    assert {f"contrastive_loss.{kind}" for kind in ("png", "svg", "pdf")} <= (
        figures
    )


def test_export_and_load(pretrained):
    version = _run(export, f"--checkpoint={pretrained}")
    assert str(version) == f"{pretrained}/export/1"
    # What was made aside is gone.
    there = [path.name for path in (pretrained / "export").iterdir()]
    assert there == ["1"]
    loaded = [sk.load(str(path)).encoder for path in (version, pretrained)]
    for a, b in zip(*(each.get_weights() for each in loaded)):
        np.testing.assert_array_equal(a, b)
    images = np.full((2, 16, 16, 3), 51, np.uint8)
    served = tf.saved_model.load(str(version)).signatures["serving_default"]
    np.testing.assert_allclose(
        served(images=tf.constant(images))["embedding"],
        loaded[1](images / np.float32(255), training=False),
        rtol=1e-4,
        atol=1e-5,
    )
    with pytest.raises(ValueError, match="version must be a new one"):
        _run(export, f"--checkpoint={pretrained}", "--version=1")


def test_embeddings_and_what_is_drawn(pretrained, photos):
    """The rows are the encoder's, in the order of the paths."""
    rows, names = _embed(pretrained, photos[1])
    assert {"index.csv", "neighbors.png", "tensorboard"} <= names
    assert {"neighbors.svg", "neighbors.pdf"} <= names
    assert not any("partial" in name for name in names)
    encoder = sk.load(str(pretrained)).encoder
    local = sorted(photos[0].rglob("*.png"))
    images = np.stack([np.asarray(Image.open(path)) for path in local])
    h = encoder(images / np.float32(255), training=False)
    np.testing.assert_allclose(rows, h, rtol=1e-4, atol=1e-5)


@pytest.mark.long
def test_all_as_on_a_disk(photos, tmp_path):
    """The same files, and every number of them, bit for bit."""
    found = []
    for data, root in zip(photos[::-1], (photos[1].parent, tmp_path)):
        run = _pretrain(data, root / "twice" / "first")
        names = {path.name for path in run.iterdir()}
        best = {path.name for path in (run / "checkpoints").iterdir()}
        linear = run.with_name("first_linear")
        results = _run(
            linear_eval,
            f"--checkpoint={run}",
            f"--dataset=folder:{data}",
            "--eval_split=train",
            "--train_batch_size=8",
            "--train_steps=3",
            "--verbose=0",
            f"--model_dir={linear}",
        )
        results.pop("dataset")
        version = _run(export, f"--checkpoint={linear}")
        served = tf.saved_model.load(str(version)).signatures["classify"]
        picture = (photos[0] / "a" / "0.png").read_bytes()
        served = served(encoded=tf.constant([picture]))
        found.append(
            (
                (names, best, _rows(run), results),
                _checkpoint(run, 4)[1],
                (served["class_names"].numpy().tolist(), _embed(run, data)[1]),
                (served["probabilities"].numpy(), _embed(run, data)[0]),
            )
        )
    ours, theirs = found
    assert ours[0] == theirs[0] and ours[2] == theirs[2]
    _assert_equal(ours[1], theirs[1])
    for a, b in zip(ours[3], theirs[3]):
        np.testing.assert_array_equal(a, b)


def test_a_file_of_weights_and_a_keras_file(tmp_path):
    encoder = sk.TinyResNet((4,))
    encoder(np.zeros((1, 16, 16, 3), np.float32))
    folder = paths.as_path(f"ram://{uuid.uuid4().hex}")
    encoder.save_weights(tmp_path / "e.weights.h5")
    encoder.save(tmp_path / "e.keras")
    for name in ("e.weights.h5", "e.keras"):
        (folder / name).write_bytes((tmp_path / name).read_bytes())
    keras.utils.set_random_seed(1)
    other = sk.TinyResNet((4,))
    other(np.zeros((1, 16, 16, 3), np.float32))
    sk.load(f"{folder}/e.weights.h5", encoder=other)
    loaded = sk.load(f"{folder}/e.keras").encoder
    for weights in (other.get_weights(), loaded.get_weights()):
        for a, b in zip(weights, encoder.get_weights()):
            np.testing.assert_array_equal(a, b)
    with pytest.raises(ValueError, match="none.weights.h5', which does not"):
        sk.load(f"{folder}/none.weights.h5", encoder=other)


@pytest.mark.parametrize(
    "command, argument",
    [
        (pretrain, "--model_dir=nowhere://bucket/run"),
        (pretrain, "--dataset=folder:nowhere://photos"),
        (pretrain, "--dataset=arrays:nowhere://photos.npz"),
        (pretrain, "--data_dir=nowhere://tfds"),
        (pretrain, "--flagfile=nowhere://flags.txt"),
        (linear_eval, "--checkpoint=nowhere://run"),
        (export, "--export_dir=nowhere://export"),
        (report, "--output=nowhere://page.html"),
        (embed, "--neighbors=nowhere://photo.jpg"),
    ],
)
def test_a_scheme_that_nobody_knows(command, argument):
    """Before any work: where the flags are read."""
    with pytest.raises(flags.Error, match="scheme that TensorFlow reads here"):
        command_line.parse(command.define_flags, [argument])
    assert not pathlib.Path("nowhere:").exists()


def test_a_cache_is_local(photos):
    argument = "--cache_dir=ram://cache"
    with pytest.raises(flags.Error, match="must be a local directory"):
        command_line.parse(pretrain.define_flags, [argument])
    with pytest.raises(ValueError, match="cache_dir must be a local directory"):
        sk.data.load(
            f"folder:{photos[1]}",
            image_size=16,
            batch_size=8,
            cache="disk",
            cache_dir="ram://cache",
        )
