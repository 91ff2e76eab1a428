"""The official loss values, case by case; matrices in parts."""

import json

import numpy as np
import pytest

from simclr_keras.contrastive import chunking


@pytest.fixture
def cases(parity):
    """Function: file name to pairs of settings and arrays of each case."""

    def read(name):
        with np.load(parity(name), allow_pickle=False) as file:
            arrays = dict(file)
        found = []
        for case in json.loads(str(arrays["cases_json"])):
            prefix = case["case"] + "_"
            values = {
                key[len(prefix) :]: value
                for key, value in arrays.items()
                if key.startswith(prefix)
            }
            if values:
                found.append((case, values))
        assert found
        return found

    return read


@pytest.fixture
def tiles(monkeypatch):
    """Function that sets the bytes of the part of a matrix that is in work."""

    def set_bytes(value):
        monkeypatch.setattr(chunking, "tile_bytes", lambda: value)

    return set_bytes
