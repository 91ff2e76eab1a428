"""Writes the tables, figures and page of a study."""

from __future__ import annotations

import pathlib
from collections.abc import Sequence

from simclr_keras import evaluation
from simclr_keras import training
from simclr_keras.report import charts
from simclr_keras.report import study_plots
from simclr_keras.report import templates
from simclr_keras.studies import tables
from simclr_keras.studies.cells import Cell
from simclr_keras.studies.failures import Failures
from simclr_keras.studies.study import Evaluation
from simclr_keras.studies.study import Study

_PAPER = "Chen et al. 2020, arXiv 2002.05709, "


def write(
    directory: pathlib.Path,
    study: Study,
    evaluations: Sequence[Evaluation],
    cells: Sequence[Cell],
    failures: Failures,
) -> pathlib.Path:
    """Writes `table.csv`, `table.md`, `figures/` and `study.html`.

    Args:
        directory: path of the study's directory.
        study: its question, settings and kind of figure.
        evaluations: evaluations of its pre-trainings.
        cells: all cells, also those without results.
        failures: failures of its runs.

    Returns:
        Path of the page.
    """
    settings = tables.settings(cells, failures)
    names = [tables.KNN, *(each.name for each in evaluations)]
    training.write_whole(
        directory / "table.csv", tables.csv_text(cells, failures, names)
    )
    rows, header = _rows(settings, names)
    several = any(row[-1] > 1 for row in rows)
    fewer = any(s.fewer for _, each in settings for s in each.values())
    note = tables.WHY_FEWER if fewer else None
    table = evaluation.markdown_table(rows, header)
    if note:
        table += f"\n\n{note}"
    training.write_whole(
        directory / "table.md",
        f"{study.question} Accuracies in percent"
        f"{', mean ± standard deviation' if several else ''}, n seeds."
        f"\n\n{table}\n",
    )
    measured = [(labels, each) for labels, each in settings if each]
    drawn = []
    if measured:
        drawn = _charts(
            directory / "figures", study, evaluations, measured, names
        )
    output = directory / "study.html"
    html = templates.render(
        "study.html",
        title=study.question,
        source=_PAPER + study.source if study.source else None,
        header=header,
        rows=rows,
        several=several,
        charts=drawn,
        note=note,
        failed=[c.name for c in cells if failures.of(c)],
        runs=[(cell.name, str(cell.runs[0].directory)) for cell in cells],
    )
    training.write_whole(output, html)
    return output


def _rows(settings, names):
    """Rows and header of the table of settings."""
    labels = list(dict.fromkeys(n for each, _ in settings for n in each))
    rows = []
    for each, spreads in settings:
        seeds = max((s.count for s in spreads.values()), default=0)
        figures = [str(spreads[n]) if n in spreads else None for n in names]
        rows.append([*(each.get(n, "") for n in labels), *figures, seeds])
    return rows, [*labels, *names, "n"]


def _charts(folder, study, evaluations, settings, names):
    """Draws the figures, writes them, and returns them for the template."""
    if study.figure == "matrix":
        drawn = _matrices(study, settings, names)
    elif study.figure == "lines":
        drawn = _lines(study, evaluations, settings)
    else:
        drawn = _bars(study, settings, names)
    return [
        charts.save(
            figure,
            folder,
            name,
            f"{study.question} {name}; the table has the numbers.",
        )
        for name, figure in drawn.items()
    ]


def _text(labels):
    return ", ".join(f"{k} {v}" for k, v in labels.items() if v)


def _bars(study, settings, names):
    """A chart of each setting's measures: all, or those in `study.drawn`."""
    shown = study.drawn or names
    values = {
        _text(labels): {n: spreads[n] for n in shown if n in spreads}
        for labels, spreads in settings
    }
    values = {text: spreads for text, spreads in values.items() if spreads}
    return {"Accuracy": study_plots.bars("Accuracy", values)} if values else {}


def _matrices(study, settings, names):
    """A heat map for each measure that has results."""
    drawn = {}
    order = list(
        dict.fromkeys(labels[x] for labels, _ in settings for x in study.x)
    )
    for name in names:
        values = {
            tuple(labels[x] for x in study.x): spreads[name]
            for labels, spreads in settings
            if name in spreads
        }
        if values:
            drawn[name] = study_plots.matrix(name, order, values)
    return drawn


def _lines(study, evaluations, settings):
    """A line chart over the `x` of the evaluations, else over a label.

    Over a label, it shows only "linear" and "supervised", which use all labels;
    the table has the other measures.
    """
    places = {e.name: (e.line, e.x) for e in evaluations if e.x is not None}
    x_name = study.x or next(iter(settings[0][0]))
    series = {}
    for labels, spreads in settings:
        rest = _text({k: v for k, v in labels.items() if k != x_name})
        for name, spread in spreads.items():
            if name in places:
                key, x = (places[name][0], ""), places[name][1]
            elif not places and name in ("linear", "supervised"):
                key, x = (name, rest), float(labels[x_name])
            else:
                continue
            series.setdefault(key, []).append((x, spread))
    x_name = "labels, %" if places else x_name
    if not series:  # so far there are only results of kNN
        return {}
    return {"Accuracy": study_plots.lines("Accuracy", x_name, series)}
