"""Writes the index of embeddings: a row for each image, with its labels."""

import csv

import simclr_keras as sk

_OWN_COLUMNS = ("row", "id", "embedding")


def write(path, source, first=0):
    """Writes an index: the number, the id and the labels of each image.

    Args:
        path: path object of the file.
        source: `data.Source`.
        first: number of the first image. Defaults to 0.
    """
    from simclr_keras import disk

    columns = label_columns(source)
    cells = zip(*map(_texts, columns.values()))
    with disk.naming(path), path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["row", "id", *columns])
        for number, (name, labels) in enumerate(zip(source.ids, cells), first):
            writer.writerow([number, name, *labels])


def check(source):
    """Refuses numbers whose columns would have names of the index itself.

    Args:
        source: `data.Source`.

    Raises:
        ValueError: there is such a name.
    """
    taken = set(source.class_names or ()) & set(_OWN_COLUMNS)
    if source.task == "regression" and taken:
        raise ValueError(
            "--label_columns must not be named as columns of the index,"
            f" {', '.join(_OWN_COLUMNS)}; rename it in the table. Received:"
            f" {', '.join(sorted(taken))}"
        )


def label_columns(source):
    """The labels of all images, by column.

    Args:
        source: `data.Source` of n images.

    Returns:
        Dict of name -> array or list of n values. The column `label` holds
        numbers of classes, whose names follow in `class`; or names of labels
        with `|` between them; or None without labels. Numbers that are labels
        have a column each, in float32.
    """
    if not source.has_labels:
        return {"label": [None] * source.num_examples}
    labels = sk.data.read_labels(source)
    if source.task == "regression":
        return dict(zip(source.class_names, labels.T))
    if source.task == "multilabel":
        texts = sk.data.label_texts(labels, source.class_names, source.task)
        return {"label": texts}
    names = [str(name) for name in source.class_names]
    return {"label": labels, "class": [names[label] for label in labels]}


def _texts(column):
    import numpy as np

    for value in column:
        if value is None:
            yield ""
        else:
            yield f"{value:.7g}" if isinstance(value, np.floating) else value
