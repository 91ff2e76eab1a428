"""A pre-training that begins with the networks of a checkpoint."""

import types

import keras
import numpy as np
import pytest
import tensorflow as tf

import simclr_keras as sk
from simclr_keras import data
from simclr_keras.commands import pretrain
from simclr_keras.commands.common import checkpoint
from simclr_keras.commands.common import command_line
from simclr_keras.commands.common import pretraining_data
from simclr_keras.commands.common import warm_start
from simclr_keras.report import page

TINY = ("--encoder=tiny", "--width_multiplier=0.125")
SMALL = (
    "--train_split=train[:32]",
    "--eval_split=",
    "--train_batch_size=8",
    "--nolineareval_while_pretraining",
    "--warmup_epochs=0",
    "--optimizer=momentum",
    "--log_every=1",
    "--verbose=0",
)


def _own_network():
    """An encoder of layers of Keras alone."""
    return keras.Sequential(
        [
            keras.Input((None, None, 3)),
            keras.layers.Conv2D(4, 3, strides=2, activation="relu"),
            keras.layers.BatchNormalization(),
        ],
        name="own",
    )


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Networks in all forms that a single file can have, and a `SimCLR`."""
    folder = tmp_path_factory.mktemp("files")
    keras.utils.set_random_seed(1)
    encoder = sk.TinyResNet((4, 8, 16))
    head = sk.ProjectionHead(num_layers=2, out_dim=8)
    model = sk.SimCLR(encoder, head, sk.TwoViews(16))
    encoder.save(folder / "encoder.keras")
    model.save(folder / "simclr.keras")
    sk.Classifier(encoder, 3, freeze="all").save(folder / "frozen.keras")
    encoder.save_weights(folder / "encoder.weights.h5")
    _own_network().save(folder / "own.keras")
    return folder, model


def _begin(path, *arguments):
    """`Start` and the model that a pre-training makes of it."""
    flags = command_line.parse(
        pretrain.define_flags,
        [f"--checkpoint={path}", "--model_dir=/nowhere/run", *arguments],
    )
    source = data.open_source("shapes", "train[:8]")
    devices = types.SimpleNamespace(
        chief=True, strategy=tf.distribute.get_strategy()
    )
    start = warm_start.load_start(flags, devices, source)
    images = warm_start.with_image_size(
        flags,
        pretraining_data.PretrainingImages(source, None, None, 32),
        start,
    )
    encoder, head = warm_start.make_networks(flags, images.size, start)
    model = sk.SimCLR(encoder, head, sk.TwoViews(images.size))
    start.copy_head_weights(model.projection_head)
    return start, model


def _assert_same(network, other):
    pairs = zip(network.get_weights(), other.get_weights())
    assert len(network.weights) == len(other.weights)
    for found, expected in pairs:
        np.testing.assert_array_equal(found, expected)


@pytest.mark.newest
def test_encoder_and_projection_head_are_those_of_the_checkpoint(files):
    """Their architecture too, and the size of the images."""
    folder, model = files
    start, made = _begin(folder / "simclr.keras")
    _assert_same(made.encoder, model.encoder)
    _assert_same(made.projection_head, model.projection_head)
    assert made.projection_head.depth == 2
    assert made.views.size == (16, 16)
    assert start.describe(made.projection_head) == (
        f"the encoder and the projection head of {folder / 'simclr.keras'}"
    )


@pytest.mark.parametrize(
    "name, flags, lacks",
    [
        ("encoder.keras", (), "none"),
        ("frozen.keras", (), "none"),
        ("encoder.weights.h5", TINY, "none"),
        ("simclr.keras", ("--proj_out_dim=4",), "one of other shapes"),
    ],
)
def test_a_projection_head_that_is_not_there_is_new(files, name, flags, lacks):
    """And trains, as the encoder does that was frozen."""
    folder, model = files
    start, made = _begin(folder / name, *flags)
    _assert_same(made.encoder, model.encoder)
    count = len(model.encoder.trainable_variables)
    assert len(made.encoder.trainable_variables) == count
    head = made.projection_head
    assert start.describe(head) == (
        f"the encoder of {folder / name} and a new projection head: that model"
        f" has {lacks}"
    )
    # What is not said is as in the checkpoint, else as by default.
    assert head.depth == (2 if name == "simclr.keras" else 3)
    assert head.out_dim == (4 if name == "simclr.keras" else 128)


def test_flags_that_say_what_is_there_are_no_contradiction(files):
    flags = (*TINY, "--global_bn", "--num_proj_layers=2", "--proj_out_dim=8")
    _, made = _begin(files[0] / "simclr.keras", *flags)
    _assert_same(made.projection_head, files[1].projection_head)


@pytest.mark.parametrize(
    "name, flag, message",
    [
        ("simclr.keras", "--encoder=resnet", "which has --encoder=tiny"),
        ("simclr.keras", "--width_multiplier=0.5", "has channels .4, 8, 16."),
        ("simclr.keras", "--sk_ratio=0.5", "which has no --sk_ratio"),
        ("encoder.keras", "--noglobal_bn", "which has --global_bn=True"),
        ("own.keras", "--encoder=tiny", "own, which has no --encoder"),
        ("encoder.weights.h5", "--stem=small", "--encoder must name"),
        ("none.keras", "--seed=1", "does not exist"),
        ("simclr.keras", "--image_size=4", "at least 8"),
    ],
)
def test_what_contradicts_is_refused_before_anything_is_written(
    run, files, tmp_path, name, flag, message
):
    """By its flag, with the rule and what was received."""
    target = tmp_path / "run"
    path = files[0] / name
    with pytest.raises(ValueError, match=message) as caught:
        run(
            pretrain,
            *SMALL,
            f"--checkpoint={path}",
            f"--model_dir={target}",
            flag,
        )
    assert "Received:" in str(caught.value)
    assert not target.exists()


@pytest.mark.parametrize(
    "flag, other",
    [
        ("encoder=resnet", "encoder=tiny"),
        ("resnet_depth=18", "resnet_depth=34"),
        ("width_multiplier=0.125", "width_multiplier=0.25"),
        ("sk_ratio=0", "sk_ratio=0.0625"),
        ("se_ratio=0.0625", "se_ratio=0"),
        ("global_bn=true", "global_bn=false"),
        ("stem=small", "stem=imagenet"),
    ],
)
def test_every_flag_of_a_resnet_is_compared(resnet, flag, other):
    checkpoint.as_trained(_flags(resnet, f"--{flag}"))
    with pytest.raises(ValueError, match=f"--{other.partition('=')[0]} must"):
        checkpoint.as_trained(_flags(resnet, f"--{other}"))


@pytest.fixture(scope="module")
def resnet(tmp_path_factory):
    path = tmp_path_factory.mktemp("resnet") / "resnet.keras"
    sk.ResNet(18, width=0.125, se_ratio=0.0625, small_images=True).save(path)
    return path


def _flags(path, *flags):
    arguments = [f"--checkpoint={path}", *flags]
    return command_line.parse(pretrain.define_flags, arguments)


def test_flags_of_the_network_are_left_to_the_checkpoint():
    """And in a run without one they are what they were."""

    def network(*arguments):
        flags = command_line.parse(pretrain.define_flags, arguments)
        unset = flags.flags_text.splitlines()[0].split()
        return flags.encoder, flags.num_proj_layers, "stem" in unset

    assert network() == ("resnet", 3, False)
    assert network("--checkpoint=a") == (None, None, True)
    assert network("--checkpoint=a", "--encoder=tiny") == ("tiny", None, True)


def test_a_run_goes_on_without_the_checkpoint_to_the_same_bits(
    run, files, tmp_path, capsys
):
    """With a rate of 0, which leaves what it began with; stopped at 2 of 4."""
    path, target = tmp_path / "first.keras", tmp_path / "run"
    path.write_bytes((files[0] / "simclr.keras").read_bytes())
    command = (
        pretrain,
        *SMALL,
        f"--checkpoint={path}",
        f"--model_dir={target}",
        "--train_steps=4",
        "--learning_rate=0",
        "--checkpoint_steps=2",
        "--keep_checkpoint_max=0",
    )
    results = run(*command)
    said = f"begins with the encoder and the projection head of {path}\n"
    assert said in capsys.readouterr().out
    ended = sk.load(target).model
    for part in ("encoder", "projection_head"):
        pair = (getattr(model, part) for model in (ended, files[1]))
        for found, expected in zip(*(p.trainable_variables for p in pair)):
            np.testing.assert_array_equal(found, expected)
    metrics = (target / "metrics.csv").read_text()
    assert len(metrics.splitlines()) == 1 + 4 + 1

    path.unlink()
    (target / "results.json").unlink()
    (target / "checkpoints" / "step-00000004.npz").unlink()
    assert run(*command) == results
    said = capsys.readouterr().out
    assert "step 2" in said and "begins with" not in said
    assert (target / "metrics.csv").read_text() == metrics
    _assert_same(sk.load(target).model, ended)
    flags = sk.training.RunDirectory(target).settings()
    assert flags["checkpoint"] == str(path) and "encoder" not in flags


def test_the_report_of_a_run_has_those_that_began_with_it(tmp_path):
    first, second = (sk.training.RunDirectory(tmp_path / x) for x in "ab")
    for each, arguments in (
        (first, []),
        (second, [f"--checkpoint={first.path}"]),
    ):
        flags = command_line.parse(pretrain.define_flags, arguments)
        each.claim(flags.flags_text)
        each.write_results({"steps": 4, "knn_accuracy": 0.5}, {})
    html = page.write(first.path).read_text()
    assert "<td>b</td>" in html and "50.00%" in html
    assert "<td>a</td>" not in page.write(second.path).read_text()


@pytest.mark.long
@pytest.mark.parametrize("value_range", [(0, 1), (-1, 1)])
def test_a_network_of_keras_applications(tmp_path, run, value_range):
    """As the guide says: saved as a `.keras` file, then handed over."""
    network = keras.applications.MobileNetV2(
        (None, None, 3), alpha=0.35, include_top=False, weights=None
    )
    encoder = sk.as_encoder(network, value_range)
    path = tmp_path / "mobilenet.keras"
    encoder.save(path)
    _, made = _begin(path)
    _assert_same(made.encoder, encoder)
    command = (
        pretrain,
        *SMALL,
        f"--checkpoint={path}",
        f"--model_dir={tmp_path / 'run'}",
        "--checkpoint_steps=1",
        "--keep_checkpoint_max=0",
        "--train_steps=2",
    )
    run(*command)
    ended = sk.load(tmp_path / "run").encoder.get_weights()
    path.unlink()
    (tmp_path / "run" / "results.json").unlink()
    (tmp_path / "run" / "checkpoints" / "step-00000002.npz").unlink()
    run(*command)
    again = sk.load(tmp_path / "run").encoder.get_weights()
    for found, expected in zip(again, ended):
        np.testing.assert_array_equal(found, expected)
