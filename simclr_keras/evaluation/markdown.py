"""Formats results as Markdown tables, for the console and for files."""

from __future__ import annotations

import numbers
from collections.abc import Iterable
from collections.abc import Sequence


def markdown_table(
    rows: Iterable[Sequence], header: Sequence[str], *, digits: int = 1
) -> str:
    """Returns a Markdown table of results that also reads well as text.

    Cells are padded to the width of their column; numbers are right-aligned.

    Args:
        rows: iterable of rows, each with one cell per column. A float is shown
            with `digits` decimals, None as a dash, anything else by `str`.
        header: names of the columns.
        digits: decimals of floats. Defaults to 1.

    Returns:
        String of `len(rows) + 2` lines, without a newline at the end.

    Raises:
        ValueError: a row has another number of cells than the header.

    Example:

        print(markdown_table([("raw pixels", 21.0)], ["features", "top-1 %"]))
    """
    header, rows = [str(name) for name in header], [list(row) for row in rows]
    for row in rows:
        if len(row) != len(header):
            raise ValueError(
                f"rows must have {len(header)} cells, as the header. Received:"
                f" {row!r}"
            )
    right = [
        bool(rows) and all(_is_number(row[i]) for row in rows)
        for i in range(len(header))
    ]
    cells = [[_text(cell, digits) for cell in row] for row in rows]
    columns = [
        [name, *(row[i] for row in cells)] for i, name in enumerate(header)
    ]
    widths = [max(3, *map(len, column)) for column in columns]
    rule = [
        "-" * (width - 1) + ":" if to_right else "-" * width
        for width, to_right in zip(widths, right)
    ]
    return "\n".join(
        _line(line, widths, right) for line in (header, rule, *cells)
    )


def percent(fraction: float | None, digits: int = 1) -> str:
    """Returns a fraction as text: 0.925 as "92.5 %", None as a dash."""
    return "-" if fraction is None else f"{100 * fraction:.{digits}f} %"


def _is_number(cell):
    return cell is None or (
        isinstance(cell, numbers.Real) and not isinstance(cell, bool)
    )


def _text(cell, digits):
    if cell is None:
        return "-"
    if isinstance(cell, numbers.Real) and not isinstance(
        cell, numbers.Integral
    ):
        return f"{cell:.{digits}f}"
    # A bar would end the cell, a newline the row.
    return str(cell).replace("|", "\\|").replace("\n", " ")


def _line(cells, widths, right):
    padded = [
        cell.rjust(width) if to_right else cell.ljust(width)
        for cell, width, to_right in zip(cells, widths, right)
    ]
    return "| " + " | ".join(padded) + " |"
