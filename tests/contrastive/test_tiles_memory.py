"""Memory of NT-Xent and of what is logged beside it, in a large batch."""

import json
import pathlib

import forked
import pytest

pytestmark = [
    pytest.mark.newest,
    pytest.mark.skipif(
        not pathlib.Path("/proc/self/status").exists(), reason="needs /proc"
    ),
]


@pytest.mark.parametrize(
    "images, tile",
    [(3072, 2**21), pytest.param(4096, 2**24, marks=pytest.mark.long)],
)
def test_memory_does_not_grow_with_the_square(tmp_path, images, tile):
    """On a CPU; with tiles of 2 MiB, or of 16 MiB as they are by default.

    Five tiles exist at once in a graph (products, what a mask leaves of them,
    two exponentials, their sum) and up to ten where Python's names hold on to
    them. Rows of both views take 1 KiB for each image, 3 or 4 MiB: as given
    and normalised, scaled, cut, and their gradients; sixteen cover these. One
    float32 matrix of all logits would be 144 or 256 MiB. The metrics are worked
    out first, from several matrices of a quarter of that if these were whole.
    The allocator returns what is freed at once: how much it would keep, by
    thread, differs between kinds of processors.
    """
    bound = 10 * tile + 16 * images * 2**10
    assert bound < 4 * (2 * images) ** 2
    script = pathlib.Path(__file__).with_name("peak_memory.py")
    process = forked.Process(script, [images, tile], tmp_path / "log")
    assert process.wait() == 0, process.text()
    grown = json.loads(process.text().splitlines()[-1])
    for name, growth in grown.items():
        assert 0 < growth < bound, f"{name}: {growth / 2**20:.0f} MiB"
