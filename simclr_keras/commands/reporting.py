"""A run directory -> one web page that says everything of the run."""

import csv
import json
import math

from simclr_keras import paths
from simclr_keras import training
from simclr_keras.evaluation import html

# Figures of `metrics.csv` that share a chart, as far as they are there.
_CHARTS = (
    ("Contrastive loss", "loss", "val_loss"),
    ("Accuracy of picking the partner", "contrastive_accuracy"),
    ("Accuracy of the probe", "probe_accuracy", "val_probe_accuracy"),
    ("kNN accuracy", "knn_accuracy"),
    ("Learning rate", "learning_rate"),
)
_HEALTH = (
    ("Effective rank of z", "effective_rank"),
    ("Standard deviation of z", "z_std"),
    ("Alignment", "alignment"),
    ("Uniformity", "uniformity"),
)
_PICTURES = (
    ("views.png", "Images and the two views of each that were contrasted"),
    ("neighbors.png", "Queries and the images most similar to them"),
    ("map.png", "Images in a plane by their embeddings, coloured by class"),
)
# A linear classifier on raw pixels, which the quick start leaves there.
_PIXELS = "raw_pixels.json"
# Results that say what was done, not how well.
_SETTINGS = {
    "dataset",
    "image_size",
    "images",
    "labelled_images",
    "layer",
    "numbers",
    "parameters",
    "split",
    "steps",
    "test_images",
    "train_images",
}


def write(directory, output=None):
    """Writes the report of a pre-training.

    Args:
        directory: its run directory. Other runs beside it whose checkpoint it
            is, such as evaluations and embeddings, are part of the report.
        output: path of the page. Defaults to `report.html` in the directory.

    Returns:
        Path object of the page.

    Raises:
        ValueError: there is no run in the directory.
    """
    run = training.RunDirectory(directory)
    if not run.flags.is_file():
        raise ValueError(
            "the report is that of a run directory. Received:"
            f" {str(directory)!r}, which has no {run.flags.name}"
        )
    related = _related(run)
    parts = [
        _summary(run),
        _evaluations(run, related),
        _curves(run, "Curves", _CHARTS),
        _pictures([run, *related]),
        _curves(run, "Health of the representation", _HEALTH),
        _timing(run),
        _settings([run, *related]),
    ]
    page = html.page(f"SimCLR: {run.path.resolve().name}", filter(None, parts))
    output = paths.as_path(output or run.path / "report.html", "output")
    training.write_whole(output, page)
    return output


def _related(run):
    """Runs beside a run that began with it, in the order of their names."""
    found = []
    for folder in sorted(run.path.resolve().parent.iterdir()):
        other = training.RunDirectory(folder)
        try:
            checkpoint = other.settings().get("checkpoint")
        except (OSError, ValueError):  # not one of ours
            continue
        if checkpoint and _same(checkpoint, run.path, folder):
            found.append(other)
    return found


def _same(checkpoint, path, folder):
    """Whether a checkpoint, perhaps relative to a folder above, is a run's."""
    try:
        checkpoint, path = paths.as_path(checkpoint), path.resolve()
    except ValueError:  # of a file system that this process does not know
        return False
    if paths.is_remote(checkpoint) or paths.is_remote(folder):
        bases = [checkpoint]
    else:
        above = [folder] if checkpoint.is_absolute() else folder.parents
        bases = [base / checkpoint for base in above]
    found = filter(None, map(training.find_run, bases))
    return path in [run.path.resolve() for run in found]


def _summary(run):
    results = run.finished()
    if results is None:
        return "<p>The run has not ended; this is what there is so far.</p>"
    return html.table(list(results.items()))


def _evaluations(run, related):
    """How well, one line for each evaluation that has ended."""
    rows = []
    for each in [run, *related]:
        results = each.finished() or {}
        settings = each.settings()
        figures = {k: v for k, v in results.items() if k not in _SETTINGS}
        for name, value in figures.items():
            if isinstance(value, float):
                part = "accuracy" in name or name == "top5"
                value = f"{value:.2%}" if part else f"{value:.4g}"
            rows.append(
                [
                    each.path.name,
                    results.get("labelled_images"),
                    "scratch" if settings.get("from_scratch") == "true" else "",
                    name,
                    value,
                ]
            )
    pixels = run.path.resolve().parent / _PIXELS
    if pixels.is_file():
        accuracy = json.loads(pixels.read_text())["accuracy"]
        row = [pixels.stem, None, "", "accuracy", f"{accuracy:.2%}"]
        rows.append(row)
    if not rows:
        return ""
    header = ["run", "labels", "from", "figure", "value"]
    return html.section("Evaluations", html.table(rows, header))


def _rows(run):
    """Rows of `metrics.csv` that end an epoch, numbers where they are."""
    if not run.metrics.is_file():
        return []
    with run.metrics.open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["scope"] == "epoch"]
    return [
        {k: float(v) for k, v in row.items() if v and k != "scope"}
        for row in rows
    ]


def _curves(run, title, wanted):
    rows = _rows(run)
    charts = []
    for name, *keys in wanted:
        series = {
            key: [
                (row["step"], row[key])
                for row in rows
                if math.isfinite(row.get(key, math.nan))
            ]
            for key in keys
        }
        series = {key: line for key, line in series.items() if line}
        if series:
            charts.append(html.chart(name, series, "step"))
    return html.section(title, html.charts(charts)) if charts else ""


def _pictures(runs):
    parts = []
    for name, caption in _PICTURES:
        for run in runs:
            path = run.path / name
            if path.is_file():
                said = f"{caption} ({run.path.name})."
                parts.append(html.picture(path.read_bytes(), said))
    return html.section("Pictures", *parts) if parts else ""


def _timing(run):
    if not run.timing.is_file():
        return ""
    figures = json.loads(run.timing.read_text())
    return html.section("Time", html.table(list(figures.items())))


def _settings(runs):
    parts = []
    for run in runs:
        rows = list(run.settings().items())
        parts.append(
            f"<details><summary>{html.text(run.path.name)}</summary>"
            f"{html.table(rows)}</details>"
        )
    return html.section("Configuration", *parts)
