"""Thousands of requests to an exported model, as a server would make them."""

import json
import pathlib

import forked
import keras
import pytest

import simclr_keras as sk

SCRIPT = pathlib.Path(__file__).with_name("ask.py")


@pytest.mark.long
@pytest.mark.skipif(
    not pathlib.Path("/proc/self/statm").exists(), reason="Linux tells memory"
)
def test_memory_does_not_grow_with_requests(tmp_path):
    """After the first fifth, which fills buffers, by less than 1 kB each.

    What is traced anew, or kept of a request, takes more.
    """
    keras.utils.set_random_seed(0)
    model = sk.Classifier(sk.TinyResNet((4, 8)), 3, image_size=32)
    path = sk.export(model, tmp_path / "export")
    requests = 10_000
    process = forked.Process(SCRIPT, [path, requests], tmp_path / "log")
    assert process.wait() == 0, process.text()[-3000:]
    found = json.loads(process.text().splitlines()[-1])
    print(found)
    assert found["refused"] + found["answered"] == requests
    assert found["refused"] > requests / 100
    growth = max(found["seen"][1:]) - found["seen"][0]
    assert growth < 0.8 * requests * 1000
