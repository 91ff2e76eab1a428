"""Extraction of features: order, batches, kinds of encoders, errors."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from simclr_keras import evaluation


@pytest.fixture
def images():
    return np.random.RandomState(0).randint(0, 256, [7, 4, 4, 3], np.uint8)


def _means(images):
    """What the encoders here compute: channel means of images in [0, 1]."""
    return (images / 255.0).mean(axis=(1, 2))


def _pooling():
    return keras.Sequential(
        [keras.layers.Input([4, 4, 3]), keras.layers.GlobalAveragePooling2D()]
    )


def _dataset(images, labels=None, batch_size=3):
    content = images if labels is None else (images, labels)
    return tf.data.Dataset.from_tensor_slices(content).batch(batch_size)


def test_features_stand_in_order_with_a_last_smaller_batch(images):
    labels = np.arange(7, dtype=np.int32)
    h, y = evaluation.extract(_pooling(), _dataset(images, labels))
    assert h.dtype == np.float32
    assert y.dtype == np.int64
    np.testing.assert_allclose(h, _means(images), atol=1e-6)
    np.testing.assert_array_equal(y, labels)


def test_without_labels_and_with_floats(images):
    floats = (images / 255.0).astype(np.float32)
    h, y = evaluation.extract(_pooling(), _dataset(floats))
    assert y is None
    np.testing.assert_allclose(h, _means(images), atol=1e-6)


def test_feature_maps_are_pooled(images):
    inputs = keras.layers.Input([4, 4, 3])
    encoder = keras.Model(inputs, keras.layers.MaxPooling2D(1)(inputs))
    h, _ = evaluation.extract(encoder, _dataset(images))
    np.testing.assert_allclose(h, _means(images), atol=1e-6)


def test_encoder_runs_in_inference_mode(images):
    """Dropout is off: a rate of 0.9 would zero most features."""
    encoder = keras.Sequential([_pooling(), keras.layers.Dropout(0.9)])
    h, _ = evaluation.extract(encoder, _dataset(images))
    np.testing.assert_allclose(h, _means(images), atol=1e-6)


def test_one_trace_for_all_batches_and_preprocessing_sees_unit_range(images):
    traces = []

    def preprocess(batch):
        traces.append(batch.dtype)
        return batch / 2

    extractor = evaluation.Extractor(_pooling(), preprocess=preprocess)
    for _ in range(2):
        h, _ = extractor(_dataset(images))
    assert traces == [tf.float32]
    np.testing.assert_allclose(h, _means(images) / 2, atol=1e-6)


def test_extractor_follows_changed_weights(images):
    dense = keras.layers.Dense(1, kernel_initializer="ones")
    encoder = keras.Sequential([_pooling(), dense])
    extractor = evaluation.Extractor(encoder)
    before, _ = extractor(_dataset(images))
    dense.kernel.assign(3 * np.ones([3, 1]))
    after, _ = extractor(_dataset(images))
    np.testing.assert_allclose(after, 3 * before, rtol=1e-6)


def test_outputs_name_entries_of_a_dict(images):
    inputs = keras.layers.Input([4, 4, 3])
    h = keras.layers.GlobalAveragePooling2D()(inputs)
    z = keras.layers.Rescaling(2.0)(h)
    model = keras.Model(inputs, {"h": h, "z": z})
    both, _ = evaluation.extract(model, _dataset(images), outputs=("h", "z"))
    only, _ = evaluation.extract(model, _dataset(images), outputs="z")
    np.testing.assert_allclose(both["h"], _means(images), atol=1e-6)
    np.testing.assert_allclose(both["z"], 2 * _means(images), atol=1e-6)
    np.testing.assert_array_equal(only, both["z"])
    for wrong in (None, "y"):
        with pytest.raises(ValueError, match=r"outputs.*\['h', 'z'\]"):
            evaluation.extract(model, _dataset(images), outputs=wrong)


def test_a_model_with_embed_gives_h(images):
    class Wrapper(keras.Model):
        def embed(self, images, training=False):
            return tf.reduce_mean(images, axis=(1, 2))

        def call(self, images):
            raise AssertionError

    h, _ = evaluation.extract(Wrapper(), _dataset(images))
    np.testing.assert_allclose(h, _means(images), atol=1e-6)


def test_features_are_float32_under_mixed_precision(images):
    keras.mixed_precision.set_global_policy("mixed_bfloat16")
    try:
        encoder = _pooling()
    finally:
        keras.mixed_precision.set_global_policy("float32")
    h, _ = evaluation.extract(encoder, _dataset(images))
    assert h.dtype == np.float32


def test_pixel_features_are_flat_and_in_unit_range(images):
    expected = images.reshape(7, 48) / 255.0
    found = evaluation.pixel_features(images)
    np.testing.assert_allclose(found, expected, atol=1e-7)
    h, _ = evaluation.extract(evaluation.pixel_features, _dataset(images))
    np.testing.assert_allclose(h, expected, atol=1e-7)


def test_wrong_data_sets_are_named(images):
    cases = [
        (images, "tf.data.Dataset"),
        (tf.data.Dataset.from_tensor_slices(images), "batches of images"),
        (_dataset(images).repeat(), "repeat"),
        (_dataset(images).take(0), "empty"),
        (_dataset(images, np.ones([7, 2, 2], np.int32)), "labels"),
        (_dataset(images, np.ones([7], np.float32)), "labels"),
    ]
    for dataset, text in cases:
        with pytest.raises(ValueError, match=text):
            evaluation.extract(_pooling(), dataset)


def test_progress_bar(images, capsys):
    evaluation.extract(_pooling(), _dataset(images), verbose=True)
    assert "3/3" in capsys.readouterr().out


def test_progress_bar_of_a_data_set_of_unknown_length(images, capsys):
    dataset = _dataset(images).filter(lambda _: True)
    h, _ = evaluation.extract(_pooling(), dataset, verbose=True)
    assert len(h) == 7
    assert "3/" in capsys.readouterr().out
