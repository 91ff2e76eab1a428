"""SimCLR: its step, its metrics, its probe, its forms of input."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import simclr_keras as sk
from simclr_keras import compat


def _images(count=16, size=16, seed=0):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (count, size, size, 3), dtype=np.uint8)


# Views that are soon traced: crops and flips alone.
PLAIN = {"jit": False, "blur": False, "color_strength": 0.0}


def _model(num_classes=None, mode="nonlinear", **views):
    keras.utils.set_random_seed(0)
    return sk.SimCLR(
        sk.TinyResNet(channels=(4,)),
        sk.ProjectionHead(mode, num_layers=2, out_dim=8),
        sk.TwoViews(16, **{**PLAIN, **views}),
        num_classes=num_classes,
    )


def _batches(*arrays, batch=8):
    arrays = arrays[0] if len(arrays) == 1 else arrays
    return tf.data.Dataset.from_tensor_slices(arrays).batch(batch)


def _float64_model():
    keras.utils.set_random_seed(0)
    return sk.SimCLR(
        sk.TinyResNet(channels=(4,), dtype="float64"),
        sk.ProjectionHead(num_layers=2, out_dim=8, dtype="float64"),
        sk.TwoViews(16, jit=False),
    )


def test_step_is_the_loss_of_two_views_and_its_gradient():
    """One SGD step against the same written out with plain TensorFlow.

    Networks in float64, where only the float32 views are rounded (1e-7).
    """
    images = _images(8)
    model, twin = _float64_model(), _float64_model()
    model.compile(keras.optimizers.SGD(0.1), sk.NTXent(0.5))
    twin.set_weights(model.get_weights())
    a, b = twin.views(images, tf.constant(0, tf.int64))
    with tf.GradientTape() as tape:
        both = tf.cast(tf.concat([a, b], 0), tf.float64)
        z = twin.projection_head(
            twin.encoder(both, training=True), training=True
        )
        loss = sk.NTXent(0.5)(z[:8], z[8:])
    start = [compat.as_numpy(v) for v in twin.trainable_variables]
    gradients = tape.gradient(loss, twin.trainable_variables)
    history = model.fit(_batches(images), verbose=0).history
    np.testing.assert_allclose(history["loss"][0], loss, rtol=1e-5)
    for value, w, g in zip(model.trainable_variables, start, gradients):
        moved = w - compat.as_numpy(value)
        largest = np.abs(g).max()
        # The learning rate is a float32 number: relative error 1e-7 too.
        np.testing.assert_allclose(
            moved, 0.1 * g.numpy(), atol=1e-4 * largest + 1e-9
        )


@pytest.fixture(scope="module")
def labelled():
    """Images with labels, in two batches."""
    return _batches(_images(), np.arange(16) % 4)


@pytest.fixture(scope="module")
def trained(labelled):
    """A model with a probe after two epochs, its logs and those of steps."""
    model, seen = _model(num_classes=4), []
    model.compile("adam")
    logs = model.fit(
        labelled,
        epochs=2,
        validation_data=labelled,
        verbose=0,
        callbacks=[
            keras.callbacks.LambdaCallback(
                on_train_batch_end=lambda batch, logs: seen.append(dict(logs))
            )
        ],
    ).history
    return model, logs, seen


def test_logs_what_it_promises(trained):
    _, logs, _ = trained
    names = {
        "loss",
        "contrastive_accuracy",
        "contrastive_top5",
        "contrastive_entropy",
        "z_std",
        "alignment",
        "uniformity",
        "effective_rank",
        "probe_loss",
        "probe_accuracy",
    }
    assert set(logs) == names | {f"val_{name}" for name in names}
    assert all(np.isfinite(values).all() for values in logs.values())
    assert 1 <= logs["effective_rank"][0] <= 8


def test_logs_are_numbers_from_the_first_step_of_an_epoch(trained):
    """Also of the second, which does not begin at a tenth step."""
    _, _, seen = trained
    assert len(seen) > 2
    for logs in seen:
        assert np.isfinite([np.ravel(v)[0] for v in logs.values()]).all(), logs


def test_probe_never_moves_the_encoder():
    images, labels = _images(8), np.arange(8) % 4
    with_probe, without = _model(num_classes=4), _model()
    shared = without.encoder.get_weights()
    with_probe.encoder.set_weights(shared)
    with_probe.projection_head.set_weights(
        without.projection_head.get_weights()
    )
    for model, data in (
        (with_probe, _batches(images, labels)),
        (without, _batches(images)),
    ):
        model.compile(keras.optimizers.SGD(0.1))
        model.fit(data, epochs=2, verbose=0)
    for a, b in zip(
        with_probe.encoder.get_weights(), without.encoder.get_weights()
    ):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)
    assert np.abs(with_probe.probe.get_weights()[0]).max() > 0


def test_probe_learns_from_a_data_set_of_its_own():
    """Labels that the grey level gives away; the images to contrast do not."""
    labels = np.arange(64) % 2
    labelled = np.full((64, 16, 16, 3), 30, np.uint8)
    labelled[labels == 1] = 220
    data = tf.data.Dataset.from_tensors(
        {
            "images": _images(8),
            "probe_images": labelled,
            "probe_labels": labels,
        }
    ).repeat(40)
    model = _model(num_classes=2)
    model.compile(keras.optimizers.Adam(0.01))
    model.fit(data, verbose=0)
    h = model.embed(tf.constant(labelled))
    predicted = tf.argmax(model.probe(h), axis=1)
    assert np.mean(predicted.numpy() == labels) > 0.95


def test_ready_views_pass_without_another_crop():
    crops = np.stack([_images(8), _images(8, seed=1)], axis=1)
    model = _model(flip_probability=0.0, color_strength=0.0, blur=False)
    model.compile("sgd")
    views = model.views(tf.constant(crops), tf.constant(0, tf.int64))
    grey = sk.TwoViews(
        16,
        flip_probability=0.0,
        jitter_probability=0.0,
        grayscale_probability=0.0,
        blur=False,
    )
    for k, view in enumerate(grey(tf.constant(crops), tf.constant(0))):
        np.testing.assert_allclose(view, crops[:, k] / 255, atol=1e-6)
    assert views[0].shape == (8, 16, 16, 3)
    assert np.isfinite(model.fit(_batches(crops), verbose=0).history["loss"][0])


def test_validation_is_the_same_every_time(trained, labelled):
    model, _, _ = trained
    first = model.evaluate(labelled, verbose=0, return_dict=True)
    again = model.evaluate(labelled, verbose=0, return_dict=True)
    assert first == again


def test_two_trainings_with_one_seed_are_identical():
    def train():
        model = _model(color_strength=1.0)
        model.compile(sk.LARS(0.1))
        model.fit(_batches(_images(32)), epochs=2, verbose=0)
        return model.get_weights()

    for a, b in zip(train(), train()):
        np.testing.assert_array_equal(a, b)


def test_saves_and_loads_with_optimizer(tmp_path):
    data = _batches(_images(16))
    model = _model()
    schedule = sk.WarmupCosine(0.1, warmup_steps=2, total_steps=8)
    model.compile(sk.LARS(schedule, weight_decay=1e-6), sk.NTXent(0.2))
    model.fit(data, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert loaded.loss.temperature == 0.2
    for part in ("encoder", "projection_head", "views"):
        twin = getattr(loaded, part).get_config()
        assert twin == getattr(model, part).get_config()
    for m in (model, loaded):
        m.fit(data, verbose=0)
    for a, b in zip(model.get_weights(), loaded.get_weights()):
        np.testing.assert_array_equal(a, b)
    model.summary(print_fn=lambda line, **_: None)


@pytest.mark.parametrize(
    "mode",
    ["none", pytest.param("linear", marks=pytest.mark.long), "nonlinear"],
)
def test_every_head_trains_and_the_loss_falls(mode):
    """Pictures of one colour each: told apart by a few steps of training."""
    colours = np.random.default_rng(0).integers(0, 256, (16, 1, 1, 3))
    images = np.broadcast_to(colours, (16, 16, 16, 3)).astype(np.uint8)
    model = _model(mode=mode)
    model.compile(keras.optimizers.Adam(0.01), sk.NTXent(0.5))
    data = _batches(images, batch=16).repeat(20)
    losses = model.fit(data, epochs=2, verbose=0).history["loss"]
    assert losses[-1] < losses[0] - 0.1


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision_keeps_float32_weights_and_loss(policy):
    before = compat.dtype_policy_name()
    keras.mixed_precision.set_global_policy(policy)
    try:
        model = _model(num_classes=2)
        model.compile("adam")
        data = _batches(_images(16), np.arange(16) % 2)
        loss = model.fit(data, epochs=2, verbose=0).history["loss"]
    finally:
        keras.mixed_precision.set_global_policy(before)
    assert np.isfinite(loss).all()
    assert {w.dtype for w in model.get_weights()} == {np.dtype("float32")}


def test_step_compiles_with_xla():
    losses = []
    for jit in (False, True):
        model = _model()
        model.compile(keras.optimizers.SGD(0.1), jit_compile=jit)
        data = _batches(_images(8))
        losses.append(model.fit(data, epochs=2, verbose=0).history["loss"])
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-3)


def test_l2_adds_its_gradient():
    """d(0.5 l2 w^2)/dw = l2 w: a step differs by rate * l2 * w in kernels."""
    start, ends = None, []
    for l2 in (0.0, 0.5):
        keras.utils.set_random_seed(0)
        model = sk.SimCLR(
            sk.TinyResNet(channels=(4,)),
            views=sk.TwoViews(16, **PLAIN),
            l2=l2,
        )
        start = model.encoder.get_weights()
        model.compile(keras.optimizers.SGD(0.1))
        model.fit(_batches(_images(8)), verbose=0)
        ends.append(model.encoder.get_weights())
    for w, plain, decayed in zip(start, *ends):
        expected = 0.1 * 0.5 * w if w.ndim == 4 else 0 * w
        np.testing.assert_allclose(plain - decayed, expected, atol=1e-5)


def test_foreign_encoder_with_a_feature_map():
    images = keras.Input((None, None, 3))
    features = keras.layers.Conv2D(8, 3, strides=2)(images)
    model = sk.SimCLR(
        keras.Model(images, features), views=sk.TwoViews(16, **PLAIN)
    )
    model.compile("adam")
    model.fit(_batches(_images(8)), verbose=0)
    assert model.embed(tf.constant(_images(8))).shape == (8, 8)


def test_errors_say_what_is_wrong():
    with pytest.raises(ValueError, match="views must be"):
        sk.SimCLR(sk.TinyResNet())
    model = _model(num_classes=3)
    model.compile("adam")
    with pytest.raises(ValueError, match="needs labels"):
        model.fit(_batches(_images(8)), verbose=0)
    with pytest.raises(ValueError, match="metrics must be left out"):
        model.compile("adam", metrics=["accuracy"])
    with pytest.raises(ValueError, match=r"\[B, H, W, C\]"):
        model = _model()
        model.compile("adam")
        model.fit(tf.data.Dataset.from_tensors(np.zeros((4, 3))), verbose=0)
