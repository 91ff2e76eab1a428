"""LARS against the official steps, and as a Keras optimizer."""

import json
import pathlib

import forked
import keras
import numpy as np
import pytest
import tensorflow as tf

from simclr_keras import compat
from simclr_keras.optimizers import LARS
from simclr_keras.optimizers import WarmupCosine
from simclr_keras.optimizers import scale_learning_rate
from simclr_keras.optimizers import warmup_steps

TWO_REPLICAS = pathlib.Path(__file__).with_name("two_replicas.py")


@pytest.fixture
def official(parity):
    with np.load(parity("lars.npz"), allow_pickle=False) as file:
        return dict(file)


def rate_of(config):
    if config["lr"] != "schedule":
        return config["lr"]
    s = config["schedule"]
    run = s["num_examples"], s["train_batch_size"]
    return WarmupCosine(
        scale_learning_rate(
            s["learning_rate"],
            s["train_batch_size"],
            s["learning_rate_scaling"],
        ),
        warmup_steps(s["warmup_epochs"], *run),
        # Counted as the official code does, one more than full batches.
        s["train_steps"]
        or s["num_examples"] * s["train_epochs"] // s["train_batch_size"] + 1,
    )


def lars_of(config, by_kind):
    """LARS with a config of the fixture.

    Its exclusions are names. `by_kind` tells them in our own way: vectors,
    and the supervised head's path.
    """
    names = config["exclude"] or []
    adaptation = config.get("exclude_layer_adaptation") or []
    head = "head_supervised"
    return LARS(
        rate_of(config),
        momentum=config["momentum"],
        weight_decay=config["weight_decay"],
        eeta=config["eeta"],
        nesterov=config["use_nesterov"],
        classic_momentum=config["classic_momentum"],
        exclude_vectors=by_kind,
        exclude=[head] if by_kind else names,
        exclude_from_layer_adaptation=adaptation,
    )


def run_official_steps(arrays, config, by_kind, dtype, jit_compile):
    """Values and momenta before and after each step, as in the file."""
    variables = {
        v["key"]: tf.Variable(
            tf.cast(arrays["init_" + v["key"]], dtype),
            name=v["name"].split(":")[0],
        )
        for v in json.loads(str(arrays["variables_json"]))
    }
    optimizer = lars_of(config, by_kind)
    optimizer.build(list(variables.values()))

    @tf.function(jit_compile=jit_compile)
    def step(gradients):
        optimizer.apply_gradients(zip(gradients, variables.values()))

    history = {key: [variable.numpy()] for key, variable in variables.items()}
    for t in range(len(arrays[config["name"] + "__lr"])):
        step(
            [tf.constant(arrays["grads_" + key][t], dtype) for key in variables]
        )
        for key, variable in variables.items():
            history[key].append(variable.numpy())
    momenta = [np.asarray(m) for m in optimizer._momenta]
    return history, dict(zip(variables, momenta))


@pytest.mark.parametrize(
    "dtype, jit_compile",
    [("float32", False), ("float64", False), ("float32", True)],
)
def test_equals_the_official_steps(official, dtype, jit_compile):
    """lars.npz, every configuration and step. The reference is 5e-7 off
    float64; a step adds as much in float32. 1e-5 as its README suggests."""
    for config in json.loads(str(official["configs_json"])):
        name = config["name"]
        default = name == "official_default"
        if not default and (jit_compile or dtype == "float64"):
            continue
        usual = config["exclude"] is not None and len(config["exclude"]) == 3
        for by_kind in (True, False) if default else (usual,):
            history, momenta = run_official_steps(
                official, config, by_kind, dtype, jit_compile
            )
            for key, values in history.items():
                expected = official[f"{name}__values_{key}"]
                np.testing.assert_allclose(
                    values,
                    expected,
                    rtol=1e-5,
                    atol=1e-5 * np.abs(expected).max(),
                    err_msg=f"{name} {key}",
                )
                expected = official[f"{name}__momentum_{key}"][-1]
                np.testing.assert_allclose(
                    momenta[key],
                    expected,
                    rtol=1e-5,
                    atol=1e-5 * np.abs(expected).max(),
                    err_msg=f"{name} {key} momentum",
                )


def test_takes_the_step_that_is_worked_by_hand():
    """|p| = 5, g + 0.1 p = [0.9, 1.2], norm 1.5: the rate is 2 x 0.3 x 5 / 1.5
    = 2. The vector moves by 2 x g, without decay or ratio."""
    kernel, bias = tf.Variable([[3.0, 4.0]]), tf.Variable([3.0, 4.0])
    gradients = [tf.constant([[0.6, 0.8]]), tf.constant([0.6, 0.8])]
    optimizer = LARS(2.0, weight_decay=0.1, eeta=0.3)
    optimizer.apply_gradients(zip(gradients, [kernel, bias]))
    np.testing.assert_allclose(kernel, [[1.2, 1.6]], rtol=1e-6)
    np.testing.assert_allclose(bias, [1.8, 2.4], rtol=1e-6)


def small_model(policy=None):
    """Convolution, batch norm and the two kinds of head."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input([8, 8, 3])
    x = keras.layers.Conv2D(4, 3, name="conv", dtype=policy)(inputs)
    x = keras.layers.BatchNormalization(name="bn", dtype=policy)(x)
    x = keras.layers.GlobalAveragePooling2D(dtype=policy)(x)
    x = keras.layers.Dense(5, name="projection", dtype=policy)(x)
    x = keras.layers.Dense(2, name="supervised_head", dtype=policy)(x)
    return keras.Model(inputs, x)


def test_excludes_by_what_a_variable_is():
    model = small_model()
    optimizer = LARS(0.1)
    decayed = [
        compat.variable_path(v)
        for v in model.trainable_variables
        if optimizer.decays(v)
    ]
    assert decayed == ["conv/kernel", "projection/kernel"]
    adapted = [v for v in model.trainable_variables if optimizer.adapts(v)]
    assert len(adapted) == 2
    apart = LARS(0.1, exclude_from_layer_adaptation=["conv"])
    kernels = [v for v in model.trainable_variables if len(v.shape) > 1]
    assert [apart.adapts(v) for v in kernels] == [False, True, True]
    assert [apart.decays(v) for v in kernels] == [True, True, False]


def data():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(16, 8, 8, 3)).astype(np.float32)
    return x, rng.integers(0, 2, size=16)


def compiled_model(policy=None, **arguments):
    model = small_model(policy)
    rate = WarmupCosine(0.5, warmup_steps=2, total_steps=20)
    model.compile(
        optimizer=LARS(rate, weight_decay=0.01, eeta=0.1, **arguments),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile=False,
    )
    return model


def fit(model, epochs):
    model.fit(*data(), epochs=epochs, batch_size=8, shuffle=False, verbose=0)
    return model


def weights_equal(model, other):
    for a, b in zip(model.get_weights(), other.get_weights()):
        np.testing.assert_array_equal(a, b)


def test_a_saved_model_continues_as_if_never_stopped(tmp_path):
    """.keras file: four steps, saved, loaded, four more are bit-identical to
    eight."""
    whole = fit(compiled_model(nesterov=True), 4)
    half = fit(compiled_model(nesterov=True), 2)
    half.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras")
    assert isinstance(again.optimizer, LARS)
    assert again.optimizer.get_config() == half.optimizer.get_config()
    weights_equal(fit(again, 2), whole)
    assert np.abs(whole.get_weights()[0] - half.get_weights()[0]).max() > 1e-4


def test_a_checkpoint_continues_as_if_never_stopped(tmp_path):
    """tf.train.Checkpoint of model and optimizer, the same way."""
    whole = fit(compiled_model(), 4)
    half = fit(compiled_model(), 2)
    path = tf.train.Checkpoint(model=half, optimizer=half.optimizer).write(
        str(tmp_path / "half")
    )
    again = compiled_model()
    again.optimizer.build(again.trainable_variables)
    tf.train.Checkpoint(model=again, optimizer=again.optimizer).read(
        path
    ).assert_existing_objects_matched()
    assert int(again.optimizer.iterations) == 4
    weights_equal(fit(again, 2), whole)


@pytest.mark.parametrize(
    "rate", [0.3, WarmupCosine(0.3, 10, 100)], ids=["number", "schedule"]
)
def test_survives_serialisation(rate):
    optimizer = LARS(
        rate,
        momentum=0.8,
        weight_decay=1e-6,
        eeta=0.01,
        nesterov=True,
        classic_momentum=False,
        exclude_vectors=False,
        exclude=["a", "b"],
        exclude_from_layer_adaptation=["c"],
        clipnorm=1.0,
        name="mine",
    )
    stored = json.dumps(keras.saving.serialize_keras_object(optimizer))
    again = keras.saving.deserialize_keras_object(json.loads(stored))
    assert isinstance(again, LARS)
    assert again.get_config() == optimizer.get_config()
    expected = {
        "momentum": 0.8,
        "weight_decay": 1e-6,
        "eeta": 0.01,
        "nesterov": True,
        "classic_momentum": False,
        "exclude_vectors": False,
        "exclude": ["a", "b"],
        "exclude_from_layer_adaptation": ["c"],
        "clipnorm": 1.0,
        "name": "mine",
    }
    config = again.get_config()
    assert {name: config[name] for name in expected} == expected
    if isinstance(rate, float):
        np.testing.assert_allclose(config["learning_rate"], 0.3, rtol=1e-7)


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_trains_in_mixed_precision(policy):
    """Keras wraps it in a loss-scaling optimizer for float16; variables and
    momenta stay float32. The weights go the way they go in float32, up to the
    8 bits of a bfloat16 gradient and what four steps make of it: 5 %."""
    model = compiled_model(policy)
    if policy == "mixed_float16":
        # A scale that does not overflow, or steps would be left out.
        model.optimizer = keras.mixed_precision.LossScaleOptimizer(
            model.optimizer, initial_scale=256.0
        )
    start = small_model().get_weights()[0]
    fit(model, 2)
    inner = getattr(model.optimizer, "inner_optimizer", model.optimizer)
    assert {m.dtype for m in inner._momenta} <= {"float32", tf.float32}
    reference = fit(compiled_model(), 2).get_weights()[0]
    way = np.linalg.norm(reference - start)
    assert np.linalg.norm(model.get_weights()[0] - reference) < 0.05 * way


def test_clips_gradients_first_like_other_keras_optimizers():
    """[3, 4] clipped to norm 1 is [0.6, 0.8]."""
    bias = tf.Variable([1.0, 1.0])
    LARS(0.5, clipnorm=1.0).apply_gradients([(tf.constant([3.0, 4.0]), bias)])
    np.testing.assert_allclose(bias, [0.7, 0.6], rtol=1e-6)


@pytest.mark.parametrize(
    "arguments, word",
    [
        ({"momentum": 1.5}, "momentum"),
        ({"weight_decay": -1e-6}, "weight_decay"),
        ({"eeta": 0}, "eeta"),
        ({"exclude": "bias"}, "exclude"),
        ({"exclude": ["("]}, "exclude"),
    ],
)
def test_refuses_senseless_arguments(arguments, word):
    with pytest.raises(ValueError, match=f"(?s){word}.*Received"):
        LARS(0.1, **arguments)


def test_two_replicas_step_like_one(tmp_path):
    """Own process, for its two logical CPUs. Sums of 8 rows split in two
    round differently, some 1e-7."""
    process = forked.Process(TWO_REPLICAS, [], tmp_path / "log")
    assert process.wait() == 0, process.text()[-3000:]
    assert process.text().strip().endswith("agree")
