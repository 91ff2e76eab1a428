"""One seed and one global batch: the same training on any number of replicas.

All start from the same weights; the plain one runs 20 steps, five epochs with
validation, under LARS.
"""

import numpy as np
import pytest


def _weights(result):
    return {k: v for k, v in result.items() if k.startswith("weight")}


def _logs(result):
    return {k: v for k, v in result.items() if k.startswith("log_")}


def _assert_equal(expected, result):
    """The same but for rounding in float64.

    Losses and logs are float32 numbers, whatever the networks' precision: a
    few roundings of 6e-8.
    """
    np.testing.assert_allclose(result["losses"], expected["losses"], rtol=1e-6)
    for name, weight in _weights(expected).items():
        np.testing.assert_allclose(
            result[name], weight, rtol=1e-9, atol=1e-9, err_msg=name
        )
    assert _logs(expected).keys() == _logs(result).keys()
    for name, values in _logs(expected).items():
        np.testing.assert_allclose(
            result[name], values, rtol=1e-6, atol=1e-6, err_msg=name
        )


def _assert_close(expected, result):
    """The same but for what rounding in float32 grows to.

    Shifting the first weights of one replica by 1e-7 of themselves moves the
    last losses by up to 4e-4 (measured, five draws); the bound is five times
    that. The first losses have seen a few roundings only. Of the 24 anchors
    of a batch, two may decide otherwise.
    """
    assert expected["losses"].shape == result["losses"].shape
    np.testing.assert_allclose(
        result["losses"][:6], expected["losses"][:6], atol=1e-5
    )
    np.testing.assert_allclose(result["losses"], expected["losses"], atol=2e-3)
    assert _logs(expected).keys() == _logs(result).keys()
    for name, values in _logs(expected).items():
        if name.endswith("accuracy"):
            np.testing.assert_allclose(result[name], values, atol=2 / 24)


FLOAT32 = {"dtype": "float32", "labelled": True, "learning_rate": 0.05}
FINE_TUNING = {
    "model": "classifier",
    "optimizer": "momentum",
    "learning_rate": 0.02,
}
PLAIN = {"channels": [4, 8], "validation": True}
SHORT = {"steps": 8}
VARIANTS = {
    "plain": PLAIN,
    "float32": FLOAT32,
    "fine_tuning": FINE_TUNING,
    "local_bn": {"global_bn": False, **SHORT},
    "global_bn": SHORT,
    "nt_logistic": {"loss": "nt_logistic", **SHORT},
    "user": {"loss": "user", **SHORT},
    "micro_batches": {"micro_batch": 12, **SHORT},
    "lamb": {"optimizer": "lamb", "learning_rate": 1e-3, **SHORT},
}


@pytest.fixture(scope="module")
def mirrored(train):
    """Every variant on one replica and on two logical CPUs."""
    return train(VARIANTS, replicas=[1, 2])


def test_training_moves_the_weights(mirrored):
    """Else all that follows would compare nothing."""
    losses = mirrored["plain-1"]["losses"]
    assert losses.shape == (20,) and np.isfinite(losses).all()
    assert np.ptp(losses) > 0.1


@pytest.mark.parametrize(
    "variant",
    ["plain", "global_bn", "micro_batches", "nt_logistic", "user", "lamb"],
)
def test_two_replicas_in_float64(mirrored, variant):
    """Under every loss and optimizer; LAMB is Keras's or tensorflow-addons'."""
    _assert_equal(mirrored[f"{variant}-1"], mirrored[f"{variant}-2"])


def test_four_replicas_in_float64(mirrored, train):
    four = train({"plain": PLAIN}, replicas=[4])
    _assert_equal(mirrored["plain-1"], four["plain-4"])


def test_two_processes(mirrored, train):
    """In float64, and a fine-tuning in float32."""
    names = ("plain", "micro_batches", "fine_tuning")
    both = train({name: VARIANTS[name] for name in names}, workers=2)
    for name in names[:2]:
        _assert_equal(mirrored[f"{name}-1"], both[f"{name}-workers"])
    _assert_close(mirrored["fine_tuning-1"], both["fine_tuning-workers"])


def test_three_processes(mirrored, train):
    both = train({"plain": PLAIN}, workers=3)
    _assert_equal(mirrored["plain-1"], both["plain-workers"])


def test_two_replicas_in_float32(mirrored):
    _assert_close(mirrored["float32-1"], mirrored["float32-2"])


def test_fine_tuning_on_two_replicas(mirrored):
    """The classifier's loss, penalty and metrics."""
    _assert_close(mirrored["fine_tuning-1"], mirrored["fine_tuning-2"])


def test_batch_norm_of_each_replica_is_another_training(mirrored):
    one, two = (mirrored[f"local_bn-{count}"]["losses"] for count in (1, 2))
    np.testing.assert_array_equal(one, mirrored["global_bn-1"]["losses"])
    assert np.abs(one - two).max() > 1e-2


def test_micro_batches_are_another_training(mirrored):
    """By their batch norm alone."""
    plain, parts = (mirrored[f"{n}-1"] for n in ("global_bn", "micro_batches"))
    assert 1e-4 < np.abs(plain["losses"][0] - parts["losses"][0]) < 0.5
