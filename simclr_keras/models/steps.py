"""Runs one step of SimCLR: updates the weights and computes the logs."""

from __future__ import annotations

import functools
from collections.abc import Callable

import keras
import tensorflow as tf

from simclr_keras import compat
from simclr_keras.contrastive import ContrastiveLoss
from simclr_keras.contrastive import contrastive_metrics
from simclr_keras.contrastive import cross_replica
from simclr_keras.contrastive import gradient_cache
from simclr_keras.contrastive import representation_health
from simclr_keras.contrastive import similarity
from simclr_keras.contrastive import takes_labels
from simclr_keras.distribute import replicas
from simclr_keras.models import micro_batches
from simclr_keras.models import pixels
from simclr_keras.models.batches import Batch
from simclr_keras.optimizers import l2_penalty

# Names of the metrics of `representation_health`.
HEALTH = ("z_std", "alignment", "uniformity", "effective_rank")
# Number of the first of two views in the random seeds.
_TRAINING, _VALIDATION = 0, 2
# Name of the sum of the losses that layers of the networks add.
_OF_LAYERS = "layer_losses"


def train(
    model: keras.Model, batch: Batch, step: tf.Tensor
) -> tuple[dict[str, tf.Tensor], tuple]:
    """Updates the weights by one batch.

    Args:
        model: `SimCLR`, compiled.
        batch: `Batch` of this replica.
        step: int64 scalar, number of the training step.

    Returns:
        Dict of scalars to log; and `(z_a, z_b, candidates)`, z of both views
        and the keyword arguments that `cross_replica.candidates` returns.
    """
    batch, count = micro_batches.split_batch(model, batch)
    encode = functools.partial(
        _encode_views, model, batch, step, count, training=True
    )
    if count > 1:
        return _train_by_micro_batches(model, batch, encode, count)
    with tf.GradientTape() as tape:
        z, logs = encode(0)
        of_layers = logs.pop(_OF_LAYERS)
        loss, views = _contrastive_loss(model, z, batch.labels)
        logs.update(_separate_probe_metrics(model, batch), loss=loss)
        for term in (of_layers, *_auxiliary_losses(model, logs)):
            loss += tf.cast(term, loss.dtype)
        # The replicas' gradients are summed; this makes the sum their mean.
        loss /= replicas.replica_context().count
    compat.minimize(model.optimizer, tape, loss, model.trainable_variables)
    return logs, views


def _train_by_micro_batches(model, batch, encode, count):
    """`train` by micro-batches, with the gradient of the whole batch."""

    def scaled(loss):
        return compat.scale_loss(
            model.optimizer, loss / replicas.replica_context().count
        )

    def contrast(z):
        loss, views = _contrastive_loss(model, z, batch.labels)
        return scaled(loss), (loss, views)

    def other_losses(scalars):
        loss = scalars[_OF_LAYERS] + scalars.get("probe_loss", 0.0)
        return scaled(loss / count)

    variables = model.trainable_variables
    gradients, logs, (loss, views) = gradient_cache.gradients(
        encode,
        contrast,
        variables,
        _cache(model.z_spec, batch.images.shape[0], 2),
        count,
        logs=(_OF_LAYERS, *_names_of_logs(model, batch)),
        extra_loss=other_losses,
        state=compat.mutable_state(model.encoder, model.projection_head),
    )
    del logs[_OF_LAYERS]
    with tf.GradientTape() as tape:
        probe_logs = _separate_probe_metrics(model, batch)
        terms = [scaled(term) for term in _auxiliary_losses(model, probe_logs)]
    if terms:
        more = tape.gradient(terms, variables)
        gradients = [_sum(pair) for pair in zip(gradients, more)]
    compat.apply_scaled(model.optimizer, gradients, variables)
    return {**logs, **probe_logs, "loss": loss}, views


def _sum(gradients):
    """Sum of those gradients that are not None; None if all are."""
    gradients = [g for g in gradients if g is not None]
    return tf.add_n(gradients) if gradients else None


def validate(
    model: keras.Model, batch: Batch, step: tf.Tensor
) -> tuple[dict[str, tf.Tensor], tuple]:
    """Computes the loss in inference mode, on views that training never draws.

    Args and returns as in `train`.
    """
    count = micro_batches.num_micro_batches(model, batch.images.shape[0])
    encode = functools.partial(
        _encode_views, model, batch, step, count, training=False
    )
    if count == 1:
        z, logs = encode(0)
    else:
        names = _names_of_logs(model, batch)
        cache = _cache(model.z_spec, batch.images.shape[0], 2)
        z, logs = gradient_cache.collect(encode, cache, count, names)
    loss, views = _contrastive_loss(model, z, batch.labels)
    logs.update(_separate_probe_metrics(model, batch), loss=loss)
    return logs, views


def global_logs(
    loss: Callable, logs: dict[str, tf.Tensor], views: tuple, health: tf.Tensor
) -> dict[str, tf.Tensor]:
    """Metrics of a step over all replicas, including those of its z.

    Args:
        loss: loss of the model; metrics use its temperature, if it has one.
        logs: dict of scalars of this replica, from `train` or `validate`.
        views: `(z_a, z_b, candidates)`, from the same.
        health: boolean, whether `HEALTH` is measured, which needs eigenvalues.

    Returns:
        Dict of scalars, the same on all replicas; those of `HEALTH` are 0 if
        they are not measured.
    """
    z_a, z_b, candidates = views
    contrast = contrastive_metrics(
        z_a,
        z_b,
        temperature=getattr(loss, "temperature", 1.0),
        normalize=getattr(loss, "normalize", True),
        **candidates,
    )
    z_global = (
        candidates.get("z_a_global", z_a),
        candidates.get("z_b_global", z_b),
    )
    health_logs = tf.cond(
        tf.cast(health, tf.bool),
        lambda: representation_health(*z_global),
        lambda: dict.fromkeys(HEALTH, tf.constant(0.0)),
    )
    return {**replicas.mean({**logs, **contrast}), **health_logs}


def _encode_views(model, batch, step, count, number, training):
    """z `[n / K, 2, d]` of the views of micro-batch `number`; probe metrics."""
    images = batch.images
    positions = replicas.positions(tf.shape(images)[0])
    if count > 1:
        rows = gradient_cache.micro_batch_rows(number, count, images.shape[0])
        images, positions = tf.gather(images, rows), tf.gather(positions, rows)
    view_a, view_b = model.views(
        images,
        step,
        positions=positions,
        first_view=_TRAINING if training else _VALIDATION,
    )
    outputs = model(tf.concat([view_a, view_b], axis=0), training=training)
    logs = {}
    if training:  # regularisers, and what layers passed to `add_loss`
        terms = [similarity.as_float(term) for term in model.losses]
        logs[_OF_LAYERS] = tf.add_n(terms) if terms else tf.zeros([])
    if _names_of_logs(model, batch):
        labels = batch.labels if count == 1 else tf.gather(batch.labels, rows)
        logits = outputs["probe_logits"]
        logs.update(_probe_metrics(logits, tf.tile(labels, [2])))
    return tf.stack(tf.split(outputs["z"], 2, axis=0), axis=1), logs


def _names_of_logs(model, batch):
    """Names of the scalars of `_encode_views`."""
    uses_views = model.probe is not None and batch.probe_images is None
    return ("probe_loss", "probe_accuracy") if uses_views else ()


def _cache(spec, *shape):
    """Zeros to be overwritten by rows of z or h."""
    return tf.zeros([*shape, *spec.shape], spec.dtype)


def _contrastive_loss(model, z, labels):
    """Contrastive loss of this replica's anchors, or of the global batch."""
    # A loss gets float32 at least, as replicas and micro-batches exchange z.
    z_a, z_b = tf.unstack(similarity.as_float(z), axis=1)
    candidates = cross_replica.candidates(z_a, z_b)
    classes = {}
    if takes_labels(model.loss):
        classes = cross_replica.labels_of_candidates(labels)
    if candidates and not isinstance(model.loss, ContrastiveLoss):
        # A custom loss takes two views only, and perhaps labels. Every replica
        # computes it on the global batch: the mean over replicas is the loss.
        if classes:
            classes = {"labels": classes["labels_global"]}
        loss = model.loss(
            candidates["z_a_global"], candidates["z_b_global"], **classes
        )
    else:
        loss = model.loss(z_a, z_b, **candidates, **classes)
    # Functions of Keras return a loss for each image; the loss is their mean.
    loss = tf.reduce_mean(loss)
    # Sums over negatives can lose a NaN in z: restore it.
    finite = tf.math.is_finite(candidates.get("z_a_global", z_a))
    finite &= tf.math.is_finite(candidates.get("z_b_global", z_b))
    nan = tf.constant(float("nan"), loss.dtype)
    loss = tf.where(tf.reduce_all(finite), loss, nan)
    return loss, (z_a, z_b, candidates)


def _auxiliary_losses(model, logs):
    """Terms of the loss beside the contrastive one: probe and L2 penalty."""
    terms = [logs["probe_loss"]] if "probe_loss" in logs else []
    if model.l2:
        terms.append(l2_penalty(model, model.l2, model.l2_scope))
    return terms


def _separate_probe_metrics(model, batch):
    """Probe metrics on the probe's own data set; without one, an empty dict."""
    if model.probe is None or batch.probe_images is None:
        return {}
    images = batch.probe_images
    count = micro_batches.num_micro_batches(model, images.shape[0])

    def features(number):
        part = images
        if count > 1:
            rows = gradient_cache.micro_batch_rows(
                number, count, images.shape[0]
            )
            part = tf.gather(images, rows)
        part = pixels.to_float(part, model.input_channels)
        if tuple(part.shape[1:3]) != tuple(model.views.size):
            part = tf.image.resize(part, model.views.size, antialias=True)
        return model.embed(part, training=False), {}

    if count == 1:
        h, _ = features(0)
    else:
        cache = _cache(model.h_spec, images.shape[0])
        h, _ = gradient_cache.collect(features, cache, count)
    return _probe_metrics(model.probe(tf.stop_gradient(h)), batch.labels)


def _probe_metrics(logits, labels):
    """Mean cross-entropy and accuracy of logits `[B, K]`, labels `[B]`."""
    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
    correct = tf.argmax(logits, axis=1) == tf.cast(labels, tf.int64)
    return {
        "probe_loss": tf.reduce_mean(losses),
        "probe_accuracy": tf.reduce_mean(tf.cast(correct, tf.float32)),
    }
