"""Features of Keras that a user's own networks and losses rely on."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import simclr_keras as sk
from simclr_keras import compat

IMAGES = np.random.default_rng(0).integers(0, 256, (16, 8, 8, 3), np.uint8)
FLOATS = (IMAGES / 255).astype(np.float32)
LABELS = np.arange(16) % 2


def encoder(*first, regularizer=None, **arguments):
    """A convolution and pooling, after the given layers; always the same."""
    keras.utils.set_random_seed(0)
    kernel = keras.layers.Conv2D(
        4, 3, kernel_regularizer=regularizer, **arguments
    )
    return keras.Sequential(
        [
            keras.Input((None, None, 3)),
            *first,
            kernel,
            keras.layers.GlobalAveragePooling2D(),
        ]
    )


def simclr(network=None, optimizer=None, loss=None, views=None, **arguments):
    keras.utils.set_random_seed(0)
    views = views or sk.TwoViews(8, jit=False)
    head = sk.ProjectionHead(num_layers=2, width=8, out_dim=4)
    model = sk.SimCLR(network or encoder(), head, views, **arguments)
    model.compile(optimizer or keras.optimizers.SGD(0.1), loss)
    return model


@pytest.fixture
def adapted():
    """An encoder that begins with an adapted `Normalization`."""
    layer = keras.layers.Normalization()
    layer.adapt(FLOATS)
    return encoder(layer)


def test_adapted_normalization_stays_so_in_a_classifier(adapted):
    expected = adapted.predict(FLOATS, verbose=0)
    model = sk.Classifier(adapted, 2)
    found = model.encoder.predict(FLOATS, verbose=0)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_adapted_normalization_is_loaded(adapted, tmp_path):
    """From a run directory, and from an export of another precision."""
    model = simclr(adapted, keras.optimizers.SGD(0.0))
    callbacks = sk.training.callbacks(tmp_path / "run")
    model.fit(FLOATS, batch_size=8, verbose=0, callbacks=callbacks)
    expected = model.embed(FLOATS).numpy()
    sk.export(model, tmp_path / "export", image_size=8)
    for name in ("run", "export"):
        loaded = sk.load(tmp_path / name).model
        found = loaded.embed(FLOATS).numpy()
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


class AddsLoss(keras.layers.Layer):
    """Adds the mean square of its input to the loss, times 100."""

    def call(self, inputs):
        self.add_loss(100.0 * tf.reduce_mean(tf.square(inputs)))
        return inputs


def _weight_after_a_step(micro_batch, **arguments):
    network = encoder(padding="same", **arguments)
    model = simclr(network, micro_batch_size=micro_batch)
    kernel = network.layers[-2].kernel
    before = compat.as_numpy(kernel)
    model.fit(IMAGES, batch_size=16, verbose=0, shuffle=False)
    return before, compat.as_numpy(kernel)


@pytest.mark.parametrize("micro_batch", [None, 4])
def test_regularisers_of_the_encoder_are_part_of_the_loss(micro_batch):
    """With L2 of weight 2 at a rate of 0.1, a step subtracts 0.4 W more."""
    before, plain = _weight_after_a_step(micro_batch)
    decay = keras.regularizers.L2(2.0)
    same, decayed = _weight_after_a_step(micro_batch, regularizer=decay)
    np.testing.assert_array_equal(before, same)
    np.testing.assert_allclose(decayed, plain - 0.4 * before, atol=1e-5)


@pytest.mark.parametrize(
    "micro_batch", [pytest.param(None, marks=pytest.mark.long), 8]
)
def test_losses_that_layers_add_are_part_of_the_loss(micro_batch):
    """Their gradient is the same in micro-batches: it is a mean."""
    weights = []
    for added in ([], [AddsLoss()]):
        start = keras.initializers.Constant(0.1)
        convolution = keras.layers.Conv2D(3, 1, kernel_initializer=start)
        model = simclr(
            encoder(convolution, *added), micro_batch_size=micro_batch
        )
        model.fit(IMAGES, batch_size=16, verbose=0, shuffle=False)
        weights.append(compat.as_numpy(convolution.kernel))
    assert np.abs(weights[1] - weights[0]).max() > 0.3


def test_a_loss_for_each_image_is_averaged():
    def distances(z_a, z_b):
        return tf.reduce_sum(tf.square(z_a - z_b), axis=1)

    weights = []
    for loss in (distances, lambda a, b: tf.reduce_mean(distances(a, b))):
        model = simclr(loss=loss)
        model.fit(IMAGES, batch_size=16, verbose=0, shuffle=False)
        weights.append(model.encoder.get_weights()[0])
    np.testing.assert_allclose(weights[0], weights[1], rtol=1e-6)


@pytest.mark.skipif(not compat.KERAS_3, reason="of Keras 3")
def test_accumulated_batches_have_views_of_their_own():
    steps = []

    class Views(sk.TwoViews):
        def call(self, images, step, positions=None, first_view=0):
            tf.py_function(lambda x: steps.append(int(x)), [step], [])
            return super().call(images, step, positions, first_view)

    optimizer = keras.optimizers.SGD(0.1, gradient_accumulation_steps=2)
    model = simclr(optimizer=optimizer, views=Views(8, jit=False))
    model.fit(IMAGES, batch_size=4, verbose=0)
    assert steps[-4:] == [0, 1, 2, 3]


def test_a_last_batch_of_one_image_is_refused():
    with pytest.raises(ValueError, match="the last batch of 1 image"):
        simclr().fit(IMAGES[:9], batch_size=8, verbose=0)
    simclr().fit(IMAGES[:10], batch_size=8, verbose=0)


def test_arguments_of_fit_may_have_no_names():
    """`fit(x, y, batch_size, epochs, verbose, callbacks)`."""
    model, seen = simclr(), []
    see = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: seen.append(epoch)
    )
    model.fit(IMAGES, None, 4, 2, 0, [see])
    assert (seen, model.global_batch_size) == ([0, 1], 4)
    probe = sk.Classifier(encoder(), 2)
    probe.compile("sgd", "sparse_categorical_crossentropy")
    probe.fit(IMAGES, LABELS, 8, 1, 0, [see])
    assert (seen, probe.global_batch_size) == ([0, 1, 0], 8)
    with pytest.raises(TypeError, match="twice"):
        model.fit(IMAGES, None, 4, batch_size=4)


@pytest.mark.parametrize("kind", [list, dict])
def test_an_encoder_of_several_outputs_is_refused(kind):
    image = keras.Input((8, 8, 3))
    features = keras.layers.Conv2D(4, 3)(image)
    outputs = [features, keras.layers.GlobalAveragePooling2D()(features)]
    if kind is dict:
        outputs = dict(zip("ab", outputs))
    with pytest.raises(ValueError, match="one output.* 2 outputs"):
        simclr(keras.Model(image, outputs))


def test_adamw_keeps_variables_that_are_excluded_from_decay():
    optimizer = sk.optimizers.AdamW(0.1, weight_decay=0.5)
    kept, decayed = (tf.Variable(tf.ones((2, 2))) for _ in range(2))
    if compat.KERAS_3:
        kept, decayed = (keras.Variable(np.ones((2, 2))) for _ in range(2))
    optimizer.exclude_from_weight_decay(var_list=[kept])
    optimizer.build([kept, decayed])
    zeros = [tf.zeros((2, 2))] * 2
    optimizer.apply_gradients(zip(zeros, [kept, decayed]))
    np.testing.assert_array_equal(compat.as_numpy(kept), 1.0)
    assert compat.as_numpy(decayed).max() < 1


def test_layers_that_a_user_has_frozen_stay_so_in_a_file(tmp_path):
    model = sk.Classifier(encoder(keras.layers.Conv2D(3, 1)), 2)
    model.encoder.layers[0].trainable = False
    model.compile("adam", "sparse_categorical_crossentropy")
    model.fit(IMAGES, LABELS, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    flags = [layer.trainable for layer in loaded.encoder.layers]
    assert flags == [layer.trainable for layer in model.encoder.layers]
    assert not flags[0] and flags[1]
    assert len(loaded.trainable_weights) == len(model.trainable_weights)


@pytest.mark.skipif(not compat.KERAS_3, reason="Keras 2.15 saves no rate")
def test_a_run_goes_on_at_the_rate_that_a_callback_has_set(tmp_path):
    """In the same process; a new model takes it from the checkpoint."""
    lower = keras.callbacks.ReduceLROnPlateau(
        "loss", patience=1, mode="max", min_delta=100
    )
    model = simclr(optimizer=keras.optimizers.SGD(0.01))
    for epochs in (3, 4):
        model.fit(
            IMAGES,
            batch_size=8,
            epochs=epochs,
            verbose=0,
            callbacks=[lower, *sk.training.callbacks(tmp_path)],
        )
    assert int(compat.as_numpy(model.optimizer.iterations)) == 8
    model.optimizer.learning_rate = 0.5
    with pytest.raises(ValueError, match="optimizer.learning_rate: 0.0"):
        model.fit(
            IMAGES,
            batch_size=8,
            epochs=5,
            verbose=0,
            callbacks=sk.training.callbacks(tmp_path),
        )


def test_averages_that_checkpoints_lack_are_pointed_out(tmp_path):
    model = simclr(optimizer=keras.optimizers.SGD(0.1, use_ema=True))
    with pytest.warns(UserWarning, match="not their averages"):
        model.fit(
            IMAGES,
            batch_size=8,
            verbose=0,
            callbacks=sk.training.callbacks(tmp_path),
        )
