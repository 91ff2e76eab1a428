"""Evaluation whose processes share the images: the figures of one process."""

import json
import pathlib

import numpy as np
import PIL.Image
import pytest

pytestmark = pytest.mark.long

SCRIPT = pathlib.Path(__file__).with_name("evaluating.py")
WORKERS = 2
# What differs between one process and several.
OWN = {"own", "parts", "val_loss", "rows", "gathered", "integers"}


@pytest.fixture(scope="module")
def measured(fork_workers, tmp_path_factory):
    """Arrays of one process alone, and the list of those of the workers."""

    def run(count):
        folder = tmp_path_factory.mktemp("evaluation")
        (folder / "photos").mkdir()
        rng = np.random.default_rng(0)
        for k in range(11):
            image = rng.integers(0, 256, (20 + k, 30, 3), np.uint8)
            path = folder / "photos" / f"{k:02d}.png"
            PIL.Image.fromarray(image).save(path)
        for process in fork_workers(count, SCRIPT, [folder]):
            assert process.wait() == 0, process.text()[-3000:]
        paths = sorted(folder.glob("*.npz"))
        assert len(paths) == count
        return [dict(np.load(path)) for path in paths]

    return run(1)[0], run(WORKERS)


def test_features_are_those_of_one_process_bit_for_bit(measured):
    """As the batches are the same; every process has all of them."""
    alone, shared = measured
    assert len(alone["h"]) == 45 and alone["h"].std() > 0
    for worker in shared:
        for name in set(alone) - OWN:
            np.testing.assert_array_equal(worker[name], alone[name], name)


def test_each_has_its_share_of_the_batches(measured):
    """Of six batches three each, the last of five images."""
    _, shared = measured
    assert [int(worker["own"]) for worker in shared] == [24, 21]


def test_the_accuracy_of_neighbours_is_no_guess(measured):
    """Else equal accuracies would show little."""
    alone, _ = measured
    assert 0 < alone["knn"] < 1 and alone["knn_of_few"] > alone["knn"]


def test_validation_reads_only_the_own_rows(measured):
    """Its figures differ by rounding; one image more would move them more."""
    alone, shared = measured
    for number, worker in enumerate(shared):
        assert len(worker["parts"]) >= 2  # of the training and of these
        assert (worker["parts"] == (number, WORKERS)).all()
        np.testing.assert_allclose(
            worker["val_loss"], alone["val_loss"], rtol=1e-4
        )


def test_slices_are_gathered_bit_for_bit(measured):
    """Of no row and of several, zeros with a sign, NaN and large integers."""
    _, shared = measured
    expected = np.concatenate([x["rows"].reshape(-1, 3) for x in shared])
    for worker in shared:
        assert worker["gathered"].tobytes() == expected.tobytes()
        np.testing.assert_array_equal(
            worker["integers"],
            [0, 1, *(np.arange(3) - 2**40)],
        )


@pytest.mark.parametrize(
    ("command", "flags"),
    [
        ("linear_eval", ["--protocol=knn", "--knn_k=5"]),
        ("linear_eval", ["--protocol=lbfgs", "--predict=rotation"]),
        ("finetune", ["--train_steps=2", "--train_batch_size=24"]),
    ],
)
def test_commands_write_the_results_of_one_process(
    fork_workers, checkpoint, tmp_path, command, flags
):
    """Those of a training to rounding, all others exactly."""
    results = []
    for count in (1, 2):
        arguments = [
            f"--checkpoint={checkpoint}",
            f"--model_dir={tmp_path / str(count)}",
            "--train_split=train[:48]",
            "--eval_split=test[:45]",
            "--eval_batch_size=8",
            "--image_size=16",
            "--learning_rate=1e-4",
            "--verbose=0",
            *flags,
        ]
        for process in fork_workers(count, command, arguments):
            assert process.wait() == 0, process.text()[-3000:]
        path = tmp_path / str(count) / "results.json"
        results.append(json.loads(path.read_text()))
    alone, shared = results
    if command == "finetune":
        assert shared.pop("loss") == pytest.approx(alone.pop("loss"), rel=1e-3)
    assert shared == alone
