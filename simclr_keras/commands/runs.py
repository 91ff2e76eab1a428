"""The run directory of a command: taken, written to, ended."""

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
        f"Training on {place.devices} | {source.name} {source.split}:"
        f" {source.num_examples} images{_range(source)} | global batch"
        f" {batch}, per device {batch // replicas} | {total_steps} steps"
        f" | {place.precision}"
        f" | TensorFlow {tf.__version__}, Keras {keras.__version__}"
    )


def _range(source):
    if source.pixel_range is None:
        return ""
    return " | pixels from {:g} (black) to {:g} (white)".format(
        *source.pixel_range
    )


def run_directory(settings, place):
    """The run directory of `--model_dir`, taken for these settings.

    Returns:
        The directory, and the results of the run where it has ended, else
        None. Of several processes the chief alone looks at it.
    """
    run = training.RunDirectory(settings.model_dir)
    answer = {}
    if place.devices.chief:
        try:
            change = getattr(settings, "change_learning_rate", False)
            run.claim(settings.flags_text, _RATE if change else ())
            answer["results"] = run.finished()
        except ValueError as error:
            answer["error"] = str(error)
    answer = hardware.agreed(place, answer)
    if "error" in answer:
        raise ValueError(answer["error"])
    if answer["results"] is not None:
        print(f"Finished already: {run.results}")
    return run, answer["results"]


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
