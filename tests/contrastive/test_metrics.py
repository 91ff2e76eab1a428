"""Contrastive accuracy and entropy against the official numbers."""

import numpy as np
import pytest
import tensorflow as tf

from simclr_keras.contrastive import contrastive_metrics

pytestmark = pytest.mark.newest


def test_equal_the_official_values(cases):
    """ntxent.npz, ties (collapsed, zero rows) included. Accuracies are
    counts; entropies are within 1e-5, as the loss."""
    for case, expected in cases("ntxent.npz"):
        z_a, z_b = np.split(expected["hidden"], 2)
        metrics = contrastive_metrics(
            z_a, z_b, case["temperature"], case["hidden_norm"]
        )
        np.testing.assert_allclose(
            metrics["contrastive_accuracy"],
            expected["contrast_acc"],
            rtol=1e-6,
            err_msg=str(case),
        )
        np.testing.assert_allclose(
            metrics["contrastive_entropy"],
            expected["contrast_entropy"],
            rtol=1e-5,
            atol=1e-6,
            err_msg=str(case),
        )


def test_equal_the_official_values_on_replicas(cases):
    """ntxent_replicas.npz: [N, RN] similarities on each replica."""
    for case, expected in cases("ntxent_replicas.npz"):
        n, hidden = case["N"], expected["hidden"]
        for r in range(case["R"]):
            metrics = contrastive_metrics(
                hidden[r, :n],
                hidden[r, n:],
                case["temperature"],
                case["hidden_norm"],
                z_a_global=hidden[:, :n].reshape(-1, case["d"]),
                z_b_global=hidden[:, n:].reshape(-1, case["d"]),
                first_anchor=r * n,
            )
            np.testing.assert_allclose(
                metrics["contrastive_accuracy"],
                expected["contrast_acc"][r],
                rtol=1e-6,
            )
            np.testing.assert_allclose(
                metrics["contrastive_entropy"],
                expected["contrast_entropy"][r],
                rtol=1e-5,
            )


def top_k_by_sorting(z_a, z_b, k):
    """Share of rows whose partner is in the first k of a stable sort."""
    z_a, z_b = (
        z / np.linalg.norm(z, axis=1, keepdims=True) for z in (z_a, z_b)
    )
    order = np.argsort(-(z_a @ z_b.T), axis=1, kind="stable")
    return np.mean([i in order[i, :k] for i in range(len(z_a))])


@pytest.mark.parametrize("num_images", [3, 5, 40])
def test_top5_counts_partners_among_the_best_five(num_images):
    rng = np.random.default_rng(0)
    z_a = rng.normal(size=(num_images, 6))
    z_b = z_a + 2 * rng.normal(size=(num_images, 6))
    metrics = contrastive_metrics(z_a, z_b)
    for name, k in (("contrastive_accuracy", 1), ("contrastive_top5", 5)):
        np.testing.assert_allclose(metrics[name], top_k_by_sorting(z_a, z_b, k))


def test_ties_go_to_the_first_candidate():
    """Seven equal rows: the stable order is that of the columns, so the
    partner is found first in one row and among five in five."""
    metrics = contrastive_metrics(tf.ones([7, 2]), tf.ones([7, 2]))
    np.testing.assert_allclose(metrics["contrastive_accuracy"], 1 / 7)
    np.testing.assert_allclose(metrics["contrastive_top5"], 5 / 7)
    # p = 1/7 everywhere; 1e-8 in the logarithm is beyond float32.
    np.testing.assert_allclose(
        metrics["contrastive_entropy"], np.log(7), rtol=1e-6
    )


def test_what_is_not_a_number_is_a_miss():
    z = np.full([6, 2], np.nan, np.float32)
    metrics = contrastive_metrics(z, z)
    assert metrics["contrastive_accuracy"] == 0
    assert metrics["contrastive_top5"] == 0


def test_no_gradient_flows_back_and_xla_compiles():
    z_a, z_b = tf.random.stateless_normal([2, 8, 4], [1, 2])

    @tf.function(jit_compile=True)
    def compiled(z_a, z_b):
        with tf.GradientTape() as tape:
            tape.watch([z_a, z_b])
            metrics = contrastive_metrics(z_a, z_b)
            total = tf.add_n(list(metrics.values()))
        assert tape.gradient(total, [z_a, z_b]) == [None, None]
        return metrics

    for name, value in contrastive_metrics(z_a, z_b).items():
        np.testing.assert_allclose(
            compiled(z_a, z_b)[name], value, rtol=1e-6, err_msg=name
        )


def by_hand(z_a, z_b, first, temperature):
    """Of anchors z_a, whose partners stand in z_b from `first` on."""
    logits = z_a @ z_b.T
    order = np.argsort(-logits, axis=1, kind="stable")
    ranks = [list(row).index(first + i) for i, row in enumerate(order)]
    p = np.exp(logits / temperature)
    p /= p.sum(axis=1, keepdims=True)
    return {
        "contrastive_accuracy": np.mean(np.less(ranks, 1)),
        "contrastive_top5": np.mean(np.less(ranks, 5)),
        "contrastive_entropy": -np.mean(np.sum(p * np.log(p + 1e-8), axis=1)),
    }


@pytest.mark.parametrize(
    "n, num_images, first, jit_compile",
    [
        (37, 37, 0, False),
        (50, 90, 23, True),
        (50, 90, 23, None),
        pytest.param(37, 37, 0, True, marks=pytest.mark.long),
        pytest.param(37, 37, 0, None, marks=pytest.mark.long),
        pytest.param(50, 90, 23, False, marks=pytest.mark.long),
    ],
)
def test_in_blocks_of_rows(tiles, n, num_images, first, jit_compile):
    """Blocks of 16 and of 32 anchors, against NumPy in float64.

    Every row stands there twice, in another block: each rank hangs on which
    of two ties comes first. Whole numbers, so that ties are exact.
    """
    tiles(8 * num_images * 20)
    rng = np.random.default_rng(0)
    z_b = np.round(3 * rng.normal(size=(num_images, 4)))
    z_b[num_images // 2 :] = z_b[: (num_images + 1) // 2]
    z_a = z_b[first : first + n] + np.round(rng.normal(size=(n, 4)))
    everything = {"z_a_global": z_b, "z_b_global": z_b, "first_anchor": first}

    def function(z_a, z_b):
        more = everything if num_images > n else {}
        return contrastive_metrics(z_a, z_b, 2.0, False, **more)

    if jit_compile is not None:
        function = tf.function(function, jit_compile=jit_compile)
    metrics = function(z_a, z_b[first : first + n])
    for name, expected in by_hand(z_a, z_b, first, 2.0).items():
        assert metrics[name].dtype == tf.float64
        np.testing.assert_allclose(metrics[name], expected, rtol=1e-12)
        assert expected not in (0, 1)


def test_in_blocks_of_unknown_size(tiles):
    tiles(4 * 30 * 16)
    z_a, z_b = tf.random.stateless_normal([2, 30, 4], [3, 4])
    spec = tf.TensorSpec([None, 4])
    function = tf.function(contrastive_metrics, input_signature=[spec, spec])
    metrics = function(z_a, z_b)
    for name, value in contrastive_metrics(z_a, z_b).items():
        np.testing.assert_allclose(metrics[name], value, rtol=1e-6)
