"""Official checkpoints, of both versions and in all the forms they come in.

Names, forms and values are those of shared/parity (README there, sections 0,
8 and 10); the files are made here by its rules, and the real ones are read
where they are at hand. Rebuilt in float32, the official network moved by 2e-6.
"""

import shutil

import numpy as np
import pytest
import tensorflow as tf

import simclr_keras as sk
from simclr_keras import compat
from simclr_keras.commands import import_official
from simclr_keras.networks import resnet
from simclr_keras.serving.official import architecture
from simclr_keras.serving.official import importer

SEED = 13_000_000
NEW = {
    "width": ("head_contrastive/nl_1/dense/kernel", np.zeros((512, 9), "f4")),
    "bias": ("head_supervised/linear_layer/dense/bias", np.zeros(9, "f4")),
    "whole": ("base_model/conv2d/kernel", np.zeros((3, 3, 3, 64), "i4")),
    "twice": ("x/base_model/conv2d/kernel", np.zeros((3, 3, 3, 64), "f4")),
    "extra": ("extra/weights", np.zeros(3, "f4")),
}


def _value(index, kind, shape):
    """Section 0: what variable `index` of a kind holds."""
    r = np.random.RandomState(SEED + index).randn(*shape)
    if kind == "kernel":
        return r * np.sqrt(1 / np.prod(shape[:-1]))
    if kind == "gamma":
        return 1 + 0.1 * r
    if kind == "moving_variance":
        return 1 + 0.1 * abs(r)
    return 0.1 * r


def _listed(encoder, head, classes, version):
    """Dict of official name -> array, in canonical order."""
    names = []
    count = {"conv": 0, "norm": 0}
    scope = {1: "base_model", 2: "resnet/block"}[version]
    norm = {1: "batch_normalization", 2: "sync_batch_normalization"}[version]

    def add(layer, prefix):
        for variable in layer.weights:
            kind = compat.variable_path(variable).split("/")[-1]
            names.append((f"{prefix}/{kind}", kind, tuple(variable.shape)))

    def suffix(kind):
        number = count[kind]
        count[kind] += 1
        return f"_{number}" if number else ""

    for layer in encoder.layers_in_forward_order():
        if layer.weights and hasattr(layer, "kernel"):
            add(layer, f"{scope}/conv2d{suffix('conv')}")
        elif layer.weights:
            add(layer, f"{scope}/{norm}{suffix('norm')}")
    scope = {1: "head_contrastive", 2: "projection_head"}[version]
    for j, pair in enumerate(zip(head.dense_layers, head.norm_layers)):
        # Only version 1 counts anew in every layer.
        n = {1: "", 2: f"_{j}" if j else ""}[version]
        add(pair[0], f"{scope}/nl_{j}/dense{n}")
        n = {1: "", 2: suffix("norm")}[version]
        add(pair[1], f"{scope}/nl_{j}/{norm}{n}")
    if classes:
        prefix = "head_supervised/linear_layer/dense"
        width = encoder.output_shape[-1]
        names.append((f"{prefix}/kernel", "kernel", (width, classes)))
        names.append((f"{prefix}/bias", "bias", (classes,)))
    return {
        name: _value(index, kind, shape).astype("float32")
        for index, (name, kind, shape) in enumerate(names)
    }


@pytest.fixture(scope="module")
def networks():
    encoder = sk.ResNet(18, small_images=True)
    head = sk.ProjectionHead(num_layers=3)
    head.build((None, 512))
    return encoder, head


@pytest.fixture
def known_encoder(networks, monkeypatch):
    """Saves the second of building a ResNet-18 for a refused checkpoint."""
    monkeypatch.setattr(importer, "ResNet", lambda **arguments: networks[0])


@pytest.fixture(scope="module")
def version_1(networks):
    return _listed(*networks, classes=10, version=1)


@pytest.fixture(scope="module")
def version_2(networks):
    return _listed(*networks, classes=10, version=2)


def _write(path, arrays):
    """A checkpoint of TensorFlow 1: names and values, nothing else."""
    path.parent.mkdir(parents=True, exist_ok=True)
    tf.raw_ops.SaveV2(
        prefix=str(path),
        tensor_names=list(arrays),
        shape_and_slices=[""] * len(arrays),
        tensors=list(arrays.values()),
    )
    return path


def _module(arrays):
    """Objects that hold variables of such names, as version 2 has them."""
    module = tf.Module()
    module.model = tf.Module()
    # Not in the order of the network.
    module.model.parts = [
        tf.Variable(value, name=name) for name, value in sorted(arrays.items())
    ]
    return module


@pytest.fixture(scope="module")
def expected():
    """Function of `parity` that reads the official outputs."""

    def read(parity):
        with np.load(parity("checkpoint_outputs.npz")) as file:
            return dict(file)

    return read


def _check(official, expected):
    images = expected["input_uint8"].astype("float32") / np.float32(255)
    h = official.encoder(images, training=False)
    close = {"atol": 1e-5}
    np.testing.assert_allclose(h, expected["pooled_inference"], **close)
    np.testing.assert_allclose(
        official.projection_head(h, training=False),
        expected["projection_inference"],
        **close,
    )
    np.testing.assert_allclose(
        official.supervised_head(h), expected["logits_inference"], **close
    )


@pytest.mark.parametrize(
    "name",
    [
        "ckpt_r18",
        pytest.param("ckpt_r18/ckpt-1234", marks=pytest.mark.long),
        pytest.param("ckpt_r18_tf1", marks=pytest.mark.long),
        "ckpt_r18_tf1/model.ckpt-1234.index",
    ],
)
def test_real_checkpoint(parity, expected, name):
    folder, _, file = name.partition("/")
    official = sk.serving.load_official(parity(folder) / file)
    _check(official, expected(parity))
    taken = [row for row in official.variables if "left out" not in row[2]]
    assert len(taken) == 121


def test_version_1(version_1, parity, expected, tmp_path):
    """With optimizer slots and counters beside the weights."""
    slots = {
        f"{name}/Momentum": np.zeros_like(value)
        for name, value in version_1.items()
        if "moving" not in name
    }
    step = {"global_step": np.int64(7)}
    path = _write(tmp_path / "model.ckpt-7", {**version_1, **slots, **step})
    official = sk.serving.load_official(path)
    _check(official, expected(parity))
    fates = {name: fate for name, _, fate in official.variables}
    assert set(fates) == {*version_1, *slots, *step}
    assert {fates[name] for name in slots} == {
        "left out: state of the optimizer"
    }
    assert fates["global_step"] == "left out: state of the training"
    became = [fates[name] for name in version_1]
    assert len(set(became)) == 121
    # Canonical: the shortcut of a block comes first.
    assert became[5] == "encoder/block_group1_block1_shortcut_conv/kernel"
    assert became[-1] == "supervised_head/bias"


def test_version_2(version_2, parity, expected, tmp_path):
    """As objects, with an optimizer and its slots."""
    module = _module(version_2)
    optimizer = tf.Module()
    optimizer.iter = tf.Variable(7, dtype=tf.int64, name="LARSOptimizer/iter")
    optimizer.slot = tf.Variable(
        np.ones([3, 3, 3, 64], "f4"), name="resnet/block/conv2d/kernel/Momentum"
    )
    checkpoint = tf.train.Checkpoint(
        model=module.model,
        global_step=tf.Variable(7, dtype=tf.int64),
        optimizer=optimizer,
    )
    checkpoint.save(str(tmp_path / "ckpt"))
    official = sk.serving.load_official(tmp_path)
    _check(official, expected(parity))
    left = [row for row in official.variables if "left out" in row[2]]
    # Steps, momentum, and how often was saved.
    assert len(left) == 4
    assert len(official.variables) == 125


def test_saved_model(version_2, parity, expected, tmp_path):
    """Its graph is not read, so it may be damaged."""
    tf.saved_model.save(_module(version_2), str(tmp_path / "saved_model"))
    (tmp_path / "saved_model" / "saved_model.pb").write_bytes(b"no graph")
    official = sk.serving.load_official(tmp_path / "saved_model")
    _check(official, expected(parity))
    assert len(official.variables) == 121


def test_without_heads(version_1, tmp_path):
    """As the first version saved when it fine-tuned, or none at all."""
    encoder = {k: v for k, v in version_1.items() if "base_model" in k}
    official = sk.serving.load_official(_write(tmp_path / "a", encoder))
    assert official.projection_head.mode == "none"
    assert official.supervised_head is None
    tuned = {k: v for k, v in version_1.items() if "head_con" not in k}
    official = sk.serving.load_official(_write(tmp_path / "b", tuned))
    assert official.projection_head.mode == "none"
    assert official.supervised_head.units == 10


@pytest.mark.parametrize("layers, mode", [(2, "nonlinear"), (1, "linear")])
def test_smaller_heads(version_1, networks, layers, mode, tmp_path):
    head = sk.ProjectionHead(mode, num_layers=layers, out_dim=64)
    head.build((None, 512))
    arrays = _listed(networks[0], head, 0, version=1)
    if mode == "linear":
        arrays = {k.replace("/nl_", "/l_"): v for k, v in arrays.items()}
    official = sk.serving.load_official(_write(tmp_path / "a", arrays))
    assert official.projection_head.depth == layers
    assert official.projection_head.out_dim == 64
    assert official.supervised_head is None


@pytest.mark.parametrize(
    "arguments",
    [
        {"depth": 18, "width": 2},
        {"depth": 18, "sk_ratio": 0.0625},
        {"depth": 34, "se_ratio": 0.25, "small_images": True},
        {"depth": 50, "sk_ratio": 0.0625, "small_images": True},
        *(
            pytest.param(arguments, marks=pytest.mark.long)
            for arguments in (
                {"depth": 18},
                {"depth": 50, "se_ratio": 0.25, "sk_ratio": 0.0625},
                {"depth": 50, "width": 2},
                {"depth": 101, "small_images": True},
            )
        ),
    ],
)
def test_arguments_follow_from_shapes(arguments):
    layers = resnet.ResNet(**arguments).layers_in_forward_order()
    convs = [x for x in layers if x.weights and hasattr(x, "kernel")]
    found = architecture.resnet_arguments(
        [list(x.kernel.shape) for x in convs], [x.use_bias for x in convs]
    )
    defaults = {
        "width": 1,
        "sk_ratio": 0.0,
        "se_ratio": 0.0,
        "small_images": False,
    }
    assert found == {**defaults, **arguments}


@pytest.mark.parametrize(
    "new, message",
    [
        ("width", "projection head of one width"),
        ("bias", "must fit .*supervised_head"),
        ("whole", "floating type"),
        ("twice", "same place"),
        ("extra", "no place in it, such as extra/weights"),
    ],
)
@pytest.mark.newest
@pytest.mark.usefixtures("known_encoder")
def test_foreign_variable(version_1, new, message, tmp_path):
    path = _write(tmp_path / "a", {**version_1, **dict([NEW[new]])})
    with pytest.raises(ValueError, match=message):
        sk.serving.load_official(path)


@pytest.mark.parametrize(
    "name, message",
    [
        ("conv2d_7/kernel", "of a ResNet of depth"),
        ("conv2d_6/kernel", "must fit .*block_group2"),
        (
            "batch_normalization_4/gamma",
            "must fit .*block_group1_block2_norm1",
        ),
    ],
)
@pytest.mark.newest
@pytest.mark.usefixtures("known_encoder")
def test_missing_variable(version_1, name, message, tmp_path):
    arrays = dict(version_1)
    del arrays[f"base_model/{name}"]
    path = _write(tmp_path / "a", arrays)
    with pytest.raises(ValueError, match=message):
        sk.serving.load_official(path)


def test_another_program(tmp_path):
    path = _write(tmp_path / "a", {"layer/weights": np.zeros(3, "f4")})
    with pytest.raises(ValueError, match="no place in it"):
        sk.serving.load_official(path)


@pytest.mark.newest
@pytest.mark.usefixtures("known_encoder")
def test_damaged_files(version_1, tmp_path):
    whole = _write(tmp_path / "a", version_1)
    with pytest.raises(ValueError, match="which does not exist"):
        sk.serving.load_official(tmp_path / "b")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="in which there is none"):
        sk.serving.load_official(tmp_path / "empty")
    sk.serving.load_official(whole)
    for name in ("data-00000-of-00001", "index"):
        for kind, spoil in (
            ("short", lambda b: b[: len(b) // 2]),
            ("changed", lambda b: b[:-1000] + bytes(1000)),
        ):
            folder = tmp_path / f"{name}_{kind}"
            folder.mkdir()
            for file in tmp_path.glob("a.*"):
                shutil.copy(file, folder)
            file = folder / f"a.{name}"
            file.write_bytes(spoil(file.read_bytes()))
            with pytest.raises(ValueError, match="whole and intact"):
                sk.serving.load_official(folder / "a")


def test_tool(version_1, parity, expected, tmp_path, run, capsys):
    """The .keras file that it writes gives the official numbers."""
    path = _write(tmp_path / "model.ckpt-1", version_1)
    output = tmp_path / "new" / "official.keras"
    arguments = [f"--checkpoint={path}", f"--output={output}"]
    assert run(import_official, *arguments) == output
    said = capsys.readouterr().out
    assert "121 variables taken over, 0 left out" in said
    assert "ResNet-18, width 1" in said
    model = sk.training.load_model(output)
    outputs = expected(parity)
    images = outputs["input_uint8"].astype("float32") / np.float32(255)
    of_model = model(images, training=False)
    for ours, theirs in (
        ("h", "pooled_inference"),
        ("z", "projection_inference"),
        ("probe_logits", "logits_inference"),
    ):
        np.testing.assert_allclose(of_model[ours], outputs[theirs], atol=1e-5)
    with pytest.raises(ValueError, match="nothing is overwritten"):
        run(import_official, *arguments)
