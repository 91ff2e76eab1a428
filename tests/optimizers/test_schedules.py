"""The schedule against the official numbers and its NumPy twin."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from simclr_keras.optimizers import WarmupCosine
from simclr_keras.optimizers import scale_learning_rate
from simclr_keras.optimizers import total_steps
from simclr_keras.optimizers import warmup_steps


def twin(steps, peak, warmup, total):
    """The formula in NumPy, float64, one step at a time."""

    def rate(s):
        if s >= total:
            return 0.0
        if s < warmup:
            return peak * s / warmup
        return peak * (1 + np.cos(np.pi * (s - warmup) / (total - warmup))) / 2

    return np.array([rate(s) for s in steps])


def test_equals_the_official_schedule(parity):
    """schedule.npz: float32, so an error of 1e-7 of the peak in the cosine is
    its own. Steps of the warm-up are counted as there; of the whole run, the
    official code counts one more than full batches over all epochs."""
    with np.load(parity("schedule.npz"), allow_pickle=False) as file:
        arrays = dict(file)
    cases = json.loads(str(arrays["cases_json"]))
    assert len(cases) >= 5
    for case in cases:
        run = case["num_examples"], case["train_batch_size"]
        warmup = warmup_steps(case["warmup_epochs"], *run)
        total = int(arrays[case["case"] + "_total_steps"])
        assert warmup == case["warmup_steps"]
        ours = total_steps(case["train_epochs"], *run, case["train_steps"])
        if case["train_steps"]:
            assert ours == total
        else:
            partial = case["num_examples"] % case["train_batch_size"]
            left_out = case["train_epochs"] * partial
            assert total - 1 - ours == left_out // case["train_batch_size"]
        peak = scale_learning_rate(
            case["learning_rate"],
            case["train_batch_size"],
            case["learning_rate_scaling"],
        )
        steps = arrays[case["case"] + "_steps"]
        np.testing.assert_allclose(
            WarmupCosine(peak, warmup, total)(steps),
            arrays[case["case"] + "_lr"],
            rtol=1e-6,
            atol=1e-6 * peak,
            err_msg=str(case),
        )


@pytest.mark.parametrize(
    "warmup, total",
    [(0, 1), (1, 1), (1, 2), (0, 3), (3, 4), (5, 5), (10, 4), (7, 100)],
)
def test_is_sound_in_short_runs_and_long_warm_ups(warmup, total):
    """Against the twin, beyond the end too; nothing exceeds the peak or the
    warm-up, nothing is NaN or negative."""
    steps = np.arange(2 * max(warmup, total) + 2)
    schedule = WarmupCosine(0.6, warmup, total)
    rates = np.array([float(schedule(s)) for s in steps])
    np.testing.assert_allclose(
        rates, twin(steps, 0.6, warmup, total), rtol=1e-6, atol=1e-7
    )
    assert (rates >= 0).all() and (rates <= np.float32(0.6)).all()
    assert (rates[total:] == 0).all()
    if warmup:
        assert rates[0] == 0


def test_a_warm_up_longer_than_the_run_is_its_beginning():
    """Four steps of a warm-up of ten to 1.0: 0, 0.1, 0.2, 0.3, then 0."""
    rates = WarmupCosine(1.0, warmup_steps=10, total_steps=4)(np.arange(6))
    np.testing.assert_allclose(
        rates, [0, 0.1, 0.2, 0.3, 0, 0], rtol=1e-6, atol=1e-8
    )


def test_runs_in_graphs_with_any_integer_step():
    schedule = tf.function(WarmupCosine(1.0, 2, 10), jit_compile=True)
    for dtype in (tf.int32, tf.int64):
        rate = schedule(tf.constant(6, dtype))
        assert rate.dtype == tf.float32
        np.testing.assert_allclose(rate, 0.5, rtol=1e-6)  # half way down


def test_survives_serialisation():
    schedule = WarmupCosine(0.3, 10, 100, name="mine")
    stored = json.dumps(keras.saving.serialize_keras_object(schedule))
    again = keras.saving.deserialize_keras_object(json.loads(stored))
    assert isinstance(again, WarmupCosine)
    assert again.get_config() == {
        "peak": 0.3,
        "warmup_steps": 10,
        "total_steps": 100,
        "name": "mine",
    }


def test_scales_with_the_batch_as_in_the_paper():
    """Appendix B.1: 0.3 linear and 0.075 square root agree at 4096."""
    assert scale_learning_rate(0.3, 4096) == pytest.approx(4.8)
    assert scale_learning_rate(0.075, 4096, "sqrt") == pytest.approx(4.8)
    assert scale_learning_rate(0.3, 4096, "none") == 0.3


@pytest.mark.parametrize(
    "call, word",
    [
        (lambda: WarmupCosine(-1.0, 0, 10), "peak"),
        (lambda: WarmupCosine(float("nan"), 0, 10), "peak"),
        (lambda: WarmupCosine(1.0, -1, 10), "warmup_steps"),
        (lambda: WarmupCosine(1.0, 0.5, 10), "warmup_steps"),
        (lambda: WarmupCosine(1.0, 0, 0), "total_steps"),
        (lambda: scale_learning_rate(0.1, 0), "batch_size"),
        (lambda: scale_learning_rate(0.1, 8, "cubic"), "scaling"),
        (lambda: warmup_steps(-1, 10, 2), "warmup_epochs"),
        (lambda: total_steps(1, 10, 0), "batch_size"),
    ],
)
def test_refuses_senseless_arguments(call, word):
    with pytest.raises(ValueError, match=f"{word}.*Received"):
        call()
