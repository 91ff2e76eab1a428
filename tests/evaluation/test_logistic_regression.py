"""L-BFGS logistic regression against its optimality condition and a peer."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from simclr_keras import evaluation

pytestmark = pytest.mark.newest


def _rows(count, width, class_count, noise, seed, noise_columns=0):
    """Clusters; then columns of noise that say nothing about the class."""
    rng = np.random.RandomState(seed)
    centres = np.random.RandomState(100).randn(class_count, width)
    y = rng.randint(0, class_count, count)
    h = centres[y] + noise * rng.randn(count, width)
    h = np.concatenate([h, rng.randn(count, noise_columns)], axis=1)
    return h.astype(np.float32), y


@pytest.fixture(scope="module")
def clusters():
    return (*_rows(200, 6, 4, 1.0, 0), *_rows(150, 6, 4, 1.0, 1))


def test_the_papers_values():
    """Appendix B.8.1: 45 values, logarithmic, from 1e-6 to 1e5."""
    values = np.asarray(evaluation.L2_VALUES)
    assert len(values) == 45
    np.testing.assert_allclose(values[[0, -1]], [1e-6, 1e5])
    np.testing.assert_allclose(np.diff(np.log10(values)), 11 / 44)


@pytest.mark.parametrize("scale", [0.01, 1.0, 30.0])
def test_one_value_equals_scikit_learn_at_c_of_one_over_l2(clusters, scale):
    """Also for features of another scale, and far from zero."""
    train_h, train_y, test_h, test_y = clusters
    train_h, test_h = scale * (train_h + 3), scale * (test_h + 3)
    l2 = 2.0 * scale**2
    peer = LogisticRegression(C=1 / l2, tol=1e-6, max_iter=5_000)
    with threadpool_limits(1):
        peer.fit(train_h.astype(np.float64), train_y)
    found = evaluation.logistic_regression(
        train_h, train_y, test_h, test_y, l2=l2
    )
    # Solvers that stop at different points may differ in one row of 150.
    assert abs(found.accuracy - peer.score(test_h, test_y)) < 1.5 / 150
    assert found.converged
    assert found.l2 == l2
    assert found.table == ()
    assert found.top5_accuracy == 1.0


@pytest.mark.parametrize("class_count", [2, 4])
def test_solution_meets_the_objectives_optimality_condition(class_count):
    """Its gradient, `(p - y)' h + l2 W`, vanishes; written here in NumPy.

    The solver stops at a gradient of 1e-4 per row in its own units, so the sum
    over 200 rows is below 0.02 times the features' scale, which is about 2.
    """
    from simclr_keras.evaluation.logistic_regression import _Classifier

    h, y = _rows(200, 6, class_count, 1.0, 0)
    h, l2 = 5 + h.astype(np.float64), 3.0
    classifier = _Classifier(h, y, 1000)
    assert classifier.fit(l2)
    _, kernel, bias = classifier.weights()
    if class_count == 2:
        kernel = np.concatenate([-kernel / 2, kernel / 2])
        bias = np.concatenate([-bias / 2, bias / 2])
    logits = h @ kernel.T + bias
    np.testing.assert_allclose(
        logits - logits[:, :1],
        classifier.scores(h) - classifier.scores(h)[:, :1],
        atol=1e-9,
    )
    p = np.exp(logits - logits.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    errors = p - np.eye(class_count)[y]
    gradient = errors.T @ (h - h.mean(axis=0)) + l2 * kernel
    assert np.abs(gradient).max() < 0.04
    assert np.abs(errors.sum(axis=0)).max() < 0.02
    assert np.abs(l2 * kernel).max() > 0.4  # the condition is no 0 = 0


def test_chooses_a_middle_value_among_planted_noise():
    """120 rows, 4 columns of signal and 60 of noise.

    Too little regularisation fits the noise, too much forgets the signal.
    """
    train, test, validation = (
        _rows(count, 4, 3, 1.5, seed, noise_columns=60)
        for seed, count in enumerate((120, 600, 600))
    )
    found = evaluation.logistic_regression(*train, *test, validation=validation)
    assert len(found.table) == 45
    assert [s.l2 for s in found.table] == sorted(evaluation.L2_VALUES)[::-1]
    assert 1 < found.l2 < 1e4
    held_out = {score.l2: score.accuracy for score in found.table}
    assert held_out[found.l2] == max(held_out.values())
    assert held_out[found.l2] > held_out[min(held_out)] + 0.05
    assert held_out[found.l2] > held_out[max(held_out)] + 0.05
    # The validation rows joined the training rows: 720 instead of 120.
    alone = evaluation.logistic_regression(*train, *test, l2=found.l2)
    assert found.accuracy > alone.accuracy


def test_held_out_rows_are_seeded_and_balanced(clusters):
    from simclr_keras.evaluation.logistic_regression import _split

    h, y, _, _ = clusters
    y = np.concatenate([y, [7]])  # a class of one row stays in training
    h = np.concatenate([h, h[:1]])
    fitted, held_out = _split(h, y, None, 0.25, seed=0)
    assert len(fitted[1]) + len(held_out[1]) == len(y)
    for label in range(4):
        count = np.sum(y == label)
        assert np.sum(held_out[1] == label) == round(0.25 * count)
    assert 7 in fitted[1]
    assert 7 not in held_out[1]
    again = _split(h, y, None, 0.25, seed=0)
    other = _split(h, y, None, 0.25, seed=1)
    np.testing.assert_array_equal(held_out[0], again[1][0])
    assert not np.array_equal(held_out[0], other[1][0])


def test_labels_need_not_be_dense_nor_known(clusters):
    """Classes 10, 20, 30, 40; the class 15 of the test set was never seen."""
    train_h, train_y, test_h, test_y = clusters
    plain = evaluation.logistic_regression(*clusters, l2=1.0)
    train_y, test_y = 10 * train_y + 10, 10 * test_y + 10
    same = evaluation.logistic_regression(
        train_h, train_y, test_h, test_y, l2=1.0
    )
    assert same.accuracy == plain.accuracy
    assert same.mean_per_class_accuracy == plain.mean_per_class_accuracy
    unseen = evaluation.logistic_regression(
        train_h, train_y, test_h, np.full_like(test_y, 15), l2=1.0
    )
    assert unseen.accuracy == unseen.top5_accuracy == 0.0


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"l2": 0.0}, "above 0"),
        ({"l2_values": ()}, "above 0"),
        ({"validation_fraction": 1.0}, "validation_fraction"),
        ({"train_y": np.zeros(200, int)}, "two classes"),
        ({"train_y": np.arange(200)}, "two rows"),
        ({"validation": (np.ones([3, 5]), [0, 1, 2])}, "validation"),
        ({"validation": (np.ones([2, 6]), [8, 9])}, "validation.*such as 8"),
    ],
)
def test_wrong_arguments_are_named(clusters, change, text):
    names = ("train_h", "train_y", "test_h", "test_y")
    arguments = {**dict(zip(names, clusters)), **change}
    with pytest.raises(ValueError, match=text):
        evaluation.logistic_regression(**arguments)
