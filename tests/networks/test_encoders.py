"""Encoders: sizes, stages, freezing, precision, saving, errors."""

import functools
import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from simclr_keras import compat
from simclr_keras.networks import BatchNormalization
from simclr_keras.networks import ResNet
from simclr_keras.networks import TinyResNet
from simclr_keras.networks import TokenPooling

IMAGES = np.random.default_rng(0).random((4, 32, 32, 3), "float32")


def small_resnet(**options):
    """All kinds of layers, few channels: a narrow ResNet-18 with all extras."""
    return ResNet(18, width=0.125, sk_ratio=0.1, se_ratio=0.25, **options)


@pytest.fixture(scope="module")
def shared_resnet():
    """Shared by tests that do not change it, as its 200 layers take time."""
    return small_resnet()


@functools.cache
def trainable_parameters(depth, width=1):
    encoder = ResNet(depth, width=width)
    return sum(int(np.prod(v.shape)) for v in encoder.trainable_variables)


@pytest.mark.parametrize(
    "depth, published",
    [
        # torchvision's counts less its classifier of 1000 classes; at depths
        # 18 and 34 the official SimCLR also projects the first shortcut
        # (1x1 convolution from 64 to 64 channels, and its normalisation).
        (18, 11_689_512 - 513_000 + 64 * 64 + 2 * 64),
        (34, 21_797_672 - 513_000 + 64 * 64 + 2 * 64),
        (50, 25_557_032 - 2_049_000),
        pytest.param(101, 44_549_160 - 2_049_000, marks=pytest.mark.long),
    ],
)
def test_parameter_counts_of_torchvision(depth, published):
    assert trainable_parameters(depth) == published


@pytest.mark.long
def test_parameter_counts_of_the_papers():
    """Millions: arXiv 2002.05709, figure 1 and table 6: 24, 94, 375.

    Convolutions go with the square of the width; the first one, with 3 input
    channels, and batch normalisation go with the width: so two widths tell
    the others, of which 4x would take 1.5 GB to build.
    """
    half = trainable_parameters(50, width=0.5)
    one = trainable_parameters(50)
    linear = 4 * half - one
    millions = [
        round(((one - linear) * width**2 + linear * width) / 1e6)
        for width in (1, 2, 4)
    ]
    assert millions == [24, 94, 375]


@pytest.mark.long
def test_depth_200_has_its_blocks():
    """3 + 24 + 36 + 3 bottlenecks of 3 convolutions, 4 shortcuts, the stem."""
    encoder = ResNet(200, width=0.01)
    convolutions = [
        layer
        for layer in encoder.layers
        if isinstance(layer, keras.layers.Conv2D)
    ]
    assert len(convolutions) == 3 * (3 + 24 + 36 + 3) + 4 + 1


def test_tiny_resnet_counts_by_hand():
    """Kernels 9 (3*32 + 32*32*2 + 32*64 + 64*64 + 64*128 + 128*128),
    shortcuts 32*64 + 64*128, four numbers per normalised channel."""
    kernels = 9 * (96 + 2048 + 2048 + 4096 + 8192 + 16384) + 2048 + 8192
    channels = 32 + 2 * 32 + 3 * 64 + 3 * 128
    encoder = TinyResNet()
    assert encoder.count_params() == kernels + 4 * channels == 308_704
    shapes = [
        tuple(t.shape)[1:]
        for t in encoder.outputs_of(
            ["initial_conv", "block_group1", "block_group2", "block_group3"]
        )(IMAGES)
    ]
    assert shapes == [(16, 16, 32), (16, 16, 32), (8, 8, 64), (4, 4, 128)]
    assert tuple(encoder(IMAGES).shape) == (4, 128)


def test_widths_are_rounded():
    """64 * 0.13 = 8.32 and so on; never below one channel."""
    h = ResNet(18, width=0.13, small_images=True)(IMAGES)
    assert tuple(h.shape) == (4, round(512 * 0.13))
    assert tuple(ResNet(18, width=0.001)(IMAGES).shape) == (4, 1)


def test_a_block_starts_as_its_shortcut():
    """The last scale is zero: the second block of a stage changes nothing."""
    encoder = ResNet(18, width=0.125, small_images=True)
    first, second = encoder.outputs_of(
        ["block_group2_block1_relu", "block_group2"]
    )(IMAGES, training=False)
    assert np.any(first.numpy())
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("last", [3, 4])
def test_freezing_reaches_exactly_the_named_stages(last, shared_resnet):
    encoder = shared_resnet if last == 4 else TinyResNet()
    names = [compat.variable_path(v) for v in encoder.weights]
    assert encoder.num_stages == last
    for stage in (last, 1, 0, -1):
        encoder.freeze_through(stage)
        assert encoder.frozen_through == stage
        trained = {compat.variable_path(v) for v in encoder.trainable_variables}
        for name in names:
            own = int(name[11]) if name.startswith("block_group") else 0
            wanted = own > stage and "moving" not in name
            assert (name in trained) == wanted, (name, stage)


def test_frozen_stages_are_in_inference_mode():
    encoder = TinyResNet((4, 8))
    encoder.freeze_through(1)
    stage1 = encoder.outputs_of("block_group1")
    before = encoder.get_weights()
    in_training = stage1(IMAGES, training=True)
    np.testing.assert_array_equal(
        in_training[0], stage1(IMAGES, training=False)[0]
    )
    for weight, old in zip(encoder.get_weights(), before):
        np.testing.assert_array_equal(weight, old)
    encoder(IMAGES, training=True)
    moved = [
        np.any(layer.moving_mean.numpy())
        for layer in encoder.layers
        if isinstance(layer, BatchNormalization)
        and encoder.stage_of(layer) == 2
    ]
    assert moved == [True] * 3


def test_mixed_precision(shared_resnet):
    """Weights stay float32; features differ by roundings of 8 bits."""
    wide = shared_resnet
    narrow = small_resnet(dtype="mixed_bfloat16")
    narrow.set_weights(wide.get_weights())
    h = narrow(IMAGES, training=False)
    assert h.dtype == "bfloat16"
    assert {v.numpy().dtype.name for v in narrow.weights} == {"float32"}
    expected = wide(IMAGES, training=False).numpy()
    error = np.abs(tf.cast(h, tf.float32).numpy() - expected).max()
    assert error < 0.03 * np.abs(expected).max()


def test_spatial_means_of_bfloat16_are_summed_in_float32():
    """10,000 pixels: summed in bfloat16 the sum stops growing at 256."""
    encoder = ResNet(18, width=0.02, dtype="mixed_bfloat16")
    x = tf.fill([1, 100, 100, 2], tf.constant(1.5, tf.bfloat16))
    y = encoder.get_layer("pooled_features")(x)
    np.testing.assert_array_equal(tf.cast(y, tf.float32), [[1.5, 1.5]])


def test_xla_agrees(shared_resnet):
    """Stem, three blocks, one of them strided, and all their extras."""
    encoder = shared_resnet.outputs_of("block_group2_block1_relu")
    compiled = tf.function(encoder, jit_compile=True)
    for mine, expected in zip(
        compiled(IMAGES, training=True), encoder(IMAGES, training=True)
    ):
        # Float32 through a dozen normalisations of values of order 1.
        np.testing.assert_allclose(mine, expected, atol=1e-3)


@pytest.mark.parametrize(
    "make", [small_resnet, lambda **options: TinyResNet((4, 8), **options)]
)
def test_save_and_load(make, tmp_path):
    encoder = make(name="mine", dtype="mixed_bfloat16")
    encoder(IMAGES, training=True)
    encoder.freeze_through(1)
    encoder.save(tmp_path / "encoder.keras")
    loaded = keras.models.load_model(tmp_path / "encoder.keras")
    assert type(loaded) is type(encoder)
    assert loaded.get_config() == encoder.get_config()
    assert loaded.frozen_through == 1
    expected = tf.cast(encoder(IMAGES, training=False), tf.float32)
    np.testing.assert_array_equal(
        tf.cast(loaded(IMAGES, training=False), tf.float32), expected
    )
    encoder.save_weights(tmp_path / "encoder.weights.h5")
    again = type(encoder).from_config(encoder.get_config())
    again.load_weights(tmp_path / "encoder.weights.h5")
    np.testing.assert_array_equal(
        tf.cast(again(IMAGES, training=False), tf.float32), expected
    )


def test_an_encoder_is_a_layer_of_other_models(tmp_path):
    """Nested, fitted, saved with the model around it; summary() prints."""
    inputs = keras.Input((32, 32, 3))
    outputs = keras.layers.Dense(2)(TinyResNet((4, 8))(inputs))
    model = keras.Model(inputs, outputs)
    model.compile("sgd", "mse", jit_compile=False)
    model.fit(IMAGES, np.zeros((4, 2)), epochs=2, verbose=0)
    lines = []
    model.summary(print_fn=lambda line, **_: lines.append(line))
    assert "tiny_resnet" in "\n".join(lines)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded(IMAGES), model(IMAGES))


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: ResNet(49), "`depth` must be one of 18.* Received: 49"),
        (lambda: ResNet(18, width=0), "`width` must be positive. Received: 0"),
        (lambda: ResNet(18, sk_ratio=-0.1), "`sk_ratio` must .*: -0.1"),
        (lambda: ResNet(18, se_ratio=1.5), "`se_ratio` must .*: 1.5"),
        (lambda: TinyResNet(()), "`channels` must be .* Received: ()"),
        (lambda: TinyResNet((4, 0)), "`channels` must be .* Received: .4, 0."),
        (lambda: TinyResNet(8), "`channels` must be .* Received: 8"),
        (lambda: TinyResNet((4,)).freeze_through(2), "`stage` must .*: 2"),
        (lambda: TinyResNet((4,)).freeze_through("all"), "`stage` .*: 'all'"),
        (lambda: TinyResNet((4,)).outputs_of(["x"]), "`names` .*: .'x'."),
        (
            lambda: TinyResNet((4,))(np.zeros((1, 8, 8, 3), "uint8")),
            "divide uint8 images by 255 first. Received: .* dtype uint8",
        ),
    ],
)
def test_errors_name_argument_rule_and_value(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_tokens_are_averaged_in_their_precision(dtype):
    """Against NumPy's mean; float32 would be off by 1e-8 in float64."""
    tokens = np.random.default_rng(0).normal(size=(2, 50, 3)).astype(dtype)
    pooled = TokenPooling("mean", dtype=dtype)(tf.constant(tokens))
    assert pooled.dtype == dtype
    tolerance = 50 * np.finfo(dtype).eps
    np.testing.assert_allclose(
        pooled, tokens.astype("float64").mean(axis=1), rtol=0, atol=tolerance
    )


@pytest.mark.newest
def test_numpy_numbers_are_numbers():
    tiny = TinyResNet((np.int64(4),), input_channels=np.int32(1))
    assert json.loads(json.dumps(tiny.get_config()))["channels"] == [4]
    resnet = ResNet(np.int64(18), width=np.float32(0.125))
    config = json.loads(json.dumps(resnet.get_config()))
    assert (config["depth"], config["width"]) == (18, 0.125)
