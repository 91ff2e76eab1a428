"""What workers share, in one process."""

import pytest

from simclr_keras.distribute import sharing

pytestmark = pytest.mark.newest


def test_the_mean_of_one_process_is_its_own():
    assert sharing.mean(None, 0.25, 8) == 0.25


def test_no_rows_have_no_mean():
    with pytest.raises(ValueError, match="at least one image; take a larger"):
        sharing.mean(None, 0.0, 0)
