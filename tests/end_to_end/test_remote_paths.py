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
from simclr_keras.commands import cli
from simclr_keras.commands import embed
from simclr_keras.commands import export
from simclr_keras.commands import linear_eval
from simclr_keras.commands import pretrain
from simclr_keras.commands import report

SMALL = (
    "--encoder=tiny",
    "--width_multiplier=0.25",
    "--image_size=16",
    "--train_batch_size=8",
    "--train_steps=6",
    "--checkpoint_steps=2",
    "--log_every=2",
    "--learning_rate=0.1",
    "--knn_k=5",
    "--verbose=0",
)


def _run(command, *arguments):
    return command.run(cli.parse(command.define_flags, arguments))


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
def pretrained(photos, tmp_path_factory):
    """Run directories of one pre-training, local and in ram://."""
    here = photos[1].parent / "runs" / "first"
    there = tmp_path_factory.mktemp("runs") / "first"
    for data, directory in zip(photos[::-1], (here, there)):
        arguments = [f"--dataset=folder:{data}", f"--model_dir={directory}"]
        _run(pretrain, *SMALL, "--eval_split=", *arguments)
    return here, there


def test_pretraining_is_that_on_a_disk(pretrained):
    """The same files, and every number of them."""
    here, there = pretrained
    for folder in ("", "checkpoints"):
        names = [
            {path.name for path in (root / folder).iterdir()}
            for root in pretrained
        ]
        assert names[0] == names[1]
    _assert_equal(_checkpoint(here, 6)[1], _checkpoint(there, 6)[1])
    assert _rows(here) == _rows(there) and len(_rows(here)) > 3
    events = [path.name for path in (here / "tensorboard").iterdir()]
    assert any("tfevents" in name for name in events)
    assert not pathlib.Path("ram:").exists()


def test_it_resumes(pretrained, photos, capsys):
    """From a checkpoint in the middle, to the same end."""
    here, _ = pretrained
    path, last = _checkpoint(here, 6)
    rows = _rows(here)
    path.unlink()
    for name in ("results.json", "checkpoints/best.npz"):
        (here / name).unlink(missing_ok=True)
    data = f"--dataset=folder:{photos[1]}"
    arguments = [data, f"--model_dir={here}", "--eval_split="]
    _run(pretrain, *SMALL, *arguments)
    assert f"Resumed from {here}/checkpoints/step-00000004" in (
        capsys.readouterr().out
    )
    _assert_equal(_checkpoint(here, 6)[1], last)
    assert _rows(here) == rows
    # Its own flags, read from where they are.
    _run(pretrain, f"--flagfile={here}/flags.txt")
    assert "Finished already" in capsys.readouterr().out


def test_another_run_is_refused(pretrained, photos):
    here, _ = pretrained
    data = f"--dataset=folder:{photos[1]}"
    with pytest.raises(ValueError, match="temperature: 0.1 there, 0.5 now"):
        _run(
            pretrain,
            *SMALL,
            data,
            f"--model_dir={here}",
            "--eval_split=",
            "--temperature=0.5",
        )


@pytest.fixture(scope="module")
def evaluated(pretrained, photos):
    """Linear evaluation of it, its export, and what it says of images."""
    runs = []
    for data, run in zip(photos[::-1], pretrained):
        directory = run.with_name("first_linear")
        results = _run(
            linear_eval,
            f"--checkpoint={run}",
            f"--dataset=folder:{data}",
            "--eval_split=train",
            "--protocol=gradient",
            "--train_batch_size=8",
            "--train_steps=3",
            "--verbose=0",
            f"--model_dir={directory}",
        )
        runs.append((directory, results))
    return runs


def test_evaluation_export_and_load(evaluated, photos):
    (here, ours), (there, theirs) = evaluated
    assert ours == {**theirs, "dataset": ours["dataset"]}
    version = _run(export, f"--checkpoint={here}")
    assert str(version) == f"{here}/export/1"
    # What was made aside is gone.
    assert [path.name for path in (here / "export").iterdir()] == ["1"]
    picture = (photos[0] / "a" / "0.png").read_bytes()
    served = tf.saved_model.load(str(version)).signatures["classify"]
    served = served(encoded=tf.constant([picture]))
    assert sorted(served["class_names"][0].numpy()) == [b"a", b"b"]

    loaded = [sk.load(str(path)) for path in (version, here, there)]
    weights = [each.model.get_weights() for each in loaded]
    for a, b, c in zip(*weights):
        np.testing.assert_array_equal(a, c)
        np.testing.assert_array_equal(b, c)
    assert loaded[0].settings["checkpoint"] if False else True
    with pytest.raises(ValueError, match="version must be a new one"):
        _run(export, f"--checkpoint={here}", "--version=1")


def test_embeddings_and_what_is_drawn(pretrained, photos):
    arrays = []
    for data, run in zip(photos[::-1], pretrained):
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
        arrays.append(
            np.load(io.BytesIO((directory / "embeddings.npy").read_bytes()))
        )
    np.testing.assert_array_equal(*arrays)
    assert len(arrays[0]) == 24
    names = {path.name for path in directory.iterdir()}
    here = pretrained[0].with_name("first_embeddings")
    assert {path.name for path in here.iterdir()} == names


def test_report(evaluated, pretrained):
    """With the run beside it that began with it."""
    here, _ = pretrained
    page = _run(report, str(here))
    assert str(page) == f"{here}/report.html"
    assert "first_linear" in page.read_text()
    copy = here.parent / "copy.html"
    assert _run(report, str(here), f"--output={copy}") == copy
    assert copy.read_text() == page.read_text()


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
        cli.parse(command.define_flags, [argument])
    assert not pathlib.Path("nowhere:").exists()


def test_a_cache_is_local(photos):
    argument = "--cache_dir=ram://cache"
    with pytest.raises(flags.Error, match="must be a local directory"):
        cli.parse(pretrain.define_flags, [argument])
    with pytest.raises(ValueError, match="cache_dir must be a local directory"):
        sk.data.load(
            f"folder:{photos[1]}",
            image_size=16,
            batch_size=8,
            cache="disk",
            cache_dir="ram://cache",
        )
