"""Lists the columns of `metrics.csv` that the pages draw as curves."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from collections.abc import Mapping

PRETRAINING, CLASSIFIER = "pre-training", "classifier"


@dataclasses.dataclass(frozen=True)
class Curve:
    """A metric that is drawn over the steps.

    Attributes:
        column: its column of `metrics.csv`.
        title: title of its chart.
        of: kind of runs that log it, `PRETRAINING` or `CLASSIFIER`; None for
            both. The loss has one entry for each: over pairs of views, and over
            classes.
        beside: column in whose chart the page of one run draws it; None: it has
            a chart to itself.
        is_health: whether it shows a collapse of z.
        is_compared: whether the page that compares runs shows it.
    """

    column: str
    title: str
    of: str | None = PRETRAINING
    beside: str | None = None
    is_health: bool = False
    is_compared: bool = True


CURVES = (
    Curve("loss", "Contrastive loss"),
    Curve("val_loss", "Contrastive loss of held-out images", beside="loss"),
    Curve("contrastive_accuracy", "Accuracy of picking the partner"),
    Curve("probe_accuracy", "Accuracy of the probe"),
    Curve(
        "val_probe_accuracy",
        "Accuracy of the probe on held-out images",
        beside="probe_accuracy",
    ),
    Curve("knn_accuracy", "kNN accuracy"),
    Curve("effective_rank", "Effective rank of z", is_health=True),
    Curve(
        "z_std", "Standard deviation of z", is_health=True, is_compared=False
    ),
    Curve("alignment", "Alignment", is_health=True, is_compared=False),
    Curve("uniformity", "Uniformity", is_health=True, is_compared=False),
    Curve("loss", "Training loss", CLASSIFIER),
    Curve("accuracy", "Training accuracy", CLASSIFIER),
    Curve("auc_pr", "Area under precision and recall", CLASSIFIER),
    Curve("rmse", "Training RMSE", CLASSIFIER),
    Curve("learning_rate", "Learning rate", None),
)


# Columns that only a pre-training logs.
_OF_PRETRAINING = {
    curve.column
    for curve in CURVES
    if curve.of == PRETRAINING
    and curve.column not in ("loss", "val_loss", "knn_accuracy")
}


def kind_of(rows: Iterable[Mapping[str, str]]) -> str:
    """`PRETRAINING` or `CLASSIFIER`, by the columns of `metrics.csv`."""
    if any(_OF_PRETRAINING & row.keys() for row in rows):
        return PRETRAINING
    return CLASSIFIER


def charts_of_run(kind: str, is_health: bool) -> list[tuple[str, list[str]]]:
    """Charts on the page of one run.

    Args:
        kind: result of `kind_of`.
        is_health: whether to list the curves that show a collapse, or the
            others.

    Returns:
        Pairs of a title and the columns that are drawn in one chart.
    """
    charts = {}
    for curve in CURVES:
        if curve.of in (None, kind) and curve.is_health == is_health:
            first = curve.beside or curve.column
            title, columns = charts.setdefault(first, (curve.title, []))
            columns.append(curve.column)
    return list(charts.values())
