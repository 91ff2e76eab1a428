"""A run by micro-batches goes on within an epoch, and only as it was."""

import keras
import numpy as np
import pytest

import simclr_keras as sk
from simclr_keras import compat


class _Lost(Exception):
    """What ends a run at once."""


class _LostAt(keras.callbacks.Callback):
    def __init__(self, step):
        super().__init__()
        self._left = step

    def on_train_batch_end(self, batch, logs=None):
        self._left -= 1
        if not self._left:
            raise _Lost


def _model(micro):
    keras.utils.set_random_seed(1)
    model = sk.SimCLR(
        sk.TinyResNet(channels=(4,)),
        sk.ProjectionHead(num_layers=1, out_dim=8),
        sk.TwoViews(16, jit=False, blur=False, color_strength=0.0),
        micro_batch_size=micro,
    )
    model.compile(sk.LARS(0.05), sk.NTXent(0.5))
    return model


def _fit(directory, model, lost_at=0):
    images = np.random.default_rng(0).integers(0, 256, (32, 16, 16, 3))
    data = sk.data.load(
        images.astype(np.uint8), image_size=16, batch_size=8, seed=3
    )
    callbacks = sk.training.callbacks(directory, checkpoint_steps=2)
    if lost_at:
        callbacks.append(_LostAt(lost_at))
    model.fit(data, epochs=2, callbacks=callbacks, verbose=0)
    return [compat.as_numpy(w) for w in compat.weights_of(model)]


def test_resumed_within_an_epoch_it_ends_with_the_same_bits(tmp_path):
    """Lost at step 7 of 8, it goes on after step 6, the second of an epoch."""
    whole = _fit(tmp_path / "whole", _model(4))
    with pytest.raises(_Lost):
        _fit(tmp_path / "parts", _model(4), lost_at=7)
    with pytest.raises(ValueError, match="model.micro_batch_size: 4 there"):
        _fit(tmp_path / "parts", _model(2))
    with pytest.raises(ValueError, match="micro_batch_size: 4 there, None now"):
        _fit(tmp_path / "parts", _model(8))  # the plain step
    resumed = _model(4)
    for a, b in zip(whole, _fit(tmp_path / "parts", resumed)):
        np.testing.assert_array_equal(a, b)
    assert int(compat.as_numpy(resumed.optimizer.iterations)) == 8
