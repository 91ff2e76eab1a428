"""The supervised contrastive loss against loops over the paper's equation 2."""

import numpy as np
import pytest
import tensorflow as tf

from simclr_keras.contrastive import ContrastiveLoss
from simclr_keras.contrastive import NTXent
from simclr_keras.contrastive import SupervisedContrastive
from simclr_keras.contrastive import chunking
from simclr_keras.contrastive import make_loss
from simclr_keras.contrastive import supervised_contrastive
from simclr_keras.contrastive import takes_labels

pytestmark = pytest.mark.newest
LABELS = np.array([4, 0, 4, -1, 0, 4, 9])


def views(count=7, seed=3):
    rng = np.random.default_rng(seed)
    z_a = rng.normal(size=(count, 5))
    return z_a, z_a + rng.normal(size=(count, 5))


def paper_losses(z_a, z_b, labels, tau):
    """Khosla et al. 2020, equation 2, one anchor at a time: `[2, n]`."""
    z = np.concatenate([z_a, z_b])
    z /= np.linalg.norm(z, axis=1, keepdims=True)
    labels = np.tile(labels, 2)
    losses = []
    for i in range(len(z)):
        others = [k for k in range(len(z)) if k != i]
        total = sum(np.exp(z[i] @ z[k] / tau) for k in others)
        positives = [k for k in others if labels[k] == labels[i]]
        logs = [np.log(np.exp(z[i] @ z[k] / tau) / total) for k in positives]
        losses.append(-np.mean(logs))
    return np.reshape(losses, [2, -1])


@pytest.mark.parametrize("tile_bytes", [2**24, 8 * 16 * 16])
def test_equals_the_papers_formula(monkeypatch, tile_bytes):
    """As a whole and in tiles; float64, sums of 14 terms."""
    monkeypatch.setattr(chunking, "tile_bytes", lambda: tile_bytes)
    labels = np.tile(LABELS, 4)
    z_a, z_b = views(len(labels))
    expected = paper_losses(z_a, z_b, labels, 0.2)
    losses = supervised_contrastive(
        tf.constant(z_a),
        tf.constant(z_b),
        labels=tf.constant(labels),
        temperature=0.2,
    )
    np.testing.assert_allclose(losses, expected, rtol=1e-12)
    loss = SupervisedContrastive(0.2)
    mean = loss(tf.constant(z_a), tf.constant(z_b), labels=labels)
    np.testing.assert_allclose(mean, expected.mean(), rtol=1e-12)


def test_is_nt_xent_where_each_label_is_its_own():
    """Value and gradient, to rounding in float64."""
    z = [tf.constant(each) for each in views()]
    results = []
    for loss, more in (
        (SupervisedContrastive(0.3), {"labels": tf.range(len(LABELS))}),
        (NTXent(0.3), {}),
    ):
        with tf.GradientTape() as tape:
            tape.watch(z)
            value = loss(*z, **more)
        results.append([value, *tape.gradient(value, z)])
    for ours, expected in zip(*results):
        np.testing.assert_allclose(ours, expected, rtol=1e-10, atol=1e-12)


def test_parts_of_the_anchors_have_the_losses_of_the_whole():
    """As on replicas: rows 2 to 4 of the candidates."""
    z_a, z_b = (tf.constant(each) for each in views())
    whole = supervised_contrastive(z_a, z_b, labels=LABELS, temperature=0.5)
    part = supervised_contrastive(
        z_a[2:5],
        z_b[2:5],
        labels=LABELS[2:5],
        temperature=0.5,
        z_a_global=z_a,
        z_b_global=z_b,
        labels_global=LABELS,
        first_anchor=2,
    )
    np.testing.assert_allclose(part, whole[:, 2:5], rtol=1e-12)


def test_the_gradient_pulls_a_class_together():
    """Steps along it bring images of one class closer than NT-Xent does."""

    def within_class(loss, **labels):
        z_a, z_b = (tf.Variable(each) for each in views())
        for _ in range(50):
            with tf.GradientTape() as tape:
                value = loss(z_a, z_b, **labels)
            for z, gradient in zip(
                (z_a, z_b), tape.gradient(value, [z_a, z_b])
            ):
                z.assign_sub(2.0 * gradient)
        unit = np.linalg.norm(z_a, axis=1, keepdims=True)
        similarities = (z_a / unit).numpy() @ (z_a / unit).numpy().T
        return similarities[LABELS == 4][:, LABELS == 4].mean()

    supervised = within_class(SupervisedContrastive(0.5), labels=LABELS)
    assert supervised > within_class(NTXent(0.5)) + 0.3


@pytest.mark.parametrize(
    "labels, message",
    [
        (None, "needs the classes of the images"),
        (LABELS[:-1], "must be one integer for each row of z.*shape \\(6,\\)"),
        (LABELS * 1.0, "must be one integer.*float64"),
        (np.eye(7, dtype=int), "must be one integer.*shape \\(7, 7\\)"),
    ],
)
def test_wrong_labels_are_refused(labels, message):
    z = [tf.constant(each) for each in views()]
    with pytest.raises(ValueError, match=message):
        SupervisedContrastive()(*z, labels=labels)


def test_labels_of_the_candidates_belong_to_candidates():
    z = [tf.constant(each) for each in views()]
    with pytest.raises(ValueError, match="labels_global must be given where"):
        SupervisedContrastive()(*z, labels=LABELS, labels_global=LABELS)


def test_by_name_and_by_config():
    loss = make_loss("supervised_contrastive", temperature=0.7)
    assert loss.get_config() == {
        "temperature": 0.7,
        "normalize": True,
        "name": "supervised_contrastive",
    }
    assert loss.random_guess(4) == pytest.approx(np.log(7))
    z = tf.ones([4, 3])
    assert float(loss(z, z, labels=[0, 0, 1, 2])) == pytest.approx(np.log(7))
    with pytest.raises(ValueError, match="temperature must be"):
        SupervisedContrastive(0.0)


def test_who_takes_labels():
    class Own(ContrastiveLoss):
        def call(self, z_a, z_b, labels=None, **candidates):
            return z_a

    assert takes_labels(SupervisedContrastive()) and takes_labels(Own())
    assert takes_labels(lambda z_a, z_b, labels: 0.0)
    assert not takes_labels(NTXent()) and not takes_labels(lambda z_a, z_b: 0)
    assert not takes_labels("nt_xent") and not takes_labels(tf.add)
