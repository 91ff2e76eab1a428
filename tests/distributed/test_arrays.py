"""Arrays, and pixels of another range, in `fit` over two replicas."""

import json
import pathlib

import numpy as np
import pytest

SCRIPT = pathlib.Path(__file__).with_name("array_training.py")


@pytest.fixture(scope="module")
def histories(fork, tmp_path_factory):
    found = []
    for count in (1, 2):
        path = tmp_path_factory.mktemp("arrays") / "history.json"
        ended = fork(SCRIPT, [count, path])
        assert ended.wait() == 0, ended.text()[-3000:]
        found.append(json.loads(path.read_text()))
    return found


def test_a_classifier_takes_arrays_on_two_replicas(histories):
    one, two = histories
    for name in ("loss", "accuracy"):
        np.testing.assert_allclose(two[name], one[name], rtol=1e-4)


def test_each_replica_sees_what_another_has(histories):
    """The pixels out of range lie on the second replica alone."""
    for history in histories:
        assert "values from 0 to 255" in history["said"]
