"""Writes a web page that compares runs: curves, settings, results."""

from __future__ import annotations

import itertools
from collections.abc import Collection
from collections.abc import Mapping
from collections.abc import Sequence

from simclr_keras import paths
from simclr_keras import training
from simclr_keras.report import charts
from simclr_keras.report import compared_tables
from simclr_keras.report import curves
from simclr_keras.report import plots
from simclr_keras.report import run_files
from simclr_keras.report import templates


def write(
    directories: Sequence[paths.PathLike],
    output: paths.PathLike,
    names: Sequence[str] | None = None,
    *,
    defaults: Mapping[str, Mapping[str, str | None]] | None = None,
    ignored: Collection[str] = ("model_dir",),
) -> paths.AnyPath:
    """Writes the comparison of runs.

    Its charts are also written as files, in `<name of the page>_figures`
    beside the page.

    Args:
        directories: run directories of any commands, at least two. The runs
            need not have ended.
        output: path of the page, which is replaced if it exists.
        names: names of the runs on the page, in the same order. Defaults to
            None: the shortest ends of their paths that differ.
        defaults: see `compared_tables.different_settings`.
        ignored: names of flags whose differences are not shown.

    Returns:
        Path object of the page.

    Raises:
        ValueError: there are fewer than two runs, one is given twice, a
            directory has no run, or `names` has the wrong length or repeats.
    """
    runs = [run_files.ReportedRun(directory) for directory in directories]
    _check_different(runs)
    if names is None:
        names = shortest_names([run.path for run in runs])
    _check_names(names, len(runs))
    output = paths.as_path(output, "output")
    figures = output.with_name(f"{output.stem}_figures")
    drawn = _charts(runs, names, figures)
    results = compared_tables.results(runs)
    html = templates.render(
        "comparison.html",
        title=f"SimCLR: {len(runs)} runs compared",
        runs=_shown(runs, names),
        settings=compared_tables.different_settings(runs, defaults, ignored),
        results=results,
        any_best=any(best for _, row in results for _, best in row),
        curve_charts=drawn,
        figures=figures.name if drawn else None,
    )
    training.write_whole(output, html)
    return output


def _check_different(runs):
    if len(runs) < 2:
        raise ValueError(
            "directories (--model_dir) must name at least two runs to compare."
            f" Received: {len(runs)}"
        )
    seen = {}
    for run in runs:
        place = run.path.resolve()
        if place in seen:
            raise ValueError(
                "directories (--model_dir) must name each run once. Received:"
                f" {str(seen[place])!r} and {str(run.path)!r}, which are the"
                " same"
            )
        seen[place] = run.path


def _check_names(names, count):
    if len(names) != count or len(set(names)) != count:
        raise ValueError(
            f"names must be {count} different ones, one for each run."
            f" Received: {list(names)}"
        )


def _shown(runs, names):
    """List of dicts with the variables of the template for each run."""
    return [
        {
            "name": name,
            "color": color,
            "command": compared_tables.command(run),
            "state": compared_tables.state(run),
            "path": run.path,
        }
        for run, name, color in zip(runs, names, plots.palette(len(runs)))
    ]


def _charts(runs, names, folder):
    """Draws the curves of `metrics.csv`; returns charts for the template."""
    rows = [[run.rows(scope) for scope in ("epoch", "steps")] for run in runs]
    kinds = [curves.kind_of(itertools.chain(*of_run)) for of_run in rows]
    drawn = []
    for curve in curves.CURVES:
        if not curve.is_compared:
            continue
        of_runs = [
            [run_files.points(each, curve.column) for each in of_run]
            if curve.of in (None, kind)
            else [[], []]
            for of_run, kind in zip(rows, kinds)
        ]
        series = dict(zip(names, _of_one_scope(of_runs)))
        drawn.append(charts.write(curve.title, series, folder, wide=True))
    return list(filter(None, drawn))


def _of_one_scope(of_runs):
    """Chooses means over epochs or fewer steps, the same for all if possible.

    A mean over an epoch lags behind a mean over a few steps, so curves of the
    two kinds cannot be compared.

    Args:
        of_runs: for each run, the pair of its points by epochs and by steps.
    """
    for scope in (0, 1):
        # A run in its first epoch has too few points by epochs for a curve.
        if all(len(pair[scope]) > 1 or not any(pair) for pair in of_runs):
            return [pair[scope] for pair in of_runs]
    return [max(pair, key=len) for pair in of_runs]


def shortest_names(directories: Sequence[paths.AnyPath]) -> list[str]:
    """Returns the shortest end of each path that no other path has.

    Last parts that all paths have in common are left out first.

    Args:
        directories: path objects of different directories.

    Example: `a/lr_1/run` and `b/lr_2/run` become `lr_1` and `lr_2`; together
    with `c/lr_2/run`, the second becomes `b/lr_2`.
    """
    parts = [str(path.resolve()).split("/") for path in directories]
    while len(parts) > 1 and _all_end_alike(parts):
        parts = [each[:-1] for each in parts]
    names = []
    for each in parts:
        others = [other for other in parts if other is not each]
        count = 1
        while any(other[-count:] == each[-count:] for other in others):
            count += 1
        names.append("/".join(each[-count:]))
    return names


def _all_end_alike(parts):
    """Whether all paths have the same last part, and a name before it."""
    if len({each[-1] for each in parts}) > 1:
        return False
    return all(len(each) > 1 and each[-2] for each in parts)
