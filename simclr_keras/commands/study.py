"""Runs a study of the paper, or a grid of flags, and compares its runs."""

import contextlib
import pathlib
import signal

import simclr_keras as sk
from simclr_keras.commands import pretrain
from simclr_keras.commands import study_plan
from simclr_keras.commands.common import cli
from simclr_keras.commands.common.flag_kinds import Group
from simclr_keras.studies import catalog

FIRST = ("study", "dataset", "model_dir", "seeds", "jobs", "dry_run", "grid")
EXAMPLE = (
    "simclr-study --study=grid --grid=temperature=0.1,0.5 --dataset=shapes"
    " --encoder=tiny --seeds=2 --model_dir=runs/temperature"
)


def define_flags(values):
    """Defines the flags of a study, and all those of `simclr-pretrain`."""
    study = Group(values, "study")
    names = "; ".join(
        f"{name}: {each.question} {f'({each.source})' if each.source else ''}"
        for name, each in catalog.STUDIES.items()
    )
    study.choice(
        "study",
        None,
        catalog.STUDIES,
        f"What is asked. In brackets, where the paper answers it. {names}",
    )
    study.words(
        "grid",
        None,
        "A flag of simclr-pretrain with the values that it takes in turn, such"
        " as temperature=0.1,0.5; may be given several times, for all"
        " combinations.",
    )
    study.integer(
        "seeds",
        1,
        "Number of seeds of each setting, from --seed on; the tables have mean"
        " and standard deviation.",
        least=1,
        may_change=True,
    )
    study.list(
        "label_fractions",
        ["0.1"],
        "Shares of the labels that features are measured with, beside all.",
    )
    study.list(
        "transfer_datasets",
        [],
        "Data sets of the study transfer, named as --dataset is.",
    )
    study.integer(
        "jobs",
        1,
        "Pre-trainings that run at a time, one GPU each where there are"
        " several.",
        least=1,
        may_change=True,
    )
    study.boolean(
        "dry_run",
        False,
        "Say what would be run and how long it takes by the rate of what has"
        " ended, and stop.",
        may_change=True,
    )
    pretrain.define_flags(values)


def run(flags):
    """Runs the unfinished cells of the study; returns the path of its page.

    With `--dry_run`, prints the plan and returns None.
    """
    cli.require(flags, "model_dir")
    study, evaluations, cells = study_plan.make_plan(flags)
    failures = _failures(flags)
    cells, work = study_plan.check(cells, failures)
    from simclr_keras.report import study_page

    if flags.dry_run:
        _print_plan(flags, cells, work, failures)
        return None
    with _claimed(flags) as (directory, _), _ended_by_signals():
        failures = _failures(flags)  # another process may have added some

        def write():
            return study_page.write(
                directory.path, study, evaluations, cells, failures
            )

        page = write()
        _run_cells(flags, cells, work, failures, write)
    print(f"\n{(directory.path / 'table.md').read_text()}\nReport: {page}")
    failed = {cell.name: failures.of(cell) for cell in cells}
    failed = {name: each for name, each in failed.items() if each}
    if failed:
        raise RuntimeError(_explain(failed, len(cells)))
    return page


def _failures(flags):
    """The `Failures` recorded in the study's directory so far."""
    from simclr_keras.studies.failures import Failures

    return Failures(pathlib.Path(flags.model_dir))


def _print_plan(flags, cells, work, failures):
    for cell in cells:
        print(
            f"{cell.name}: {work[cell.name].steps} steps,"
            f" {len(cell.runs)} runs, {cell.runs[0].directory.parent}"
        )
    failed = {cell.name for cell in cells if failures.of(cell)}
    left = _time_left(flags, cells, work, failures, failed)
    print(f"{len(cells)} cells. {left}")
    if failed:
        print(f"Not counted: {len(failed)} that failed and are tried again.")


def _time_left(flags, cells, work, failures, tried):
    """Estimates the time of the unfinished cells from the finished ones.

    Args:
        flags: the command's.
        cells: list of `Cell`.
        work: name of a cell -> `Work` of its pre-training.
        failures: `Failures` of the study.
        tried: names of cells that were run by this command or have failed;
            they do not count as left to run.
    """
    from simclr_keras.studies import tables

    ended, left = {}, 0
    for cell in cells:
        known = tables.seconds(cell, failures, cell.name in tried)
        if known is not None:
            ended[cell.name] = known
        elif cell.name not in tried:
            left += work[cell.name].images
    if not left:
        return "Nothing is left to run."
    if not ended:
        return "How long they take is known when the first has ended."
    rate = sum(ended.values()) / sum(work[name].images for name in ended)
    minutes = max(1.0, rate * left / 60 / flags.jobs)
    return f"About {minutes:.0f} min are left, by the rate of those ended."


def _claimed(flags):
    """Context with the `RunDirectory` of the study, locked for this process."""
    import tensorflow as tf

    return sk.training.claimed_run(
        flags.model_dir,
        tf.distribute.get_strategy(),
        flags.flags_text,
        flags.flag_defaults,
        flags.may_change,
    )


@contextlib.contextmanager
def _ended_by_signals():
    """On SIGTERM or Ctrl-C, ends the runs, which save, then this process."""
    from simclr_keras.training import interruption

    def end(number, frame):
        raise interruption.Interrupted

    before = {
        number: signal.signal(number, end)
        for number in (signal.SIGTERM, signal.SIGINT)
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _run_cells(flags, cells, work, failures, write):
    """Runs the cells.

    Args:
        flags: the command's.
        cells: list of `Cell`.
        work: see `_time_left`.
        failures: `Failures` of the study, to which new ones are added.
        write: function that writes the tables and the page.
    """
    from simclr_keras.studies import processes

    left = [c for c in cells if not failures.all_settled(c)]
    if len(left) < len(cells):
        print(f"{len(cells) - len(left)} of {len(cells)} cells have ended.")
    ended = []

    def on_end(cell):
        ended.append(cell.name)
        time_left = _time_left(flags, cells, work, failures, ended)
        print(
            f"[{len(ended)} of {len(left)}] {cell.name}:"
            f" {_end_of(cell, failures)}. {time_left}",
            flush=True,
        )
        write()

    processes.run_cells(left, flags.jobs, failures, on_end)


def _end_of(cell, failures):
    """Text that says how a cell has ended."""
    if failures.of(cell):
        return "failed, see below"
    passed_over = len(failures.passed_over(cell))
    if passed_over:
        return f"ended, learning rates that diverged: {passed_over}"
    return "ended"


def _explain(failures, count):
    """Text with the error and the log file of each run that failed."""
    lines = [
        f"{name}: code {each.code}, {each.message} ({each.run.log})"
        for name, failed in failures.items()
        for each in failed
    ]
    return (
        f"{len(failures)} of {count} cells failed; the same command tries them"
        " again.\n" + "\n".join(lines)
    )


def main():
    """Entry point of `simclr-study`."""
    cli.start(define_flags, run, __doc__, first=FIRST, example=EXAMPLE)


if __name__ == "__main__":
    main()
