"""NT-Xent against the official numbers and the paper's algorithm 1."""

import json
import math

import keras
import numpy as np
import pytest
import tensorflow as tf

from simclr_keras.contrastive import NTXent
from simclr_keras.contrastive import nt_xent


def loss_and_gradient(loss, hidden):
    hidden = tf.convert_to_tensor(hidden)
    with tf.GradientTape() as tape:
        tape.watch(hidden)
        value = loss(*tf.split(hidden, 2))
    return value, tape.gradient(value, hidden)


def paper_loss(z_a, z_b, temperature):
    """Algorithm 1 with loops, in float64; no trick, no mask."""
    z = [row for pair in zip(z_a, z_b) for row in pair]
    n = len(z_a)

    def s(i, j):
        return z[i] @ z[j] / np.linalg.norm(z[i]) / np.linalg.norm(z[j])

    def ell(i, j):
        others = [k for k in range(2 * n) if k != i]
        return -math.log(
            math.exp(s(i, j) / temperature)
            / sum(math.exp(s(i, k) / temperature) for k in others)
        )

    pairs = [(2 * k, 2 * k + 1) for k in range(n)]
    return sum(ell(i, j) + ell(j, i) for i, j in pairs) / (2 * n)


@pytest.mark.parametrize(
    "compiled",
    [
        (),
        (("normal", False), ("zero_rows", True)),
        pytest.param("all", marks=pytest.mark.long),
    ],
    ids=["eager", "compiled", "all compiled"],
)
def test_equals_the_official_value_and_gradient(cases, compiled):
    """ntxent.npz: all cases eagerly; compiled, one of each kind.

    Tolerances as its README suggests; the reference itself is 3e-7 (loss) and
    2e-6 (gradient) away from float64. To compile takes a second for each.
    """
    seen = set()
    for case, expected in cases("ntxent.npz"):
        if case["optional_mask_leak"]:
            continue  # has its own test
        kind = case["kind"], case["hidden_norm"]
        if compiled and (
            kind in seen or (compiled != "all" and kind not in compiled)
        ):
            continue
        seen.add(kind)
        loss = NTXent(case["temperature"], case["hidden_norm"], "sum")
        step = loss_and_gradient
        if compiled:
            step = tf.function(step, jit_compile=True)
        value, gradient = step(loss, expected["hidden"])
        np.testing.assert_allclose(
            value, expected["loss"], rtol=1e-4, atol=1e-6, err_msg=str(case)
        )
        scale = np.abs(expected["grad"]).max()
        if case["kind"] == "collapsed":  # the true gradient is zero
            scale = 0.0
        np.testing.assert_allclose(
            gradient,
            expected["grad"],
            rtol=0,
            atol=max(1e-5 * scale, 1e-6 if scale == 0 else 0),
            err_msg=str(case),
        )
    assert seen >= set(compiled if compiled != "all" else ())


@pytest.mark.newest
def test_huge_logits_do_not_leak_through_the_mask(cases):
    """Where |h|^2 / tau exceeds 1e9, subtracting 1e9 masks nothing any more;
    ours must be the exact loss (float64 with the self left out), and so
    differs there from the official value."""
    for case, expected in cases("ntxent.npz"):
        if not case["optional_mask_leak"]:
            continue
        z = expected["hidden"].astype(np.float64)
        logits = z @ z.T / case["temperature"]
        np.fill_diagonal(logits, -np.inf)
        n = case["N"]
        exact = np.mean(
            [
                np.logaddexp.reduce(logits[i]) - logits[i, (i + n) % (2 * n)]
                for i in range(2 * n)
            ]
        )
        loss = NTXent(case["temperature"], case["hidden_norm"])
        value, gradient = loss_and_gradient(loss, expected["hidden"])
        # float32 rounds logits of 1e9 to 64 apart; sums of d = 64 products
        # add some; the loss is some 1e8.
        np.testing.assert_allclose(value, exact, rtol=1e-5)
        assert np.isfinite(gradient).all()
        assert abs(expected["loss"] / 2 - exact) > 0.1 * exact


@pytest.mark.newest
@pytest.mark.parametrize("temperature", [0.1, 0.5, 1.0])
def test_equals_the_papers_algorithm(temperature):
    """Float64 against loops: only rounding may differ."""
    rng = np.random.default_rng(0)
    z_a, z_b = rng.normal(size=(2, 5, 7))
    value = NTXent(temperature)(z_a, z_b)
    assert value.dtype == tf.float64
    np.testing.assert_allclose(
        value, paper_loss(z_a, z_b, temperature), rtol=1e-12
    )


@pytest.mark.newest
def test_sum_is_twice_the_mean():
    rng = np.random.default_rng(1)
    z_a, z_b = rng.normal(size=(2, 6, 4))
    np.testing.assert_allclose(
        NTXent(view_reduction="sum")(z_a, z_b),
        2 * NTXent()(z_a, z_b),
        rtol=1e-15,
    )


@pytest.mark.newest
def test_replicas_see_global_candidates_and_get_their_gradient(cases):
    """ntxent_replicas.npz: the same code, anchors local, candidates the
    concatenation; the gradient flows through the concatenated copies."""
    for case, expected in cases("ntxent_replicas.npz"):
        hidden = tf.convert_to_tensor(expected["hidden"])  # [R, 2N, d]
        n = case["N"]
        loss = NTXent(case["temperature"], case["hidden_norm"], "sum")
        with tf.GradientTape() as tape:
            tape.watch(hidden)
            z_a_global = tf.concat(tf.unstack(hidden[:, :n]), axis=0)
            z_b_global = tf.concat(tf.unstack(hidden[:, n:]), axis=0)
            losses = [
                loss(
                    hidden[r, :n],
                    hidden[r, n:],
                    z_a_global=z_a_global,
                    z_b_global=z_b_global,
                    first_anchor=r * n,
                )
                for r in range(case["R"])
            ]
            mean = tf.reduce_mean(losses)
        np.testing.assert_allclose(losses, expected["loss"], rtol=1e-5)
        gradient = tape.gradient(mean, hidden)
        scale = np.abs(expected["grad"]).max()
        np.testing.assert_allclose(
            gradient, expected["grad"], rtol=0, atol=1e-5 * scale
        )


@pytest.mark.newest
def test_blocks_of_anchors_make_up_the_whole():
    """Anchors in parts give the same per-anchor values as all at once, with a
    tensor as position, as a loop over blocks has it."""
    rng = np.random.default_rng(2)
    z_a, z_b = rng.normal(size=(2, 6, 4))
    whole = nt_xent(z_a, z_b, temperature=0.2)
    parts = [
        nt_xent(
            z_a[i : i + 2],
            z_b[i : i + 2],
            temperature=0.2,
            z_a_global=z_a,
            z_b_global=z_b,
            first_anchor=tf.constant(i, tf.int64),
        )
        for i in (0, 2, 4)
    ]
    assert whole.shape == (2, 6)
    np.testing.assert_allclose(tf.concat(parts, axis=1), whole, rtol=1e-12)


@pytest.mark.parametrize("dtype", [tf.float16, tf.bfloat16])
def test_low_precision_input_is_computed_in_float32(dtype):
    """The value is that of float32 on the rounded rows, under a mixed policy
    too."""
    rng = np.random.default_rng(3)
    z_a, z_b = (tf.cast(z, dtype) for z in rng.normal(size=(2, 8, 16)))
    before = keras.mixed_precision.global_policy()
    keras.mixed_precision.set_global_policy("mixed_bfloat16")
    try:
        value = NTXent(0.05)(z_a, z_b)
    finally:
        keras.mixed_precision.set_global_policy(before)
    assert value.dtype == tf.float32
    expected = paper_loss(
        tf.cast(z_a, tf.float64).numpy(), tf.cast(z_b, tf.float64).numpy(), 0.05
    )
    # 1e-7 x logits of up to 20.
    np.testing.assert_allclose(value, expected, rtol=5e-6)


@pytest.mark.newest
@pytest.mark.parametrize("reduction, factor", [("mean", 1), ("sum", 2)])
def test_random_guess_is_the_loss_of_equal_rows(reduction, factor):
    z = tf.ones([6, 3])
    loss = NTXent(0.3, view_reduction=reduction)
    np.testing.assert_allclose(loss(z, z), loss.random_guess(6), rtol=1e-6)
    # 2 x 6 - 1 candidates, all alike.
    assert loss.random_guess(6) == pytest.approx(factor * math.log(11))


@pytest.mark.newest
def test_one_image_has_no_negatives_and_costs_nothing():
    value, gradient = loss_and_gradient(
        NTXent(), np.float32([[1, 2, 3], [3, 1, 2]])
    )
    assert value == 0
    np.testing.assert_array_equal(gradient, np.zeros([2, 3]))


@pytest.mark.newest
def test_works_in_a_graph_of_unknown_batch():
    step = tf.function(
        NTXent(0.5),
        input_signature=[tf.TensorSpec([None, 3])] * 2,
    )
    z_a, z_b = np.random.default_rng(4).normal(size=(2, 4, 3))
    np.testing.assert_allclose(
        step(tf.constant(z_a, tf.float32), tf.constant(z_b, tf.float32)),
        paper_loss(z_a, z_b, 0.5),
        rtol=1e-5,
    )


def test_survives_serialisation():
    loss = NTXent(0.25, normalize=False, view_reduction="sum", name="mine")
    config = keras.saving.serialize_keras_object(loss)
    again = keras.saving.deserialize_keras_object(
        json.loads(json.dumps(config))
    )
    assert isinstance(again, NTXent)
    assert again.get_config() == loss.get_config()
    assert again.get_config() == {
        "temperature": 0.25,
        "normalize": False,
        "view_reduction": "sum",
        "name": "mine",
    }


@pytest.mark.newest
@pytest.mark.parametrize(
    "arguments, word",
    [
        ({"temperature": 0}, "temperature"),
        ({"temperature": float("nan")}, "temperature"),
        ({"temperature": "warm"}, "temperature"),
        ({"view_reduction": "max"}, "view_reduction"),
    ],
)
def test_refuses_senseless_arguments(arguments, word):
    with pytest.raises(ValueError, match=f"{word}.*Received"):
        NTXent(**arguments)


@pytest.mark.newest
@pytest.mark.parametrize(
    "z_a, z_b, more, word",
    [
        (np.ones([2, 3]), np.ones([3, 3]), {}, "agree"),
        (np.ones([2, 3]), np.ones([2, 4]), {}, "agree"),
        (np.ones([3]), np.ones([3]), {}, "matrix"),
        (
            np.ones([2, 3]),
            np.ones([2, 3]),
            {"z_a_global": np.ones([4, 3])},
            "both",
        ),
        (
            np.ones([2, 3]),
            np.ones([2, 3]),
            {"sample_weight": np.ones([2])},
            "weight",
        ),
    ],
)
def test_refuses_rows_that_do_not_fit(z_a, z_b, more, word):
    with pytest.raises(ValueError, match=word):
        NTXent()(z_a, z_b, **more)


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64, np.int64])
def test_numbers_of_numpy_are_numbers(kind):
    config = NTXent(temperature=kind(2)).get_config()
    assert json.loads(json.dumps(config))["temperature"] == 2.0
    with pytest.raises(ValueError, match="temperature must be a finite"):
        NTXent(temperature=kind(0))
