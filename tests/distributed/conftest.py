"""How the tests here run trainings: in processes of their own, all ended.

TensorFlow's devices can be split only before it starts, and replicas of two
strategies do not fit in one process.
"""

import json
import pathlib

import keras
import numpy as np
import pytest

import simclr_keras as sk

TRAINING = pathlib.Path(__file__).with_name("training.py")


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """A `.keras` file of an untrained `SimCLR` for 16 pixels."""
    keras.utils.set_random_seed(0)
    model = sk.SimCLR(sk.TinyResNet((4,)), views=sk.TwoViews(16))
    path = tmp_path_factory.mktemp("model") / "model.keras"
    model.save(path)
    return path


@pytest.fixture(scope="module")
def train(fork_workers, tmp_path_factory):
    """Function that runs `training.py`; returns the arrays of its files.

    Args of the function:
        variants: name -> settings that differ from `training.DEFAULTS`.
        replicas: numbers of replicas that each variant is trained on.
        workers: instead, the number of processes that train it together.
    """

    def run(variants, replicas=(), workers=1):
        output = tmp_path_factory.mktemp("training")
        order = {"variants": variants, "replicas": list(replicas)}
        arguments = [output, json.dumps(order)]
        for process in fork_workers(workers, TRAINING, arguments):
            assert process.wait() == 0, process.text()[-3000:]
        return {path.stem: _load(path) for path in output.glob("*.npz")}

    return run


def _load(path):
    with np.load(path) as arrays:
        return {name: arrays[name] for name in arrays.files}
