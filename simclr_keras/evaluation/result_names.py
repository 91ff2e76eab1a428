"""Says what kind of figure a result is, by its name in `results.json`."""

from __future__ import annotations

SHARE, SCORE, LOSS, ERROR = "share", "score", "loss", "error"
_SHARES = ("accuracy", "average_precision")
_KINDS = {
    "top5": SHARE,
    "r2": SCORE,
    "mean_r2": SCORE,
    "loss": LOSS,
    "mse": ERROR,
    "rmse": ERROR,
    "mae": ERROR,
}


def kind_of(name: str) -> str | None:
    """The kind of a result.

    Args:
        name: such as `"knn_accuracy"`, `"mean_r2"` or `"rmse of age"`.

    Returns:
        `SHARE`, in [0, 1], or `SCORE`, of both of which more is better; `LOSS`,
        or `ERROR`, in the units of the labels, of which less is better; or None
        for what is no measure of quality.
    """
    figure = name.split(" of ")[0]
    if any(share in figure for share in _SHARES):
        return SHARE
    return _KINDS.get(figure)
