"""The time that a step waits for its input, and no other."""

import threading
import time

import keras
import numpy as np
import pytest
import tensorflow as tf

import simclr_keras as sk
from simclr_keras.models import input_wait

PAUSE = 0.2


def _pausing(dataset, before=lambda: None):
    """The same batches, each after a pause."""

    def pause(images):
        time.sleep(PAUSE)
        before()
        return images

    def wait(images):
        made = tf.numpy_function(pause, [images], images.dtype)
        return tf.ensure_shape(made, images.shape)

    return dataset.map(wait)


def _images(count=32):
    draws = np.random.default_rng(0).integers(0, 256, (count, 16, 16, 3))
    return sk.data.load(draws.astype(np.uint8), batch_size=8).as_dataset()


@pytest.fixture(scope="module")
def model():
    views = sk.TwoViews(
        16, color_strength=0.0, grayscale_probability=0.0, jit=False
    )
    model = sk.SimCLR(sk.TinyResNet(channels=(4,)), views=views)
    model.compile("sgd")
    return model


def test_a_batch_is_waited_for_as_long_as_it_takes():
    timer = input_wait.InputTimer()
    watched = timer.watch(_pausing(_images()))
    assert watched.element_spec == _images().element_spec
    assert int(watched.cardinality()) == 4
    start = time.time()
    batches = list(watched)
    assert 4 * PAUSE <= timer.waited() <= time.time() - start
    for batch, expected in zip(batches, _images()):
        np.testing.assert_array_equal(batch, expected)


def test_what_is_made_ahead_is_waited_for_since_it_is_needed():
    timer = input_wait.InputTimer()
    iterator = iter(timer.watch(_images()))
    early = time.time()
    next(iterator)
    late = time.time()
    next(iterator)
    assert 0 < timer.waited_since(0, early) <= late - early
    assert timer.waited_since(0, late) == 0
    assert timer.waited_since(1, early) > timer.waited_since(1, late) > 0


def test_a_slow_input_shows(model):
    """The first batch at least cannot be made while another step runs."""
    model.fit(_pausing(_images()), verbose=0)
    waited, seconds = input_wait.so_far(model)
    assert PAUSE <= waited <= seconds
    assert 0 < input_wait.share((waited, seconds)) <= 1


def test_a_batch_that_is_there_is_not_waited_for(model):
    """Each step begins when the batch after its own is made already.

    What the pipeline takes for the batches is four pauses; but for the first,
    no step waits for one.
    """
    made = threading.Semaphore(0)

    class UntilMade(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            for _ in range((0, 3, 1, 0)[batch]):
                assert made.acquire(timeout=60)

    source = _pausing(_images(), made.release).prefetch(4)
    model.fit(source, callbacks=[UntilMade()], verbose=0)
    waited, _ = input_wait.so_far(model)
    assert waited < 2.5 * PAUSE


def test_what_cannot_be_measured_is_not_shown(model):
    images = next(iter(_images())).numpy()
    model.fit(images, batch_size=8, verbose=0)
    assert input_wait.share(input_wait.so_far(model)) is None
