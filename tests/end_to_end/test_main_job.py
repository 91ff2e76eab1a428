"""Pretrain, evaluate, fine-tune, embed, export: the commands together."""

import csv
import json
import pathlib
import shutil
import subprocess
import sys

import keras
import numpy as np
import pytest
from PIL import Image

import simclr_keras as sk
from simclr_keras import data
from simclr_keras.commands import cli
from simclr_keras.commands import embed
from simclr_keras.commands import export
from simclr_keras.commands import finetune
from simclr_keras.commands import linear_eval
from simclr_keras.commands import pretrain

ROOT = pathlib.Path(__file__).resolve().parents[2]
SMALL = ["--train_split=train[:512]", "--eval_split=test[:128]", "--verbose=0"]


@pytest.fixture(autouse=True)
def _default_policy():
    yield
    keras.mixed_precision.set_global_policy("float32")


def _run(command, *arguments):
    return command.run(cli.parse(command.define_flags, arguments))


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory):
    """A run of the quick start's recipe, shortened to three short epochs."""
    directory = tmp_path_factory.mktemp("runs") / "pretrain"
    recipe = ROOT / "flags" / "shapes" / "pretrain.flags"
    arguments = [
        f"--flagfile={recipe}",
        f"--model_dir={directory}",
        *SMALL,
        "--train_batch_size=16",
        "--train_steps=70",
        "--checkpoint_epochs=1",
        "--eval_every_epochs=2",
        "--log_every=10",
    ]
    results = _run(pretrain, *arguments)
    return directory, results, arguments


def test_run_directory_holds_everything(pretrained):
    directory, results, _ = pretrained
    names = {path.name for path in directory.iterdir()}
    assert names == {
        "flags.txt",
        "checkpoints",
        "tensorboard",
        "metrics.csv",
        "results.json",
        "timing.json",
        "views.png",
    }
    assert json.loads((directory / "results.json").read_text()) == results
    assert results["steps"] == 70
    assert 0 <= results["knn_accuracy"] <= 1
    rows = list(csv.DictReader((directory / "metrics.csv").open()))
    last = [row for row in rows if row["scope"] == "epoch"][1]
    assert 0 <= float(last["knn_accuracy"]) <= 1
    assert float(last["val_loss"]) > 0
    assert float(last["learning_rate"]) > 0
    with Image.open(directory / "views.png") as picture:
        assert picture.size[0] > 300


def test_the_same_command_returns_the_results_it_has(pretrained, capsys):
    _, results, arguments = pretrained
    assert _run(pretrain, *arguments) == results
    assert "Finished already" in capsys.readouterr().out


def test_other_settings_in_the_same_directory_are_refused(pretrained):
    _, _, arguments = pretrained
    with pytest.raises(ValueError, match="--temperature: 0.2 there, 0.3 now"):
        _run(pretrain, *arguments, "--temperature=0.3")


def test_interrupted_run_ends_like_an_uninterrupted_one(pretrained, tmp_path):
    """Stopped after two of three epochs by taking its last files away."""
    directory, results, arguments = pretrained
    target = tmp_path / "again"
    arguments = [*arguments, f"--model_dir={target}"]
    shutil.copytree(directory, target)
    for name in ("results.json", "timing.json"):
        (target / name).unlink()
    sorted((target / "checkpoints").glob("step-*"))[-1].unlink()
    assert _run(pretrain, *arguments) == results
    assert (target / "metrics.csv").read_text() == (
        directory / "metrics.csv"
    ).read_text()


@pytest.mark.parametrize("protocol", ["gradient", "cached", "knn", "lbfgs"])
def test_linear_evaluation(pretrained, tmp_path, protocol):
    results = _run(
        linear_eval,
        f"--checkpoint={pretrained[0]}",
        f"--model_dir={tmp_path / protocol}",
        f"--protocol={protocol}",
        "--train_epochs=2",
        "--label_fraction=0.5",
        f"--ft_proj_selector={0 if protocol == 'cached' else -1}",
        *SMALL,
    )
    assert results["labelled_images"] == 26 * 10  # rounded, per class
    assert 0 <= results["accuracy"] <= 1


@pytest.mark.parametrize(
    "extra",
    [
        ["--from_scratch"],
        ["--fine_tune_after_block=2", "--ft_proj_selector=1"],
    ],
)
def test_fine_tuning_then_export_and_serving(pretrained, tmp_path, extra):
    run = tmp_path / "run"
    results = _run(
        finetune,
        f"--checkpoint={pretrained[0]}",
        f"--model_dir={run}",
        "--train_epochs=2",
        "--color_jitter_strength=0.5",
        *SMALL,
        *extra,
    )
    assert 0 <= results["accuracy"] <= 1 and "top5" in results
    target = _run(export, f"--checkpoint={run}")
    assert target == run / "export" / "1"
    card = json.loads((target / "model_card.json").read_text())
    names = card["class_names"]
    assert names[:2] == ["disc", "ring"] and len(names) == 10
    assert card["data"]["dataset"] == "shapes"
    assert card["metrics"]["accuracy"] == results["accuracy"]
    assert card["run"]["train_epochs"] == "2"
    assert "model_dir" not in card["run"]
    assert sk.load(run).settings["model_dir"] == str(run)
    assert sk.load(target).settings == card["run"]
    images = data.open_source("shapes", "test[:5]").images
    np.save(tmp_path / "images.npy", images)
    code = """
import numpy as np, sys, tensorflow as tf
serve = tf.saved_model.load(sys.argv[1]).signatures["serving_default"]
out = serve(tf.constant(np.load("images.npy")))
np.savez("out.npz", **{name: value.numpy() for name, value in out.items()})
assert "simclr_keras" not in sys.modules
"""
    subprocess.run(
        [sys.executable, "-c", code, str(target.resolve())],
        check=True,
        cwd=tmp_path,
    )
    served = np.load(tmp_path / "out.npz")
    from simclr_keras import training

    model = training.load_model(run)
    np.testing.assert_allclose(
        served["probabilities"], model(images).numpy(), atol=1e-5
    )
    np.testing.assert_allclose(
        served["embedding"], model.embed(images).numpy(), rtol=1e-4, atol=1e-5
    )


def test_embeddings_stand_in_the_order_of_their_index(pretrained, tmp_path):
    from simclr_keras import training

    path = _run(
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
    model = training.load_model(pretrained[0])
    expected = model.embed(source.images[:4])
    np.testing.assert_allclose(h[:4], expected, rtol=1e-3, atol=1e-4)


def test_preview_writes_a_picture_and_stops(tmp_path):
    result = _run(
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
def test_errors_come_before_any_work(tmp_path, command, arguments, message):
    target = tmp_path / "run"
    if arguments:
        arguments = [f"--model_dir={target}", *arguments]
    with pytest.raises(ValueError, match=message):
        _run(command, *arguments)
    assert not target.exists()
