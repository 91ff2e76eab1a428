"""Export of what was trained on several replicas, to one that knows of none."""

import pathlib

import forked
import numpy as np
import pytest
import tensorflow as tf

SCRIPT = pathlib.Path(__file__).with_name("exporting.py")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Function that runs a part of the script in a folder of this module."""
    folder = tmp_path_factory.mktemp("exports")

    def part(name):
        process = forked.Process(SCRIPT, [name, folder], folder / "log")
        assert process.wait() == 0, process.text()[-3000:]
        return folder

    return part


@pytest.fixture(scope="module")
def trained(run):
    """Folder of what each precision has trained and exported."""
    return run("train")


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
def test_trained_on_two_replicas_and_served_by_tensorflow_alone(
    policy, trained
):
    """In bfloat16 within its rounding, 2^-8 of the largest value.

    serving/test_export.py shows that an export does without the package.
    """
    expected = dict(np.load(trained / policy / "expected.npz"))
    loaded = tf.saved_model.load(str(trained / policy / "export" / "1"))
    serve = loaded.signatures["serving_default"]
    served = serve(images=tf.constant(expected["images"]))
    for name in ("embedding", "probabilities"):
        tolerance = 1e-5
        if policy != "float32":
            tolerance = 2**-8 * np.abs(expected[name]).max()
        np.testing.assert_allclose(served[name], expected[name], atol=tolerance)


def test_taken_up_again_on_replicas(trained, run):
    """With other classes and larger images."""
    run("go_on")
