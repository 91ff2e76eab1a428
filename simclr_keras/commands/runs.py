"""The run directory of a command: taken, written to, ended."""

import contextlib
import errno
import functools

import keras
import tensorflow as tf

from simclr_keras import evaluation
from simclr_keras import training
from simclr_keras.commands import build
from simclr_keras.commands import hardware

# Flags that --change_learning_rate lets differ.
_RATE = ("learning_rate", "learning_rate_scaling", "warmup_epochs")


def start_line(settings, place, source, total_steps):
    """One line that says on what, how much and how is trained."""
    batch, replicas = settings.train_batch_size, place.devices.replicas
    return (
        f"Training on {place.devices} | {source.summary()}{_range(source)}"
        f" | global batch {batch}, per device {batch // replicas}"
        f" | {total_steps} steps | {place.precision}"
        f" | TensorFlow {tf.__version__}, Keras {keras.__version__}"
    )


def _range(source):
    if source.pixel_range is None:
        return ""
    return " | pixels from {:g} (black) to {:g} (white)".format(
        *source.pixel_range
    )


def releasing(stages):
    """Decorates the stages of a command: lets its run directory go at the end.

    Args:
        stages: function of the settings that calls `run_directory`.
    """

    @functools.wraps(stages)
    def run(settings, *arguments, **named):
        with contextlib.ExitStack() as settings.held:
            return stages(settings, *arguments, **named)

    return run


def run_directory(settings, place):
    """The run directory of `--model_dir`, taken for these settings.

    No other process can use it until the stages end, see `releasing`.

    Returns:
        The directory, and the results of the run where it has ended, else
        None. Of several processes the chief alone looks at it.

    Raises:
        ValueError: it is in use by another process, or holds another run.
    """
    run = training.RunDirectory(settings.model_dir)
    answer = {}
    if place.devices.chief:
        try:
            run.refuse_foreign_files()
            _hold(settings, run)
            change = getattr(settings, "change_learning_rate", False)
            run.claim(
                settings.flags_text,
                settings.flag_defaults,
                _RATE if change else (),
            )
            answer["results"] = run.finished()
        except (ValueError, OSError) as error:
            # On every process, or the others would wait for the chief.
            answer["error"] = str(error)
    answer = hardware.agreed(place, answer)
    if "error" in answer:
        raise ValueError(answer["error"])
    if answer["results"] is not None:
        announce(place, f"Finished already: {run.results}")
    return run, answer["results"]


def announce(place, text):
    """Prints where the run lies, in the process that writes it."""
    if not place.devices.chief:
        text = "The first worker writes the run directory; this one does not."
    print(text)


def _hold(settings, run):
    try:
        settings.held.enter_context(run.lock.held())
    except OSError as error:
        # Of a run that has ended, on a disk that is read only, there are the
        # results still; nobody can write there.
        read_only = error.errno in (errno.EROFS, errno.EACCES, errno.EPERM)
        if not (read_only and run.results.exists()):
            raise


def finish(place, run, results, timing):
    """Writes the results and prints them; all processes end together."""
    results = hardware.agreed(place, results)
    if place.devices.chief:
        run.write_results(results, timing)
    rows = [(name, str(v)) for name, v in {**results, **timing}.items()]
    print("\n" + evaluation.markdown_table(rows, ["result", "value"]))
    return results


def run_callbacks(settings, run, passes):
    """The callbacks that keep a run directory."""
    epochs = settings.checkpoint_epochs
    return training.callbacks(
        run.path,
        checkpoint_epochs=build.every(epochs, passes) if epochs else 0,
        checkpoint_steps=settings.checkpoint_steps,
        checkpoint_minutes=settings.checkpoint_minutes,
        keep=settings.keep_checkpoint_max,
        log_every=settings.log_every,
        profile_steps=settings.profile_steps,
        change_learning_rate=settings.change_learning_rate,
    )
