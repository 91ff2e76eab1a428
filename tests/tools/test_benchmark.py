"""tools/benchmark: small runs of each suite; what is compared is the same."""

import json
import pathlib
import sys

import numpy as np
import PIL.Image
import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "tools"))

from benchmarks import __main__ as command
from benchmarks import plain_keras
from benchmarks import trainings

import simclr_keras as sk
from simclr_keras.networks import kernel_gradient

pytestmark = pytest.mark.newest


@pytest.mark.long
@pytest.mark.parametrize(
    "suite, arguments, subjects",
    [
        ("step", ["--encoder=smallest", "--batch=4"], 4),
        ("views", ["--size=32", "--batch=3"], 3),
        ("input", ["--batch=2"], 6),
        ("loss", ["--batch=256"], 4),
        (
            "memory",
            ["--encoder=smallest", "--micro_batch_size=4", "--batch=8"],
            4,
        ),
    ],
)
def test_smallest_run(suite, arguments, subjects, tmp_path, capsys):
    """Every subject is in a table, with a time or a peak of memory."""
    arguments = [f"--suite={suite}", *arguments, "--steps=1", "--repeats=1"]
    if suite == "input":
        for number in range(3):
            pixels = np.full((40 + number, 50, 3), 60 * number, np.uint8)
            PIL.Image.fromarray(pixels).save(tmp_path / f"{number}.png")
        arguments.append(f"--photos={tmp_path}")
    output = tmp_path / "results.json"
    command.main([*arguments, f"--output={output}"])
    comparisons = json.loads(output.read_text())["comparisons"]
    measured = [
        (name, value)
        for each in comparisons
        for name, value in {**each["peak_bytes"], **each["seconds"]}.items()
    ]
    if any("keras-cv" in name for name, _ in measured):
        subjects += 1
    assert len(measured) == subjects
    printed = capsys.readouterr().out
    for name, value in measured:
        assert f"| {name} | " in printed
        assert np.all(np.array(value) > 0)


@pytest.mark.parametrize(
    "arguments, said",
    [
        ([], "--suite must be one of: step, views, input, loss, memory"),
        (["--suite=scaling"], "invalid choice: 'scaling'"),
        (["--suite=step", "--batch=0"], "must be 1 or more. Received: 0"),
        (["--suite=step", "--output=no/such.json"], "in a folder that exists"),
    ],
)
def test_wrong_usage(arguments, said, capsys):
    with pytest.raises(SystemExit) as ended:
        command.main(arguments)
    assert ended.value.code == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    "name",
    ["resnet18", "tiny", pytest.param("resnet50", marks=pytest.mark.long)],
)
def test_plain_network_is_the_same(name):
    """As many weights of each shape, so as many parameters."""
    network = trainings.NETWORKS[name]
    encoder, head = network.ours()
    head.build((None, encoder.output_shape[-1]))

    def shapes(*models):
        return sorted(tuple(w.shape) for m in models for w in m.weights)

    assert shapes(encoder, head) == shapes(*network.plain())


@pytest.mark.parametrize("temperature", [0.1, 1.0])
def test_plain_loss_is_ours(temperature):
    """Both sum some dozen float32 numbers of similar size."""
    z = np.random.default_rng(0).normal(size=(2, 6, 4)).astype(np.float32)
    theirs = plain_keras.nt_xent(*z, temperature)
    ours = sk.NTXent(temperature)(*z)
    np.testing.assert_allclose(theirs, ours, rtol=1e-5)


@pytest.mark.parametrize("by_taps", [True, False])
def test_kernel_gradients_can_be_those_of_tensorflow(monkeypatch, by_taps):
    """As on a machine with AMX, where the step suite compares the two."""
    used, original = [], kernel_gradient.by_taps

    def noting(*arguments):
        used.append(arguments)
        return original(*arguments)

    monkeypatch.setattr(kernel_gradient, "by_taps", noting)
    monkeypatch.setattr(kernel_gradient, "runs_on_amx", lambda: True)
    network = trainings.NETWORKS["smallest"]
    trainings.ours(network, "bfloat16", 4, by_taps=by_taps).fit(1)
    assert bool(used) == by_taps
