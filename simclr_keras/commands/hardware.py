"""On what a command computes: devices, precision, how a step is run."""

import dataclasses
import json
import pathlib
import time

import keras
import tensorflow as tf

from simclr_keras.distribute import strategy
from simclr_keras.distribute import workers
from simclr_keras.models import fitting


@dataclasses.dataclass(frozen=True)
class Place:
    """On what a command computes.

    Attributes:
        devices: `distribute.strategy.Choice`.
        precision: `"float32"`, `"bfloat16"` or `"float16"`.
    """

    devices: strategy.Choice
    precision: str

    def scope(self):
        """Where models are made and compiled."""
        return self.devices.strategy.scope()

    def check_batch(self, batch):
        """Refuses a global batch that the replicas cannot share evenly."""
        fitting.check_replicas(
            batch, self.devices.replicas, "--train_batch_size"
        )


def set_up(settings):
    """Chooses devices and precision, seeds Keras.

    Returns:
        `Place`.
    """
    if not hasattr(settings, "started"):  # not by a command line
        settings.started = time.monotonic()
    # First of all: TensorFlow's devices are fixed when it is first used.
    devices = strategy.choose(
        getattr(settings, "strategy", "single"),
        tpu_name=getattr(settings, "tpu_name", None),
        tpu_zone=getattr(settings, "tpu_zone", None),
        gcp_project=getattr(settings, "gcp_project", None),
        logical_cpus=getattr(settings, "logical_cpus", 0),
    )
    keras.utils.set_random_seed(settings.seed)
    precision = settings.precision
    if precision == "auto":
        precision = "bfloat16" if multiplies_bfloat16() else "float32"
    _check_step(settings, devices)
    policy = precision if precision == "float32" else f"mixed_{precision}"
    keras.mixed_precision.set_global_policy(policy)
    return Place(devices, precision)


def _check_step(settings, devices):
    """Refuses what cannot work before anything is read."""
    arguments = {"--jit": getattr(settings, "jit", "auto") == "on"}
    if hasattr(settings, "steps_per_execution"):
        arguments["--steps_per_execution"] = settings.steps_per_execution
    fitting.check_step(devices.replicas, **arguments)


def compile_arguments(settings):
    """Arguments of `compile` that say how a step is run."""
    jit = settings.jit == "on"
    if settings.jit == "auto":
        # Under several replicas XLA cannot compile the step, and a TPU's
        # strategy compiles it by itself; on CPUs XLA slows convolutions.
        strategy = tf.distribute.get_strategy()
        one = strategy.num_replicas_in_sync == 1
        jit = one and bool(tf.config.list_logical_devices("GPU"))
    return {
        "jit_compile": jit,
        "steps_per_execution": settings.steps_per_execution,
    }


def multiplies_bfloat16():
    """Whether this machine has bfloat16 matrix instructions."""
    gpus = tf.config.list_physical_devices("GPU")
    if gpus:
        details = tf.config.experimental.get_device_details(gpus[0])
        return details.get("compute_capability", (0, 0)) >= (8, 0)
    if tf.config.list_physical_devices("TPU"):
        return True
    try:
        features = pathlib.Path("/proc/cpuinfo").read_text().split()
    except OSError:
        return False
    return "avx512_bf16" in features or "amx_bf16" in features


def agreed(place, value):
    """The chief's value of what JSON can hold, on every process."""
    data = json.dumps(value).encode()
    return json.loads(workers.broadcast(place.devices.strategy, data))
