"""Networks on two logical CPUs, in a process of its own.

Devices can be split only before TensorFlow starts.
"""

import pathlib

import forked

SCRIPT = pathlib.Path(__file__).with_name("two_replicas.py")


def test_replicas_without_global_bn_average_their_statistics(tmp_path):
    """And networks train on two replicas, whose weights stay the same."""
    process = forked.Process(SCRIPT, [], tmp_path / "log")
    assert process.wait() == 0, process.text()[-3000:]
    assert process.text().strip().endswith("done")
