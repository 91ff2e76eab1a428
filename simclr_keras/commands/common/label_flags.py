"""Defines and checks the flags of labels in a CSV file."""

import simclr_keras as sk
from simclr_keras import choices

CLASSIFICATION = choices.TASKS[0]
FLAGS = ("labels", "file_column", "label_columns", "split_column", "task")


def define(data):
    """Defines the flags of the labels in a `flag_kinds.Group`."""
    data.path(
        "labels",
        None,
        "CSV file with the labels of the images of folder:/path, and perhaps"
        " their splits; its first line names its columns.",
    )
    data.string(
        "file_column",
        None,
        "Column of --labels with the paths of the images, relative to the"
        " folder. None: the first.",
    )
    data.list(
        "label_columns",
        None,
        "Columns of --labels with the labels. None: label or labels, or else"
        " the only one besides those of files and splits; empty: no labels.",
    )
    data.string(
        "split_column",
        None,
        "Column of --labels with the names of the splits. None: split, if there"
        " is such a column; empty: there is none.",
    )
    data.choice(
        "task",
        choices.TASKS[0],
        choices.TASKS,
        "What --labels are. classification: one class for each image;"
        " multilabel: several names with | or ; between them in a cell, or"
        " columns of 0 and 1; regression: numbers, in one or several columns,"
        " trained by adam at --learning_rate=0.001 without scaling unless"
        " given.",
    )


def table(flags):
    """Reads the `data.LabelTable` of `--labels`; None without it.

    Raises:
        ValueError: there are flags about labels without `--labels`, or the
            table is wrong.
    """
    if not flags.labels:
        _refuse_alone(flags)
        return None
    return sk.data.LabelTable(flags.labels, task=flags.task, **_columns(flags))


def _columns(flags):
    names = ("file_column", "label_columns", "split_column")
    return {name: getattr(flags, name) for name in names}


def _refuse_alone(flags):
    """Refuses flags about labels without `--labels`."""
    given = _columns(flags)
    alone = [f"--{k}={v}" for k, v in given.items() if v is not None]
    if flags.task != CLASSIFICATION:
        alone.append(f"--task={flags.task}")
    if alone:
        raise ValueError(
            "--labels must name a CSV file, for the flags about its columns and"
            f" for labels other than classes. Received: {' '.join(alone)} alone"
        )


def require_classes(flags, what):
    """Refuses a `--task` other than classification.

    Args:
        flags: the command's.
        what: what needs classes, for the message.

    Raises:
        ValueError: the task is another.
    """
    if flags.task != CLASSIFICATION:
        raise ValueError(
            f"--task must be {CLASSIFICATION} for {what}. Received:"
            f" --task={flags.task}"
        )
