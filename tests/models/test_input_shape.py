"""The shape of the images, for loggers that ask a model for it."""

import keras
import numpy as np

import simclr_keras as sk


def test_it_is_that_of_the_training():
    encoder = keras.Sequential(
        [keras.Input((None, None, 3)), keras.layers.Conv2D(4, 3)]
    )
    model = sk.SimCLR(encoder, views=sk.TwoViews((8, 12)))
    assert model.input_shape == (None, 8, 12, 3)
    classifier = sk.Classifier(encoder, 2)
    assert classifier.input_shape == (None, None, None, 3)
    classifier.compile("sgd", "sparse_categorical_crossentropy")
    images = np.zeros((4, 8, 8, 3), np.uint8)
    classifier.fit(images, np.array([0, 1, 0, 1]), verbose=0)
    assert classifier.input_shape == (None, 8, 8, 3)
