"""tools/benchmark --suite=step: what is compared is the same, a small run."""

import argparse
import pathlib
import sys

import keras
import numpy as np
import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "tools"))

from benchmarks import step
from benchmarks.plain import model as plain_model
from benchmarks.step import networks

import simclr_keras as sk

pytestmark = pytest.mark.newest


@pytest.mark.parametrize(
    "name",
    ["resnet18", "tiny", pytest.param("resnet50", marks=pytest.mark.long)],
)
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


@pytest.mark.long
def test_smallest_run():
    parser = argparse.ArgumentParser()
    step.define_flags(parser)
    options = ["--encoder=smallest", "--precision=bfloat16", "--repeats=1"]
    results = step.run(parser.parse_args(options))
    (network,) = results["networks"]
    kinds = network["precisions"]["bfloat16"]
    assert set(kinds) == {
        "ours",
        "ours, given views",
        "plain",
        "plain, given views",
        "products",
    }
    for times in kinds.values():
        assert len(times["clock"]) == 1
        assert times["clock"][0] > 0
    assert keras.mixed_precision.global_policy().name == "float32"
    for spent in network["operations"]["bfloat16"].values():
        assert spent["convolution, gradient of the kernel"] > 0
        assert sum(spent.values()) < 10  # seconds of a step of milliseconds
    lines = step.report(results).splitlines()
    assert sum(line.startswith("| bfloat16 ") for line in lines) == 4
