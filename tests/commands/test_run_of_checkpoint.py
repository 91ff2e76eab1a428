"""A checkpoint inside a run directory belongs to that run."""

import json
import pathlib

import pytest

import simclr_keras as sk
from simclr_keras import compat
from simclr_keras import training
from simclr_keras.commands import export
from simclr_keras.commands.common import command_line
from simclr_keras.report import page
from simclr_keras.training import checkpointing


@pytest.fixture
def run(tmp_path):
    """A classifier's run: checkpoints, names of classes, flags and results."""
    model = sk.Classifier(sk.TinyResNet((4,)), 2, image_size=16)
    model.compile("sgd", loss="sparse_categorical_crossentropy")
    compat.build_optimizer(model.optimizer, model.trainable_variables)
    run = training.RunDirectory(tmp_path / "run")
    run.claim("--train_epochs=7\n")
    packed = checkpointing.pack(model, {"step": 3})
    checkpointing.write(run.checkpoints, packed, best=True)
    (run.path / "class_names.txt").write_text("cat\ndog\n")
    run.write_results({"dataset": "shapes", "accuracy": 0.5}, {})
    return run


def _export(*arguments):
    return export.run(command_line.parse(export.define_flags, arguments))


@pytest.mark.newest
def test_export_keeps_names_and_card(run, tmp_path):
    """Of the run's directory, a checkpoint in it, and of an export of it."""
    made = _export(f"--checkpoint={run.path}", "--license=MIT")
    assert made == run.export / "1"
    _check_card(made, "saved_model")
    for number, name in enumerate(("best.npz", "step-00000003.npz"), start=1):
        path = run.checkpoints / name
        other = _export(
            f"--checkpoint={path}", "--format=tflite", "--license=MIT"
        )
        assert other == run.path / "export_tflite" / str(number)
        _check_card(other, "tflite")
    (run.path / "results.json").unlink()
    (run.path / "class_names.txt").unlink()
    elsewhere = f"--export_dir={tmp_path / 'other'}"
    made = _export(f"--checkpoint={made}", "--format=tflite", elsewhere)
    assert made == tmp_path / "other" / "1"
    _check_card(made, "tflite")


def _check_card(folder, name):
    card = json.loads((folder / "model_card.json").read_text())
    assert card["format"] == name
    assert card["class_names"] == ["cat", "dog"]
    assert card["data"] == {"dataset": "shapes"}
    assert card["metrics"] == {"accuracy": 0.5}
    assert card["run"] == {"train_epochs": "7"}
    assert card["license"] == "MIT"


def test_paths_of_a_run(run, tmp_path, monkeypatch):
    inside = [
        run.path,
        run.checkpoints,
        run.checkpoints / "best.npz",
        run.checkpoints / "step-00000001.npz",  # no longer there
        run.path / "class_names.txt",
        run.export / "1",
        run.path / "export_onnx" / "2",
    ]
    for path in inside:
        assert training.find_run(path).path == run.path
    monkeypatch.chdir(run.checkpoints)
    found = training.find_run(pathlib.Path("best.npz"))
    assert found.path.resolve() == run.path.resolve()
    outside = [
        tmp_path,
        tmp_path / "encoder.keras",
        run.path / "nothing",
        run.path / "models" / "encoder.keras",
    ]
    assert [training.find_run(path) for path in outside] == [None] * 4
    with pytest.raises(ValueError, match="lies in none"):
        model = tmp_path / "encoder.keras"
        sk.TinyResNet((4,)).save(model)
        _export(f"--checkpoint={model}", "--image_size=16")


def test_report_has_the_runs_that_began_with_a_checkpoint(run):
    """By an absolute path, or relative to where the command was given."""
    flags = {
        "absolute": run.checkpoints / "best.npz",
        "relative": "run/checkpoints/best.npz",
        "old": "run/checkpoints/step-00000001.npz",
        "foreign": "another/checkpoints/best.npz",
    }
    for name, checkpoint in flags.items():
        other = training.RunDirectory(run.path.parent / name)
        other.claim(f"--checkpoint={checkpoint}\n")
        other.write_results({"accuracy": len(name) / 100}, {})
    html = page.write(run.path).read_text()
    for name in ("absolute", "relative", "old"):
        assert f"<td>{name}</td>" in html
        assert f"{len(name)}.00%" in html
    assert "<td>foreign</td>" not in html
