"""Linear evaluation by gradient descent, against loops and known limits."""

import numpy as np
import pytest

from simclr_keras import evaluation


def _clusters(count, seed, spread=0.1, class_count=4, width=8):
    rng = np.random.RandomState(seed)
    centres = np.random.RandomState(100).randn(class_count, width)
    y = rng.randint(0, class_count, count)
    h = centres[y] + spread * rng.randn(count, width)
    return h.astype(np.float32), y


@pytest.mark.newest
def test_separable_data_is_learned_whole():
    train, test = _clusters(400, 0), _clusters(200, 1)
    for standardize in (True, False):
        found = evaluation.linear_accuracy(
            *train, *test, batch_size=64, standardize=standardize
        )
        assert found.accuracy == found.train_accuracy == 1.0
        assert found.top5_accuracy == 1.0


@pytest.mark.newest
def test_shuffled_labels_give_chance():
    """2000 test rows of 4 classes: 5 sigma of chance is 0.048."""
    h, y = _clusters(600, 0, spread=1.0)
    y = np.random.RandomState(2).permutation(y)
    found = evaluation.linear_accuracy(
        h, y, *_clusters(2000, 1, spread=1.0), epochs=5
    )
    assert abs(found.accuracy - 0.25) < 0.15


@pytest.mark.newest
def test_top5_accuracy_exceeds_top1_where_classes_overlap():
    """Scores without skill among 10 classes: 10 % and 50 %."""
    rng = np.random.RandomState(0)
    train = rng.randn(300, 4), rng.randint(0, 10, 300)
    test = rng.randn(1000, 4), rng.randint(0, 10, 1000)
    found = evaluation.linear_accuracy(*train, *test, epochs=3)
    assert abs(found.accuracy - 0.1) < 0.06
    assert abs(found.top5_accuracy - 0.5) < 0.1


@pytest.mark.newest
def test_full_batch_steps_equal_a_numpy_loop():
    """With one batch an epoch the order of rows does not matter."""
    from simclr_keras.evaluation import linear_probe

    h, y = _clusters(50, 0, spread=1.0)
    kernel, bias = linear_probe.train(
        h,
        y.astype(np.int32),
        class_count=4,
        epochs=7,
        batch_size=50,
        learning_rate=np.float32(0.5),
        weight_decay=np.float32(0.01),
        seed=0,
    )
    w, b = np.zeros([8, 4]), np.zeros(4)
    mw, mb = 0 * w, 0 * b
    for step in range(7):
        logits = h.astype(np.float64) @ w + b
        p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        errors = (p - np.eye(4)[y]) / 50
        gw, gb = h.T @ errors + 0.01 * w, errors.sum(axis=0)
        rate = 0.5 * 0.5 * (1 + np.cos(np.pi * step / 7))
        mw, mb = 0.9 * mw - rate * gw, 0.9 * mb - rate * gb
        w, b = w + 0.9 * mw - rate * gw, b + 0.9 * mb - rate * gb
    # float32: a few roundings of 6e-8 per step and term.
    np.testing.assert_allclose(kernel, w, atol=1e-5)
    np.testing.assert_allclose(bias, b, atol=1e-5)


def test_the_seed_decides_the_result():
    train = _clusters(300, 0, spread=2.0, class_count=10)
    test = _clusters(3000, 1, spread=2.0, class_count=10)
    first, again, other = (
        evaluation.linear_accuracy(*train, *test, epochs=2, seed=seed)
        for seed in (0, 0, 1)
    )
    assert first == again
    assert first != other


@pytest.mark.newest
def test_each_epoch_visits_every_row_once_in_another_order():
    from simclr_keras.evaluation import linear_probe

    orders = [linear_probe.epoch_order(50, e, 0).numpy() for e in range(3)]
    for order in orders:
        np.testing.assert_array_equal(np.sort(order), np.arange(50))
    assert not np.array_equal(orders[0], orders[1])
    assert not np.array_equal(orders[1], orders[2])


@pytest.mark.newest
def test_rate_is_the_papers_or_the_stable_one():
    """0.1 x 128 / 256 = 0.05; ten equal columns have eigenvalue 10."""
    train, test = _clusters(400, 0), _clusters(200, 1)
    found = evaluation.linear_accuracy(*train, *test, epochs=1, batch_size=128)
    assert found.learning_rate == pytest.approx(0.05)
    wide = [np.repeat(h[:, :1], 100, axis=1) for h in (train[0], test[0])]
    found = evaluation.linear_accuracy(
        wide[0], train[1], wide[1], test[1], epochs=1
    )
    assert found.learning_rate == pytest.approx(2 / 100, rel=1e-3)


@pytest.mark.newest
def test_standardize_uses_the_training_rows():
    """Hand-worked: mean 3 and deviation 2; a constant column is shifted."""
    train, test = evaluation.standardize([[1.0, 7.0], [5.0, 7.0]], [[7.0, 8.0]])
    np.testing.assert_allclose(train, [[-1, 0], [1, 0]])
    np.testing.assert_allclose(test, [[2, 1]])
    for other in (np.ones((3, 1)), np.ones((3, 3)), np.ones(2)):
        with pytest.raises(ValueError, match="columns of train_h. Received"):
            evaluation.standardize(train, other)


@pytest.mark.newest
@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"epochs": 0}, "epochs"),
        ({"batch_size": 2.5}, "batch_size"),
        ({"learning_rate": -1.0}, "learning_rate"),
        ({"weight_decay": -1.0}, "weight_decay"),
        ({"learning_rate": 1e38}, "learning_rate"),
        ({"test_h": np.ones([30, 3])}, "as many columns"),
    ],
)
def test_wrong_arguments_are_named(change, text):
    names = ("train_h", "train_y", "test_h", "test_y")
    rows = (*_clusters(40, 0), *_clusters(30, 1))
    arguments = {**dict(zip(names, rows)), "epochs": 3, **change}
    with pytest.raises(ValueError, match=text):
        evaluation.linear_accuracy(**arguments)
