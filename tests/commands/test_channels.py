"""The commands on images of 13 bands, and warm starts from RGB."""

import numpy as np
import PIL.Image
import pytest
import tensorflow as tf

import simclr_keras as sk
from simclr_keras.commands import embed
from simclr_keras.commands import export
from simclr_keras.commands import linear_eval
from simclr_keras.commands import pretrain

RNG = np.random.default_rng(0)
SMALL = (
    "--encoder=tiny",
    "--width_multiplier=0.125",
    "--train_batch_size=8",
    "--train_epochs=1",
    "--warmup_epochs=0",
    "--verbose=0",
)


@pytest.fixture(scope="module")
def bands(tmp_path_factory):
    """An `.npz` file of 16 images of 13 bands, with values up to 10,000."""
    path = tmp_path_factory.mktemp("bands") / "a.npz"
    images = {
        f"x_{split}": RNG.integers(0, 10001, (16, 16, 16, 13), np.uint16)
        for split in ("train", "test")
    }
    labels = {f"y_{s}": np.arange(16) % 2 for s in ("train", "test")}
    np.savez(path, **images, **labels)
    return path


@pytest.fixture(scope="module")
def trained(bands, tmp_path_factory, run):
    """Run directory of a pre-training on them, and what it printed."""
    directory = tmp_path_factory.mktemp("run") / "a"
    _pretrain(run, bands, directory)
    return directory


def _pretrain(run, bands, directory, *arguments):
    return run(
        pretrain,
        f"--dataset=arrays:{bands}",
        "--channels=13",
        "--pixel_range=0,10000",
        "--show_channels=4,3,2",
        f"--model_dir={directory}",
        *SMALL,
        *arguments,
    )


@pytest.mark.newest
def test_the_start_line(bands, tmp_path, run, capsys):
    _pretrain(run, bands, tmp_path / "a")
    printed = capsys.readouterr().out
    assert "| views of 16 x 16 pixels | images of 13 channels |" in printed
    assert "views without saturation, hue and grey, which need 3" in printed
    assert "--channels=13" in printed.split("Next:")[1]
    flags = sk.training.RunDirectory(tmp_path / "a").settings()
    assert flags["channels"] == "13"
    assert PIL.Image.open(tmp_path / "a" / "views.png").mode == "RGB"


@pytest.mark.newest
@pytest.mark.parametrize("protocol", ["knn", "gradient"])
def test_linear_evaluation_takes_them_from_the_checkpoint(
    bands, trained, tmp_path, run, protocol
):
    results = run(
        linear_eval,
        f"--checkpoint={trained}",
        f"--dataset=arrays:{bands}",
        "--pixel_range=0,10000",
        f"--protocol={protocol}",
        f"--model_dir={tmp_path / 'a'}",
        *SMALL[2:],
    )
    train, test = (
        sk.data.open_source(
            f"arrays:{bands}", split, channels=13, pixel_range=(0, 10000)
        )
        for split in ("train", "test")
    )
    if protocol == "knn":
        model = sk.load(trained).model
        h, other = (np.asarray(model.embed(x.images)) for x in (train, test))
        expected = sk.evaluation.knn_accuracy(
            h, train.labels, other, test.labels, k=16
        )
    else:
        model = sk.load(tmp_path / "a").model
        predicted = model.predict(test.images, verbose=0).argmax(axis=1)
        expected = (predicted == test.labels).mean()
    assert results["accuracy"] == pytest.approx(expected)


@pytest.mark.newest
def test_weights_of_bands_need_the_flag(bands, tmp_path, run):
    """A file of weights does not say its channels: `--channels` does."""
    encoder = sk.TinyResNet((4, 8, 16), input_channels=13)
    path = tmp_path / "encoder.weights.h5"
    encoder.save_weights(path)
    arguments = [
        f"--checkpoint={path}",
        *SMALL[:2],
        "--protocol=knn",
        "--verbose=0",
    ]
    results = run(
        linear_eval,
        f"--dataset=arrays:{bands}",
        "--channels=13",
        "--pixel_range=0,10000",
        f"--model_dir={tmp_path / 'a'}",
        *arguments,
    )
    features = [
        sk.evaluation.extract(
            encoder,
            sk.data.load(
                f"arrays:{bands}",
                split=split,
                channels=13,
                pixel_range=(0, 10000),
                batch_size=16,
                training=False,
                labelled=True,
            ),
        )
        for split in ("train", "test")
    ]
    (h, y), (other, labels) = features
    expected = sk.evaluation.knn_accuracy(h, y, other, labels, k=16)
    assert results["accuracy"] == pytest.approx(expected)
    with pytest.raises(ValueError, match="weights of the same architecture"):
        run(
            linear_eval,
            "--dataset=shapes",
            "--train_split=train[:32]",
            f"--model_dir={tmp_path / 'b'}",
            *arguments,
        )


@pytest.mark.newest
def test_embedding_with_pictures(bands, trained, tmp_path, run):
    arguments = [
        f"--checkpoint={trained}",
        f"--dataset=arrays:{bands}",
        "--pixel_range=0,10000",
        f"--model_dir={tmp_path / 'a'}",
        "--neighbors=random:2",
        "--projector",
        "--verbose=0",
    ]
    run(embed, *arguments, "--show_channels=13,1,2")
    assert (tmp_path / "a" / "neighbors.png").exists()
    assert np.load(tmp_path / "a" / "embeddings.npy").shape == (16, 16)
    with pytest.raises(ValueError, match="--show_channels must be three"):
        run(embed, *arguments, "--show_channels=1,2,14")


@pytest.mark.newest
def test_export(trained, run):
    path = run(export, f"--checkpoint={trained}")
    served = tf.saved_model.load(str(path)).signatures
    assert set(served) == {"serving_default", "serve_values"}
    assert sk.load(path).encoder.input_shape[-1] == 13
    with pytest.raises(ValueError, match="or be 0,10000, as in the training"):
        run(export, f"--checkpoint={trained}", "--pixel_range=0,4095")


@pytest.mark.newest
def test_export_of_weights(tmp_path, run):
    """Such a file says neither its channels nor their range: flags do."""
    encoder = sk.TinyResNet((4, 8, 16), input_channels=2)
    path = tmp_path / "encoder.weights.h5"
    encoder.save_weights(path)
    exported = run(
        export,
        f"--checkpoint={path}",
        *SMALL[:2],
        "--channels=2",
        "--pixel_range=0,4095",
        "--image_size=8",
        f"--export_dir={tmp_path / 'a'}",
    )
    serve = tf.saved_model.load(str(exported)).signatures["serve_values"]
    images = RNG.integers(0, 4096, (2, 8, 8, 2)).astype(np.float32)
    served = serve(values=tf.constant(images))["embedding"]
    expected = encoder(np.round(images / 4095 * 255) / 255)
    np.testing.assert_allclose(served, expected, rtol=1e-3, atol=1e-4)


def test_other_channels_than_the_checkpoint_are_refused(
    bands, trained, tmp_path, run
):
    with pytest.raises(ValueError, match="--channels must be left out, or be"):
        run(
            linear_eval,
            f"--checkpoint={trained}",
            f"--dataset=arrays:{bands}",
            "--channels=4",
            f"--model_dir={tmp_path / 'a'}",
        )
    with pytest.raises(ValueError, match="'shapes', which has 3 channels"):
        run(
            linear_eval,
            f"--checkpoint={trained}",
            "--dataset=shapes",
            f"--model_dir={tmp_path / 'a'}",
        )
    with pytest.raises(ValueError, match="'gray' is for images of three"):
        run(
            linear_eval,
            f"--checkpoint={trained}",
            f"--dataset=arrays:{bands}",
            "--pixel_range=0,10000",
            "--protocol=knn",
            "--predict=gray",
            f"--model_dir={tmp_path / 'a'}",
        )
    with pytest.raises(ValueError, match="channels=4 .*has 13 channels"):
        _pretrain(run, bands, trained, "--channels=4")


@pytest.mark.long
def test_a_warm_start_converts_the_first_kernel(bands, tmp_path, run, capsys):
    rgb = sk.TinyResNet((4, 8, 16))
    rgb.save(tmp_path / "rgb.keras")
    checkpoint = f"--checkpoint={tmp_path / 'rgb.keras'}"
    start = (checkpoint, "--learning_rate=0", "--weight_decay=0")
    _pretrain(run, bands, tmp_path / "a", *start)
    text = "first kernel of the encoder was converted from 3 to 13 channels"
    assert text in capsys.readouterr().out
    made = sk.load(tmp_path / "a").encoder
    ours, theirs = (
        np.asarray(each.get_layer("initial_conv").get_weights()[0])
        for each in (made, rgb)
    )
    expected = theirs.mean(axis=2) * 3 / 13
    for band in range(13):
        np.testing.assert_allclose(ours[:, :, band], expected, atol=1e-6)
    # Resumed without it: the run has its own networks now.
    (tmp_path / "rgb.keras").unlink()
    _pretrain(run, bands, tmp_path / "a", *start, "--train_epochs=2")


def test_a_warm_start_from_bands_needs_their_number(trained, tmp_path, run):
    with pytest.raises(ValueError, match="--channels=13 must be given"):
        run(
            pretrain,
            f"--checkpoint={trained}",
            "--dataset=shapes",
            "--train_split=train[:32]",
            f"--model_dir={tmp_path / 'a'}",
            *SMALL[2:],
        )
