"""A classifier with a hidden layer tells what no linear one can."""

import keras
import numpy as np
import pytest

from simclr_keras import evaluation


def _exclusive_or(count, seed):
    """Two columns; the class is whether their signs differ."""
    h = np.random.RandomState(seed).uniform(-1, 1, (count, 2))
    return h.astype(np.float32), (h[:, 0] * h[:, 1] < 0).astype(np.int64)


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
def test_exclusive_or_is_learned(policy):
    """By a linear classifier a half of it, with deviation 2.5 %."""
    keras.mixed_precision.set_global_policy(policy)
    train, test = _exclusive_or(600, 0), _exclusive_or(400, 1)
    arguments = {"epochs": 20, "batch_size": 32, "learning_rate": 1e-2}
    found = evaluation.mlp_accuracy(*train, *test, hidden=32, **arguments)
    assert found.accuracy > 0.9
    assert np.mean(found.predictions == test[1]) == found.accuracy
    again = evaluation.mlp_accuracy(*train, *test, hidden=32, **arguments)
    assert again == found
    linear = evaluation.linear_accuracy(*train, *test, epochs=20)
    assert linear.accuracy < 0.7


@pytest.mark.newest
def test_shuffled_labels_give_chance():
    """400 test rows of 2 classes: five deviations of chance are 0.125."""
    h, y = _exclusive_or(300, 0)
    y = np.random.RandomState(2).permutation(y)
    found = evaluation.mlp_accuracy(
        h, y, *_exclusive_or(400, 1), hidden=8, epochs=2
    )
    assert abs(found.accuracy - 0.5) < 0.125


@pytest.mark.newest
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"hidden": 0}, "hidden=0"),
        ({"epochs": 1.5}, "epochs=1.5"),
        ({"batch_size": 0}, "batch_size=0"),
        ({"learning_rate": 0.0}, "learning_rate=0.0"),
    ],
)
def test_arguments_out_of_range_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        evaluation.mlp_accuracy(
            *_exclusive_or(9, 0), *_exclusive_or(9, 1), **arguments
        )
