"""In a worker: the real training step, timed."""

import time

import numpy as np
import tensorflow as tf

import simclr_keras as sk
from benchmarks.scaling import networks

_WARM_UP = 2  # steps: the first one traces


class _Observed(sk.SimCLR):
    """Keeps the graph into which its training step was traced."""

    step_graph = None

    def train_step(self, data):
        """The training step as it is."""
        self.step_graph = tf.compat.v1.get_default_graph()
        return super().train_step(data)


class Training:
    """A model, one batch in memory, and its compiled training step."""

    def __init__(self, strategy, network, batch, global_bn=True):
        self.batch = batch
        with strategy.scope():
            self.model = networks.make_model(network, global_bn, _Observed)
        self.model.build_state()
        size = networks.IMAGE_SIZE
        images = np.random.default_rng(0).integers(
            0, 256, (batch, size, size, 3), np.uint8
        )
        self._batches = iter(
            strategy.distribute_datasets_from_function(
                lambda _: tf.data.Dataset.from_tensors(images).repeat()
            )
        )
        self.model.make_train_function()
        self.run(_WARM_UP)

    def run(self, steps):
        """Trains; returns seconds per step, by the clock and on the core."""
        clock, core = time.perf_counter(), time.process_time()
        for _ in range(steps):
            logs = self.model.train_function(self._batches)
        loss = float(np.ravel(logs["loss"])[0])
        clock = time.perf_counter() - clock
        core = time.process_time() - core
        if not np.isfinite(loss):
            raise RuntimeError(f"the loss is no number after {steps} steps")
        return {"clock": clock / steps, "core": core / steps}

    @property
    def step_graph(self):
        """The graph of the step, of one replica and what all do together."""
        return self.model.step_graph

    @property
    def parameters(self):
        """Number of trainable parameters."""
        variables = self.model.trainable_variables
        return sum(int(np.prod(v.shape)) for v in variables)
