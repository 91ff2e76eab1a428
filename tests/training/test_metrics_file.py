"""`metrics.csv` after a kill or a full disk: whole rows of the past alone."""

import csv
import warnings

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


def _damaged(path, keep_until=16, rows_until=None):
    """(number of rows that are left, the warning, what was set aside)."""
    before = path.read_bytes()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        MetricsFile(path, keep_until, rows_until)
    aside = [p for p in path.parent.iterdir() if "damaged" in p.name]
    assert all(p.read_bytes() == before for p in aside[-1:])
    said = [str(each.message) for each in caught]
    return len(_rows(path)), said, sorted(p.name for p in aside)


@pytest.mark.parametrize(
    "old, new, rows, reason",
    [
        (b"scope,epoch", b"\xff\xfe\x00", 0, "its first line must begin with"),
        (b"steps,0,8,", b"steps,0,8,9,9,9,", 5, "1 of 6 rows are not numeric"),
        (b"steps,0,8,", b"steps,0,8,\x00\xff,", 5, "1 of 6 rows"),
        (b"steps,0,8,", b'steps,0,8,"', 5, "1 of 6 rows"),
        (b"0.0833333333", b"what", 5, "1 of 6 rows"),
    ],
)
def test_a_damaged_file_is_set_aside_and_the_run_goes_on(
    tmp_path, old, new, rows, reason
):
    path = tmp_path / "metrics.csv"
    data = _written(path)
    assert old in data
    path.write_bytes(data.replace(old, new))
    left, said, aside = _damaged(path)
    assert left == rows
    assert aside == ["metrics.csv.damaged-1"]
    assert len(said) == 1 and f"{path} is damaged" in said[0]
    assert reason in said[0] and "metrics.csv.damaged-1" in said[0]
    path.write_bytes(b"garbage\n")
    assert _damaged(path)[2] == aside + ["metrics.csv.damaged-2"]


def test_rows_that_are_lost_are_said(tmp_path):
    path = tmp_path / "metrics.csv"
    data = _written(path)
    assert _damaged(path, 16, 16)[1:] == ([], [])
    path.write_bytes(b"")
    left, said, aside = _damaged(path, 16, 16)
    assert left == 0 and aside == []
    assert "has lost its rows of steps 1 to 16" in said[0]
    path.write_bytes(data[: data.index(b"steps,0,12")])
    left, said, _ = _damaged(path, 12, 12)
    assert left == 3 and "its rows of steps 9 to 12" in said[0]
    path.unlink()
    with pytest.warns(UserWarning, match="its rows of steps 1 to 4"):
        MetricsFile(path, 4, 4)
