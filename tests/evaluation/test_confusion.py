"""Confusion matrix and figures of classes against scikit-learn's."""

import numpy as np
import pytest
from sklearn import metrics

from simclr_keras import evaluation

pytestmark = pytest.mark.newest


def _answers():
    """Of 5 classes, of which 3 never occurs and 4 is never predicted."""
    rng = np.random.default_rng(0)
    labels = rng.choice([0, 1, 2, 4], 60)
    predictions = np.where(rng.random(60) < 0.6, labels, rng.integers(0, 3, 60))
    predictions[labels == 4] = 3
    return labels, predictions


def test_equals_scikit_learn():
    labels, predictions = _answers()
    matrix = evaluation.confusion_matrix(labels, predictions, 5)
    expected = metrics.confusion_matrix(labels, predictions, labels=range(5))
    np.testing.assert_array_equal(matrix, expected)
    found = evaluation.class_figures(matrix)
    precision, recall, f1, images = metrics.precision_recall_fscore_support(
        labels, predictions, labels=range(5), zero_division=np.nan
    )
    np.testing.assert_array_equal(found.images, images)
    np.testing.assert_allclose(found.accuracy, recall)
    np.testing.assert_allclose(found.precision, precision)
    np.testing.assert_allclose(found.f1, f1)
    assert np.isnan(found.accuracy[3]) and np.isnan(found.precision[4])
    assert np.nanmean(found.accuracy) == pytest.approx(
        evaluation.mean_per_class_accuracy(predictions, labels)
    )


@pytest.mark.parametrize(
    "labels, predictions, message",
    [
        ([0, 1], [0], "must both be \\[n\\].*\\(2,\\) and \\(1,\\)"),
        ([0, 2], [0, 1], "labels must lie between 0 and 1. Received: 0 to 2"),
        ([0, 1], [-1, 1], "predictions must lie.* Received: -1 to 1"),
    ],
)
def test_wrong_arguments_are_refused(labels, predictions, message):
    with pytest.raises(ValueError, match=message):
        evaluation.confusion_matrix(labels, predictions, 2)
