"""Commands with labels in a CSV file: classes, several labels, numbers."""

import csv
import json
import shutil

import keras
import numpy as np
import PIL.Image
import pytest
import tensorflow as tf

import simclr_keras as sk
from simclr_keras.commands import embed
from simclr_keras.commands import export
from simclr_keras.commands import finetune
from simclr_keras.commands import linear_eval
from simclr_keras.commands import pretrain
from simclr_keras.commands import study
from simclr_keras.commands.common import command_line
from simclr_keras.report import page

SMALL = ("--image_size=16", "--verbose=0")
DESCENT = ("--train_batch_size=16", "--learning_rate_scaling=none")


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Folder and table: red, blue, both or neither, and the level of green."""
    root = tmp_path_factory.mktemp("set") / "photos"
    root.mkdir()
    rng = np.random.default_rng(0)
    rows = [["file", "kind", "colors", "red", "blue", "green", "split"]]
    for k in range(64):
        red, blue, green = k % 2, k // 2 % 2, int(rng.integers(20, 220))
        color = (40 + 160 * red, green, 40 + 160 * blue)
        pixels = np.clip(color + rng.normal(0, 8, (16, 16, 3)), 0, 255)
        PIL.Image.fromarray(pixels.astype(np.uint8)).save(root / f"{k:02}.png")
        names = [name for name, x in (("red", red), ("blue", blue)) if x]
        row = [f"{k:02}.png", "warm" if red else "cold", "|".join(names)]
        split = "test" if k >= 48 else "train"
        rows.append([*row, red, blue, 1000 + 2 * green, split])
    with open(root.parent / "labels.csv", "w", newline="") as file:
        csv.writer(file).writerows(rows)
    return root


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """An encoder that gives mean colours."""
    images = keras.Input((None, None, 3))
    encoder = keras.Model(images, keras.layers.GlobalAveragePooling2D()(images))
    path = tmp_path_factory.mktemp("model") / "colors.keras"
    encoder.save(path)
    return path


def _data(photos, columns, task="classification"):
    return [
        f"--dataset=folder:{photos}",
        f"--labels={photos.parent / 'labels.csv'}",
        f"--label_columns={columns}",
        f"--task={task}",
    ]


def _evaluate(run, photos, checkpoint, directory, columns, task, *more):
    return run(
        linear_eval,
        *_data(photos, columns, task),
        f"--checkpoint={checkpoint}",
        f"--model_dir={directory}",
        *SMALL,
        *DESCENT,
        *more,
    )


def _rows(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_classes_of_a_table(run, photos, checkpoint, tmp_path, capsys):
    results = _evaluate(
        run,
        photos,
        checkpoint,
        tmp_path / "run",
        "kind",
        "classification",
        "--protocol=knn",
        "--knn_k=3",
    )
    assert results["accuracy"] > 0.8
    assert (results["labelled_images"], results["test_images"]) == (48, 16)
    assert "splits train, test; classes cold, warm" in capsys.readouterr().out
    assert "task" not in results


@pytest.mark.newest
# Probabilities of a linear layer on mean colours can tell both labels.
@pytest.mark.parametrize(
    "columns", ["colors", pytest.param("red,blue", marks=pytest.mark.long)]
)
@pytest.mark.parametrize("protocol", ["gradient", "cached"])
def test_several_labels(run, photos, checkpoint, tmp_path, columns, protocol):
    results = _evaluate(
        run,
        photos,
        checkpoint,
        tmp_path / "run",
        columns,
        "multilabel",
        f"--protocol={protocol}",
        "--train_epochs=20",
        "--learning_rate=1",
    )
    assert results["mean_average_precision"] == pytest.approx(1.0)
    assert results["task"] == "multilabel"
    rows = _rows(tmp_path / "run" / "labels.csv")
    names = ["blue", "red"] if columns == "colors" else ["red", "blue"]
    assert [row["label"] for row in rows] == names
    assert {row["images"] for row in rows} == {"8"}
    assert (tmp_path / "run" / "labels.png").exists()
    assert not (tmp_path / "run" / "confusion.csv").exists()


@pytest.mark.newest
@pytest.mark.parametrize("protocol", ["gradient", "cached"])
def test_numbers(run, photos, checkpoint, tmp_path, protocol):
    """The label is linear in the mean of green, whose noise is 8 / 16."""
    results = _evaluate(
        run,
        photos,
        checkpoint,
        tmp_path / "run",
        "green",
        "regression",
        f"--protocol={protocol}",
        "--train_epochs=60",
        "--learning_rate=0.1",
    )
    assert results["r2"] > 0.98
    assert results["rmse"] == pytest.approx(np.sqrt(results["mse"]), rel=1e-4)
    labels = np.array(
        [
            float(row["green"])
            for row in _rows(photos.parent / "labels.csv")
            if row["split"] == "test"
        ]
    )
    # In the units of the table, so R2 follows from the variance there.
    assert results["r2"] == pytest.approx(
        1 - results["mse"] / labels.var(), abs=1e-4
    )
    (row,) = _rows(tmp_path / "run" / "numbers.csv")
    assert row["number"] == "green"
    assert float(row["rmse"]) == pytest.approx(results["rmse"], rel=1e-4)


def test_numbers_have_defaults_of_their_own():
    """Which `flags.txt` has; what is given is kept."""
    define, table = finetune.define_flags, "--labels=x.csv"
    for arguments, expected in (
        ([], ("momentum", 0.05, "linear")),
        (["--task=multilabel"], ("momentum", 0.05, "linear")),
        (["--task=regression"], ("adam", 0.001, "none")),
        (["--task=regression", "--optimizer=lars"], ("lars", 0.001, "none")),
    ):
        flags = command_line.parse(define, [table, *arguments])
        rate = flags.learning_rate, flags.learning_rate_scaling
        assert (flags.optimizer, *rate) == expected
        assert f"--optimizer={expected[0]}\n" in flags.flags_text


def _tuned(run, photos, checkpoint, directory, columns, task, *more):
    return run(
        finetune,
        *_data(photos, columns, task),
        f"--checkpoint={checkpoint}",
        f"--model_dir={directory}",
        *SMALL,
        *DESCENT,
        *more,
    )


def test_numbers_are_served_in_their_units(
    run, photos, checkpoint, tmp_path, capsys
):
    """The statistics of the training are kept, and undone in the export."""
    directory = tmp_path / "run"
    results = _tuned(
        run,
        photos,
        checkpoint,
        directory,
        "green",
        "regression",
        "--train_epochs=60",
        "--learning_rate=0.1",
    )
    table = _rows(photos.parent / "labels.csv")
    green = np.array([float(row["green"]) for row in table])
    model = sk.load(directory).model
    np.testing.assert_allclose(model.target_mean, green[:48].mean(), rtol=1e-6)
    np.testing.assert_allclose(model.target_std, green[:48].std(), rtol=1e-6)
    path = run(export, f"--checkpoint={directory}")
    served = tf.saved_model.load(str(path)).signatures
    encoded = [(photos / row["file"]).read_bytes() for row in table[48:]]
    outputs = served["serve_encoded"](encoded=tf.constant(encoded))
    predictions = outputs["predictions"].numpy()
    mse = np.mean((predictions[:, 0] - green[48:]) ** 2)
    assert mse == pytest.approx(results["mse"], rel=1e-3)
    assert set(outputs) == {"embedding", "predictions"}
    assert "classify" not in served
    card = json.loads((path / "model_card.json").read_text())
    assert card["target_names"] == ["green"] and card["class_names"] is None
    assert "| green" in (path / "README.md").read_text()
    second = run(
        export, f"--checkpoint={path}", f"--export_dir={tmp_path / 'again'}"
    )
    card = json.loads((second / "model_card.json").read_text())
    assert card["target_names"] == ["green"]
    assert card["target_mean"] == pytest.approx(model.target_mean)


@pytest.mark.long
def test_several_numbers(run, photos, checkpoint, tmp_path):
    results = _tuned(
        run,
        photos,
        checkpoint,
        tmp_path / "run",
        "green,red",
        "regression",
        "--train_epochs=2",
        "--label_fraction=0.5",
    )
    assert results["labelled_images"] == 24
    wanted = {"rmse of green", "r2 of green", "rmse of red", "r2 of red"}
    assert wanted <= set(results)
    mean = (results["r2 of green"] + results["r2 of red"]) / 2
    assert results["mean_r2"] == pytest.approx(mean, abs=1e-5)


def test_several_labels_are_exported_and_reported(
    run, photos, checkpoint, tmp_path
):
    directory = tmp_path / "tuned"
    _tuned(
        run,
        photos,
        checkpoint,
        directory,
        "colors",
        "multilabel",
        "--train_epochs=3",
    )
    path = run(export, f"--checkpoint={directory}")
    card = json.loads((path / "model_card.json").read_text())
    assert card["class_names"] == ["blue", "red"]
    assert card["activation"] == "sigmoid"
    assert "2 labels, of which an image" in (path / "README.md").read_text()
    served = tf.saved_model.load(str(path)).signatures
    encoded = [(photos / "03.png").read_bytes()]
    outputs = served["classify"](encoded=tf.constant(encoded))
    assert set(outputs["class_names"].numpy()[0]) == {b"blue", b"red"}
    (tmp_path / "pre").mkdir()
    (tmp_path / "pre" / "flags.txt").write_text("--temperature=0.1\n")
    flags = directory / "flags.txt"
    flags.write_text(
        flags.read_text().replace(str(checkpoint), str(tmp_path / "pre"))
    )
    text = page.write(tmp_path / "pre").read_text()
    assert "mean_average_precision" in text
    assert "Average precision of each label: 2 labels, 16 images" in text
    curves = page.write(directory, tmp_path / "own.html").read_text()
    assert "Area under precision and recall" in curves


@pytest.mark.newest
def test_a_regression_resumes(run, photos, checkpoint, tmp_path):
    """Twice as long: the scale is in the checkpoint, and the same."""
    directory, arguments = tmp_path / "run", ("green", "regression")
    common = (run, photos, checkpoint, directory, *arguments)
    first = _tuned(*common, "--train_epochs=1")
    second = _tuned(*common, "--train_epochs=2")
    assert (first["steps"], second["steps"]) == (3, 6)


@pytest.mark.newest
def test_a_run_is_not_resumed_with_other_numbers(
    run, photos, checkpoint, tmp_path
):
    """The scale of its outputs is that of the numbers it was trained on."""
    table = tmp_path / "labels.csv"
    text = (photos.parent / "labels.csv").read_text()

    def tune(text, epochs):
        table.write_text(text)
        run(
            finetune,
            f"--dataset=folder:{photos}",
            f"--labels={table}",
            "--label_columns=green",
            "--task=regression",
            f"--checkpoint={checkpoint}",
            f"--model_dir={tmp_path / 'run'}",
            f"--train_epochs={epochs}",
            *SMALL,
            *DESCENT,
        )

    tune(text, 1)
    changed = text.splitlines()
    *row, green, split = changed[1].split(",")
    changed[1] = ",".join([*row, str(int(green) + 1000), split])
    with pytest.raises(ValueError, match="training images .* must not change"):
        tune("\n".join(changed), 2)
    # A run of an earlier release does not know its images.
    (tmp_path / "run" / "data.json").unlink()
    with pytest.raises(ValueError, match="target_mean.0: .* there, .* now"):
        tune("\n".join(changed), 2)


@pytest.fixture(scope="module")
def trained(photos, run, tmp_path_factory):
    """Function of columns and task that pre-trains; returns the directory."""

    def train(columns, task, *more):
        directory = tmp_path_factory.mktemp("runs") / "pre"
        results = run(
            pretrain,
            *_data(photos, columns, task),
            f"--model_dir={directory}",
            "--encoder=tiny",
            "--width_multiplier=0.125",
            "--train_batch_size=8",
            "--train_steps=3",
            "--knn_k=3",
            *SMALL,
            *more,
        )
        return results, directory

    return train


@pytest.mark.newest
def test_pretraining_heeds_the_splits(trained, capsys):
    """With a probe and kNN, by the classes of the table."""
    results, directory = trained("kind", "classification")
    assert results["train_images"] == 48 and "knn_accuracy" in results
    assert "probe_accuracy" in (directory / "metrics.csv").read_text()
    said = capsys.readouterr().out
    assert "simclr-linear-eval" in said and "--label_columns=kind" in said


@pytest.mark.long
@pytest.mark.newest
@pytest.mark.parametrize(
    "columns, task", [("colors", "multilabel"), ("green", "regression")]
)
def test_pretraining_does_without_other_labels(trained, columns, task, capsys):
    results, directory = trained(columns, task)
    assert results["train_images"] == 48 and "knn_accuracy" not in results
    assert "probe" not in (directory / "metrics.csv").read_text()
    said = capsys.readouterr().out
    assert "simclr-linear-eval" in said and f"--task={task}" in said


@pytest.mark.newest
def test_pretraining_without_labels(trained, capsys):
    results, _ = trained("", "classification")
    assert results["train_images"] == 48 and "knn_accuracy" not in results
    assert "simclr-embed" in capsys.readouterr().out


@pytest.mark.parametrize(
    "columns, task, header, cell, pictures",
    [
        ("kind", "classification", "label", "1", ()),
        (
            "colors",
            "multilabel",
            "label",
            "blue|red",
            ("--map", "--neighbors=random:2"),
        ),
        ("green", "regression", "green", None, ()),
    ],
)
def test_embeddings_come_with_their_labels(
    run,
    photos,
    checkpoint,
    tmp_path,
    capsys,
    columns,
    task,
    header,
    cell,
    pictures,
):
    directory = run(
        embed,
        *_data(photos, columns, task),
        f"--checkpoint={checkpoint}",
        f"--model_dir={tmp_path / 'run'}",
        "--projector",
        *pictures,
        *SMALL,
    )
    if pictures:  # frames and colours are of classes, which there are none of
        said = capsys.readouterr().out
        assert "Map of 48 images" in said and "of the class" not in said
        with PIL.Image.open(directory / "map.png") as picture:
            said = picture.info["Description"]
        assert "shown in their places" in said and "coloured" not in said
        assert (directory / "neighbors.png").exists()
    rows = _rows(directory / "index.csv")
    labels = [header, "class"] if task == "classification" else [header]
    assert list(rows[0]) == ["row", "id", *labels] and len(rows) == 48
    table = _rows(photos.parent / "labels.csv")
    expected = table[3]["green"] if cell is None else cell
    assert rows[3]["id"].endswith("/03.png")
    assert rows[3][header] == expected
    metadata = directory / "tensorboard" / "projector" / "metadata.tsv"
    said = {"kind": "warm", "colors": "blue|red", "green": expected}[columns]
    assert said in metadata.read_text().splitlines()[4]


@pytest.mark.newest
@pytest.mark.parametrize(
    "command, arguments, message",
    [
        (
            linear_eval,
            ["--task=multilabel", "--protocol=lbfgs"],
            "gradient, cached with --task=multilabel",
        ),
        (
            linear_eval,
            ["--task=regression", "--protocol=knn"],
            "gradient, cached with --task=regression",
        ),
        (
            linear_eval,
            ["--task=regression", "--predict=gray", "--protocol=cached"],
            "classification for --predict=gray",
        ),
        (
            finetune,
            ["--task=multilabel", "--class_weight=balanced"],
            "classification for --class_weight=balanced",
        ),
        (finetune, ["--task=regression"], "--labels must name a CSV file"),
        (finetune, ["--labels=y.csv"], "an existing CSV file.*'y.csv'"),
        (finetune, ["--split_column=x"], "Received: --split_column=x alone"),
        (pretrain, ["--labels=x.csv", "--dataset=shapes"], "any data set but"),
        (
            pretrain,
            [
                "--task=multilabel",
                "--labels=x.csv",
                "--dataset=folder:x",
                "--loss=supervised_contrastive",
            ],
            "classification for --loss=supervised",
        ),
        (
            study,
            ["--task=regression", "--study=loss", "--seeds=1"],
            "classification for a study",
        ),
    ],
)
def test_what_has_no_meaning_is_refused(
    run, tmp_path, monkeypatch, command, arguments, message
):
    """Before the checkpoint, which is not there, is looked for."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x.csv").write_text("file,label\na.png,b\n")
    if command in (linear_eval, finetune):
        arguments = [*arguments, f"--checkpoint={tmp_path / 'none'}"]
    with pytest.raises(ValueError, match=message):
        run(command, f"--model_dir={tmp_path / 'run'}", *arguments)
    assert not (tmp_path / "run").exists()


@pytest.mark.newest
def test_targets_that_cannot_be_learnt(
    run, photos, checkpoint, tmp_path, capsys
):
    """A constant number is refused; classes without images are named."""
    table = tmp_path / "labels.csv"
    shutil.copy(photos.parent / "labels.csv", table)
    rows = table.read_text().splitlines()
    lines = [rows[0] + ",same,rare"]
    lines += [
        f"{x},{7 + (k >= 48)},{int(k >= 48)}" for k, x in enumerate(rows[1:])
    ]
    table.write_text("\n".join(lines))

    def evaluate(columns, task):
        return run(
            linear_eval,
            f"--dataset=folder:{photos}",
            f"--labels={table}",
            f"--label_columns={columns}",
            f"--task={task}",
            f"--checkpoint={checkpoint}",
            "--protocol=cached",
            "--train_epochs=1",
            f"--model_dir={tmp_path / task}",
            *SMALL,
        )

    with pytest.raises(ValueError, match="same is 7 for all 48"):
        evaluate("same", "regression")
    assert not (tmp_path / "regression").exists()
    evaluate("red,rare", "multilabel")
    assert "1 of the 2 labels cannot be learnt" in capsys.readouterr().out
    evaluate("rare", "classification")
    said = capsys.readouterr().out
    assert "1 of the 2 classes cannot be learnt" in said and ": 1\n" in said
