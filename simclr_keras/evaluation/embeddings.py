"""Extracts features of whole data sets with an encoder, for evaluation."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any
from typing import Callable

import keras
import numpy as np
import tensorflow as tf

from simclr_keras import data
from simclr_keras import networks
from simclr_keras.distribute import sharing
from simclr_keras.distribute import workers
from simclr_keras.evaluation import feature_data
from simclr_keras.images import value_range
from simclr_keras.models import fitting
from simclr_keras.models import pixels


class Extractor:
    """Extracts features of data sets, tracing the encoder only once.

    `extract` is the short form for one data set. Every call uses the current
    weights, so an encoder can be measured repeatedly during training.

    Args:
        encoder: `keras.Model` that maps float images `[B, H, W, C]` in [0, 1]
            to features `[B, C]` or to a feature map, which is averaged over
            space; or a model with a method `embed` (`SimCLR`, `Classifier`),
            which returns h; or any function of images.
        preprocess: callable or layer that maps the images to the encoder's
            input, such as `CenterCrop(224)`. It gets float32 images in
            [0, 1]. Defaults to None.
        outputs: if `encoder` returns a dict, as `SimCLR` does: the name of the
            entry to extract, or a tuple of names. Defaults to None.
        channels: number of channels that the images must have; for 3, grey and
            alpha are converted to RGB. Defaults to None: those of the encoder's
            input, 3 if it does not say.
        strategy: `tf.distribute.Strategy` whose processes share the work. If
            there are several, each of them runs over a contiguous slice of the
            batches of a `data.Batches`, and gathers the features of the others,
            so all must make the same calls. A `tf.data.Dataset` is not shared,
            as its order may differ between processes. Defaults to None: this
            process alone.

    Raises:
        ValueError: in a call, before any image is read: the data set is
            endless, not batched, or yields neither images nor
            `(images, labels)`; the encoder's output is none of the above.
    """

    def __init__(
        self,
        encoder: Callable,
        *,
        preprocess: Callable | None = None,
        outputs: str | tuple[str, ...] | None = None,
        channels: int | None = None,
        strategy: tf.distribute.Strategy | None = None,
    ):
        self._encoder = encoder
        self._strategy = strategy
        self._channels = channels or networks.image_channels(encoder)
        self._preprocess = preprocess
        self._outputs = outputs
        # Without XLA, which makes convolutions slower on CPU.
        self._run = tf.function(self._features, jit_compile=False)

    def __call__(self, dataset, verbose=False):
        """Runs over a data set; see `extract`."""
        features, labels = self.own_part(dataset, verbose)
        if self._shares(dataset):
            gather = functools.partial(sharing.gather_slices, self._strategy)
            features = tf.nest.map_structure(gather, features)
            labels = None if labels is None else gather(labels)
        if not len(tf.nest.flatten(features)[0]):
            raise ValueError(
                "dataset must yield at least one batch. Received: an empty one"
            )
        return features, labels

    def own_part(
        self, dataset: data.Batches | tf.data.Dataset, verbose: bool = False
    ) -> tuple:
        """Extracts the slice of a data set that is this process's share.

        Args:
            dataset: see `extract`.
            verbose: see `extract`. Defaults to False.

        Returns:
            As `extract`, perhaps of no rows. With one process, and of a
            `tf.data.Dataset`, all rows.
        """
        if self._shares(dataset):
            own = sharing.own_slice(self._strategy, len(dataset))
            dataset = dataset.between(own.start, own.stop)
        dataset = data.as_dataset(dataset)
        features, labels = [], []
        bar = _progress_bar(dataset) if verbose else None
        for batch, y in self.batches(dataset):
            features.append(batch)
            labels.append(y)
            if bar is not None:
                bar.add(1)
        if not features:
            return self._no_rows(dataset)
        if bar is not None and bar.target is None:
            bar.update(len(features), finalize=True)
        joined = tf.nest.map_structure(lambda *x: np.concatenate(x), *features)
        labelled = labels[0] is not None
        return joined, np.concatenate(labels) if labelled else None

    def _shares(self, dataset):
        return isinstance(dataset, data.Batches) and workers.spans_processes(
            self._strategy
        )

    def _no_rows(self, dataset):
        """Features and labels of no images."""
        image_spec, labelled = feature_data.check(dataset)
        features = tf.nest.map_structure(
            lambda x: np.zeros([0, x.shape[1] or 0], np.float32),
            self._traced(image_spec).structured_outputs,
        )
        labels = None
        if labelled:
            spec = dataset.element_spec[1]
            dtype = feature_data.label_dtype(spec)
            labels = np.zeros([0, *spec.shape[1:]], dtype)
        return features, labels

    def _traced(self, image_spec):
        """The function of a batch of any size: a smaller one is not traced."""
        return self._run.get_concrete_function(
            tf.TensorSpec([None, *image_spec.shape[1:]], image_spec.dtype)
        )

    def batches(
        self, dataset: data.Batches | tf.data.Dataset
    ) -> Iterator[tuple[Any, np.ndarray | None]]:
        """Yields features and labels batch by batch, as `extract` joins them.

        Nothing is shared with other processes.

        Args:
            dataset: see `extract`.
        """
        dataset = data.as_dataset(dataset)
        image_spec, labelled = feature_data.check(dataset)
        run = self._traced(image_spec)
        for number, batch in enumerate(dataset):
            images = batch[0] if isinstance(batch, tuple) else batch
            if number == 0:
                value_range.check_eagerly(images)
            labels = None
            if labelled:
                dtype = feature_data.label_dtype(batch[1])
                labels = np.asarray(batch[1], dtype)
            yield tf.nest.map_structure(_numpy, run(images)), labels

    def _features(self, images):
        images = pixels.to_float(images, self._channels)
        if self._preprocess is not None:
            images = self._preprocess(images)
        outputs = self._call(images)
        return tf.nest.map_structure(
            lambda x: tf.cast(fitting.pooled(x), tf.float32), outputs
        )

    def _call(self, images):
        if self._outputs is None and hasattr(self._encoder, "embed"):
            return self._encoder.embed(images, training=False)
        if isinstance(self._encoder, keras.layers.Layer):
            outputs = self._encoder(images, training=False)
        else:
            outputs = self._encoder(images)
        if self._outputs is None and not isinstance(outputs, (dict, list)):
            return outputs
        names = self._outputs
        selection = (names,) if isinstance(names, str) else tuple(names or ())
        entries = sorted(outputs) if isinstance(outputs, dict) else []
        if not selection or not set(selection) <= set(entries):
            raise ValueError(
                "outputs must name entries of the dict that the encoder gives."
                f" Received: outputs={names!r}, entries {entries}"
            )
        if isinstance(names, str):
            return outputs[names]
        return {name: outputs[name] for name in selection}


def extract(
    encoder: Callable,
    dataset: data.Batches | tf.data.Dataset,
    *,
    preprocess: Callable | None = None,
    outputs: str | tuple[str, ...] | None = None,
    channels: int | None = None,
    verbose: bool = False,
    strategy: tf.distribute.Strategy | None = None,
) -> tuple:
    """Extracts the features of a data set, with the encoder in inference mode.

    Args:
        encoder: see `Extractor`.
        dataset: `data.Batches`, or a batched, finite `tf.data.Dataset`, of
            images `[B, H, W, C]`, uint8 in [0, 255] or float in [0, 1], or of
            `(images, labels)` with integer labels `[B]`, or rows `[B, K]` of
            several labels or numbers.
        preprocess: see `Extractor`. Defaults to None.
        outputs: see `Extractor`. Defaults to None.
        channels: see `Extractor`. Defaults to None.
        verbose: whether to show a progress bar. Defaults to False.
        strategy: see `Extractor`. Defaults to None.

    Returns:
        Pair `(features, labels)` of arrays in the data set's order: float32
        `[n, C]` (a dict of these if `outputs` is a tuple of names); and int64
        `[n]` or float32 `[n, K]`, or None if the data set has no labels.

    Raises:
        ValueError: see `Extractor`; or the data set is empty.

    Example:

        crop = CenterCrop(224)
        train_h, train_y = extract(model.encoder, train, preprocess=crop)
    """
    extractor = Extractor(
        encoder,
        preprocess=preprocess,
        outputs=outputs,
        channels=channels,
        strategy=strategy,
    )
    return extractor(dataset, verbose=verbose)


def extract_both(
    encoder: Callable,
    train: data.Batches | tf.data.Dataset,
    test: data.Batches | tf.data.Dataset,
    *,
    channels: int | None = None,
    strategy: tf.distribute.Strategy | None = None,
) -> tuple:
    """Extracts the features of a training and a test set, tracing once.

    Args:
        encoder: see `Extractor`.
        train: see `extract`.
        test: see `extract`.
        channels: see `Extractor`. Defaults to None.
        strategy: see `Extractor`. Defaults to None.

    Returns:
        `(train_h, train_y, test_h, test_y)`, as `knn_accuracy`,
        `linear_accuracy` and `logistic_regression` take them.
    """
    extractor = Extractor(encoder, channels=channels, strategy=strategy)
    return (*extractor(train), *extractor(test))


def _progress_bar(dataset):
    batch_count = int(dataset.cardinality())
    return keras.utils.Progbar(batch_count if batch_count >= 0 else None)


def _numpy(tensor):
    return tensor.numpy()
