"""One seed and one global batch: the same training on any number of replicas.

All start from the same weights. In the short run they train for 8 steps, two
epochs, under LARS; the long one adds losses, optimizers, numbers of replicas.
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


SHORT = {"steps": 8}
PLAIN = {"validation": True, **SHORT}
FINE_TUNING = {
    "model": "classifier",
    "optimizer": "momentum",
    "learning_rate": 0.02,
    **SHORT,
}
MICRO_BATCHES = {"micro_batch": 12, **SHORT}
SHORT_RUN = {"plain": PLAIN, "micro_batches": MICRO_BATCHES}
LONG_RUN = {
    "deep": {"channels": [4, 8], "validation": True},
    "float32": {"dtype": "float32", "labelled": True, "learning_rate": 0.05},
    "fine_tuning": {**FINE_TUNING, "steps": 20},
    "local_bn": {"global_bn": False, **SHORT},
    "global_bn": SHORT,
    "nt_logistic": {"loss": "nt_logistic", **SHORT},
    "user": {"loss": "user", **SHORT},
    "lamb": {"optimizer": "lamb", "learning_rate": 1e-3, **SHORT},
    "micro_batches": MICRO_BATCHES,
}


@pytest.fixture(scope="module")
def mirrored(train):
    """The short run's variants on one replica and on two logical CPUs."""
    return train(SHORT_RUN, replicas=[1, 2])


def test_training_moves_the_weights(mirrored):
    """Else all that follows would compare nothing."""
    losses = mirrored["plain-1"]["losses"]
    assert losses.shape == (8,) and np.isfinite(losses).all()
    assert np.ptp(losses) > 0.1


@pytest.mark.parametrize("variant", ["plain", "micro_batches"])
def test_two_replicas_in_float64(mirrored, variant):
    """With validation, and by gradient caching."""
    _assert_equal(mirrored[f"{variant}-1"], mirrored[f"{variant}-2"])


def test_two_processes(mirrored, train):
    both = train({"plain": PLAIN}, workers=2)
    _assert_equal(mirrored["plain-1"], both["plain-workers"])


def test_micro_batches_are_another_training(mirrored):
    """By their batch norm alone: the same images, the same loss."""
    plain, parts = (mirrored[f"{n}-1"] for n in ("plain", "micro_batches"))
    assert 1e-4 < np.abs(plain["losses"][0] - parts["losses"][0]) < 0.5


@pytest.fixture(scope="module")
def mirrored_long(train):
    """Every variant on one replica and on two logical CPUs."""
    return train(LONG_RUN, replicas=[1, 2])


@pytest.mark.long
@pytest.mark.parametrize("variant", ["deep", "nt_logistic", "user", "lamb"])
def test_every_loss_and_optimizer_in_float64(mirrored_long, variant):
    """Five epochs of LARS; LAMB is Keras's or tensorflow-addons'."""
    _assert_equal(mirrored_long[f"{variant}-1"], mirrored_long[f"{variant}-2"])


@pytest.mark.long
@pytest.mark.parametrize("variant", ["float32", "fine_tuning"])
def test_twenty_steps_in_float32(mirrored_long, variant):
    _assert_close(mirrored_long[f"{variant}-1"], mirrored_long[f"{variant}-2"])


@pytest.mark.long
def test_four_replicas_in_float64(mirrored_long, train):
    four = train({"deep": LONG_RUN["deep"]}, replicas=[4])
    _assert_equal(mirrored_long["deep-1"], four["deep-4"])


@pytest.mark.long
def test_three_processes(mirrored_long, train):
    both = train({"deep": LONG_RUN["deep"]}, workers=3)
    _assert_equal(mirrored_long["deep-1"], both["deep-workers"])


@pytest.mark.long
def test_two_processes_by_micro_batches_and_in_fine_tuning(
    mirrored_long, train
):
    names = ("micro_batches", "fine_tuning")
    both = train({name: LONG_RUN[name] for name in names}, workers=2)
    _assert_equal(
        mirrored_long["micro_batches-1"], both["micro_batches-workers"]
    )
    _assert_close(mirrored_long["fine_tuning-1"], both["fine_tuning-workers"])


@pytest.mark.long
def test_batch_norm_of_each_replica_is_another_training(mirrored_long):
    one, two = (mirrored_long[f"local_bn-{n}"]["losses"] for n in (1, 2))
    np.testing.assert_array_equal(one, mirrored_long["global_bn-1"]["losses"])
    assert np.abs(one - two).max() > 1e-2
