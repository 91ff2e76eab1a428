"""Average precision, against scikit-learn and by hand."""

import numpy as np
import pytest

from simclr_keras import evaluation

pytestmark = pytest.mark.newest


@pytest.mark.parametrize("ties", [False, True])
def test_as_scikit_learn(ties):
    from sklearn.metrics import average_precision_score

    rng = np.random.default_rng(0)
    labels = (rng.random((200, 7)) < 0.2).astype(int)
    scores = rng.random((200, 7))
    if ties:
        scores = np.round(scores, 1)
    assert evaluation.mean_average_precision(scores, labels) == pytest.approx(
        average_precision_score(labels, scores, average="macro"), abs=1e-12
    )
    figures = evaluation.label_figures(scores, labels)
    expected = average_precision_score(labels, scores, average=None)
    np.testing.assert_allclose(figures.average_precision, expected, atol=1e-12)


def test_by_hand():
    """Right at ranks 1 and 3 of 4: (1 + 2/3) / 2."""
    scores = np.array([0.9, 0.8, 0.7, 0.1])
    labels = np.array([1, 0, 1, 0])
    assert evaluation.average_precision(scores, labels) == pytest.approx(5 / 6)
    equal = evaluation.average_precision(np.ones(4), labels)
    assert equal == pytest.approx(0.5)


def test_a_label_of_no_image_is_left_out():
    scores, labels = np.full((4, 2), 0.6), np.array([[1, 0]] * 4)
    assert evaluation.mean_average_precision(scores, labels) == 1.0
    figures = evaluation.label_figures(scores, labels)
    np.testing.assert_array_equal(figures.images, [4, 0])
    np.testing.assert_array_equal(figures.precision, [1, 0])
    np.testing.assert_array_equal(np.isnan(figures.recall), [False, True])
    assert np.isnan(evaluation.mean_average_precision(scores, 0 * labels))


@pytest.mark.parametrize(
    "scores, labels, message",
    [
        (np.zeros([3, 2]), np.zeros([3]), r"both be \[n, K\]"),
        (np.zeros([0, 2]), np.zeros([0, 2]), "not empty"),
        (np.full([3, 2], np.nan), np.zeros([3, 2]), "must be finite"),
        (np.zeros([3, 2]), np.full([3, 2], 2), "labels from 2 to 2"),
    ],
)
def test_wrong_arguments(scores, labels, message):
    with pytest.raises(ValueError, match=message):
        evaluation.mean_average_precision(scores, labels)
