"""Reads a CSV file that has the labels of a folder's images."""

from __future__ import annotations

import csv
import dataclasses
import io
import itertools
import unicodedata
from collections.abc import Sequence

from simclr_keras import paths
from simclr_keras.choices import TASKS
from simclr_keras.images.formats import python_decoders

_DELIMITERS = ",;\t"
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")
_LINES = 100  # that tell which separator is used
_ZIP = b"PK\x03\x04"  # how files of spreadsheets begin
_LABELS = ("label", "labels")  # names of the column, unless it is given
_SPLIT = "split"


@dataclasses.dataclass(frozen=True)
class LabelTable:
    """A CSV file with a row for each image, and what its columns mean.

    The file is UTF-8. Its first line names the columns; commas, semicolons or
    tabs separate them; blank lines are skipped. It is read once, when the
    table is made.

    Attributes:
        path: path of the file, local or with a scheme.
        file_column: column of the images' paths, relative to the folder.
            Default None: the first column.
        label_columns: columns of the labels: one of the names of classes; for
            `"multilabel"` one of names with `|` or `;` between them, or several
            of 0 and 1; for `"regression"` one or several of numbers. Default
            None: `label` or `labels`, or else the only column besides those of
            files and splits. Empty: the images have no labels.
        split_column: column of the names of the splits. Default None: `split`,
            if there is such a column. Empty: there is none.
        task: `"classification"`, `"multilabel"` or `"regression"`. Default
            `"classification"`.
        rows: its `TableRows`.

    Raises:
        ValueError: there is no such task, or it takes one column of labels;
            there is no such file, it is not UTF-8 or not CSV, a column is
            missing, or a line has another number of cells than the header.
    """

    path: paths.PathLike
    file_column: str | None = None
    label_columns: Sequence[str] | None = None
    split_column: str | None = None
    task: str = "classification"
    rows: TableRows = dataclasses.field(init=False, repr=False, compare=False)

    def __post_init__(self):
        columns = self.label_columns
        if isinstance(columns, str):
            object.__setattr__(self, "label_columns", (columns,))
        if self.task not in TASKS:
            raise ValueError(
                f"`task` must be one of {', '.join(TASKS)}. Received:"
                f" task={self.task!r}"
            )
        if self.task == "classification" and len(self.label_columns or ()) > 1:
            raise ValueError(
                "`label_columns` must be one column for classification; several"
                " are for --task=multilabel or --task=regression. Received:"
                f" {', '.join(self.label_columns)}"
            )
        object.__setattr__(self, "rows", _read(self))


@dataclasses.dataclass(frozen=True)
class TableRows:
    """The rows of a `LabelTable`.

    Attributes:
        name: name of the file, for messages.
        columns: names of the columns of labels, perhaps none.
        file_column: name of the column of the files.
        lines: number of the line of each row, from 1.
        files: text in the column of the files, for each row.
        splits: text in the column of splits, for each row; None without such a
            column.
        cells: tuple of the texts in the columns of labels, for each row.
    """

    name: str
    columns: tuple
    file_column: str
    lines: tuple
    files: tuple
    splits: tuple
    cells: tuple


def _read(table):
    """The `TableRows` of a `LabelTable`."""
    path = paths.as_path(table.path, "`labels`")
    if not path.is_file():
        raise ValueError(
            "`labels` (--labels) must be an existing CSV file; a relative path"
            " starts at the current directory, not in the folder of images."
            f" Received: {str(table.path)!r}"
        )
    lines = list(_parsed(path.name, _text(path)))
    if not lines:
        raise ValueError(
            "`labels` (--labels) must have a line that names its columns."
            f" Received: {str(path)!r}, which is empty"
        )
    # A name is one line, also where a cell has several.
    header, rows = [_one_line(x) for x in lines[0][1]], lines[1:]
    if header[0].lower().endswith(python_decoders.extensions(1)):
        raise ValueError(
            f"The first line of {path.name} must name its columns, such as"
            f" file,label. Received: {', '.join(header)}"
        )
    if not rows:
        raise ValueError(
            "`labels` (--labels) must have a row for each image after its first"
            f" line. Received: {str(path)!r} with that line only:"
            f" {', '.join(header)}"
        )
    for line, row in rows:
        if len(row) != len(header):
            raise ValueError(
                f"Each line of {path.name} must have {len(header)} cells, as"
                f" its first line has. Received: {len(row)} in line {line};"
                " a cell that contains the separator needs quotes"
            )
    file, labels, split = _columns(table, header, path.name)
    places = [header.index(name) for name in labels]
    files = tuple(row[header.index(file)] for _, row in rows)
    splits = None
    if split is not None:
        splits = tuple(row[header.index(split)] for _, row in rows)
    return TableRows(
        name=path.name,
        columns=labels,
        file_column=file,
        lines=tuple(line for line, _ in rows),
        files=files,
        splits=splits,
        cells=tuple(
            tuple(_one_line(row[k]) for k in places) for _, row in rows
        ),
    )


def _one_line(cell):
    return " ".join(cell.split())


def _text(path):
    """The text of the file, without a byte-order mark.

    A letter and its accent become one character, as some programs and the names
    of files on macOS have two.
    """
    content = path.read_bytes()
    if content.startswith(_ZIP):
        raise ValueError(
            "`labels` (--labels) must be a CSV file; a spreadsheet writes it as"
            f" 'CSV UTF-8'. Received: {path.name}, which is none"
        )
    if content[:2] in _UTF_16:
        raise ValueError(
            "`labels` (--labels) must be UTF-8; a spreadsheet writes it as"
            f" 'CSV UTF-8'. Received: {path.name}, which is UTF-16"
        )
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ValueError(
            "`labels` (--labels) must be UTF-8; convert it, for example by"
            f" iconv -f latin1 -t utf-8. Received: {path.name}, whose line"
            f" {line} has the byte 0x{content[error.start]:02x}"
        ) from error
    return unicodedata.normalize("NFC", text)


def _parsed(name, text):
    """Yields pairs of a line's number and its cells; skips blank lines."""
    reader = _reader(text, _delimiter(text), strict=True)
    try:
        for row in reader:
            row = [cell.strip() for cell in row]
            if any(row):
                yield reader.line_num, row
    except csv.Error as error:
        raise ValueError(
            "`labels` (--labels) must be a CSV file. Received:"
            f" {name}, line {reader.line_num}: {error}"
        ) from error


def _reader(text, delimiter, strict):
    return csv.reader(
        io.StringIO(text, newline=""),
        delimiter=delimiter,
        skipinitialspace=True,
        strict=strict,
    )


def _delimiter(text):
    """The separator by which the first lines have as many cells, or most.

    Names of columns and labels may contain another separator.
    """

    def cells(delimiter):
        filled = filter(any, _reader(text, delimiter, strict=False))
        try:
            counts = [len(row) for row in itertools.islice(filled, _LINES)]
        except csv.Error:  # is reported with the line where the file is read
            return False, 0
        first, *others = counts or [0]
        return first > 1 and set(others) == {first}, first

    return max(_DELIMITERS, key=cells)


def _columns(table, header, name):
    """The columns of files, labels (a tuple) and splits (or None)."""
    file = header[0] if table.file_column is None else table.file_column
    split, labels = table.split_column, table.label_columns
    if split is None:
        split = next((x for x in header if x.lower() == _SPLIT), None)
    split = split or None
    if labels is None:
        others = [x for x in header if x not in (file, split)]
        named = [x for x in others if x.lower() in _LABELS]
        labels = named or others
        if len(labels) != 1:
            has = f"the columns {', '.join(header)}"
            if len(header) == 1:
                has = f"one column, {file}, by commas, semicolons or tabs"
            raise ValueError(
                "`label_columns` (--label_columns) must name the column of the"
                " labels, or be empty for images without labels. Received:"
                f" nothing, and {name} has {has}"
            )
    chosen = {"file_column": [file], "label_columns": labels}
    chosen["split_column"] = [split] if split else []
    for argument, columns in chosen.items():
        for column in columns:
            if header.count(column) != 1:
                raise ValueError(
                    f"`{argument}` (--{argument}) must name a column that"
                    f" {name} has once. Received: {column!r}, and the columns"
                    f" {', '.join(header)}"
                )
    used = [column for columns in chosen.values() for column in columns]
    if len(set(used)) < len(used):
        raise ValueError(
            "The columns of files, labels and splits must all differ. Received:"
            f" {', '.join(used)} of {name}"
        )
    return file, tuple(labels), split
