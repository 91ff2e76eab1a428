"""Linear models of several labels and of numbers, against scikit-learn."""

import numpy as np
import pytest

from simclr_keras import evaluation


def _features(count=400, width=6):
    rng = np.random.default_rng(0)
    features = rng.normal(3, 2, (count, width)).astype(np.float32)
    return features, rng


def test_numbers_as_least_squares():
    """Without noise both find the true weights, in the units of the targets."""
    h, rng = _features()
    targets = h @ rng.normal(size=(6, 2)) * [1, 100] + [5, 1e4]
    predicted = evaluation.linear_predictions(
        h[:300], targets[:300], h[300:], epochs=200, batch_size=50
    )
    figures = evaluation.regression_figures(predicted, targets[300:])
    assert (figures.r2 > 0.9999).all()


@pytest.mark.newest
def test_numbers_from_wide_features_in_small_batches():
    """Where the rate for classes diverges: a batch fits its rows alone."""
    h, rng = _features(1250, 512)
    targets = h @ rng.normal(size=(512, 1)) / 30
    predicted = evaluation.linear_predictions(
        h[:1000], targets[:1000], h[1000:], epochs=60, batch_size=8
    )
    figures = evaluation.regression_figures(predicted, targets[1000:])
    assert figures.r2[0] > 0.9


@pytest.mark.newest
def test_labels_as_logistic_regressions():
    """Noisy labels, for which scikit-learn's solution is finite."""
    from sklearn.linear_model import LogisticRegression

    h, rng = _features(2000)
    logits = (h - 3) @ rng.normal(size=(6, 3)) * 0.5 - [0, 1, 2]
    labels = (rng.random(logits.shape) < 1 / (1 + np.exp(-logits))).astype(int)
    ours = evaluation.linear_probabilities(
        h[:1500], labels[:1500], h[1500:], epochs=200, batch_size=1500
    )
    for k in range(3):
        theirs = LogisticRegression(C=1e6).fit(h[:1500], labels[:1500, k])
        # Gradient descent is near the minimum after 200 steps, not at it.
        np.testing.assert_allclose(
            ours[:, k], theirs.predict_proba(h[1500:])[:, 1], atol=0.03
        )


@pytest.mark.newest
def test_figures_of_numbers_by_hand():
    targets = np.array([[0.0, 5], [2, 5], [4, 5]])
    figures = evaluation.regression_figures(targets + [1, -2], targets)
    np.testing.assert_allclose(figures.mse, [1, 4])
    np.testing.assert_allclose(figures.rmse, [1, 2])
    np.testing.assert_allclose(figures.mae, [1, 2])
    np.testing.assert_allclose(figures.r2, [1 - 1 / (8 / 3), np.nan])
    # The variance of three times 0.1 is not 0 in float64.
    same = np.full([3, 1], 0.1)
    assert np.isnan(evaluation.regression_figures(same + 1, same).r2).all()


@pytest.mark.newest
@pytest.mark.parametrize(
    "labels, message",
    [
        (np.zeros([4]), r"finite numbers \[n, K\]"),
        (np.full([4, 2], 0.5), "0 and 1. Received: values from 0.5"),
        (np.zeros([3, 2]), "a row for each of the 4 rows"),
    ],
)
def test_wrong_arguments(labels, message):
    h = np.random.default_rng(0).normal(size=(4, 3))
    with pytest.raises(ValueError, match=message):
        evaluation.linear_probabilities(h, labels, h)
