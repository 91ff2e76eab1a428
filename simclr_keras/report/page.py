"""Gathers what a run directory holds and renders it as one web page."""

from __future__ import annotations

import base64
import io
import json

from PIL import Image

from simclr_keras import paths
from simclr_keras import training
from simclr_keras.report import charts
from simclr_keras.report import run_files
from simclr_keras.report import templates

# Figures of `metrics.csv` that share a chart, as far as they are there.
_CURVES = (
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
    ("map.png", "Images in a plane by their embeddings"),
)
# A linear classifier on raw pixels, which the quick start leaves there.
_PIXELS = "raw_pixels.json"
# Results that say what was done, not how well.
_SETTINGS = {
    "dataset",
    "image_size",
    "images",
    "k",
    "l2",
    "labelled_images",
    "layer",
    "numbers",
    "parameters",
    "predicted",
    "split",
    "steps",
    "test_images",
    "train_images",
}


def write(
    directory: paths.PathLike, output: paths.PathLike | None = None
) -> paths.AnyPath:
    """Writes the report of a pre-training.

    Its charts are also written as files, in `<name of the page>_figures`
    beside the page.

    Args:
        directory: its run directory. Other runs beside it whose checkpoint it
            is, such as evaluations and embeddings, are part of the report.
        output: path of the page. Defaults to `report.html` in the directory.

    Returns:
        Path object of the page.

    Raises:
        ValueError: there is no run in the directory.
    """
    run = run_files.open_run(directory)
    output = paths.as_path(output or run.path / "report.html", "output")
    figures = output.with_name(f"{output.stem}_figures")
    runs = [run, *_related(run)]
    rows = run_files.metrics_rows(run, "epoch")
    curves = [_chart(rows, figures, *each) for each in _CURVES]
    health = [_chart(rows, figures, *each) for each in _HEALTH]
    results = run.finished()
    html = templates.render(
        "page.html",
        title=f"SimCLR: {run.path.resolve().name}",
        summary=None if results is None else list(results.items()),
        evaluations=_evaluations(runs),
        curve_charts=list(filter(None, curves)),
        pictures=_pictures(runs),
        health_charts=list(filter(None, health)),
        figures=figures.name if any(curves + health) else None,
        timing=list(run_files.timing(run).items()),
        settings=[
            (each.path.name, list(each.settings().items())) for each in runs
        ],
    )
    training.write_whole(output, html)
    return output


def _related(run):
    """Returns the runs beside a run that began with it, sorted by name."""
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
    """Whether a checkpoint, perhaps relative to a folder above, is of a run."""
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


def _evaluations(runs):
    """Returns how well each run did, a row for each figure of its results."""
    rows = []
    for run in runs:
        results = run.finished() or {}
        from_scratch = run.settings().get("from_scratch") == "true"
        for name, value in results.items():
            if name in _SETTINGS:
                continue
            predicted = results.get("predicted")
            rows.append(
                [
                    run.path.name,
                    results.get("labelled_images"),
                    "scratch" if from_scratch else "",
                    f"{name} ({predicted})" if predicted else name,
                    run_files.figure_text(name, value),
                ]
            )
    pixels = runs[0].path.resolve().parent / _PIXELS
    if pixels.is_file():
        accuracy = json.loads(pixels.read_text())["accuracy"]
        row = [
            pixels.stem,
            None,
            "",
            "accuracy",
            run_files.figure_text("accuracy", accuracy),
        ]
        rows.append(row)
    return rows


def _chart(rows, folder, title, *columns):
    """Draws columns of the metrics in one chart, see `charts.write`."""
    series = {name: run_files.points(rows, name) for name in columns}
    series = {name: points for name, points in series.items() if points}
    return charts.write(title, series, folder)


def _pictures(runs):
    """Returns the pictures of the runs as the template takes them."""
    pictures = []
    for name, caption in _PICTURES:
        for run in runs:
            path = run.path / name
            if not path.is_file():
                continue
            content = path.read_bytes()
            caption_of_run = f"{caption} ({run.path.name})."
            pictures.append(
                {
                    "alt": _description(content) or caption_of_run,
                    "caption": caption_of_run,
                    "data": base64.b64encode(content).decode(),
                    "pixels": name == "views.png",
                }
            )
    return pictures


def _description(png):
    """Returns the description in a PNG file, as `plots.save` writes it."""
    try:
        with Image.open(io.BytesIO(png)) as image:
            return image.info.get("Description")
    except OSError:  # the browser says so too
        return None
