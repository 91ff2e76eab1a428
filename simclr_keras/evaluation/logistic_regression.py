"""Measures transfer by L2-regularised logistic regression on features."""

from __future__ import annotations

import dataclasses
import warnings

import keras
import numpy as np
from threadpoolctl import threadpool_limits

from simclr_keras.evaluation.accuracy import mean_per_class_accuracy
from simclr_keras.evaluation.accuracy import top_k_accuracy
from simclr_keras.evaluation.features import check_features
from simclr_keras.evaluation.features import check_train_and_test
from simclr_keras.evaluation.features import columns_of

# Appendix B.8.1 of the paper: 45 values from 1e-6 to 1e5, in steps of a factor
# of 1.78.
L2_VALUES = tuple(float(value) for value in np.logspace(-6, 5, 45))


@dataclasses.dataclass(frozen=True)
class L2Score:
    """Result of one L2 value on the held-out rows.

    Attributes:
        l2: the L2 value.
        accuracy: top-1 accuracy on the held-out rows, in [0, 1].
        cross_entropy: mean cross-entropy on the held-out rows, in nats.
        converged: whether the solver reached its tolerance.
    """

    l2: float
    accuracy: float
    cross_entropy: float
    converged: bool


@dataclasses.dataclass(frozen=True)
class LogisticRegressionResult:
    """Result of `logistic_regression`.

    Attributes:
        accuracy: top-1 test accuracy, in [0, 1].
        top5_accuracy: top-5 test accuracy, in [0, 1].
        mean_per_class_accuracy: test accuracy averaged over classes.
        l2: the L2 value of the final classifier.
        converged: whether the final fit reached its tolerance.
        table: tuple of an `L2Score` per value, the largest first; empty if
            `l2` was given.
        predictions: integers `[m]`, classes of the test rows.
    """

    accuracy: float
    top5_accuracy: float
    mean_per_class_accuracy: float
    l2: float
    converged: bool
    table: tuple
    predictions: np.ndarray = dataclasses.field(compare=False, repr=False)


def logistic_regression(
    train_h: np.ndarray,
    train_y: np.ndarray,
    test_h: np.ndarray,
    test_y: np.ndarray,
    *,
    l2: float | None = None,
    l2_values: tuple[float, ...] = L2_VALUES,
    validation: tuple[np.ndarray, np.ndarray] | None = None,
    validation_fraction: float = 0.1,
    max_iterations: int = 100,
    seed: int = 0,
    verbose: bool = False,
) -> LogisticRegressionResult:
    """Fits multinomial logistic regression by L-BFGS, as the paper's transfer.

    Minimises, with an intercept that is not regularised,

        sum_i cross_entropy(W h_i + b, y_i) + l2 / 2 * ||W||^2

    The paper does not say whether its L2 parameter refers to the sum or the
    mean over rows. Here it is the sum, scikit-learn's convention with
    C = 1 / l2: a value has less effect with more rows, and the range 1e-6 to
    1e5 reaches from no effect to W = 0.

    The value with the best accuracy on held-out training rows is chosen (for
    equal accuracies, that with the lower cross-entropy), and the classifier is
    fitted again on all rows. From the largest to the smallest value, each fit
    starts from the previous one.

    As in the paper, features are not normalised. Only inside the solver are
    they centred and divided by one common factor. This does not change the
    minimum, and the solver needs far fewer iterations.

    Args:
        train_h: float `[n, C]`.
        train_y: integers `[n]`, of at least two classes.
        test_h: float `[m, C]`.
        test_y: integers `[m]`.
        l2: value to use without a choice. Defaults to None.
        l2_values: values to choose from, above 0. Defaults to the paper's 45.
        validation: pair `(features, labels)`, the validation split of the data
            set; after the choice it is added to the training rows. Defaults to
            None: training rows are held out.
        validation_fraction: fraction of each class to hold out, in (0, 1); at
            least one row of each class remains. Defaults to 0.1.
        max_iterations: most iterations of L-BFGS, for each value; the final fit
            may take ten times as many. Defaults to 100.
        seed: seed of the random choice of held-out rows. Defaults to 0.
        verbose: whether to show a progress bar. Defaults to False.

    Returns:
        `LogisticRegressionResult`.

    Raises:
        ValueError: an argument is out of its range, or shapes do not fit.

    Reference:
        Chen et al. (2020), arXiv 2002.05709, appendix B.8.1.
    """
    train_h, train_y, test_h, test_y = check_train_and_test(
        train_h, train_y, test_h, test_y
    )
    train_h, test_h = train_h.astype(np.float64), test_h.astype(np.float64)
    if len(np.unique(train_y)) < 2:
        raise ValueError(
            "train_y must hold at least two classes. Received: class"
            f" {train_y[0]} alone"
        )
    values = sorted(set(l2_values if l2 is None else (l2,)), reverse=True)
    if not values or not 0 < values[-1] <= values[0] < np.inf:
        raise ValueError(
            "l2 and l2_values must be numbers above 0. Received:"
            f" l2={l2!r}, l2_values={l2_values!r}"
        )
    if validation is not None:
        validation = check_features(
            "validation", *validation, width=train_h.shape[1]
        )
    table, start = (), None
    # With TensorFlow's threads running as well, BLAS threads would make the
    # solver take a minute instead of a second.
    with threadpool_limits(1):
        if l2 is None:
            fitted, held_out = _split(
                train_h, train_y, validation, validation_fraction, seed
            )
            table, l2, start = _choose(
                fitted, held_out, values, max_iterations, verbose
            )
        if validation is not None:
            train_h = np.concatenate([train_h, validation[0]])
            train_y = np.concatenate([train_y, validation[1]])
        classifier = _Classifier(train_h, train_y, 10 * max_iterations)
        converged = classifier.fit(l2, start)
        scores = classifier.scores(test_h)
    columns = columns_of(classifier.classes, test_y)
    predictions = classifier.classes[scores.argmax(axis=1)]
    return LogisticRegressionResult(
        accuracy=top_k_accuracy(scores, columns, 1),
        top5_accuracy=top_k_accuracy(scores, columns, 5),
        mean_per_class_accuracy=mean_per_class_accuracy(predictions, test_y),
        l2=float(l2),
        converged=converged,
        table=table,
        predictions=predictions,
    )


def _split(features, labels, validation, fraction, seed):
    """`(rows to fit, held-out rows)`, each `(features, labels)`."""
    if validation is not None:
        if not np.isin(validation[1], labels).any():
            raise ValueError(
                "validation must have rows of the classes of train_y, from"
                " which l2 is chosen; or give l2. Received: only other classes,"
                f" such as {validation[1][0]}"
            )
        return (features, labels), validation
    if not 0 < fraction < 1:
        raise ValueError(
            "validation_fraction must lie between 0 and 1. Received:"
            f" validation_fraction={fraction!r}"
        )
    generator = np.random.default_rng(seed)
    held_out = np.zeros(len(labels), bool)
    for label in np.unique(labels):
        rows = generator.permutation(np.flatnonzero(labels == label))
        count = min(max(1, round(fraction * len(rows))), len(rows) - 1)
        held_out[rows[:count]] = True
    if not held_out.any():
        raise ValueError(
            "train_h must hold at least two rows of some class, so that rows"
            " can be held out; or give one l2. Received: one row per class"
        )
    return (
        (features[~held_out], labels[~held_out]),
        (features[held_out], labels[held_out]),
    )


def _choose(fitted, held_out, values, max_iterations, verbose):
    """Fits all values; returns `(table, best L2 value, its weights)`."""
    classifier = _Classifier(*fitted, max_iterations)
    columns = columns_of(classifier.classes, held_out[1])
    bar = keras.utils.Progbar(len(values), unit_name="L2 value")
    table, weights = [], []
    for value in values:
        converged = classifier.fit(value)
        scores = classifier.scores(held_out[0])
        label_scores = scores[np.arange(len(columns)), columns]
        losses = np.logaddexp.reduce(scores, axis=1) - label_scores
        score = L2Score(
            l2=float(value),
            accuracy=top_k_accuracy(scores, columns, 1),
            cross_entropy=float(losses[columns >= 0].mean()),
            converged=converged,
        )
        table.append(score)
        weights.append(classifier.weights())
        if verbose:
            bar.add(1, [("held_out_accuracy", score.accuracy)])
    keys = [(score.accuracy, -score.cross_entropy) for score in table]
    best = keys.index(max(keys))
    return tuple(table), table[best].l2, weights[best]


class _Classifier:
    """scikit-learn's solver on centred and scaled features of one data set.

    The intercept, which is not regularised, compensates a shift of the
    features. W compensates a common factor 1 / s if l2 becomes l2 / s^2. With
    s^2 the mean variance, the solver's tolerance has the same meaning for all
    features.
    """

    def __init__(self, features, labels, max_iterations):
        self.classes = np.unique(labels)
        self._mean = features.mean(axis=0)
        variance = features.var(axis=0).mean()
        self._scale = np.sqrt(variance) if variance > 0 else 1.0
        self._rows = self._standardize(features)
        self._labels = labels
        # For two classes scikit-learn fits one vector w = w_1 - w_0, and
        # ||w||^2 / 2 = ||w_0||^2 + ||w_1||^2 at the optimum w_0 = -w_1.
        self._factor = 2.0 if len(self.classes) == 2 else 1.0
        # Imported here, as that takes a second.
        from sklearn.linear_model import LogisticRegression

        self._solver = LogisticRegression(
            solver="lbfgs", max_iter=max_iterations, warm_start=True
        )

    def _standardize(self, features):
        return (features - self._mean) / self._scale

    def fit(self, l2, start=None):
        """Fits from `start` or the last fit; returns whether it converged."""
        from sklearn.exceptions import ConvergenceWarning

        if start is not None and np.array_equal(start[0], self.classes):
            _, kernel, bias = start
            self._solver.coef_ = kernel * self._scale
            self._solver.intercept_ = bias + kernel @ self._mean
        self._solver.set_params(C=self._factor * self._scale**2 / l2)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            self._solver.fit(self._rows, self._labels)
        return not any(
            issubclass(w.category, ConvergenceWarning) for w in caught
        )

    def weights(self):
        """`(classes, kernel, intercept)` for features before scaling."""
        kernel = self._solver.coef_ / self._scale
        return (
            self.classes,
            kernel,
            self._solver.intercept_ - kernel @ self._mean,
        )

    def scores(self, features):
        """Logits `[m, K]`, even for two classes."""
        scores = self._solver.decision_function(self._standardize(features))
        if scores.ndim == 1:
            scores = np.stack([np.zeros_like(scores), scores], axis=1)
        return scores
