"""What all tests share: where the optional material lies."""

import os
import pathlib

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

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
