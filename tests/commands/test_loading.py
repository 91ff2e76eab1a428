"""`--checkpoint`: in whatever form, in this command's precision, or anew."""

import forked
import keras
import numpy as np
import pytest

import simclr_keras as sk
from simclr_keras import data
from simclr_keras.commands import embed
from simclr_keras.commands import export
from simclr_keras.commands import finetune
from simclr_keras.commands import linear_eval
from simclr_keras.commands.common import checkpoint
from simclr_keras.commands.common import command_line

TINY = ("--encoder=tiny", "--width_multiplier=0.125")


def _flags(command, *arguments):
    return command_line.parse(command.define_flags, arguments)


def _encoder():
    return sk.TinyResNet((4, 8, 16))


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """One encoder in all forms that a single file can have."""
    folder = tmp_path_factory.mktemp("files")
    keras.utils.set_random_seed(1)
    encoder = _encoder()
    model = sk.SimCLR(encoder, views=sk.TwoViews(32))
    encoder.save(folder / "encoder.keras")
    model.save(folder / "simclr.keras")
    sk.Classifier(encoder, 3).save(folder / "classifier.keras")
    encoder.save_weights(folder / "encoder.weights.h5")
    return folder, encoder


FORMS = {
    "encoder.keras": (),
    "simclr.keras": (),
    "classifier.keras": (),
    "encoder.weights.h5": TINY,
}


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize("from_scratch", [False, True])
def test_weights_are_those_of_the_file_or_none_of_them(
    files, name, from_scratch
):
    folder, encoder = files
    flags = _flags(
        finetune,
        f"--checkpoint={folder / name}",
        f"--from_scratch={str(from_scratch).lower()}",
        *FORMS[name],
    )
    source = data.open_source("shapes", "test[:5]")
    model = checkpoint.pretrained(flags, source)
    model = getattr(model, "encoder", model)
    for found, expected in zip(model.get_weights(), encoder.get_weights()):
        if found.ndim == 4:  # others begin at zero or one
            assert (found == expected).all() != from_scratch


@pytest.mark.parametrize("name", FORMS)
def test_networks_compute_in_the_precision_of_the_command(files, name):
    flags = _flags(linear_eval, f"--checkpoint={files[0] / name}", *FORMS[name])
    images = np.zeros((1, 32, 32, 3), np.float32)
    keras.mixed_precision.set_global_policy("mixed_bfloat16")
    try:
        source = data.open_source("shapes", "test[:5]")
        model = checkpoint.pretrained(flags, source)
    finally:
        keras.mixed_precision.set_global_policy("float32")
    assert getattr(model, "encoder", model)(images).dtype == "bfloat16"


def test_fine_tuning_from_weights(files, tmp_path):
    """Of another image size; two replicas take a process of their own."""
    process = forked.Process(
        "finetune",
        [
            f"--checkpoint={files[0] / 'encoder.weights.h5'}",
            *TINY,
            "--image_size=16",
            "--logical_cpus=2",
            "--train_split=train[:40]",
            "--eval_split=test[:20]",
            "--train_batch_size=20",
            "--train_epochs=1",
            f"--model_dir={tmp_path / 'run'}",
        ],
        tmp_path / "log",
    )
    assert process.wait() == 0, process.text()
    # The run knows its network from now on.
    parts = sk.load(tmp_path / "run")
    assert parts.encoder.channels == (4, 8, 16)
    assert parts.model.num_classes == 10
    assert parts.model.image_size == 16


def test_embedding_and_export_of_weights(files, tmp_path):
    """Of images in an array, which the command finds in a file."""
    folder, encoder = files
    images = data.open_source("shapes", "test[:5]").images
    np.save(tmp_path / "images.npy", images)
    weights = f"--checkpoint={folder / 'encoder.weights.h5'}"
    embed.run(
        _flags(
            embed,
            weights,
            *TINY,
            f"--dataset=arrays:{tmp_path / 'images.npy'}",
            f"--model_dir={tmp_path / 'rows'}",
        )
    )
    expected = encoder(images / np.float32(255), training=False)
    rows = np.load(tmp_path / "rows" / "embeddings.npy")
    np.testing.assert_allclose(rows, expected, atol=1e-5)
    target = f"--export_dir={tmp_path / 'export'}"
    with pytest.raises(ValueError, match="--image_size must be given"):
        export.run(_flags(export, weights, target, *TINY))
    export.run(_flags(export, weights, target, *TINY, "--image_size=32"))
    found = sk.load(tmp_path / "export").encoder.get_weights()
    for a, b in zip(found, encoder.get_weights()):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    "name, flags, message",
    [
        ("encoder.weights.h5", (), "--encoder must name the network"),
        ("encoder.weights.h5", ("--encoder=tiny",), "same architecture"),
        ("encoder.keras", ("--sk_ratio=0.5",), "--sk_ratio must be left out"),
    ],
)
def test_network_flags_that_do_not_fit(files, name, flags, message):
    path = files[0] / name
    with pytest.raises(ValueError, match=message):
        checkpoint.pretrained(
            _flags(export, f"--checkpoint={path}", *flags, "--image_size=32")
        )
