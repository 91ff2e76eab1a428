"""What `fit` is told on both stacks."""

import warnings

import keras
import pytest

from simclr_keras import compat


@pytest.mark.skipif(not compat.KERAS_3, reason="of Keras 3")
def test_the_end_of_an_epoch_hides_no_later_warning():
    """Keras's words for data that ran out are true of later epochs."""
    words = "Your input ran out of data; interrupting training."
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in range(2):
            caught.clear()
            with pytest.raises(StopIteration):
                compat.end_epoch()
            warnings.warn(words, stacklevel=1)
            assert not caught
            compat.set_resume_point(keras.Model(), None, None)
            warnings.warn(words, stacklevel=1)
            assert len(caught) == 1
