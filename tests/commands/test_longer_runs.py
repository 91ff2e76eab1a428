"""`--train_epochs` and `--train_steps` that are raised make a run longer."""

import csv
import json

import numpy as np
import pytest

import simclr_keras as sk
from simclr_keras.commands import finetune
from simclr_keras.commands import pretrain

SMALL = (
    "--train_split=train[:32]",
    "--train_batch_size=8",
    "--image_size=16",
    "--optimizer=momentum",
    "--log_every=2",
    "--verbose=0",
)
TINY = (
    "--encoder=tiny",
    "--width_multiplier=0.125",
    "--num_proj_layers=2",
    "--eval_split=",
    "--nolineareval_while_pretraining",
    "--warmup_epochs=0",
)


def _rows(directory):
    with (directory / "metrics.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_pre_training_that_had_ended_goes_on(run, tmp_path, capsys):
    """From step 6, two into its second epoch, to step 10.

    With a rate of 0 the figures of a step are those of its images alone: they
    are the ones of a run that had 10 steps from the beginning. Its fit epochs
    are of 3 epochs, those of 6 steps of 2.
    """

    def steps(number, name):
        return run(
            pretrain,
            *SMALL,
            *TINY,
            f"--model_dir={tmp_path / name}",
            f"--train_steps={number}",
            "--learning_rate=0",
        )

    directory = tmp_path / "run"
    whole, first = steps(10, "whole"), steps(6, "run")
    capsys.readouterr()
    assert steps(10, "run") == whole
    assert (
        "step-00000006.npz (step 6, 6 steps into fit epoch 1). The run has 10"
        " steps now, 6 before; its learning rate goes on at 0.\n"
    ) in capsys.readouterr().out
    kept = (directory / "results.step-00000006.json").read_text()
    assert json.loads(kept) == first
    settings = sk.training.RunDirectory(directory).settings()
    assert settings["train_steps"] == "10"
    expected, rows = _rows(tmp_path / "whole"), _rows(directory)
    at = [(row["scope"], row["step"]) for row in rows]
    assert at.pop(3) == ("epoch", "6")
    assert at == [(row["scope"], row["step"]) for row in expected]
    del rows[3]
    for row, other in zip(rows[:-1], expected):  # the last: of the fit epoch
        for name in ("epoch", "loss", "contrastive_entropy"):
            assert float(row[name]) == pytest.approx(
                float(other[name]), rel=1e-4
            )
    with pytest.raises(ValueError, match="can only make a run longer"):
        steps(8, "run")
    assert steps(10, "run") == whole  # has ended
    assert "Finished already" in capsys.readouterr().out


@pytest.mark.long
@pytest.mark.newest
def test_a_run_that_its_checkpoint_refuses_stays_as_it_was(run, tmp_path):
    """The flags alone do not show that there are more images now."""
    images = np.random.default_rng(0).integers(0, 255, [32, 16, 16, 3])
    file, directory = tmp_path / "images.npy", tmp_path / "run"

    def epochs(number, images):
        np.save(file, images.astype(np.uint8))
        return run(
            pretrain,
            *SMALL,
            *TINY,
            f"--dataset=arrays:{file}",
            "--train_split=train",
            f"--train_epochs={number}",
            f"--model_dir={directory}",
        )

    first = epochs(1, images[:16])
    before = {
        path.name: path.read_bytes()
        for path in directory.glob("*.*")
        if path.suffix in (".json", ".txt", ".csv")
    }
    assert {"results.json", "flags.txt"} <= set(before)
    with pytest.raises(ValueError, match="total_steps"):
        epochs(2, images)
    assert before == {name: (directory / name).read_bytes() for name in before}
    assert not list(directory.glob("*before*"))
    assert epochs(1, images[:16]) == first


@pytest.mark.long
@pytest.mark.newest
def test_a_fine_tuning_goes_on(run, tmp_path, capsys):
    path = tmp_path / "encoder.keras"
    sk.TinyResNet((4,)).save(path)
    for epochs in (1, 2):
        results = run(
            finetune,
            *SMALL,
            f"--checkpoint={path}",
            f"--model_dir={tmp_path / 'run'}",
            "--eval_split=test[:8]",
            f"--train_epochs={epochs}",
        )
    assert results["steps"] == 8
    said = "The run has 8 steps now, 4 before; its learning rate goes on at"
    assert said in capsys.readouterr().out
    assert (tmp_path / "run" / "results.step-00000004.json").exists()
