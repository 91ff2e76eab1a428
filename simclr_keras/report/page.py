"""Gathers the contents of a run directory and renders them as a web page."""

from __future__ import annotations

import base64
import io
import itertools
import json

from PIL import Image

from simclr_keras import paths
from simclr_keras import training
from simclr_keras.report import charts
from simclr_keras.report import curves
from simclr_keras.report import guessing
from simclr_keras.report import run_files
from simclr_keras.report import templates

_PICTURES = (
    ("views.png", "Images and the two views of each that were contrasted"),
    ("neighbors.png", "Queries and the images most similar to them"),
    ("map.png", "Images in a plane by their embeddings"),
    ("confusion.png", "Classes in rows, what they were taken for in columns"),
    ("labels.png", "Average precision of each label on the held-out images"),
    ("numbers.png", "Predictions for the held-out images over true values"),
)
# Accuracy of a linear classifier on raw pixels, written by the quick start.
_PIXELS = "raw_pixels.json"
# Results that describe the evaluation; the others measure its quality.
_SETTINGS = {
    "dataset",
    "image_size",
    "images",
    "k",
    "l2",
    "labelled_images",
    "labels_without_test_images",
    "layer",
    "numbers",
    "numbers_without_r2",
    "parameters",
    "predicted",
    "split",
    "steps",
    "task",
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
        directory: its run directory. The report includes runs in the same
            parent directory that use it as their `--checkpoint`, such as
            evaluations and embeddings.
        output: path of the page. Defaults to `report.html` in the directory.

    Returns:
        Path object of the page.

    Raises:
        ValueError: there is no run in the directory.
    """
    run = run_files.ReportedRun(directory)
    output = paths.as_path(output or run.path / "report.html", "output")
    figures = output.with_name(f"{output.stem}_figures")
    runs = [run, *_related(run)]
    drawn = _charts(run, figures, is_health=False)
    health = _charts(run, figures, is_health=True)
    html = templates.render(
        "page.html",
        title=f"SimCLR: {run.path.resolve().name}",
        summary=None if run.results is None else list(run.results.items()),
        evaluations=_evaluations(runs),
        curve_charts=drawn,
        pictures=_pictures(runs),
        health_charts=health,
        figures=figures.name if drawn + health else None,
        timing=list(run.timing.items()),
        settings=[(each.path.name, _given(each.flags)) for each in runs],
    )
    training.write_whole(output, html)
    return output


def _given(flags):
    """Pairs of flag and value, without the flags that have none."""
    return [pair for pair in flags.items() if pair[1] is not None]


def _related(run):
    """Returns the runs beside a run whose checkpoint it is, sorted by name."""
    found = []
    for folder in sorted(run.path.resolve().parent.iterdir()):
        try:
            other = run_files.ReportedRun(folder)
            checkpoint = other.flags.get("checkpoint")
        except (OSError, ValueError):  # not a run directory
            continue
        if checkpoint and _same(checkpoint, run.path, folder):
            found.append(other)
    return found


def _same(checkpoint, path, folder):
    """Whether a checkpoint belongs to the run at `path`.

    Its path may be relative to any folder above `folder`. Where it leads to no
    run, all may have been moved together, and the name decides.
    """
    try:
        checkpoint, path = paths.as_path(checkpoint), path.resolve()
    except ValueError:  # a scheme that this process does not know
        return False
    if paths.is_remote(checkpoint) or paths.is_remote(folder):
        bases = [checkpoint]
    else:
        above = [folder] if checkpoint.is_absolute() else folder.parents
        bases = [base / checkpoint for base in above]
    found = [run for run in map(training.find_run, bases) if run is not None]
    if not found:
        if checkpoint.parent.name == "checkpoints":
            checkpoint = checkpoint.parent.parent
        return checkpoint.name == path.name
    return path in [run.path.resolve() for run in found]


def _evaluations(runs):
    """Returns the metrics of all runs and of raw pixels, one row for each."""
    rows = []
    for run in runs:
        results = run.results or {}
        from_scratch = run.flags.get("from_scratch") == "true"
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


def _charts(run, folder, is_health):
    """Draws the curves of `metrics.csv`; returns charts for the template."""
    rows, drawn = [run.rows(scope) for scope in ("epoch", "steps")], []
    kind = curves.kind_of(itertools.chain(*rows))
    guesses = guessing.of_run(run, kind)
    for title, columns in curves.charts_of_run(kind, is_health):
        series = {name: _points(rows, name) for name in columns}
        series = {name: points for name, points in series.items() if points}
        guess = next((guesses[n] for n in columns if n in guesses), None)
        drawn.append(charts.write(title, series, folder, guess=guess))
    return list(filter(None, drawn))


def _points(rows, column):
    """Points by epochs; if there are less than two, by fewer steps if any."""
    epochs, steps = (run_files.points(each, column) for each in rows)
    return epochs if len(epochs) > 1 else max(epochs, steps, key=len)


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
    except OSError:  # the browser shows that the picture is broken
        return None
