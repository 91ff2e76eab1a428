"""Tiny trainings: a model is compiled once and begins anew in every test."""

import keras
import numpy as np
import pytest

import simclr_keras as sk
from simclr_keras.training import state


def _images():
    draws = np.random.default_rng(0).integers(0, 256, (32, 16, 16, 3))
    return draws.astype(np.uint8)


def _schedule(peak=0.05):
    return sk.WarmupCosine(peak, warmup_steps=2, total_steps=16)


class Training:
    """A compiled model and its data; each `fit` begins with fresh weights."""

    def __init__(self, model, labelled):
        self.model = model
        self._labelled = labelled
        model.build_state(self.data().element_spec[1] if labelled else None)
        self._fresh = {k: v.copy() for k, v in state.read(model).items()}

    def data(self, batch_size=8):
        """Batches of 32 images."""
        source = _images()
        if self._labelled:
            source = source, np.arange(32) % 3
        return sk.data.load(
            source,
            image_size=16,
            batch_size=batch_size,
            seed=3,
            labelled=self._labelled,
        )

    def begin_anew(self):
        """Gives model and optimizer what they had at first."""
        state.write_model(self.model, self._fresh)

    def fit(self, directory, epochs=2, data=None, before=(), **options):
        """Trains in a run directory; returns all variables as arrays."""
        self.begin_anew()
        options = {"log_every": 2, **options}
        callbacks = [*before, *sk.training.callbacks(directory, **options)]
        return self.fit_with(callbacks, epochs, data)

    def fit_with(self, callbacks, epochs, data=None):
        """Trains as the model stands; returns all variables as arrays."""
        data = self.data() if data is None else data
        self.model.fit(data, epochs=epochs, callbacks=callbacks, verbose=0)
        return {k: v.copy() for k, v in state.read(self.model).items()}


def simclr(
    temperature=0.5,
    peak=0.05,
    channels=(4,),
    optimizer="lars",
    compiled=None,
    **views,
):
    """A compiled `SimCLR` of 16 x 16 pixels.

    `compiled` are further arguments of `compile`.
    """
    keras.utils.set_random_seed(1)
    model = sk.SimCLR(
        sk.TinyResNet(channels=channels),
        sk.ProjectionHead("nonlinear", num_layers=2, out_dim=8),
        sk.TwoViews(16, jit=False, blur=False, **views),
    )
    optimizer = sk.optimizers.create_optimizer(optimizer, _schedule(peak))
    model.compile(optimizer, sk.NTXent(temperature), **(compiled or {}))
    return model


def classifier(**compiled):
    """A compiled `Classifier` of 16 x 16 pixels."""
    keras.utils.set_random_seed(1)
    model = sk.Classifier(
        sk.TinyResNet(channels=(4,)), 3, views=sk.View(16), image_size=16
    )
    model.compile(
        keras.optimizers.SGD(_schedule(), momentum=0.9, nesterov=True),
        "sparse_categorical_crossentropy",
        metrics=[keras.metrics.SparseCategoricalAccuracy(name="accuracy")],
        **compiled,
    )
    return model


@pytest.fixture(scope="session")
def make_simclr():
    """`simclr`, for tests that need another one."""
    return simclr


@pytest.fixture(scope="session")
def pretraining():
    """`Training` of a `SimCLR`."""
    return Training(simclr(), labelled=False)


@pytest.fixture(scope="session")
def classification():
    """`Training` of a `Classifier`."""
    return Training(classifier(), labelled=True)


@pytest.fixture(scope="session")
def make_pretraining():
    """Function of the arguments of `simclr` that makes a `Training` of it."""
    return lambda **arguments: Training(simclr(**arguments), labelled=False)


@pytest.fixture(
    params=[
        "pretraining",
        pytest.param("classification", marks=pytest.mark.long),
    ]
)
def make_training(request):
    """Function that makes a `Training` of each of the two models in turn.

    Its arguments are further ones of `compile`.
    """

    def make(**compiled):
        if request.param == "pretraining":
            return Training(simclr(compiled=compiled), labelled=False)
        return Training(classifier(**compiled), labelled=True)

    return make


@pytest.fixture(params=["pretraining", "classification"])
def training(request):
    """Each of the two in turn."""
    return request.getfixturevalue(request.param)
