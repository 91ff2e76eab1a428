"""Runs the stages that commands share: devices, run directory, results."""

import contextlib
import dataclasses
import errno
import json
import pathlib
import time

import keras
import tensorflow as tf

from simclr_keras import evaluation
from simclr_keras import training
from simclr_keras.distribute import limits
from simclr_keras.distribute import strategy
from simclr_keras.distribute import workers

# Flags that --change_learning_rate lets differ.
_RATE = ("learning_rate", "learning_rate_scaling", "warmup_epochs")


@dataclasses.dataclass(frozen=True)
class Runtime:
    """The devices and the precision that a command computes on and in.

    Attributes:
        devices: `distribute.strategy.Choice`.
        precision: `"float32"`, `"bfloat16"` or `"float16"`.
    """

    devices: strategy.Choice
    precision: str

    def scope(self):
        """Context in which models are made and compiled."""
        return self.devices.strategy.scope()

    def check_batch(self, batch):
        """Refuses a global batch that the replicas cannot share evenly."""
        limits.check_batch(batch, self.devices.replicas, "--train_batch_size")


def set_up(settings):
    """Chooses devices and precision, and seeds Keras.

    Args:
        settings: the command's; `started` is added where it is missing.

    Returns:
        `Runtime`.

    Raises:
        ValueError: there are no such devices, or they cannot run such steps.
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
    return Runtime(devices, precision)


def _check_step(settings, devices):
    """Refuses steps that the devices cannot run."""
    arguments = {"--jit": getattr(settings, "jit", "auto") == "on"}
    if hasattr(settings, "steps_per_execution"):
        arguments["--steps_per_execution"] = settings.steps_per_execution
    limits.check_step(devices.replicas, **arguments)


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


def start_line(settings, runtime, source, total_steps):
    """One line that says on what, how much and how is trained."""
    batch, count = settings.train_batch_size, runtime.devices.replicas
    return (
        f"Training on {runtime.devices} | {source.summary()}{_range(source)}"
        f" | global batch {batch}, per device {batch // count}"
        f" | {total_steps} steps | {runtime.precision}"
        f" | TensorFlow {tf.__version__}, Keras {keras.__version__}"
    )


def _range(source):
    if source.pixel_range is None:
        return ""
    return " | pixels from {:g} (black) to {:g} (white)".format(
        *source.pixel_range
    )


@contextlib.contextmanager
def run_directory(settings, runtime):
    """Takes the run directory of `--model_dir` for these settings.

    No other process can use it until the context ends. Of several processes
    the chief alone looks at it.

    Yields:
        `RunDirectory`, and the results of the run where it has ended, else
        None.

    Raises:
        ValueError: it is in use by another process, or holds another run.
    """
    run = training.RunDirectory(settings.model_dir)
    with contextlib.ExitStack() as held:
        answer = {}
        if runtime.devices.chief:
            try:
                answer["results"] = _claim(settings, run, held)
            except (ValueError, OSError) as error:
                # Raised by every process, or the others would wait for the
                # chief.
                answer["error"] = str(error)
        answer = _from_chief(runtime, answer)
        if "error" in answer:
            raise ValueError(answer["error"])
        if answer["results"] is not None:
            announce(runtime, f"Finished already: {run.results}")
        yield run, answer["results"]


def _claim(settings, run, held):
    """Locks and claims a run directory; returns the results that it has."""
    run.refuse_foreign_files()
    _hold(run, held)
    change = getattr(settings, "change_learning_rate", False)
    run.claim(
        settings.flags_text,
        settings.flag_defaults,
        ignored=settings.may_change,
        change=_RATE if change else (),
    )
    return run.finished()


def _hold(run, held):
    try:
        held.enter_context(run.lock.held())
    except OSError as error:
        # The results of a finished run can be read from a read-only disk, on
        # which no other process can write either.
        read_only = error.errno in (errno.EROFS, errno.EACCES, errno.EPERM)
        if not (read_only and run.results.exists()):
            raise


def announce(runtime, text):
    """Prints a text in the chief, and in other workers who writes the run."""
    if not runtime.devices.chief:
        text = "The first worker writes the run directory; this one does not."
    print(text)


def finish(runtime, run, results, timing):
    """Writes and prints the results; every process waits for the chief.

    Args:
        runtime: `Runtime`.
        run: `RunDirectory`.
        results: dict for `results.json`.
        timing: dict for `timing.json`.

    Returns:
        The chief's results.
    """
    results = _from_chief(runtime, results)
    if runtime.devices.chief:
        run.write_results(results, timing)
    rows = [(name, str(v)) for name, v in {**results, **timing}.items()]
    print("\n" + evaluation.markdown_table(rows, ["result", "value"]))
    return results


def _from_chief(runtime, value):
    """Broadcasts a value that JSON can hold from the chief to all processes."""
    data = json.dumps(value).encode()
    return json.loads(workers.broadcast(runtime.devices.strategy, data))
