"""tools/benchmark --suite=step: operations by hand, the plain rendering."""

import argparse
import math
import pathlib
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "tools"))

from benchmarks import flops
from benchmarks import rate
from benchmarks import step
from benchmarks.plain import model as plain_model
from benchmarks.plain import views as plain_views
from benchmarks.spread import Spread
from benchmarks.step import networks
from benchmarks.step import operations
from benchmarks.step import tables

import simclr_keras as sk

# Seconds per step, and per operation of the products, made up.
KINDS = {
    "ours": {"clock": [1.0, 2.0, 1.0], "busy": [0.5, 1.0, 0.75]},
    "ours, given views": {"clock": [0.9, 1.0, 1.0], "busy": [1.0] * 3},
    "plain": {"clock": [2.0, 3.0, 3.0], "busy": [1.0] * 3},
    "plain, given views": {"clock": [1.8, 1.0, 1.5], "busy": [1.0] * 3},
    "products": {"clock": [1e-9, 2e-9, 1e-9], "busy": [0.97, 0.95, 0.99]},
}


def _results(busy=0.97, peak=None):
    products = {**KINDS["products"], "busy": [busy] * 3}
    facts = {
        "size": 2048,
        "before": Spread.of([1e9]),
        "after": Spread.of([2e9]),
    }
    kinds = {**KINDS, "products": products}
    network = {
        "title": "Made up",
        "image_size": 32,
        "batch": 256,
        "steps": 2,
        "repeats": 3,
        "flops": 0.8e9,
        "precisions": {"float32": kinds},
        "peak_bytes": {"float32": dict.fromkeys(KINDS, peak)},
        "operations": {},
    }
    return {"products": {"float32": facts}, "networks": [network]}


def _cells(report, first):
    """Cells of the rows that begin so."""
    return [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in report.splitlines()
        if line.startswith(f"| {first} ")
    ]


def test_operations_by_hand():
    """3 x 3 x 5 products for each of 10 x 6 x 7 outputs, and 7 x 4 more.

    The stride of 2 leaves 5 x 3 x 7 outputs.
    """
    images = keras.Input((10, 6, 5))
    x = keras.layers.Conv2D(7, 3, padding="same")(images)
    dense = keras.layers.Dense(4)(keras.layers.GlobalMaxPooling2D()(x))
    model = keras.Model(images, dense)
    spec = tf.TensorSpec((1, 10, 6, 5))
    first = 2 * 45 * 10 * 6 * 7
    assert flops.forward(model, spec) == (first + 2 * 7 * 4, first)
    strided = keras.layers.Conv2D(7, 3, strides=2, padding="same")
    assert flops.forward(strided, spec) == (2 * 45 * 5 * 3 * 7,) * 2


def test_operations_of_resnet18():
    """0.5554 G products, summed layer by layer; published as 0.56 G.

    That is without a classifier; and here the first block has a 1 x 1
    convolution on its shortcut, and a projection head follows.
    """
    stem = 3 * 9 * 64 * 32**2
    stage1 = 4 * 64 * 9 * 64 * 32**2
    # Half the pixels each way, twice the channels: three of four as above.
    later = (0.5 + 3) * 64 * 9 * 64 * 32**2 + 64 * 128 * 16**2
    assert stem + stage1 + 3 * later == pytest.approx(0.5554e9, rel=1e-3)
    shortcut, head = 64 * 64 * 32**2, 2 * 512 * 512 + 512 * 128
    products = stem + stage1 + 3 * later + shortcut + head
    encoder, head = networks.NETWORKS["resnet18"].ours()
    counted = flops.forward(
        lambda x: head(encoder(x)), tf.TensorSpec((1, 32, 32, 3))
    )
    assert counted == (2 * products, 2 * stem)


def test_operations_of_training_are_those_of_its_graph():
    """Every operation that the gradients of a traced step depend on."""
    network, batch = networks.NETWORKS["smallest"], 4
    encoder, head = network.plain()
    variables = encoder.trainable_variables + head.trainable_variables

    def gradients(views):
        with tf.GradientTape() as tape:
            z = head(encoder(views, training=True), training=True)
            loss = plain_model.nt_xent(*tf.split(z, 2), 0.1)
        return tape.gradient(loss, variables)

    size = network.image_size
    spec = tf.TensorSpec((2 * batch, size, size, 3))
    graph = tf.function(gradients).get_concrete_function(spec).graph
    needed, waiting = set(), [tensor.op for tensor in graph.outputs]
    while waiting:
        operation = waiting.pop()
        if operation not in needed:
            needed.add(operation)
            waiting += [tensor.op for tensor in operation.inputs]
    counted = sum(map(_operations, needed))
    assert network.training_flops(batch) == counted


def _operations(op):
    """Twice the products of one operation, from its shapes."""
    if op.type == "MatMul":
        rows, inner = op.inputs[0].shape[
            :: -1 if op.get_attr("transpose_a") else 1
        ]
        return 2 * rows * inner * op.outputs[0].shape[1]
    if op.type == "Conv2D":
        kernel, output = op.inputs[1].shape, op.outputs[0].shape
    elif op.type == "Conv2DBackpropInput":
        kernel, output = op.inputs[1].shape, op.inputs[2].shape
    elif op.type == "Conv2DBackpropFilter":
        kernel, output = op.outputs[0].shape, op.inputs[2].shape
    else:
        return 0
    return 2 * math.prod(kernel[:3]) * math.prod(output)


@pytest.mark.parametrize("name", networks.NETWORKS)
def test_plain_network_is_the_same(name):
    """As many weights of each shape, so as many parameters."""
    network = networks.NETWORKS[name]
    encoder, head = network.ours()
    head.build((None, encoder.output_shape[-1]))

    def shapes(*models):
        return sorted(tuple(w.shape) for m in models for w in m.weights)

    assert shapes(encoder, head) == shapes(*network.plain())


@pytest.mark.parametrize("temperature", [0.1, 1.0])
def test_plain_loss_is_ours(temperature):
    """Both sum some dozen float32 numbers of similar size."""
    z = np.random.default_rng(0).normal(size=(2, 6, 4)).astype(np.float32)
    theirs = plain_model.nt_xent(*z, temperature)
    ours = sk.NTXent(temperature)(*z)
    np.testing.assert_allclose(theirs, ours, rtol=1e-5)


def test_plain_views_draw_as_ours():
    """400 views: grey with probability 0.2, deviation 0.02; no mean moves
    by more than five deviations. The crop alone leaves the rest."""
    tf.random.set_seed(0)
    image = np.zeros((8, 8, 3), np.uint8)
    image[:, :4] = (200, 100, 30)
    draw = tf.function(lambda _: plain_views.view(image, 8, crop=False))
    drawn = tf.map_fn(draw, tf.zeros(400)).numpy()
    assert drawn.shape == (400, 8, 8, 3)
    assert 0 <= drawn.min() and drawn.max() <= 1
    left, right = drawn[:, :, :4], drawn[:, :, 4:]
    flipped = np.mean(left.sum((1, 2, 3)) < right.sum((1, 2, 3)))
    assert flipped == pytest.approx(0.5, abs=5 * math.sqrt(0.25 / 400))
    grey = np.mean(np.ptp(drawn, axis=-1).max((1, 2)) < 1e-6)
    assert grey == pytest.approx(0.2, abs=5 * math.sqrt(0.16 / 400))


@pytest.mark.parametrize("size, crop", [(36, True), (8, False)])
def test_plain_pipeline(size, crop):
    """Of images of any size; or of pairs of crops, each its own view."""
    shape = (3, 40, 50, 3) if crop else (3, 2, size, size, 3)
    images = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    dataset = tf.data.Dataset.from_tensor_slices(images).repeat()
    pair = next(iter(plain_views.pipeline(dataset, size, 4, crop)))
    assert [view.shape for view in pair] == [(4, size, size, 3)] * 2
    assert not np.array_equal(*pair)


def test_rate_of_products():
    product, spreads = rate.best("float32", 1, sizes=(8, 16), seconds=1e-3)
    assert set(spreads) == {"8", "16"}
    fastest = max(spreads, key=lambda size: spreads[size].median)
    assert product.size == int(fastest)
    assert spreads[fastest].median > 0


def test_fractions_and_comparisons_by_hand():
    """0.8 G operations; repeat by repeat 0.8 / 1, 1.6 / 2, 0.8 / 1."""
    fractions = tables.fractions(
        KINDS["ours"]["clock"], KINDS["products"]["clock"], 0.8e9
    )
    assert fractions.median == pytest.approx(0.8)
    half = {"ours": {"clock": [0.5, 1.0, 0.5]}, "plain": {"clock": [1.0] * 3}}
    figures = tables.compared({"float32": KINDS, "bfloat16": half})
    assert figures["plain Keras / ours"] == {
        "float32": Spread(2.0, 1.5, 3.0),
        "bfloat16": Spread(2.0, 1.0, 2.0),
    }
    # 1 - 0.9, 1 - 1 / 2 and 1 - 1.
    views = figures["our step's part that makes the views"]["float32"]
    assert (views.median, views.low) == pytest.approx((0.1, 0.0))
    assert views.high == pytest.approx(0.5)
    assert figures["ours: float32 / this precision"] == {
        "bfloat16": Spread(2.0, 2.0, 2.0)
    }
    assert not any("XLA" in name for name in figures)


def test_report():
    report = step.report(_results())
    assert _cells(report, "float32")[0][1:] == [
        "ours",
        "1000.0 (1000.0-2000.0)",
        "256.0",
        "0.80 (0.80-0.80)",
        "0.75 (0.50-1.00)",
    ]
    (row,) = _cells(report, "plain Keras / ours")
    assert row[1:] == ["2.00 (1.50-3.00)"]
    assert "0.8 GFLOP" in report
    assert "Noisy" not in report
    assert "GPU" not in report


def test_report_of_a_gpu_and_of_noise():
    report = step.report(_results(busy=0.6, peak=3 * 2**20))
    assert _cells(report, "float32")[0][-1] == "3"
    assert "Noisy" in report


def test_report_of_operations():
    """A quarter of the time of ours is that of the rest."""
    results = _results()
    results["networks"][0]["operations"] = {
        "float32": {
            "ours, given views": {"ReLU": 0.3, operations.REST: 0.1},
            "plain, given views": {"ReLU": 0.2},
        }
    }
    report = step.report(results)
    assert _cells(report, "ReLU") == [["ReLU", "300 (75%)", "200 (100%)"]]
    assert _cells(report, operations.REST)[0][1:] == ["100 (25%)", "0 (0%)"]


@pytest.mark.parametrize(
    "operation, kind",
    [
        ("Conv2D", "convolution, forward"),
        ("_MklNativePadWithConv2D", "convolution, forward"),
        ("Conv2DBackpropInput", "convolution, gradient of the input"),
        (
            "_MklConv2DBackpropFilter",
            "convolution, gradient of the kernel",
        ),
        ("_MklMatMul", "products of matrices"),
        ("FusedBatchNormGradV3", "fused batch norm, with a ReLU or not"),
        ("ReluGrad", "ReLU"),
        ("Cast", "casts"),
        ("Mul", operations.REST),
    ],
)
def test_kind_of_operation(operation, kind):
    assert operations.kind_of(operation) == kind


@pytest.mark.newest
@pytest.mark.long
def test_smallest_run():
    parser = argparse.ArgumentParser()
    step.define_flags(parser)
    options = ["--encoder=smallest", "--precision=bfloat16", "--repeats=1"]
    results = step.run(parser.parse_args(options))
    (network,) = results["networks"]
    kinds = network["precisions"]["bfloat16"]
    assert set(kinds) == set(KINDS)
    for times in kinds.values():
        assert len(times["clock"]) == 1
        assert times["clock"][0] > 0
    assert keras.mixed_precision.global_policy().name == "float32"
    for spent in network["operations"]["bfloat16"].values():
        assert spent["convolution, gradient of the kernel"] > 0
        assert sum(spent.values()) < 10  # seconds of a step of milliseconds
    report = step.report(results)
    assert len(_cells(report, "bfloat16")) == len(KINDS) - 1
