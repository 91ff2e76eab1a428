"""The commands on a folder of photographs of many sizes."""

import shutil

import numpy as np
import pytest
from PIL import Image

from simclr_keras import training
from simclr_keras.commands import finetune
from simclr_keras.commands import linear_eval
from simclr_keras.commands import pretrain

pytestmark = pytest.mark.newest
SMALL = (
    "--image_size=40",
    "--encoder=tiny",
    "--width_multiplier=0.25",
    "--train_batch_size=8",
    "--verbose=0",
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Photographs of many sizes: a dark class and a light one."""
    rng = np.random.default_rng(0)
    folder = tmp_path_factory.mktemp("data") / "photos"
    for index in range(36):
        split = "test" if index >= 24 else "train"
        path = folder / split / f"class{index % 2}" / f"{index:02d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        height, width = (int(n) for n in rng.integers(48, 160, 2))
        low = 20 + 140 * (index % 2)
        pixels = rng.integers(low, low + 70, (height // 8, width // 8, 3))
        image = Image.fromarray(pixels.astype(np.uint8))
        image.resize((width, height), Image.BICUBIC).save(path, quality=95)
    return folder


def test_photographs_from_pretraining_to_fine_tuning(folder, run, tmp_path):
    """Brightness tells the classes apart, to any network."""
    directory = tmp_path / "run"
    results = run(
        pretrain,
        f"--dataset=folder:{folder}",
        f"--model_dir={directory}",
        "--train_epochs=2",
        "--eval_every_epochs=1",
        "--knn_k=5",
        *SMALL,
    )
    assert results["train_images"] == 24
    assert results["knn_accuracy"] == 1.0
    with Image.open(directory / "views.png") as picture:
        assert np.asarray(picture).std() > 10
    model = training.load_model(directory)
    # Ready views of the host; blur is on above 32 pixels.
    assert model.views.size == (40, 40)
    for command, extra in (
        (linear_eval, ["--protocol=knn", "--knn_k=5"]),
        (finetune, ["--label_fraction=0.5", "--train_epochs=10"]),
    ):
        results = run(
            command,
            f"--dataset=folder:{folder}",
            f"--checkpoint={directory}",
            f"--model_dir={directory}_{command.__name__}{extra[0].strip('-')}",
            "--train_batch_size=8",
            "--learning_rate=0.5",
            "--verbose=0",
            *extra,
        )
        assert results["image_size"] == 40
        assert results["accuracy"] > 0.9, extra


def test_unlabelled_folder_without_test_split(folder, run, tmp_path):
    loose = tmp_path / "loose"
    loose.mkdir()
    for photo in folder.rglob("*.jpg"):
        shutil.copy(photo, loose)
    results = run(
        pretrain,
        f"--dataset=folder:{loose}",
        f"--model_dir={tmp_path / 'run'}",
        "--train_epochs=1",
        *SMALL,
    )
    assert results["train_images"] == 36 and "knn_accuracy" not in results


def test_missing_test_split_is_said_at_once(folder, run, tmp_path):
    with pytest.raises(ValueError, match="split"):
        run(
            pretrain,
            f"--dataset=folder:{folder / 'train'}",
            "--eval_split=test",
            f"--model_dir={tmp_path / 'run'}",
            *SMALL,
        )
    assert not (tmp_path / "run").exists()


@pytest.mark.long
def test_probe_with_a_data_set_of_its_own(folder, run, tmp_path):
    results = run(
        pretrain,
        f"--dataset=folder:{folder}",
        f"--probe_dataset=folder:{folder}",
        "--eval_split=",
        f"--model_dir={tmp_path / 'run'}",
        "--train_epochs=1",
        *SMALL,
    )
    assert results["steps"] == 3
