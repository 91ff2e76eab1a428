"""What all tests share: where the optional material lies."""

import json
import os
import pathlib
import types

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import pytest

ROOT = pathlib.Path(__file__).resolve().parents[1]
# The official implementation's numbers, CIFAR-10 and photographs; optional.
SHARED = pathlib.Path(
    os.environ.get("SIMCLR_KERAS_SHARED", ROOT.parent / "shared")
)


def pytest_runtest_setup(item):
    """Skips what would say little more on the older stack."""
    if item.get_closest_marker("newest"):
        from simclr_keras import compat

        if not compat.KERAS_3:
            pytest.skip("run on the newest stack")


def _needed(path):
    if not path.exists():
        pytest.skip(f"{path.name} is not at hand")
    return path


@pytest.fixture(scope="session")
def parity():
    """Folder with the official implementation's numbers.

    The full set where it is at hand, else the small ones in this repository.
    """

    def path(name):
        full = SHARED / "parity" / name
        return (
            full if full.exists() else _needed(ROOT / "tests/fixtures" / name)
        )

    return path


@pytest.fixture(scope="session")
def cifar10_dir():
    """TFDS folder that holds CIFAR-10; skips where it is absent."""
    _needed(SHARED / "data" / "tfds" / "cifar10")
    return str(SHARED / "data" / "tfds")


@pytest.fixture(scope="session")
def photos_dir():
    """Folder of real photographs; skips where it is absent."""
    return str(_needed(SHARED / "data" / "photos"))


@pytest.fixture(scope="session")
def preprocess(parity):
    """Arrays by name, with the file's settings as `info`."""
    with np.load(parity("preprocess.npz"), allow_pickle=False) as arrays:
        arrays = dict(arrays)
    info = json.loads(str(arrays.pop("info_json")))
    return types.SimpleNamespace(info=info, **arrays)


@pytest.fixture
def close_to():
    """Compares an 11-vector of statistics with the fixture's.

    The fixture's vectors are the quantiles 1, 5, 25, 50, 75, 95, 99 %, mean,
    standard deviation, minimum and maximum. With 30,000 samples a side, the
    standard error of the difference of two quantiles is about 0.4 % of the
    range, so the fixture's suggestion of 2 % is five of them.
    """

    def check(samples, expected, tolerance=0.02):
        samples = np.asarray(samples, np.float64)
        levels = [0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99]
        ours = [*np.quantile(samples, levels), samples.mean(), samples.std()]
        span = expected[10] - expected[9]
        np.testing.assert_allclose(
            ours, expected[:9], rtol=0, atol=tolerance * span
        )

    return check


@pytest.fixture(scope="session")
def seeds():
    """Seeds of many images."""

    import tensorflow as tf

    from simclr_keras import randomness

    def make(count, step=0, view=0):
        return randomness.stateless_seeds(11, step, tf.range(count), view)

    return make


@pytest.fixture(scope="session")
def pictures():
    """Smooth random images, `uint8` `[B, size, size, 3]`."""

    import tensorflow as tf

    def make(count, size, seed=0):
        coarse = np.random.RandomState(seed).rand(count, 6, 6, 3)
        fine = tf.image.resize(coarse, [size, size], "bicubic").numpy()
        return (255 * np.clip(fine, 0, 1)).astype(np.uint8)

    return make
