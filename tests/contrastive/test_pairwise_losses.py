"""NT-Logistic and margin triplet against loops over the paper's table 2."""

import json
import math

import keras
import numpy as np
import pytest
import tensorflow as tf

from simclr_keras.contrastive import MarginTriplet
from simclr_keras.contrastive import NTLogistic
from simclr_keras.contrastive import make_loss
from simclr_keras.contrastive import margin_triplet
from simclr_keras.contrastive import nt_logistic


def sigmoid(x):
    return 1 / (1 + math.exp(-x))


def logistic_term(positive, negative, tau=0.5):
    """Table 2, second row (negated), for one triple."""
    return -math.log(sigmoid(positive / tau)) - math.log(
        sigmoid(-negative / tau)
    )


def triplet_term(positive, negative, m=0.4):
    """Table 2, third row (negated), for one triple."""
    return max(negative - positive + m, 0)


def paper_loss(z_a, z_b, term, semi_hard):
    """Mean over anchors of both views, one by one."""
    unit = [z / np.linalg.norm(z, axis=1, keepdims=True) for z in (z_a, z_b)]
    total = 0.0
    for anchors, others in (unit, unit[::-1]):
        for i, u in enumerate(anchors):
            positive = u @ others[i]
            negatives = [u @ v for j, v in enumerate(others) if j != i]
            if semi_hard:
                farther = [s for s in negatives if s < positive]
                negatives = [max(farther) if farther else min(negatives)]
            total += np.mean([term(positive, s) for s in negatives])
    return total / (2 * len(z_a))


LOSSES = [
    (NTLogistic, {"temperature": 0.5}, logistic_term),
    (MarginTriplet, {"margin": 0.4}, triplet_term),
]


def views(agreement):
    """Views that share a component, with either sign."""
    rng = np.random.default_rng(7)
    z_a = rng.normal(size=(6, 5))
    return z_a, agreement * z_a + rng.normal(size=(6, 5))


@pytest.mark.newest
@pytest.mark.parametrize("semi_hard", [False, True])
@pytest.mark.parametrize("agreement", [1.0, -1.0])
@pytest.mark.parametrize("loss_class, arguments, term", LOSSES)
def test_equals_the_papers_formula(
    loss_class, arguments, term, agreement, semi_hard
):
    z_a, z_b = views(agreement)
    expected = paper_loss(z_a, z_b, term, semi_hard)
    loss = loss_class(semi_hard=semi_hard, **arguments)
    np.testing.assert_allclose(loss(z_a, z_b), expected, rtol=1e-12)
    compiled = tf.function(loss, jit_compile=True)
    np.testing.assert_allclose(
        compiled(tf.cast(z_a, tf.float16), tf.cast(z_b, tf.float16)),
        expected,
        rtol=5e-3,  # float16 rows: 5e-4 on each similarity, times 1 / tau
        atol=1e-3,
    )


@pytest.mark.newest
def test_both_kinds_of_anchors_occur_in_these_tests():
    """With negative agreement some anchors have no negative farther than
    their positive."""
    z_a, z_b = (
        z / np.linalg.norm(z, axis=1, keepdims=True) for z in views(-1.0)
    )
    s = z_a @ z_b.T
    assert 0 < sum(s[i, i] == s[i].min() for i in range(6)) < 6


def gradient_of_first_anchor(function, u, positive, negative, **arguments):
    """d loss / d u of one anchor u with constant candidates."""
    z_a, z_b = tf.constant([u]), tf.constant([positive])
    candidates = tf.constant([positive, negative])
    with tf.GradientTape() as tape:
        tape.watch(z_a)
        losses = function(
            z_a,
            z_b,
            normalize=False,
            z_a_global=candidates,
            z_b_global=candidates,
            **arguments,
        )
        anchor_of_view_a = losses[0, 0]
    return tape.gradient(anchor_of_view_a, z_a)[0]


@pytest.mark.newest
@pytest.mark.parametrize("semi_hard", [False, True])
def test_gradients_are_those_of_table_2(semi_hard):
    """The gradient column, with the sign of a loss, at unit vectors."""
    u, p, n = np.array([[0.6, 0.8, 0.0], [0.8, 0.6, 0.0], [0.0, 0.6, 0.8]])
    tau = 0.2
    np.testing.assert_allclose(
        gradient_of_first_anchor(
            nt_logistic, u, p, n, temperature=tau, semi_hard=semi_hard
        ),
        -sigmoid(-u @ p / tau) / tau * p + sigmoid(u @ n / tau) / tau * n,
        rtol=1e-12,
    )
    assert 0.4 < u @ p - u @ n < 0.8
    inside, outside = (
        gradient_of_first_anchor(
            margin_triplet, u, p, n, margin=m, semi_hard=semi_hard
        )
        for m in (0.8, 0.4)
    )
    np.testing.assert_allclose(inside, n - p, rtol=1e-12)
    np.testing.assert_array_equal(outside, np.zeros(3))


@pytest.mark.newest
@pytest.mark.parametrize("loss_class, arguments, term", LOSSES)
def test_local_anchors_see_global_candidates(loss_class, arguments, term):
    """Two parts of three anchors each, averaged, are the whole."""
    z_a, z_b = views(1.0)
    loss = loss_class(**arguments)
    parts = [
        loss(
            z_a[i : i + 3],
            z_b[i : i + 3],
            z_a_global=z_a,
            z_b_global=z_b,
            first_anchor=i,
        )
        for i in (0, 3)
    ]
    np.testing.assert_allclose(np.mean(parts), loss(z_a, z_b), rtol=1e-12)


@pytest.mark.newest
@pytest.mark.parametrize("semi_hard", [False, True])
def test_random_guess(semi_hard):
    """Orthogonal rows for the logistic loss, equal rows for the triplet."""
    logistic = NTLogistic(semi_hard=semi_hard)
    rows = np.eye(4)
    np.testing.assert_allclose(
        logistic(rows[:2], rows[2:]), logistic.random_guess(2), rtol=1e-12
    )
    triplet = MarginTriplet(0.7, semi_hard=semi_hard)
    rows = np.ones([4, 3])
    np.testing.assert_allclose(
        triplet(rows, rows), triplet.random_guess(4), rtol=1e-12
    )


@pytest.mark.newest
@pytest.mark.parametrize("semi_hard", [False, True])
def test_one_image_has_no_negatives(semi_hard):
    """What remains is the positive term: log(1 + exp(-1 / tau)), and 0."""
    z = np.array([[3.0, 4.0]])
    np.testing.assert_allclose(
        NTLogistic(0.5, semi_hard=semi_hard)(z, z),
        math.log1p(math.exp(-2)),
        rtol=1e-12,
    )
    assert MarginTriplet(semi_hard=semi_hard)(z, z) == 0


def test_made_by_name_and_serialised():
    made = {
        "nt_xent": {
            "temperature": 0.3,
            "normalize": False,
            "view_reduction": "sum",
            "name": "nt_xent",
        },
        "nt_logistic": {
            "temperature": 0.3,
            "normalize": False,
            "semi_hard": False,
            "name": "nt_logistic",
        },
        "margin_triplet": {
            "margin": 1.6,
            "normalize": False,
            "semi_hard": False,
            "name": "margin_triplet",
        },
    }
    for name, config in made.items():
        loss = make_loss(
            name,
            temperature=0.3,
            normalize=False,
            margin=1.6,
            semi_hard=False,
            view_reduction="sum",
        )
        assert loss.get_config() == config
        stored = json.dumps(keras.saving.serialize_keras_object(loss))
        again = keras.saving.deserialize_keras_object(json.loads(stored))
        assert type(again) is type(loss)
        assert again.get_config() == config


@pytest.mark.newest
def test_numbers_of_numpy_are_numbers():
    for margin in (np.float32(0.5), np.float64(0.5)):
        assert MarginTriplet(margin).get_config()["margin"] == 0.5


def test_refuses_senseless_arguments():
    with pytest.raises(ValueError, match="nt_xent.*Received: 'infonce'"):
        make_loss("infonce")
    with pytest.raises(ValueError, match="margin.*Received"):
        MarginTriplet(-0.1)
    with pytest.raises(ValueError, match="temperature.*Received"):
        NTLogistic(0)
