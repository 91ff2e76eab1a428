"""Flags of simclr-pretrain that take parts of the augmentation away."""

import numpy as np
import pytest

import simclr_keras as sk
from simclr_keras.commands import pretrain

pytestmark = pytest.mark.newest
SMALL = (
    "--dataset=shapes",
    "--train_split=train[:16]",
    "--eval_split=",
    "--encoder=tiny",
    "--width_multiplier=0.1",
    "--train_batch_size=8",
    "--train_steps=1",
    "--warmup_epochs=0",
    "--verbose=0",
)


@pytest.fixture
def views_of(tmp_path, run, pictures):
    """Function of flags that returns images and their two views."""

    def draw(*arguments):
        directory = tmp_path / "run"
        run(pretrain, *SMALL, *arguments, f"--model_dir={directory}")
        images = pictures(6, 32)
        view_a, view_b = sk.training.load_model(directory).views(images, step=0)
        return images / np.float32(255), view_a.numpy(), view_b.numpy()

    return draw


def test_one_view_is_the_image_itself(views_of):
    images, view_a, view_b = views_of("--augment_one")
    np.testing.assert_allclose(view_b, images, atol=1e-6)
    assert np.abs(view_a - images).max(axis=(1, 2, 3)).min() > 0.05


def test_without_crops_and_colour_views_are_flips(views_of):
    images, *views = views_of("--nocrop", "--color_jitter_strength=0")
    flipped = images[:, :, ::-1]
    whole = [
        [np.abs(view[i] - x[i]).max() < 1e-6 for x in (images, flipped)]
        for view in views
        for i in range(len(images))
    ]
    assert all(any(pair) for pair in whole)
    assert {pair.index(True) for pair in whole} == {0, 1}


def test_without_flips_views_are_images(views_of):
    arguments = "--nocrop", "--noflip", "--color_jitter_strength=0"
    images, *views = views_of(*arguments)
    for view in views:
        np.testing.assert_allclose(view, images, atol=1e-6)


@pytest.mark.parametrize("flag", ["--nocrop", "--augment_one"])
def test_whole_images_must_have_the_size_of_the_views(tmp_path, run, flag):
    np.save(tmp_path / "images.npy", np.zeros([16, 20, 20, 3], np.uint8))
    with pytest.raises(ValueError, match="32 x 32 pixels.*of 20 x 20"):
        run(
            pretrain,
            *SMALL,
            f"--dataset=arrays:{tmp_path / 'images.npy'}",
            "--image_size=32",
            flag,
            f"--model_dir={tmp_path / 'run'}",
        )
    assert not (tmp_path / "run").exists()
