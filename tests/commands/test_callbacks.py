"""`--callbacks`: the user's Keras callbacks in the commands."""

import csv
import json
import sys

import pytest

from simclr_keras.commands import finetune
from simclr_keras.commands import linear_eval
from simclr_keras.commands import pretrain

_MODULE = """
import json
import pathlib

import keras

NUMBER = 3


class Note(keras.callbacks.Callback):
    def __init__(self, path, learning_rate):
        super().__init__()
        self.path, self.rate, self.rows = pathlib.Path(path), learning_rate, []

    def on_epoch_end(self, epoch, logs=None):
        row = {name: float(value) for name, value in logs.items()}
        self.rows.append({"epoch": epoch, **row})
        logs["added"] = 7.0
        self.path.write_text(json.dumps([self.rate, self.rows]))


def note(flags):
    return Note(flags["model_dir"] + "/note.json", flags["learning_rate"])


def stop_early(flags):
    # Nothing rises by 10: the second fit epoch without progress is the last.
    return [
        keras.callbacks.EarlyStopping(
            "loss", mode="max", min_delta=10.0, patience=1
        )
    ]


def restore(flags):
    return keras.callbacks.EarlyStopping("loss", restore_best_weights=True)


def backup(flags):
    return keras.callbacks.BackupAndRestore(flags["model_dir"] + "/backup")


def text(flags):
    return "a callback"
"""
_FLAGS = (
    "--dataset=shapes",
    "--train_split=train[:256]",
    "--train_batch_size=8",
    "--image_size=16",
    "--optimizer=momentum",
    "--learning_rate=0.01",
    "--warmup_epochs=0",
    "--verbose=0",
)
_PRETRAIN = (
    *_FLAGS,
    "--encoder=tiny",
    "--width_multiplier=0.125",
    "--num_proj_layers=2",
    "--train_epochs=5",
)


@pytest.fixture
def module(tmp_path, monkeypatch):
    """A module of the user, in the current directory."""
    (tmp_path / "my_callbacks.py").write_text(_MODULE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delitem(sys.modules, "my_callbacks", raising=False)
    return "my_callbacks"


@pytest.mark.newest
def test_they_see_the_flags_and_the_evaluations_and_add_to_the_logs(
    run, module, tmp_path
):
    directory = tmp_path / "run"
    run(
        pretrain,
        *_PRETRAIN,
        "--train_epochs=2",
        "--eval_every_epochs=1",
        "--eval_split=test[:40]",
        f"--callbacks={module}:note",
        f"--model_dir={directory}",
    )
    rate, rows = json.loads((directory / "note.json").read_text())
    assert rate == 0.01
    assert [row["epoch"] for row in rows] == [0, 1]
    assert {"loss", "knn_accuracy", "val_loss"} <= set(rows[0])
    with (directory / "metrics.csv").open(newline="") as file:
        written = list(csv.DictReader(file))
    assert float(written[-1]["added"]) == 7.0
    assert float(written[-1]["knn_accuracy"]) == pytest.approx(
        rows[-1]["knn_accuracy"]
    )


@pytest.mark.newest
def test_early_stopping_ends_a_run(run, module, tmp_path, capsys):
    """After the first 32 of 160 steps, 32 more show no progress."""
    command = (*_PRETRAIN, "--eval_split=", f"--model_dir={tmp_path / 'run'}")
    results = run(pretrain, *command, f"--callbacks={module}:stop_early")
    assert results["steps"] == 64
    assert (tmp_path / "run" / "checkpoints" / "step-00000064.npz").exists()
    # It has ended, with or without the callback.
    capsys.readouterr()
    assert run(pretrain, *command) == results
    assert "Finished already" in capsys.readouterr().out


@pytest.mark.long
def test_fine_tuning_takes_several(run, module, pretrained, tmp_path):
    results = run(
        finetune,
        *_FLAGS,
        "--eval_split=test[:20]",
        f"--checkpoint={pretrained[0]}",
        "--train_epochs=3",
        f"--callbacks={module}:note",
        f"--callbacks={module}:stop_early",
        f"--model_dir={tmp_path / 'run'}",
    )
    assert results["steps"] == 64
    _, rows = json.loads((tmp_path / "run" / "note.json").read_text())
    assert len(rows) == 2


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("{module}", "must be PACKAGE.MODULE:FUNCTION"),
        ("{module}:", "must be PACKAGE.MODULE:FUNCTION"),
        ("not_there:note", "ModuleNotFoundError: No module named 'not_there'"),
        ("{module}:nothing", "must name a function of the module"),
        ("{module}:NUMBER", "must name a function of the module"),
    ],
)
def test_a_wrong_name_is_refused_before_the_run_begins(
    run, module, tmp_path, name, error
):
    name = name.format(module=module)
    with pytest.raises(ValueError, match=error):
        run(
            pretrain,
            *_PRETRAIN,
            f"--callbacks={name}",
            f"--model_dir={tmp_path / 'run'}",
        )
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("function", "error"),
    [
        ("text", "which returned 'a callback'"),
        ("restore", r"checkpoints/best\.npz"),
        ("backup", "must not resume the training"),
    ],
)
def test_what_they_return_is_checked_before_training(
    run, module, tmp_path, function, error
):
    with pytest.raises(ValueError, match=error):
        run(
            pretrain,
            *_PRETRAIN,
            f"--callbacks={module}:{function}",
            f"--model_dir={tmp_path / 'run'}",
        )
    assert not (tmp_path / "run" / "metrics.csv").exists()


def test_they_are_refused_where_nothing_is_trained(
    run, module, pretrained, tmp_path
):
    with pytest.raises(ValueError, match="--callbacks must be left out"):
        run(
            linear_eval,
            "--dataset=shapes",
            f"--checkpoint={pretrained[0]}",
            "--protocol=knn",
            f"--callbacks={module}:note",
            f"--model_dir={tmp_path / 'run'}",
        )
