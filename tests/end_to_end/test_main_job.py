"""Pretrain, evaluate, fine-tune, embed, export: the commands together."""

import csv
import json
import pathlib
import shutil
import types

import numpy as np
import pytest
from PIL import Image

import simclr_keras as sk
from simclr_keras import data
from simclr_keras.commands import embed
from simclr_keras.commands import export
from simclr_keras.commands import finetune
from simclr_keras.commands import linear_eval
from simclr_keras.commands import pretrain
from simclr_keras.commands.common import input_data

SERVE = pathlib.Path(__file__).with_name("served.py")
# Flags that the test of all flags does not use: other encoders and protocols.
RESNET = {"resnet_depth", "se_ratio", "sk_ratio", "stem"}
NEIGHBOURS = {"knn_k", "knn_temperature"}
SMALL = ["--train_split=train[:512]", "--eval_split=test[:128]", "--verbose=0"]


def _results(directory):
    return json.loads((directory / "results.json").read_text())


def _features(model, split):
    """h and labels of a split of the embedded set, as `embed` gives them."""
    source = data.open_source("shapes", split)
    return np.asarray(model.embed(source.images)), source.labels


def _knn(train, test, k, temperature=0.1):
    """Accuracy of weighted neighbours (Wu et al. 2018), row by row."""
    (bank, labels), (queries, truth) = train, test
    bank = bank / np.linalg.norm(bank, axis=1, keepdims=True)
    queries = queries / np.linalg.norm(queries, axis=1, keepdims=True)
    right = 0
    for query, label in zip(queries, truth):
        similarity = bank @ query
        nearest = np.argsort(-similarity)[:k]
        weights = np.exp(similarity[nearest] / temperature)
        votes = np.bincount(labels[nearest], weights, minlength=10)
        right += votes.argmax() == label
    return right / len(truth)


def test_run_directory_holds_everything(pretrained):
    directory, _ = pretrained
    results = _results(directory)
    names = {path.name for path in directory.iterdir()}
    assert names == {
        "flags.txt",
        "data.json",
        "environment.json",
        "checkpoints",
        "tensorboard",
        "metrics.csv",
        "results.json",
        "timing.json",
        "views.png",
    }
    assert results["steps"] == 70
    rows = list(csv.DictReader((directory / "metrics.csv").open()))
    last = [row for row in rows if row["scope"] == "epoch"][1]
    assert float(last["knn_accuracy"]) > 0
    assert float(last["val_loss"]) > 0
    assert float(last["learning_rate"]) > 0
    with Image.open(directory / "views.png") as picture:
        assert picture.size[0] > 300
    assert _size_on_resuming(directory) == 32


def _size_on_resuming(directory):
    """Image size of a run that goes on with images of another default."""
    flags = types.SimpleNamespace(image_size=0, model_dir=directory)
    images = data.open_source(np.zeros([1, 64, 64, 3], np.uint8))
    return input_data.image_size(flags, images)


def test_knn_of_the_results_is_that_of_the_embeddings(pretrained):
    """By a loop over the test images; one of 128 may fall the other way."""
    directory, _ = pretrained
    model = sk.load(directory).model
    train, test = (_features(model, s) for s in ("train[:512]", "test[:128]"))
    expected = _knn(train, test, k=200)
    found = _results(directory)["knn_accuracy"]
    assert abs(found - expected) < 1.5 / 128


def test_the_same_command_returns_the_results_it_has(pretrained, run, capsys):
    directory, arguments = pretrained
    assert run(pretrain, *arguments) == _results(directory)
    assert "Finished already" in capsys.readouterr().out


def test_other_settings_in_the_same_directory_are_refused(pretrained, run):
    _, arguments = pretrained
    with pytest.raises(ValueError, match="--temperature: 0.2 there, 0.3 now"):
        run(pretrain, *arguments, "--temperature=0.3")


def test_interrupted_run_ends_like_an_uninterrupted_one(
    pretrained, run, tmp_path
):
    """Stopped after two of three epochs by taking its last files away."""
    directory, arguments = pretrained
    target = tmp_path / "again"
    arguments = [*arguments, f"--model_dir={target}"]
    shutil.copytree(directory, target)
    for name in ("results.json", "timing.json"):
        (target / name).unlink()
    sorted((target / "checkpoints").glob("step-*"))[-1].unlink()
    assert run(pretrain, *arguments) == _results(directory)
    assert (target / "metrics.csv").read_text() == (
        directory / "metrics.csv"
    ).read_text()


def _linear_eval(run, pretrained, directory, protocol, *more):
    results = run(
        linear_eval,
        f"--checkpoint={pretrained[0]}",
        f"--model_dir={directory}",
        f"--protocol={protocol}",
        "--train_epochs=2",
        "--label_fraction=0.5",
        f"--ft_proj_selector={0 if protocol in ('cached', 'lbfgs') else -1}",
        *SMALL,
        *more,
    )
    assert results["labelled_images"] == 26 * 10  # rounded, per class
    return results


@pytest.mark.parametrize("protocol", ["cached", "lbfgs"])
def test_linear_evaluation_on_features(pretrained, run, tmp_path, protocol):
    """Judged on images of which half were trained on: far above guessing.

    One of ten guessed right, 512 times, has a standard deviation of 1.3 %.
    """
    more = ("--eval_split=train[:512]", "--train_epochs=30")
    results = _linear_eval(run, pretrained, tmp_path / "run", protocol, *more)
    assert results["accuracy"] > 0.25


def test_linear_evaluation_by_neighbours(pretrained, run, tmp_path):
    """Of z, with the labels that the same seed draws; by the loop above."""
    results = _linear_eval(run, pretrained, tmp_path / "run", "knn")
    model = sk.load(pretrained[0]).model
    source = data.open_source("shapes", "train[:512]")
    source = data.label_subset(source, 0.5, seed=0)
    train = model(source.images)["z"].numpy(), source.labels
    source = data.open_source("shapes", "test[:128]")
    test = model(source.images)["z"].numpy(), source.labels
    expected = _knn(train, test, results["k"])
    assert abs(results["accuracy"] - expected) < 1.5 / 128


def _accuracy_of(directory):
    """On the test images, of the model that a command has left."""
    model = sk.load(directory).model
    source = data.open_source("shapes", "test[:128]")
    return np.mean(model(source.images).numpy().argmax(1) == source.labels)


def test_linear_evaluation_by_gradient(pretrained, run, tmp_path):
    results = _linear_eval(run, pretrained, tmp_path / "run", "gradient")
    expected = _accuracy_of(tmp_path / "run")
    assert abs(results["accuracy"] - expected) < 1.5 / 128


@pytest.mark.parametrize(
    "extra",
    [
        pytest.param(["--from_scratch"], marks=pytest.mark.long),
        ["--fine_tune_after_block=2", "--ft_proj_selector=1"],
    ],
)
def test_fine_tuning_then_export_and_serving(
    pretrained, run, fork, tmp_path, extra
):
    tuned = tmp_path / "run"
    results = run(
        finetune,
        f"--checkpoint={pretrained[0]}",
        f"--model_dir={tuned}",
        "--train_epochs=2",
        "--color_jitter_strength=0.5",
        *SMALL,
        *extra,
    )
    assert results["accuracy"] <= results["top5"]
    assert _size_on_resuming(tuned) == 32
    with pytest.raises(ValueError, match="left out, as in the training"):
        run(export, f"--checkpoint={tuned}", "--pixel_range=0,4095")
    target = run(export, f"--checkpoint={tuned}")
    assert target == tuned / "export" / "1"
    card = json.loads((target / "model_card.json").read_text())
    names = card["class_names"]
    assert names[:2] == ["disc", "ring"] and len(names) == 10
    assert card["data"]["dataset"] == "shapes"
    assert card["metrics"]["accuracy"] == results["accuracy"]
    assert card["run"]["train_epochs"] == "2"
    assert "model_dir" not in card["run"]
    assert sk.load(tuned).settings["model_dir"] == str(tuned)
    assert sk.load(target).settings == card["run"]
    images = data.open_source("shapes", "test[:5]").images
    np.save(tmp_path / "images.npy", images)
    server = fork(SERVE, [target.resolve(), tmp_path])
    assert server.wait() == 0, server.text()[-3000:]
    served = np.load(tmp_path / "out.npz")
    assert abs(results["accuracy"] - _accuracy_of(tuned)) < 1.5 / 128
    model = sk.load(tuned).model
    np.testing.assert_allclose(
        served["probabilities"], model(images).numpy(), atol=1e-5
    )
    np.testing.assert_allclose(
        served["embedding"], model.embed(images).numpy(), rtol=1e-4, atol=1e-5
    )


def test_embeddings_stand_in_the_order_of_their_index(
    pretrained, run, tmp_path
):
    path = run(
        embed,
        f"--checkpoint={pretrained[0]}",
        f"--model_dir={tmp_path / 'embed'}",
        "--split=test[:50]",
        "--precision=auto",
        "--verbose=0",
    )
    h = np.load(path / "embeddings.npy")
    rows = list(csv.DictReader((path / "index.csv").open()))
    source = data.open_source("shapes", "test[:50]")
    assert [int(row["label"]) for row in rows] == list(source.labels)
    expected = sk.load(pretrained[0]).model.embed(source.images[:4])
    np.testing.assert_allclose(h[:4], expected, rtol=1e-3, atol=1e-4)


@pytest.mark.long
@pytest.mark.parametrize(
    "command, elsewhere",
    [(pretrain, RESNET), (linear_eval, NEIGHBOURS), (finetune, set())],
)
@pytest.mark.newest
def test_no_flag_is_left_unread(
    pretrained, noted_run, tmp_path, command, elsewhere
):
    """A flag that is defined and not handed on is read by nothing.

    `cli.start` reads `--verbose_tensorflow`, before a command runs.
    """
    more = [f"--checkpoint={pretrained[0]}"]
    if command is pretrain:
        more = ["--encoder=tiny", "--width_multiplier=0.25", "--knn_k=5"]
    _, unread = noted_run(
        command,
        f"--model_dir={tmp_path / 'run'}",
        "--train_split=train[:32]",
        "--eval_split=test[:32]",
        "--train_batch_size=8",
        "--train_epochs=1",
        "--verbose=0",
        *more,
    )
    assert unread == elsewhere | {"verbose_tensorflow"}


def test_preview_writes_a_picture_and_stops(run, tmp_path):
    result = run(
        pretrain,
        f"--model_dir={tmp_path / 'preview'}",
        "--train_batch_size=16",
        "--train_split=train[:64]",
        "--preview_views",
    )
    assert pathlib.Path(result["views"]).exists()
    assert not (tmp_path / "preview" / "checkpoints").exists()


@pytest.mark.parametrize(
    "command, arguments, message",
    [
        (pretrain, [], "--model_dir must name"),
        (pretrain, ["--train_batch_size=20000"], "20000"),
        (pretrain, ["--train_split=nonsense"], "nonsense"),
        (linear_eval, ["--seed=1"], "--checkpoint must name"),
        (finetune, ["--checkpoint=/nowhere"], "does not exist"),
        (finetune, ["--eval_split="], "--eval_split must name"),
        (export, [], "--checkpoint must name"),
    ],
)
def test_errors_come_before_any_work(
    run, tmp_path, command, arguments, message
):
    target = tmp_path / "run"
    if arguments:
        arguments = [f"--model_dir={target}", *arguments]
    with pytest.raises(ValueError, match=message):
        run(command, *arguments)
    assert not target.exists()
