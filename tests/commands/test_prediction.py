"""simclr-linear-eval --predict: what was done to an image, from features."""

import json

import keras
import numpy as np
import pytest

import simclr_keras as sk
from simclr_keras import data
from simclr_keras.commands import linear_eval
from simclr_keras.report import page

SMALL = ("--image_size=16", "--eval_batch_size=64", "--train_epochs=20")
SHAPES = ("--train_split=train[:200]", "--eval_split=test[:100]")


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """An untrained pre-training with a head that sees one direction of h."""
    path = tmp_path_factory.mktemp("model") / "simclr.keras"
    keras.utils.set_random_seed(0)
    sk.SimCLR(
        sk.TinyResNet((8, 8, 16)),
        sk.ProjectionHead("linear", out_dim=1),
        sk.TwoViews(16),
    ).save(path)
    return path


def _predict(run, checkpoint, directory, *arguments):
    return run(
        linear_eval,
        f"--checkpoint={checkpoint}",
        f"--model_dir={directory}",
        *SMALL,
        *arguments,
    )


@pytest.mark.parametrize("protocol", ["cached", "lbfgs", "mlp", "knn"])
def test_edges_are_told_from_features(checkpoint, run, tmp_path, protocol):
    """A guess is right for half of 100, with a deviation of 5 %."""
    results = _predict(
        run,
        checkpoint,
        tmp_path / "run",
        f"--protocol={protocol}",
        "--predict=sobel",
        "--knn_k=10",
        *SHAPES,
    )
    assert results["accuracy"] > 0.9
    assert results["predicted"] == "sobel"
    assert results["labelled_images"] == 200
    names = (tmp_path / "run" / "class_names.txt").read_text()
    assert names == "original\nSobel\n"


@pytest.mark.newest
def test_grey_is_told_from_images_without_labels(checkpoint, run, tmp_path):
    """And less well from the one number that the head leaves of h."""
    pixels = data.open_source("shapes", "train[:300]").images
    np.savez(tmp_path / "set.npz", x_train=pixels[:200], x_test=pixels[200:])
    found = {}
    for selector in (0, -1):
        found[selector] = _predict(
            run,
            checkpoint,
            tmp_path / str(selector),
            f"--dataset=arrays:{tmp_path / 'set.npz'}",
            "--protocol=lbfgs",
            "--predict=gray",
            f"--ft_proj_selector={selector}",
        )["accuracy"]
    assert found[0] > 0.8 and found[-1] < found[0] - 0.1


@pytest.mark.newest
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--predict=noise"], "--predict=noise, --protocol=gradient"),
        (
            ["--predict=noise", "--protocol=knn", "--label_fraction=0.5"],
            "--label_fraction=0.5",
        ),
    ],
)
def test_what_has_no_meaning_is_refused(run, tmp_path, arguments, message):
    """Before the checkpoint, which is not there, is looked for."""
    with pytest.raises(ValueError, match=message):
        _predict(run, tmp_path / "none", tmp_path / "run", *arguments)
    assert not (tmp_path / "run").exists()


@pytest.mark.newest
def test_a_report_says_what_was_predicted(tmp_path):
    flags = {
        "pre": "--temperature=0.1\n",
        "noise": f"--protocol=knn\n--checkpoint={tmp_path / 'pre'}\n",
    }
    for name, text in flags.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "flags.txt").write_text(text)
    results = {"labelled_images": 9, "predicted": "noise", "accuracy": 0.75}
    (tmp_path / "noise" / "results.json").write_text(json.dumps(results))
    text = page.write(tmp_path / "pre").read_text()
    assert "accuracy (noise)" in text and "75.00%" in text
