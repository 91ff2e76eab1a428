"""A file of rows that is cut off and goes on."""

import numpy as np
import pytest

from simclr_keras.evaluation import RowsFile

pytestmark = pytest.mark.newest
ROWS = np.random.default_rng(0).normal(size=(10, 3)).astype(np.float32)


def test_written_at_one_go(tmp_path):
    file = RowsFile(tmp_path / "h.npy", 10, 3)
    for start in (0, 4, 8):
        file.append(ROWS[start : start + 4])
    file.finish()
    np.testing.assert_array_equal(np.load(tmp_path / "h.npy"), ROWS)
    assert [path.name for path in tmp_path.iterdir()] == ["h.npy"]


def test_goes_on_behind_what_is_safe(tmp_path):
    """What was written and not saved is written again."""
    path = tmp_path / "h.npy"
    first = RowsFile(path, 10, 3)
    first.append(ROWS[:4])
    first.save()
    first.append(np.full((4, 3), np.nan, np.float32))
    del first
    second = RowsFile(path, 10, 3)
    assert second.done == 4 and not path.exists()
    second.append(ROWS[4:])
    second.save()
    second.finish()
    np.testing.assert_array_equal(np.load(path), ROWS)


def test_a_note_without_its_file_counts_for_nothing(tmp_path):
    """Neither at once nor after another process that saved nothing."""
    first = RowsFile(tmp_path / "h.npy", 10, 3)
    first.append(ROWS[:4])
    first.save()
    del first
    (tmp_path / "h.npy.partial").unlink()
    for _ in range(2):
        assert RowsFile(tmp_path / "h.npy", 10, 3).done == 0


def test_begins_anew_where_nothing_was_safe(tmp_path):
    first = RowsFile(tmp_path / "h.npy", 10, 3)
    first.append(ROWS[:4])
    assert RowsFile(tmp_path / "h.npy", 10, 5).done == 0


def test_what_does_not_fit_is_refused(tmp_path):
    file = RowsFile(tmp_path / "h.npy", 10, 3)
    file.append(ROWS[:4])
    file.save()
    with pytest.raises(ValueError, match=r"must be of \(10, 5\) numbers"):
        RowsFile(tmp_path / "h.npy", 10, 5)
    with pytest.raises(RuntimeError, match="must have 10 rows. Received: 4"):
        file.finish()
