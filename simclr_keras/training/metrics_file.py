"""`metrics.csv`: rows of figures, columns as they turn up."""

import csv
import math

_FIRST = ("scope", "epoch", "step")


class MetricsFile:
    """Appends rows to a CSV file.

    A row's `scope` says what its figures are means of: `steps`, the steps
    since the row before, or `epoch`. Empty cells: not measured there.

    Args:
        path: the file; rows of an earlier part of the run are kept.
        keep_until: rows of later steps are dropped: they were written after
            the checkpoint from which the run goes on.
    """

    def __init__(self, path, keep_until):
        self._path = path
        self._columns, self._rows = list(_FIRST), []
        if path.exists():
            with path.open(newline="") as file:
                # A full disk can have cut the last line, its step too.
                lines = [line for line in file if line.endswith("\n")]
            reader = csv.DictReader(lines)
            self._columns = list(reader.fieldnames or _FIRST)
            self._rows = [r for r in reader if _step(r) <= keep_until]
        path.parent.mkdir(parents=True, exist_ok=True)
        self._rewrite()

    def write(self, scope, epoch, step, values):
        """Appends a row of figures (dict of floats)."""
        row = {"scope": scope, "epoch": epoch, "step": step}
        row.update({name: f"{value:.9g}" for name, value in values.items()})
        self._rows.append(row)
        new = [name for name in row if name not in self._columns]
        if new:
            self._columns += new
            self._rewrite()
            return
        with self._path.open("a", newline="") as file:
            csv.DictWriter(file, self._columns).writerow(row)

    def _rewrite(self):
        aside = self._path.with_name(self._path.name + ".partial")
        with aside.open("w", newline="") as file:
            writer = csv.DictWriter(file, self._columns)
            writer.writeheader()
            writer.writerows(self._rows)
        aside.replace(self._path)


def _step(row):
    """Step of a row; of one that has none, infinity."""
    try:
        return int(row["step"])
    except (TypeError, ValueError):
        return math.inf
