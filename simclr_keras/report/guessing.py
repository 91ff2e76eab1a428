"""Computes the metrics of random guessing, for a line in the charts."""

from __future__ import annotations

import math

from simclr_keras import contrastive
from simclr_keras.report import curves
from simclr_keras.report.run_files import ReportedRun


def of_run(run: ReportedRun, kind: str) -> dict[str, float]:
    """Metrics that random guessing gives in a run.

    Args:
        run: the run.
        kind: result of `curves.kind_of`.

    Returns:
        Dict of column of `metrics.csv` -> value, for columns where it is known.
    """
    if kind == curves.PRETRAINING:
        return _of_pretraining(run.flags)
    if run.flags.get("task") == "regression":
        return {"loss": 1.0}  # the mean of the standardised targets
    classes = len(run.class_names or ())
    if classes < 2 or run.flags.get("task") == "multilabel":
        return {}
    return {"loss": math.log(classes), "accuracy": 1 / classes}


def _of_pretraining(flags):
    """Metrics of guessing the second view among those of the global batch."""
    try:
        images = int(flags["train_batch_size"])
        loss = contrastive.make_loss(
            flags["loss"], margin=float(flags["margin"])
        )
    except (KeyError, TypeError, ValueError):  # flags of another release
        return {}
    return {
        "loss": loss.random_guess(images),
        "contrastive_accuracy": 1 / images,
    }
