"""Writes the index of embeddings: a row for each image, with its labels."""

import csv

import simclr_keras as sk


def write(path, source):
    """Writes `index.csv`: the number, the id and the labels of each image.

    The label is the number of a class, or names of labels with `|` between
    them. Numbers that are labels are in columns of their own.

    Args:
        path: path object of the file.
        source: `data.Source`.
    """
    from simclr_keras import disk

    names, rows = _columns(source)
    with disk.naming(path), path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["row", "id", *names])
        for number, (name, labels) in enumerate(zip(source.ids, rows)):
            writer.writerow([number, name, *labels])


def _columns(source):
    """Names of the columns of labels, and their cells for each image."""
    if not source.has_labels:
        return ["label"], [[""]] * source.num_examples
    labels = sk.data.read_labels(source)
    if source.task == "regression":
        rows = [[f"{value:.7g}" for value in row] for row in labels]
        return source.class_names, rows
    if source.task == "multilabel":
        labels = sk.data.label_texts(labels, source.class_names, source.task)
    return ["label"], [[label] for label in labels]


def label_texts(source, rows):
    """Labels of some images as text, "" without labels.

    Args:
        source: `data.Source`.
        rows: integers `[n]`.
    """
    if not source.has_labels:
        return [""] * len(rows)
    labels = sk.data.read_labels(source)[rows]
    return sk.data.label_texts(labels, source.class_names, source.task)
