"""Streams drawn in one call equal those drawn one at a time."""

import numpy as np
import pytest
import tensorflow as tf

from simclr_keras import randomness
from simclr_keras.views import random_numbers

pytestmark = pytest.mark.newest


def test_each_stream_has_the_numbers_of_randomness(seeds):
    streams = (3, 20, 11)
    together = tf.function(lambda s: random_numbers.uniforms(s, streams))(
        seeds(7)
    )
    assert set(together) == set(streams)
    for stream in streams:
        alone = randomness.uniforms(seeds(7), 1, stream)[:, 0]
        np.testing.assert_array_equal(together[stream], alone)
