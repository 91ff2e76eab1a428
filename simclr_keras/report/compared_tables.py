"""Makes tables that compare runs: settings that differ, and results."""

from __future__ import annotations

import math
from collections.abc import Collection
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

from simclr_keras import old_runs
from simclr_keras.report import run_files
from simclr_keras.report.run_files import ReportedRun

_NONE = "-"
_UNSET = "not set"
# Flags that choose the images on which accuracy and loss are measured.
_MEASURED_ON = (
    "eval_split",
    "probe_dataset",
    "labels",
    "file_column",
    "label_columns",
    "split_column",
)


def command(run: ReportedRun) -> str:
    """The command of a run, such as `"simclr-pretrain"`; `"-"` if not known."""
    return old_runs.command_of(run.flags) or _NONE


def state(run: ReportedRun) -> str:
    """`"ended"`, or the last step in `metrics.csv` of a run that has not."""
    if run.results is not None:
        return "ended"
    rows = [*run.rows("steps"), *run.rows("epoch")]
    last = max((row["step"] for row in rows), default=None)
    where = "nothing logged" if last is None else f"step {last:.0f}"
    return f"not ended: {where}"


def different_settings(
    runs: Sequence[ReportedRun],
    defaults: Mapping[str, Mapping[str, str | None]] | None = None,
    ignored: Collection[str] = ("model_dir",),
) -> list[tuple[str, list[str]]]:
    """Finds the flags whose values differ between the runs.

    Args:
        runs: runs of any commands and releases.
        defaults: dict of command -> dict of flag -> its default, text or None.
            For runs older than a flag, it gives the value, unless
            `old_runs.FLAGS` does. Defaults to None: they have no such flag.
        ignored: names of flags to leave out.

    Returns:
        Rows `(flag, values)` with one value for each run: text, `"not set"`, or
        `"-"` if the run's command has no such flag.
    """
    all_values = [_complete_settings(run, defaults or {}) for run in runs]
    rows = []
    for flag in sorted(set().union(*all_values) - set(ignored)):
        values = [each.get(flag, _NONE) for each in all_values]
        if len({value for value in values if value != _NONE}) > 1:
            rows.append((flag, values))
    return rows


def _complete_settings(run, defaults):
    """Dict of flag -> text for a run, with flags that were added after it."""
    known = defaults.get(old_runs.command_of(run.flags), {})
    values = old_runs.with_later_flags(run.flags, known)
    return {
        flag: _UNSET if value is None else value
        for flag, value in values.items()
        # The first release did not record flags without a value.
        if value is not None or not known or flag in known
    }


def results(
    runs: Sequence[ReportedRun],
) -> list[tuple[str, list[tuple[Any, bool]]]]:
    """Gathers the results and the timing of runs.

    The best value of a row is marked for accuracies, losses and errors, if all
    runs with such a value measured it on the same images.

    Returns:
        Rows `(name, cells)` with one pair for each run: the value as text or
        number, `"-"` if the run has none, and whether it is the best.
    """
    data = [_measured_on(run) for run in runs]
    columns = [{**(run.results or {}), **run.timing} for run in runs]
    names = dict.fromkeys(name for column in columns for name in column)
    rows = []
    for name in names:
        cells = [_text(name, column.get(name)) for column in columns]
        best = None
        if len({on for on, c in zip(data, columns) if name in c}) == 1:
            best = _best(name, [c[name] for c in columns if name in c])
        rows.append((name, [(text, text == best) for text in cells]))
    return rows


def _measured_on(run):
    results = run.results or {}
    flags = [run.flags.get(flag) for flag in _MEASURED_ON]
    # With `predicted`, labels are transformations of images, not classes.
    names = ("dataset", "test_images", "predicted", "task")
    return (*map(results.get, names), *flags)


def _best(name, values):
    """Text of the best value; None if no order is known, or all are equal."""
    numbers = [
        value
        for value in values
        if isinstance(value, (int, float)) and math.isfinite(value)
    ]
    choose = run_files.better(name)
    if choose is None:
        return None
    best = choose(numbers, default=None)
    alike = len({_text(name, number) for number in numbers}) < 2
    return None if alike else _text(name, best)


def _text(name, value):
    return _NONE if value is None else run_files.figure_text(name, value)
