"""Runs the stages that commands share: devices, run directory, training."""

import contextlib
import math
import time

import simclr_keras as sk
from simclr_keras.commands.common import build
from simclr_keras.commands.common import progress_output
from simclr_keras.commands.common import tensorflow_log
from simclr_keras.commands.common import user_callbacks

# Flags that may change with --change_learning_rate.
_RATE = ("learning_rate", "learning_rate_scaling", "warmup_epochs")


def set_up(flags):
    """Chooses devices and precision, and seeds Keras.

    Args:
        flags: the command's; `started` is added if it is missing.

    Returns:
        `distribute.strategy.Devices`.

    Raises:
        ValueError: the devices do not exist, or cannot run such steps.
    """
    import keras

    from simclr_keras.distribute import strategy
    from simclr_keras.models import precision

    if not hasattr(flags, "started"):  # `run` was not called by `cli.start`
        flags.started = time.monotonic()
    # This comes first: TensorFlow fixes its devices when it is first used.
    devices = strategy.choose(
        getattr(flags, "strategy", "single"),
        tpu_name=getattr(flags, "tpu_name", None),
        tpu_zone=getattr(flags, "tpu_zone", None),
        gcp_project=getattr(flags, "gcp_project", None),
        logical_cpus=getattr(flags, "logical_cpus", 0),
    )
    tensorflow_log.log_first_compilation()
    keras.utils.set_random_seed(flags.seed)
    name = flags.precision
    if name == "auto":
        name = "bfloat16" if precision.multiplies_bfloat16() else "float32"
    _check_step(flags, devices)
    policy = name if name == "float32" else f"mixed_{name}"
    keras.mixed_precision.set_global_policy(policy)
    return devices


def _check_step(flags, devices):
    """Refuses steps that the devices cannot run."""
    from simclr_keras.distribute import limits

    arguments = {"--jit": getattr(flags, "jit", "auto") == "on"}
    if hasattr(flags, "steps_per_execution"):
        arguments["--steps_per_execution"] = flags.steps_per_execution
    limits.check_step(devices.replicas, **arguments)


@contextlib.contextmanager
def run_directory(flags, devices, images, num_examples=None):
    """Claims the run directory of `--model_dir` for these flags and images.

    Args:
        flags: the command's.
        devices: `distribute.strategy.Devices`.
        images: dict of what images are used for, such as "training images", to
            their `data.Source`, or None.
        num_examples: number of training images, to count the steps if a run
            is extended. Defaults to None: it must not be extended.

    Yields:
        See `training.claimed_run`.
    """
    change = getattr(flags, "change_learning_rate", False)

    def steps(values):
        return sk.optimizers.total_steps(
            int(values["train_epochs"]),
            num_examples,
            flags.train_batch_size,
            int(values["train_steps"]),
        )

    with sk.training.claimed_run(
        flags.model_dir,
        devices.strategy,
        flags.flags_text,
        flags.flag_defaults,
        ignored=flags.may_change,
        change=_RATE if change else (),
        steps=None if num_examples is None else steps,
        # The chief alone compares them.
        data={
            use: sk.data.fingerprint(source)
            for use, source in images.items()
            if source is not None and devices.chief
        },
    ) as (run, results):
        if results is not None:
            announce(devices, f"Finished already: {run.results}")
        yield run, results


def group_short_epochs(flags, source, dataset):
    """Groups epochs of a small data set into longer epochs of `fit`."""
    total = build.total_steps(flags, source.num_examples)
    dataset = sk.data.group_short_epochs(dataset, total)
    several = dataset.epochs_per_fit_epoch
    if several > 1:
        print(
            "A fit epoch (what Keras and its progress bar count) is"
            f" {several} epochs of the data."
        )
    return dataset


def fit(
    flags,
    devices,
    run,
    model,
    source,
    dataset,
    callbacks=(),
    validation=None,
    begins_with=None,
):
    """Trains a model for the remaining steps of the run.

    Args:
        flags: the command's.
        devices: `distribute.strategy.Devices`.
        run: `RunDirectory` that the training resumes from and writes to.
        model: compiled `keras.Model`.
        source: training images.
        dataset: their batches, from `group_short_epochs`.
        callbacks: further callbacks, called before those of `--callbacks` and
            that of the run directory.
        validation: further arguments of `model.fit`. Defaults to None.
        begins_with: text on the source of the initial weights, to print.
            Defaults to None: they are new, or their source is not known here.

    Returns:
        Dict for `timing.json`.
    """
    from simclr_keras import console
    from simclr_keras.training import timing

    total = build.total_steps(flags, source.num_examples)
    parts = [start_line(flags, devices, source, total)]
    size = getattr(model.views, "size", None)
    if size is not None:
        parts.append("views of {} x {} pixels".format(*size))
    parts += _channel_texts(source, model.views)
    if begins_with:
        parts.append(f"begins with {begins_with}")
    print(" | ".join(parts))
    timer = timing.Timing(flags.started, flags.train_batch_size)
    epochs = flags.checkpoint_epochs
    if epochs:
        epochs = sk.data.epochs_to_fit_epochs(
            epochs, dataset.epochs_per_fit_epoch
        )
    (run_callback,) = sk.training.callbacks(
        run,
        checkpoint_epochs=epochs,
        checkpoint_steps=flags.checkpoint_steps,
        checkpoint_minutes=flags.checkpoint_minutes,
        keep=flags.keep_checkpoint_max,
        log_every=flags.log_every,
        profile_steps=flags.profile_steps,
        change_learning_rate=flags.change_learning_rate,
    )
    run_callback.last_step = total
    own = user_callbacks.make(flags)
    verbose, lines = 0, []
    if devices.chief:
        verbose, lines = progress_output.for_fit(flags, run_callback, total)
    with console.without_color():
        model.fit(
            dataset,
            epochs=math.ceil(total / dataset.steps),
            verbose=verbose,
            # The timer comes first, as time in other callbacks is training
            # time too; those that measure precede the run's, which logs them.
            callbacks=[timer, *callbacks, *own, run_callback, *lines],
            **(validation or {}),
        )
    return timer.figures()


def start_line(flags, devices, source, total_steps):
    """One line on the devices, images, batch, steps and versions in use."""
    import keras
    import tensorflow as tf

    batch, count = flags.train_batch_size, devices.replicas
    pixels = ""
    if source.pixel_range is not None:
        pixels = " | pixels from {:g} (black) to {:g} (white)".format(
            *source.pixel_range
        )
    policy = keras.mixed_precision.global_policy()
    return (
        f"Training on {devices} | {source.summary()}{pixels}"
        f" | global batch {batch}, per device {batch // count}"
        f" | {total_steps} steps | {policy.compute_dtype}"
        f" | TensorFlow {tf.__version__}, Keras {keras.__version__}"
    )


def steps_done(model):
    """Number of training steps of a model."""
    from simclr_keras import compat

    return int(compat.as_numpy(model.optimizer.iterations))


def announce(devices, text):
    """Prints a text in the chief; other workers say that it writes the run."""
    if not devices.chief:
        text = "The first worker writes the run directory; this one does not."
    print(text)


def finish(devices, run, results, timing):
    """Writes and prints the chief's results; all processes wait for them.

    Args:
        devices: `distribute.strategy.Devices`.
        run: `RunDirectory`.
        results: dict for `results.json`.
        timing: dict for `timing.json`.

    Returns:
        The chief's results.
    """
    from simclr_keras.distribute import workers

    results = workers.value_of_chief(devices.strategy, results)
    if devices.chief:
        run.write_results(results, timing)
    rows = [(name, str(v)) for name, v in {**results, **timing}.items()]
    table = sk.evaluation.markdown_table(rows, ["result", "value"])
    print(f"\n{table}")
    return results


def _channel_texts(source, views):
    """Texts for the start line: channels, and what views leave out for them.

    Args:
        source: training images.
        views: `TwoViews` or `View` of the model, or None.
    """
    from simclr_keras.images import channels

    texts = []
    if source.channels is not None:
        texts.append(f"images of {channels.counted(source.channels)}")
    left_out = getattr(views, "left_out", ())
    if left_out:
        *others, last = left_out
        names = f"{', '.join(others)} and {last}" if others else last
        texts.append(f"views without {names}, which need 3 channels")
    return texts
