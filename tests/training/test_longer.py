"""A run that has begun, or ended, becomes longer, and never shorter."""

import json

import numpy as np
import pytest

import simclr_keras as sk
from simclr_keras import compat
from simclr_keras.models.fit_position import FitPosition
from simclr_keras.training import RunDirectory
from simclr_keras.training import checkpointing
from simclr_keras.training.progress import Progress


def _rate(step, peak, warmup, total):
    """The schedule of the paper's code, appendix B.6, in plain Python."""
    if step < warmup:
        return peak * step / warmup
    return peak * (1 + np.cos(np.pi * (step - warmup) / (total - warmup))) / 2


def test_fit_goes_on_with_the_longer_schedule(
    pretraining, make_simclr, tmp_path, capsys
):
    """Two epochs of four steps, of a schedule of 16; then it has 32."""

    def longer(total, epochs):
        model = make_simclr()
        schedule = sk.WarmupCosine(0.05, warmup_steps=2, total_steps=total)
        model.compile(sk.LARS(schedule), model.loss)
        model.fit(
            pretraining.data(),
            epochs=epochs,
            callbacks=sk.training.callbacks(tmp_path, log_every=2),
            verbose=0,
        )
        return model

    longer(16, 2)
    capsys.readouterr()
    model = longer(32, 3)
    rate = _rate(8, 0.05, 2, 32)
    assert (
        f"(step 8). The run has 32 steps now, 16 before; its learning rate goes"
        f" on at {rate:.6g}.\n"
    ) in capsys.readouterr().out
    assert int(compat.as_numpy(model.optimizer.iterations)) == 12
    longer(32, 4)  # from now on it is the run's
    assert "The run has" not in capsys.readouterr().out
    with pytest.raises(ValueError, match="total_steps: 32 there, 16 now"):
        longer(16, 5)


def test_more_images_are_no_longer_run(pretraining, make_simclr, tmp_path):
    """Other steps by other data are other settings, as they were."""
    pretraining.fit(tmp_path)
    model = make_simclr()
    model.compile(sk.LARS(sk.WarmupCosine(0.05, 2, 32)), model.loss)
    images = sk.data.load(np.zeros((64, 16, 16, 3), np.uint8), batch_size=8)
    with pytest.raises(ValueError, match="total_steps: 16 there, 32 now"):
        model.fit(images, callbacks=sk.training.callbacks(tmp_path), verbose=0)


@pytest.mark.newest
def test_more_images_are_no_longer_run_of_an_earlier_release(
    pretraining, make_simclr, tmp_path, monkeypatch, capsys
):
    """Which did not note the steps of its epochs."""
    noted = Progress.notes

    def then(self):
        notes = noted(self)
        del notes["steps_per_epoch"]
        return notes

    with monkeypatch.context() as release:
        release.setattr(Progress, "notes", then)
        pretraining.fit(tmp_path)

    def longer(images):
        model = make_simclr()
        model.compile(sk.LARS(sk.WarmupCosine(0.05, 2, 32)), model.loss)
        data = sk.data.load(
            np.zeros((images, 16, 16, 3), np.uint8), batch_size=8
        )
        callbacks = sk.training.callbacks(tmp_path)
        model.fit(data, epochs=5, callbacks=callbacks, verbose=0)

    with pytest.raises(ValueError, match="total_steps: 16 there, 32 now"):
        longer(images=64)
    capsys.readouterr()
    longer(images=32)
    assert "The run has 32 steps now, 16 before" in capsys.readouterr().out


@pytest.mark.parametrize(
    "step, round_, within, there, here, place",
    [
        (8, 2, 0, 1, 1, (2, 0)),
        (6, 1, 2, 1, 1, (1, 2)),
        (6, 2, 0, 1, 1, (1, 2)),  # ended two steps into its last epoch
        (6, 1, 0, 2, 3, (0, 6)),  # the same of a fit epoch of two epochs
        (40, 5, 0, 2, 7, (1, 12)),
        (44, 5, 4, 1, 2, (5, 4)),  # of a release that noted 1, however grouped
        (4, 1, 0, 1, 2, (0, 4)),
        (108, 2, 0, 1, 1, (2, 0)),  # after 100 steps of another `fit`
    ],
)
def test_the_place_in_fit_epochs_of_a_longer_run(
    step, round_, within, there, here, place
):
    """By hand, with four steps in an epoch."""
    position = FitPosition(
        starts_within=True, epochs_per_fit_epoch=here, steps_per_epoch=4
    )
    progress = Progress(position)
    progress.restore(
        {
            "step": step,
            "epoch": round_,
            "step_in_epoch": within,
            "epochs_per_round": there,
        }
    )
    assert progress.regroup() == (place != (round_, within))
    assert (progress.fit_epoch, progress.step_in_fit_epoch) == place
    assert progress.epochs_per_fit_epoch == here


def _flags(epochs, steps=0, temperature=1):
    return (
        f"--temperature={temperature}\n--train_epochs={epochs}\n"
        f"--train_steps={steps}\n"
    )


def _steps(flags):
    return int(flags["train_steps"]) or 4 * int(flags["train_epochs"])


@pytest.fixture
def ended(tmp_path, make_simclr):
    """`RunDirectory` of a run that has ended after 8 steps."""
    run = RunDirectory(tmp_path / "run")
    run.claim(_flags(2))
    model = make_simclr()
    model.build_state()
    checkpointing.write(run.checkpoints, checkpointing.pack(model, {"step": 8}))
    run.write_results({"steps": 8, "knn_accuracy": 0.5}, {"seconds": 1.0})
    return run


def test_what_a_run_that_had_ended_has_left_is_kept(ended):
    for longer in (_flags(2, 9), _flags(3)):
        before = ended.flags.read_text()
        ended.claim(longer, steps=_steps)
        assert ended.has_new_flags and ended.flags.read_text() == before
        ended.write_new_flags()
        assert ended.finished() is None
        assert ended.flags.read_text() == longer
        results = {"steps": _steps(ended.settings()), "knn_accuracy": 0.6}
        ended.write_results(results, {})
    names = {path.name for path in ended.path.glob("*.*")}
    assert names == {
        "flags.txt",
        "flags.before.txt",
        "flags.before-2.txt",
        "results.json",
        "results.step-00000008.json",
        "results.step-00000009.json",
        "timing.json",
        "timing.step-00000008.json",
        "timing.step-00000009.json",
    }
    kept = (ended.path / "results.step-00000008.json").read_text()
    assert json.loads(kept) == {"steps": 8, "knn_accuracy": 0.5}
    assert (ended.path / "flags.before.txt").read_text() == _flags(2)
    assert (ended.path / "flags.before-2.txt").read_text() == before


@pytest.mark.parametrize(
    "flags, message",
    [
        (_flags(1), "Received: 4 steps .--train_epochs=1. .* has 8"),
        (_flags(2, 7), "Received: 7 steps .--train_steps=7. .* has 8"),
        (_flags(2, 8), "--train_steps: 0 there, 8 now"),  # not longer
        (_flags(3, 0, 2), "--temperature: 1 there, 2 now"),
    ],
)
def test_a_run_becomes_neither_shorter_nor_another(ended, flags, message):
    files = {p: p.read_bytes() for p in ended.path.rglob("*") if p.is_file()}
    with pytest.raises(ValueError, match=message):
        ended.claim(flags, steps=_steps)
    with pytest.raises(ValueError, match="run of other settings"):
        ended.claim(flags)
    assert files == {
        p: p.read_bytes() for p in ended.path.rglob("*") if p.is_file()
    }


def test_without_a_checkpoint_no_run_goes_on(ended):
    checkpointing.checkpoints(ended.checkpoints)[0].unlink()
    with pytest.raises(ValueError, match="only become longer from an intact"):
        ended.claim(_flags(3), steps=_steps)
    assert ended.finished() is not None
