"""SimCLR by micro-batches: the training of one tape around all of them.

In float64 and step by step without a graph, so that nothing but the order of
sums tells the two apart. What is float32 by nature, the probe, gets float32's
tolerance.
"""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf

import simclr_keras as sk
from simclr_keras import compat
from simclr_keras.models import micro_batches

ROWS, SIZE = 16, 8
KERAS_2 = pytest.mark.skipif(compat.KERAS_3, reason="Keras 2.15 only")
KERAS_3 = pytest.mark.skipif(not compat.KERAS_3, reason="Keras 3 only")


def _images(count=ROWS, seed=0, pair=()):
    rng = np.random.default_rng(seed)
    shape = (count, *pair, SIZE, SIZE, 3)
    return tf.constant(rng.integers(0, 256, shape, np.uint8))


def _encoder(*between, dtype="float64"):
    return keras.Sequential(
        [
            keras.Input((SIZE, SIZE, 3), dtype=dtype),
            keras.layers.Conv2D(4, 3, strides=2, dtype=dtype),
            *between,
            keras.layers.Activation("tanh", dtype=dtype),
        ]
    )


def _norm(stock=False):
    if stock:
        return keras.layers.BatchNormalization(momentum=0.8, dtype="float64")
    return sk.networks.BatchNormalization(momentum=0.8, dtype="float64")


def _flips():
    """Views that are exact in any order of operations, and soon traced."""
    return sk.TwoViews(
        SIZE,
        jit=False,
        crop=False,
        color_strength=0.0,
        grayscale_probability=0.0,
    )


def _model(micro, *between, loss=None, views=None, rate=0.1, **options):
    keras.utils.set_random_seed(0)
    model = sk.SimCLR(
        _encoder(*between),
        keras.layers.Dense(4, dtype="float64"),
        views or _flips(),
        micro_batch_size=micro,
        **options,
    )
    model.compile(
        keras.optimizers.SGD(rate, momentum=0.9), loss or sk.NTXent(0.5)
    )
    model.build_state()
    return model


def _one_tape_step(model, images, labels, count):
    """One step whose micro-batches are all under one tape, without a cache."""
    state = compat.mutable_state(model.encoder, model.projection_head)
    state = [v for v in state if v.dtype.is_floating]
    before, after = [v.numpy() for v in state], []
    parts, probe_losses = [[None] * len(images), [None] * len(images)], []
    step = tf.convert_to_tensor(model.optimizer.iterations)
    with tf.GradientTape() as tape:
        for number in range(count):
            rows = list(range(number, len(images), count))
            for variable, value in zip(state, before):
                variable.assign(value)
            views = model.views(tf.gather(images, rows), step, positions=rows)
            both = model(tf.concat(views, 0), training=True)
            after.append([v.numpy() for v in state])
            for part, z in zip(parts, tf.split(both["z"], 2)):
                for row, value in zip(rows, tf.unstack(z)):
                    part[row] = value
            if labels is not None:
                losses = keras.losses.sparse_categorical_crossentropy(
                    tf.tile(tf.gather(labels, rows), [2]),
                    both["probe_logits"],
                    from_logits=True,
                )
                probe_losses.append(tf.reduce_mean(losses))
        loss = contrastive = model.loss(*map(tf.stack, parts))
        if labels is not None:
            loss += tf.cast(tf.reduce_mean(probe_losses), loss.dtype)
        if model.l2:
            squares = [
                tf.reduce_sum(tf.square(tf.cast(v, tf.float64)))
                for v in model.trainable_variables
                if "norm" not in compat.variable_path(v)
            ]
            loss += 0.5 * model.l2 * tf.cast(tf.add_n(squares), loss.dtype)
    compat.minimize(model.optimizer, tape, loss, model.trainable_variables)
    for variable, *values in zip(state, *after):
        variable.assign(np.mean(values, axis=0))
    return float(contrastive)


def _assert_alike(model, twin, tolerance=1e-12):
    """Equal weights but for roundings; the probe's are float32."""
    weights, others = compat.weights_of(model), compat.weights_of(twin)
    assert len(weights) == len(others)
    for weight, other in zip(weights, others):
        single = "supervised_head" in compat.variable_path(weight)
        bound = 1e-6 if single else tolerance
        np.testing.assert_allclose(
            compat.as_numpy(weight),
            compat.as_numpy(other),
            rtol=bound,
            atol=bound,
            err_msg=compat.variable_path(weight),
        )


def _train(model, steps=3, labels=None):
    """Losses of some steps, each on images of its own."""
    model.reset_metrics()
    losses = []
    for step in range(steps):
        images = _images(seed=step)
        data = images if labels is None else (images, labels)
        total = float(np.ravel(model.train_step(data)["loss"])[0]) * (step + 1)
        losses.append(total - sum(losses))  # the log is a running mean
    return losses


@pytest.mark.parametrize("micro", [pytest.param(8, marks=pytest.mark.long), 4])
def test_without_batch_norm_it_is_the_plain_step(micro):
    """With all that views draw, which each image has to have of its own."""
    views = sk.TwoViews(SIZE, jit=False)
    model, plain = _model(micro, views=views), _model(None, views=views)
    start = plain.get_weights()
    losses = _train(model), _train(plain)
    np.testing.assert_allclose(*losses, rtol=1e-6)
    _assert_alike(model, plain)
    assert np.abs(start[0] - plain.get_weights()[0]).max() > 1e-3


@pytest.mark.parametrize(
    "micro, stock, l2, tolerance",
    [
        (8, False, 0.0, 1e-12),
        pytest.param(4, False, 0.0, 1e-12, marks=pytest.mark.long),
        # The penalty is a float32 number: 6e-8 of rate * l2 * w = 1e-3 w.
        pytest.param(4, False, 1e-2, 1e-9, marks=pytest.mark.long),
        # Keras's own layer rounds to float32 in between.
        (4, True, 0.0, 1e-6),
    ],
)
def test_with_batch_norm_it_is_one_tape_with_the_same_groups(
    micro, stock, l2, tolerance
):
    """Probe and penalty too, and moving statistics."""
    model = _model(micro, _norm(stock), num_classes=4, l2=l2)
    twin = _model(None, _norm(stock), num_classes=4, l2=l2)
    twin.set_weights(model.get_weights())
    labels = tf.constant(np.arange(ROWS) % 4)
    losses = _train(model, labels=labels)
    expected = [
        _one_tape_step(twin, _images(seed=step), labels, ROWS // micro)
        for step in range(3)
    ]
    np.testing.assert_allclose(losses, expected, rtol=1e-6)
    _assert_alike(model, twin, tolerance)
    assert np.abs(model.encoder.get_weights()[-1] - 1).max() > 1e-2


def test_in_a_graph_it_is_the_same():
    """`fit`, traced once for all steps and epochs."""
    model, twin = (_model(4, _norm()) for _ in range(2))
    images = _images() / 255
    traces, step = [], model.train_step
    model.train_step = lambda data: (traces.append(1), step(data))[1]
    data = tf.data.Dataset.from_tensors(images).repeat(2)
    model.fit(data, epochs=2, verbose=0)
    for _ in range(4):
        twin.train_step(images)
    _assert_alike(model, twin)
    assert len(traces) == 1


def _of_a_user(z_a, z_b):
    spread = tf.reduce_mean(tf.math.reduce_variance(z_a + z_b, axis=0))
    return tf.reduce_mean(tf.square(z_a - z_b)) / (spread + 0.1)


@pytest.mark.parametrize(
    "loss",
    [sk.contrastive.NTLogistic(), sk.contrastive.MarginTriplet(), _of_a_user],
    ids=["nt_logistic", "margin_triplet", "user"],
)
def test_every_loss(loss):
    model, plain = _model(4, loss=loss), _model(None, loss=loss)
    _train(model, 2), _train(plain, 2)
    _assert_alike(model, plain)


def test_ready_views():
    model, plain, crops = _model(4), _model(None), _images(pair=(2,))
    for each in (model, plain):
        each.train_step(crops)
    _assert_alike(model, plain)


def test_a_probe_with_images_of_its_own():
    """12 of them in parts of at most 4, after the new moving statistics."""
    data = {
        "images": _images(),
        "probe_images": _images(12, seed=1),
        "probe_labels": tf.constant(np.arange(12) % 4),
    }
    model = _model(4, _norm(), num_classes=4)
    twin = _model(None, _norm(), num_classes=4)
    twin.set_weights(model.get_weights())
    logs = model.train_step(data)
    begun = [compat.as_numpy(v) for v in twin.trainable_variables]
    _one_tape_step(twin, data["images"], None, 4)
    ended = [compat.as_numpy(v) for v in twin.trainable_variables]
    # The weights as they were, the moving statistics as they are now.
    for variable, value in zip(twin.trainable_variables, begun):
        variable.assign(value)
    h = twin.embed(data["probe_images"], training=False)
    for variable, value in zip(twin.trainable_variables, ended):
        variable.assign(value)
    with tf.GradientTape() as tape:
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(
            data["probe_labels"], twin.probe(h)
        )
        loss = tf.reduce_mean(losses)
    np.testing.assert_allclose(np.ravel(logs["probe_loss"]), [loss], rtol=1e-6)
    gradients = tape.gradient(loss, twin.probe.trainable_variables)
    for variable, gradient in zip(twin.probe.trainable_variables, gradients):
        variable.assign_sub(0.1 * gradient)
    _assert_alike(model, twin)


def test_validation_in_parts_is_validation():
    """Inference mode: no image cares for the others."""
    model, plain = _model(4, _norm()), _model(None, _norm())
    results = [dict(m.test_step(_images(12))) for m in (model, plain)]
    for name, value in results[1].items():
        np.testing.assert_allclose(
            results[0][name], value, rtol=1e-5, err_msg=name
        )


def test_a_batch_no_larger_is_the_plain_step():
    model, plain = _model(ROWS, _norm()), _model(None, _norm())
    _train(model, 1), _train(plain, 1)
    for a, b in zip(model.get_weights(), plain.get_weights()):
        np.testing.assert_array_equal(a, b)


@KERAS_3
def test_dropout_draws_the_same_in_both_passes():
    """And goes on afterwards where one tape would go on."""

    def dropout():
        return keras.layers.Dropout(0.5, seed=3, dtype="float64")

    model, twin = _model(4, dropout()), _model(None, dropout())
    losses = _train(model)
    expected = [
        _one_tape_step(twin, _images(seed=step), None, 4) for step in range(3)
    ]
    np.testing.assert_allclose(losses, expected, rtol=1e-6)
    _assert_alike(model, twin)


@KERAS_2
def test_dropout_is_refused_where_it_cannot_be_repeated():
    model = _model(4, keras.layers.Dropout(0.5, name="half"))
    with pytest.raises(ValueError, match="Keras 2.15 dropout.*half"):
        model.fit(tf.data.Dataset.from_tensors(_images()), verbose=0)


def test_views_that_cannot_be_repeated_are_refused():
    views = sk.TwoViews(
        SIZE, jit=False, append=[keras.layers.GaussianNoise(0.1)]
    )
    model = _model(4, views=views)
    with pytest.raises(ValueError, match="draws every view twice"):
        model.fit(tf.data.Dataset.from_tensors(_images()), verbose=0)
    with pytest.raises(ValueError, match="draws every view twice"):
        model.train_step(_images())


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision(policy):
    """z, dz and each gradient are rounded to 16 bits where one tape does it.

    What is left is the order of float32 sums.
    """
    before = compat.dtype_policy_name()
    keras.mixed_precision.set_global_policy(policy)
    try:
        models = []
        for micro in (4, None):
            keras.utils.set_random_seed(0)
            model = sk.SimCLR(
                _encoder(dtype=None),
                keras.layers.Dense(4),
                _flips(),
                micro_batch_size=micro,
            )
            model.compile(keras.optimizers.SGD(0.1), sk.NTXent(0.5))
            model.build_state()
            models.append(model)
        model, twin = models
        start = compat.as_numpy(model.trainable_variables[0])
        for step in range(2):
            model.train_step(_images(seed=step))
            _one_tape_step(twin, _images(seed=step), None, 4)
    finally:
        keras.mixed_precision.set_global_policy(before)
    scaled = type(model.optimizer).__name__.startswith("LossScale")
    assert scaled == (policy == "mixed_float16")
    end = compat.as_numpy(model.trainable_variables[0])
    assert end.dtype == np.float32 and np.abs(end - start).max() > 1e-3
    _assert_alike(model, twin, 1e-6)


@pytest.mark.long
def test_step_compiles_with_xla():
    model, twin = (_model(4) for _ in range(2))
    model.compile(model.optimizer, model.loss, jit_compile=True)
    data = tf.data.Dataset.from_tensors(_images()).repeat(2)
    loss = model.fit(data, verbose=0).history["loss"]
    expected = [np.ravel(twin.train_step(_images())["loss"]) for _ in range(2)]
    np.testing.assert_allclose(loss, expected[-1], rtol=1e-5)


def test_configuration():
    model = _model(8)
    assert model.get_config()["micro_batch_size"] == 8
    assert type(model).from_config(model.get_config()).micro_batch_size == 8
    theirs = _model(np.int64(8), num_classes=np.int64(3), l2=np.float32(0.5))
    settings = {name: getattr(theirs, name) for name in theirs.settings}
    assert json.loads(json.dumps(settings))["micro_batch_size"] == 8
    for wrong in (0, 2.5, True):
        with pytest.raises(ValueError, match=f"micro_batch_size.*{wrong}"):
            _model(wrong)


@pytest.mark.parametrize(
    "batch, micro, replicas, message",
    [
        (4096, 300, 1, "4096 images: 256 or 512 would. Received: 300 images"),
        (24, 3, 2, "number of replicas, 2: 2 or 4 would. Received: 3"),
        (24, 1, 2, "number of replicas, 2: 2 would. Received: 1"),
        (None, 8, 1, "unknown batch size"),
    ],
)
def test_sizes_that_do_not_fit(batch, micro, replicas, message):
    with pytest.raises(ValueError, match=message):
        micro_batches.check_size(batch, micro, replicas)


@pytest.mark.parametrize("batch, micro", [(24, 8), (24, 100), (24, None)])
def test_sizes_that_fit(batch, micro):
    micro_batches.check_size(batch, micro, 2)


def test_fit_checks_sizes_first():
    model = _model(6)
    with pytest.raises(ValueError, match="4 or 8 would"):
        model.fit(tf.data.Dataset.from_tensors(_images()), verbose=0)
    images = tf.data.Dataset.from_tensor_slices(_images())
    with pytest.raises(ValueError, match="unknown batch size"):
        model.fit(images.batch(12), verbose=0)
    with pytest.raises(ValueError, match="last of 16 images"):
        model.fit(_images().numpy(), batch_size=12, verbose=0)


def test_arrays_of_whole_batches():
    """Their batches do not say how large they are."""
    model = _model(4)
    model.fit(_images(16).numpy(), batch_size=8, shuffle=False, verbose=0)
    assert int(compat.as_numpy(model.optimizer.iterations)) == 2
