"""Only the chosen images of a batch are worked on, whatever its size."""

import types

import numpy as np
import pytest
import tensorflow as tf

from simclr_keras.images import batch_parts

pytestmark = pytest.mark.newest


def _double(planes, added):
    return [2 * plane + added[:, None] for plane in planes]


@pytest.mark.parametrize("jit", [False, True])
@pytest.mark.parametrize("batch", [1, 5, 16, 37])
def test_equals_a_choice_after_work_on_all(batch, jit):
    """NumPy's `where`, for no image, some and all."""
    random = np.random.RandomState(batch)
    planes = [random.rand(batch, 3).astype("float32") for _ in range(2)]
    added = random.rand(batch).astype("float32")

    @tf.function(jit_compile=jit)
    def work(planes, added, chosen):
        inputs = {"planes": planes, "added": added}
        return batch_parts.apply_to_chosen(_double, planes, chosen, inputs)

    for share in (0.0, 0.5, 1.0):
        chosen = random.rand(batch) < share
        results = work(planes, added, chosen)
        expected = [
            np.where(chosen[:, None], 2 * plane + added[:, None], plane)
            for plane in planes
        ]
        np.testing.assert_array_equal(results, expected)


def test_takes_all_images_and_inputs_that_are_none():
    """A result of another shape than the inputs, in their order."""
    images = tf.reshape(tf.range(38.0), [19, 2])
    (sums,) = batch_parts.apply_to_chosen(
        lambda images, absent: [tf.reduce_sum(images, axis=1)],
        [tf.zeros([19])],
        None,
        {"images": images, "absent": None},
    )
    np.testing.assert_array_equal(sums, 4.0 * np.arange(19) + 1.0)


@pytest.mark.parametrize("kind, sizes", [("CPU", [2, 2, 2]), ("GPU", [32])])
def test_work_on_others_is_saved(monkeypatch, kind, sizes):
    """5 chosen of 32 are three parts of two images; 16 would be all."""
    device = types.SimpleNamespace(device_type=kind)
    monkeypatch.setattr(tf.config, "list_logical_devices", lambda: [device])
    parts = []

    def work(x):
        parts.append(len(x))
        return [x]

    x = tf.range(32.0)
    batch_parts.apply_to_chosen(work, [x], x >= 27.0, {"x": x})
    assert parts == sizes
