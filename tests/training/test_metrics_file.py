"""`metrics.csv` after a kill or a full disk: whole rows of the past alone."""

import csv

import pytest

from simclr_keras.training.metrics_file import MetricsFile

pytestmark = pytest.mark.newest
STEPS = (4, 8, 12, 16)


def _written(path):
    file = MetricsFile(path, keep_until=0)
    for step in STEPS:
        file.write("steps", 0, step, {"loss": 1 / step})
        if step % 8 == 0:
            file.write("epoch", step // 8, step, {"val_loss": 2 / step})
    return path.read_bytes()


def _rows(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def test_a_cut_last_line_is_dropped_wherever_it_was_cut(tmp_path):
    """Also where what is left of its step is an earlier one: `steps,0,1`."""
    path = tmp_path / "metrics.csv"
    data = _written(path)
    rows = _rows(path)
    assert len(rows) == 6
    ends = [place for place, byte in enumerate(data) if byte == ord("\n")]
    for length in range(len(data) + 1):
        path.write_bytes(data[:length])
        MetricsFile(path, keep_until=12)
        whole = rows[: max(sum(end < length for end in ends) - 1, 0)]
        assert _rows(path) == [r for r in whole if int(r["step"]) <= 12]


def test_rows_written_again_after_a_kill_make_the_same_file(tmp_path):
    """The rows and columns after step 4 were written before the kill."""
    path = tmp_path / "metrics.csv"
    data = _written(path)
    file = MetricsFile(path, keep_until=4)
    for step in STEPS[1:]:
        file.write("steps", 0, step, {"loss": 1 / step})
        if step % 8 == 0:
            file.write("epoch", step // 8, step, {"val_loss": 2 / step})
    assert path.read_bytes() == data


def test_what_a_kill_left_aside_does_no_harm(tmp_path):
    path = tmp_path / "metrics.csv"
    data = _written(path)
    aside = path.with_name("metrics.csv.partial")
    aside.write_text("scope,epo")
    MetricsFile(path, keep_until=16)
    assert path.read_bytes() == data
    assert not aside.exists()
