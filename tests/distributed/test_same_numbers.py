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
VARIANTS = {
    "plain": {"validation": True, "adds_loss": True, **SHORT},
    "micro_batches": {"micro_batch": 12, "adds_loss": True, **SHORT},
    "deep": {"channels": [4, 8], "validation": True},
    "float32": {"dtype": "float32", "labelled": True, "learning_rate": 0.05},
    "fine_tuning": {
        "model": "classifier",
        "optimizer": "momentum",
        "learning_rate": 0.02,
    },
    "local_bn": {"global_bn": False, **SHORT},
    "global_bn": SHORT,
    "nt_logistic": {"loss": "nt_logistic", **SHORT},
    "margin_triplet": {"loss": "margin_triplet", **SHORT},
    "user": {"loss": "user", **SHORT},
    "lamb": {"optimizer": "lamb", "learning_rate": 1e-3, **SHORT},
}


@pytest.fixture(scope="module")
def on_replicas(train):
    """Function that trains a variant, once; on one replica and on two CPUs."""
    results = {}

    def trained(variant):
        if f"{variant}-1" not in results:
            changes = {variant: VARIANTS[variant]}
            results.update(train(changes, replicas=[1, 2]))
        return results[f"{variant}-1"], results[f"{variant}-2"]

    return trained


@pytest.fixture(scope="module")
def in_processes(train):
    """Function that trains a variant in several processes together."""

    def trained(variant, workers):
        changes = {variant: VARIANTS[variant]}
        return train(changes, workers=workers)[f"{variant}-workers"]

    return trained


def test_training_moves_the_weights(on_replicas):
    """Else all that follows would compare nothing."""
    losses = on_replicas("plain")[0]["losses"]
    assert losses.shape == (8,) and np.isfinite(losses).all()
    assert np.ptp(losses) > 0.1


@pytest.mark.parametrize("variant", ["plain", "micro_batches"])
def test_two_replicas_in_float64(on_replicas, variant):
    """With validation, and by gradient caching."""
    _assert_equal(*on_replicas(variant))


def test_two_processes(on_replicas, in_processes):
    _assert_equal(on_replicas("plain")[0], in_processes("plain", 2))


def test_micro_batches_are_another_training(on_replicas):
    """By their batch norm alone: the same images, the same loss."""
    plain, parts = (on_replicas(n)[0] for n in ("plain", "micro_batches"))
    assert 1e-4 < np.abs(plain["losses"][0] - parts["losses"][0]) < 0.5


@pytest.mark.long
@pytest.mark.parametrize(
    "variant", ["deep", "nt_logistic", "margin_triplet", "user", "lamb"]
)
def test_other_losses_and_optimizers_in_float64(on_replicas, variant):
    """A deeper network for 20 steps; LAMB is Keras's or that of addons."""
    _assert_equal(*on_replicas(variant))


@pytest.mark.long
@pytest.mark.parametrize("variant", ["float32", "fine_tuning"])
def test_twenty_steps_in_float32(on_replicas, variant):
    _assert_close(*on_replicas(variant))


@pytest.mark.long
def test_four_replicas_in_float64(on_replicas, train):
    four = train({"deep": VARIANTS["deep"]}, replicas=[4])["deep-4"]
    _assert_equal(on_replicas("deep")[0], four)


@pytest.mark.long
def test_three_processes(on_replicas, in_processes):
    _assert_equal(on_replicas("deep")[0], in_processes("deep", 3))


@pytest.mark.long
@pytest.mark.parametrize(
    "variant, check",
    [("micro_batches", _assert_equal), ("fine_tuning", _assert_close)],
)
def test_two_processes_otherwise(on_replicas, in_processes, variant, check):
    """By micro-batches, and in fine-tuning."""
    check(on_replicas(variant)[0], in_processes(variant, 2))


@pytest.mark.long
def test_batch_norm_of_each_replica_is_another_training(on_replicas):
    one, two = (each["losses"] for each in on_replicas("local_bn"))
    np.testing.assert_array_equal(one, on_replicas("global_bn")[0]["losses"])
    assert np.abs(one - two).max() > 1e-2
