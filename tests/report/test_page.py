"""Charts of short runs, and random guessing as a line in them."""

import html
import re

import pytest

from simclr_keras import training
from simclr_keras.report import page

pytestmark = pytest.mark.newest


def _charts(run):
    """What the alternative texts of the page's charts say."""
    text = page.write(run.path).read_text(encoding="utf-8")
    return [
        html.unescape(alt) for alt in re.findall('<img alt="([^"]*)"', text)
    ]


def _run(path, flags, rows):
    run = training.RunDirectory(path)
    run.claim("".join(f"--{k}={v}\n" for k, v in flags.items()))
    run.metrics.write_text(rows)
    return run


def test_a_run_of_one_epoch_has_the_points_of_its_steps(tmp_path):
    """And random guessing among 16 images: log 31 nats, 1 in 16."""
    run = _run(
        tmp_path / "pre",
        {"train_batch_size": 16, "loss": "nt_xent", "margin": 0.8},
        "scope,epoch,step,loss,contrastive_accuracy\n"
        "steps,0,5,4.0,0.1\nsteps,0,10,3.0,0.2\nepoch,0,10,3.5,0.15\n",
    )
    assert _charts(run) == [
        "Contrastive loss: loss from 4 at step 5 to 3 at step 10; random"
        " guessing gives 3.434.",
        "Accuracy of picking the partner: contrastive_accuracy from 0.1 at"
        " step 5 to 0.2 at step 10; random guessing gives 0.0625.",
    ]


def test_guessing_among_classes_is_known_by_their_names(tmp_path):
    """Of four: log 4 nats, one in four."""
    rows = "scope,epoch,step,loss,accuracy\nepoch,0,5,1.0,0.5\n"
    run = _run(tmp_path / "linear", {"dataset": "shapes"}, rows)
    run.write_class_names(["a", "b", "c", "d"])
    loss, accuracy = _charts(run)
    assert loss.endswith("random guessing gives 1.386.")
    assert accuracy.endswith("random guessing gives 0.25.")


def test_without_the_flags_no_guess_is_known(tmp_path):
    rows = "scope,epoch,step,loss,z_std\nepoch,0,5,1.0,0.5\n"
    run = _run(tmp_path / "pre", {"dataset": "shapes"}, rows)
    assert not any("guessing" in text for text in _charts(run))
