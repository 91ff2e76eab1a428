"""Classifies images by a vote of their nearest neighbours."""

from __future__ import annotations

from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from simclr_keras import compat
from simclr_keras import data
from simclr_keras import scalars
from simclr_keras.distribute import sharing
from simclr_keras.evaluation.accuracy import top_k_accuracy
from simclr_keras.evaluation.embeddings import Extractor
from simclr_keras.evaluation.features import check_features
from simclr_keras.evaluation.features import check_train_and_test
from simclr_keras.evaluation.features import columns_of
from simclr_keras.evaluation.neighbors import search


def knn_predict(
    train_h: np.ndarray,
    train_y: np.ndarray,
    test_h: np.ndarray,
    k: int = 200,
    temperature: float = 0.1,
    *,
    block_size: int | None = None,
) -> np.ndarray:
    """Predicts the classes that the nearest neighbours vote for.

    Features are scaled to unit length. Of the k training rows with the highest
    cosine similarity s, each gives its class a vote of weight
    exp(s / temperature). A tie goes to the lower class.

    Args:
        train_h: float `[n, C]`.
        train_y: integers `[n]`, 0 or greater.
        test_h: float `[m, C]`.
        k: number of neighbours, 1 to n. Defaults to 200.
        temperature: above 0. Defaults to 0.1; the reference uses 0.07.
        block_size: number of test rows in one search. Defaults to None: 4096.
            It changes speed and memory, not the result.

    Returns:
        int64 array `[m]`.

    Raises:
        ValueError: an argument is out of its range, for example k greater than
            n, or shapes do not fit.

    Reference:
        Wu et al. (2018), arXiv 1805.01978, section 3.4.
    """
    train_h, train_y = check_features("train_h", train_h, train_y)
    test_h, _ = check_features("test_h", test_h, width=train_h.shape[1])
    votes, classes = _votes(
        train_h, train_y, test_h, k, temperature, block_size
    )
    return classes[np.argmax(votes, axis=1)]


def knn_accuracy(
    train_h: np.ndarray,
    train_y: np.ndarray,
    test_h: np.ndarray,
    test_y: np.ndarray,
    k: int = 200,
    temperature: float = 0.1,
    *,
    top_k: int = 1,
    block_size: int | None = None,
) -> float:
    """Accuracy of the weighted nearest-neighbour classifier.

    Args:
        train_h: see `knn_predict`.
        train_y: see `knn_predict`.
        test_h: see `knn_predict`.
        test_y: integers `[m]`, 0 or greater.
        k: see `knn_predict`. Defaults to 200.
        temperature: see `knn_predict`. Defaults to 0.1.
        top_k: number of classes, by total vote, among which the label has to
            be: 1 for top-1, 5 for top-5. Defaults to 1.
        block_size: see `knn_predict`. Defaults to None.

    Returns:
        Float in [0, 1].

    Raises:
        ValueError: see `knn_predict`.

    Example:

        knn_accuracy(train_h, train_y, test_h, test_y, k=20, temperature=0.1)
    """
    train_h, train_y, test_h, test_y = check_train_and_test(
        train_h, train_y, test_h, test_y
    )
    votes, classes = _votes(
        train_h, train_y, test_h, k, temperature, block_size
    )
    return top_k_accuracy(votes, columns_of(classes, test_y), top_k)


class KNNCallback(keras.callbacks.Callback):
    """Adds the nearest-neighbour accuracy of h to the logs of an epoch.

    Callbacks behind it in the list, and `fit`'s history, see the entry. In
    epochs without a measurement the entry is missing.

    The processes of a training share the features of `data.Batches`, and the
    search for neighbours; the accuracy is that of one process.

    Args:
        train_dataset: `data.Batches`, or a batched, finite `tf.data.Dataset`,
            of `(images, labels)` without augmentation, in which neighbours are
            searched.
        test_dataset: the same, with the images to classify.
        every: number of epochs of `fit` between measurements; the last of
            those that `fit` was asked for is always measured, and one in which
            a callback earlier in the list stops the training. Defaults to 1.
        k: see `knn_predict`. Defaults to 200.
        temperature: see `knn_predict`. Defaults to 0.1.
        preprocess: see `Extractor`. Defaults to None.
        name: name of the entry. Defaults to "knn_accuracy".

    Attributes:
        measured: pair of the training step of the last measurement and its
            accuracy; None before the first.

    Raises:
        ValueError: an argument is out of its range; or, when training begins,
            the model has no `encoder`, or a data set does not yield
            `(images, labels)` or cannot hold k rows.
    """

    def __init__(
        self,
        train_dataset: data.Batches | tf.data.Dataset,
        test_dataset: data.Batches | tf.data.Dataset,
        every: int = 1,
        k: int = 200,
        temperature: float = 0.1,
        *,
        preprocess: Callable | None = None,
        name: str = "knn_accuracy",
    ):
        super().__init__()
        if not scalars.is_whole(every) or every < 1:
            raise ValueError(
                "every must be a whole number of epochs, at least 1. Received:"
                f" every={every!r}"
            )
        _check_vote(k, temperature)
        for role, dataset in (("train", train_dataset), ("test", test_dataset)):
            spec = getattr(dataset, "element_spec", None)
            if not isinstance(spec, tuple) or len(spec) != 2:
                raise ValueError(
                    f"{role}_dataset must be a tf.data.Dataset of (images,"
                    f" labels). Received: elements of the form {spec}"
                )
        self._datasets = train_dataset, test_dataset
        self._every = every
        self._k = k
        self._temperature = temperature
        self._preprocess = preprocess
        self._name = name
        self._extractor = self._strategy = None
        self.measured = None

    def on_train_begin(self, logs: dict | None = None) -> None:
        """Compiles the encoder, and checks that k neighbours exist."""
        self.measured = None
        self._begin(self.model)

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Measures, and writes the accuracy into `logs`."""
        last = epoch + 1 == self.params.get("epochs")
        last = last or self.model.stop_training
        if logs is None or ((epoch + 1) % self._every and not last):
            return
        logs[self._name] = self._measure(self.model)

    def accuracy_of(self, model: keras.Model) -> float:
        """Accuracy of a model, measured now or earlier at the same step.

        If the model was trained by several processes, all must call this.

        Args:
            model: compiled, with an `encoder`. If the callback is passed to
                `fit`, it must be the model that is trained.

        Returns:
            Float in [0, 1].

        Raises:
            ValueError: see the class.
        """
        if self.measured is None or self.measured[0] != _step_of(model):
            if self._extractor is None:
                self._begin(model)
            self._measure(model)
        return self.measured[1]

    def _measure(self, model):
        train_h, train_y = self._extractor(self._datasets[0])
        test_h, test_y = self._extractor.own_part(self._datasets[1])
        count, share = len(test_y), 0.0
        if count:
            share = knn_accuracy(
                train_h, train_y, test_h, test_y, self._k, self._temperature
            )
        accuracy = sharing.mean(self._strategy, share, count)
        self.measured = _step_of(model), accuracy
        return accuracy

    def _begin(self, model):
        if not hasattr(model, "encoder"):
            raise ValueError(
                "KNNCallback needs a model with an attribute `encoder`, such as"
                f" SimCLR. Received: a {type(model).__name__}"
            )
        train = data.as_dataset(self._datasets[0])
        batch_count = int(train.cardinality())
        first = next(iter(train), None)
        size = 0 if first is None else int(first[0].shape[0])
        if batch_count >= 0:
            _check_k(self._k, batch_count * size)
        self._strategy = getattr(model, "distribute_strategy", None)
        self._extractor = Extractor(
            model.encoder,
            preprocess=self._preprocess,
            channels=getattr(model, "input_channels", None),
            strategy=self._strategy,
        )


def _step_of(model):
    return int(compat.as_numpy(model.optimizer.iterations))


def _votes(train_h, train_y, test_h, k, temperature, block_size):
    """Returns `(votes [m, K] float64, classes [K])`, the classes sorted.

    Votes are relative to that of the nearest neighbour, which is 1.
    """
    _check_vote(k, temperature)
    _check_k(k, len(train_h))
    if block_size is not None and (
        not scalars.is_whole(block_size) or block_size < 1
    ):
        raise ValueError(
            "block_size must be a whole number of rows, at least 1. Received:"
            f" block_size={block_size!r}"
        )
    classes, columns = np.unique(train_y, return_inverse=True)
    # Never by FAISS, which orders equal rows differently: an accuracy must not
    # depend on what is installed.
    votes = [
        _count_votes(columns[rows], similarities, temperature, len(classes))
        for rows, similarities in search(test_h, train_h, int(k), block_size)
    ]
    return np.concatenate(votes), classes


def _count_votes(columns, similarities, temperature, class_count):
    """Sums the votes `[b, k]` of the neighbours by class, `[b, K]`."""
    # Only ratios of votes count: without the common factor exp(s_1 / tau)
    # nothing overflows however small the temperature. float64 keeps the
    # distant neighbours' votes above zero.
    similarities = similarities.astype(np.float64)
    weights = np.exp((similarities - similarities[:, :1]) / temperature)
    count = len(columns) * class_count
    cells = columns + class_count * np.arange(len(columns))[:, np.newaxis]
    votes = np.bincount(cells.ravel(), weights.ravel(), minlength=count)
    return votes.reshape(-1, class_count)


def _check_vote(k, temperature):
    if not scalars.is_whole(k) or k < 1:
        raise ValueError(
            "k must be a whole number of neighbours, at least 1. Received:"
            f" k={k!r}"
        )
    if not scalars.is_real(temperature) or not temperature > 0:
        raise ValueError(
            "temperature must be a number above 0. Received:"
            f" temperature={temperature!r}"
        )


def _check_k(k, row_count):
    if k > row_count:
        raise ValueError(
            "k must be at most the number of training rows; give a smaller k"
            f" or more rows. Received: k={k}, {row_count} rows"
        )
