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
    """h: brightness and how much channels differ; a head that forgets all."""
    path = tmp_path_factory.mktemp("model") / "simclr.keras"
    differences = np.array([[1, 0, -1], [-1, 1, 0], [0, -1, 1]], np.float32)
    mean = np.full([3, 1], 1 / 3, np.float32)
    kernel = np.concatenate([differences, -differences, mean], axis=1)
    encoder = keras.Sequential(
        [
            keras.Input((None, None, 3)),
            keras.layers.Conv2D(7, 1, use_bias=False, activation="relu"),
        ]
    )
    encoder.set_weights([kernel[None, None]])
    head = sk.ProjectionHead("linear", out_dim=4)
    model = sk.SimCLR(encoder, head, sk.TwoViews(16))
    head.dense_layers[0].set_weights([np.zeros([7, 4], np.float32)])
    model.save(path)
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
def test_grey_is_told_from_features(checkpoint, run, tmp_path, protocol):
    """A guess is right for half of 100, with a deviation of 5 %."""
    results = _predict(
        run,
        checkpoint,
        tmp_path / "run",
        f"--protocol={protocol}",
        "--predict=gray",
        "--knn_k=10",
        "--train_batch_size=20",
        *SHAPES,
    )
    assert results["accuracy"] > 0.9
    assert results["predicted"] == "gray"
    assert results["labelled_images"] == 200
    names = (tmp_path / "run" / "class_names.txt").read_text()
    assert names == "colour\ngrey\n"
    rows = (tmp_path / "run" / "confusion.csv").read_text().splitlines()
    assert rows[0] == "class,colour,grey"
    (a, b), (c, d) = (map(int, row.split(",")[1:]) for row in rows[1:])
    assert a + b + c + d == 100
    assert (a + d) / 100 == results["accuracy"]
    mean = (a / (a + b) + d / (c + d)) / 2
    assert results["mean_per_class_accuracy"] == pytest.approx(mean, abs=1e-6)


@pytest.mark.newest
def test_labels_are_not_needed_and_z_may_have_forgotten(
    checkpoint, run, tmp_path
):
    pixels = data.open_source("shapes", "train[:300]").images
    np.savez(tmp_path / "set.npz", x_train=pixels[:200], x_test=pixels[200:])
    found = {}
    for layer, selector in (("h", 0), ("z", -1)):
        found[layer] = _predict(
            run,
            checkpoint,
            tmp_path / layer,
            f"--dataset=arrays:{tmp_path / 'set.npz'}",
            "--protocol=lbfgs",
            "--predict=gray",
            f"--ft_proj_selector={selector}",
        )["accuracy"]
    assert found["h"] > 0.9 and abs(found["z"] - 0.5) < 0.25


@pytest.mark.newest
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--predict=noise"], "--predict=noise, --protocol=gradient"),
        (
            ["--predict=noise", "--protocol=knn", "--label_fraction=0.5"],
            "--label_fraction=0.5",
        ),
        (
            ["--class_weight=balanced", "--protocol=knn"],
            "--class_weight=balanced, --protocol=knn",
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
