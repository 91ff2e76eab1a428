"""Settings of a command -> data, networks, optimizers, start line."""

import dataclasses
import json
import math
import pathlib
import time

import keras
import tensorflow as tf

from simclr_keras import data
from simclr_keras import evaluation
from simclr_keras import networks
from simclr_keras import optimizers
from simclr_keras import training
from simclr_keras import views
from simclr_keras import workers
from simclr_keras.models import fitting
from simclr_keras.training import strategy

# Images of at most this size in pixels are not cropped in evaluation.
_SMALL = 32
# Starting an epoch of `fit` costs as much as some steps.
_LEAST_STEPS = 25


@dataclasses.dataclass(frozen=True)
class Place:
    """On what a command computes.

    Attributes:
        devices: `training.strategy.Choice`.
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
    """Checks `--model_dir`, chooses devices and precision, seeds Keras.

    Returns:
        `Place`.
    """
    if not settings.model_dir:
        raise ValueError(
            "--model_dir must name the run directory, such as"
            " --model_dir=runs/first. Received: nothing"
        )
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


def open_source(settings, split, dataset=None):
    """The images of a split, as `--dataset` and its like say."""
    return data.open_source(
        dataset or settings.dataset,
        split,
        data_dir=settings.data_dir,
        download=settings.download,
        skip_corrupt=settings.skip_corrupt,
    )


def cached(settings, source, passes):
    """The source decoded once, as `--cache` says, where that saves time.

    Args:
        settings: the command's.
        source: images that are read `passes` times.
        passes: number, perhaps a fraction.
    """
    if passes <= 1 and settings.cache == "auto":
        return source
    limit = int(settings.cache_gib * 2**30) or None
    if limit is None and settings.cache != "disk":
        # Each worker keeps its own, at the same time.
        limit = data.free_memory() // 2 // strategy.workers_here()
    return data.cached(
        source, settings.cache, directory=settings.cache_dir, limit=limit
    )


def image_size(settings, source=None, checkpoint_size=None):
    """Side of the network's input in pixels."""
    if settings.image_size:
        return settings.image_size
    if checkpoint_size:
        return checkpoint_size
    if source is None:
        raise ValueError(
            "--image_size must be given: the model does not say on which size"
            " it was trained. Received: --image_size=0"
        )
    shape = source.image_shape
    if shape is not None and shape[0] == shape[1] <= 64:
        return shape[0]
    return 224


def cropped_on_host(source):
    """Whether crops are made on the host: photographs of mixed sizes."""
    return source.image_shape is None


def evaluation_data(
    source, size, batch_size, *, labelled=True, drop_remainder=False
):
    """Images in source order, centre-cropped but for small ones that fit."""
    # On the host as in `CenterCrop`: small images are not cropped, resized.
    dataset = data.make_dataset(
        source,
        batch_size=batch_size,
        image_size=size,
        training=False,
        labelled=labelled,
        crop_proportion=0.875 if size > _SMALL else 1.0,
        drop_remainder=drop_remainder,
    )
    fits = source.image_shape == (size, size, 3) and size <= _SMALL
    if cropped_on_host(source) or fits:
        return dataset
    crop = views.CenterCrop(size)
    if labelled:
        return dataset.map(lambda images, labels: (crop(images), labels))
    return dataset.map(crop)


def encoder(settings, size):
    """The network of `--encoder` and its like."""
    if settings.encoder == "tiny":
        width = settings.width_multiplier
        return networks.TinyResNet(
            [round(c * width) for c in (32, 64, 128)],
            global_bn=settings.global_bn,
        )
    small = size <= _SMALL
    if settings.stem != "auto":
        small = settings.stem == "small"
    return networks.ResNet(
        int(settings.resnet_depth),
        width=settings.width_multiplier,
        sk_ratio=settings.sk_ratio,
        se_ratio=settings.se_ratio,
        small_images=small,
        global_bn=settings.global_bn,
    )


def view_arguments(settings, size):
    """Arguments of a `View` as the settings say."""
    strength = settings.color_jitter_strength
    blur = {None: None, True: 0.5, False: 0.0}[settings.use_blur]
    return {
        "image_size": size,
        "crop_area": (settings.crop_area_min, 1.0),
        "crop_sampler": settings.crop_sampler,
        "antialias": settings.antialias,
        "color_strength": strength,
        "jitter_probability": 0.8 if strength else 0.0,
        "grayscale_probability": 0.2 if strength else 0.0,
        "blur_probability": blur,
        "append": tuple(settings.append_views),
    }


def host_crop_arguments(settings):
    """Arguments of `data.make_dataset` for crops made on the host."""
    return {
        "crop_area": (settings.crop_area_min, 1.0),
        "crop_sampler": settings.crop_sampler,
    }


def total_steps(settings, num_examples):
    """Training steps of `--train_steps` or else `--train_epochs`."""
    per_epoch = num_examples // settings.train_batch_size
    return settings.train_steps or per_epoch * settings.train_epochs


def passes(settings, num_examples):
    """How often a training goes over its images, perhaps a fraction."""
    steps = total_steps(settings, num_examples)
    return steps * settings.train_batch_size / num_examples


def _passes(total, steps):
    """Epochs of the data that are one of `fit`."""
    return -(-min(_LEAST_STEPS, total) // steps)


def in_epochs(dataset, total):
    """(dataset, epochs, passes) for a `fit` of a number of steps.

    With few images an epoch of `fit` is several passes over them.
    """
    passes = _passes(total, dataset.steps)
    if passes > 1:
        dataset = data.grouped(dataset, passes)
        print(f"An epoch of the progress bar is {passes} epochs of the data.")
    return dataset, math.ceil(total / dataset.steps), passes


def check_steps(settings, num_examples):
    """Refuses flags that do not suit the steps of the run.

    Args:
        settings: the command's.
        num_examples: images that are trained on.
    """
    total = total_steps(settings, num_examples)
    steps = num_examples // settings.train_batch_size
    if not steps:
        return  # the batch is too large, which is said where it is made
    last = total % (steps * _passes(total, steps))
    several = settings.steps_per_execution
    if last % several:
        raise ValueError(
            f"--steps_per_execution must divide the {last} steps of the last"
            f" epoch, where --train_steps={total} ends the run. Received:"
            f" --steps_per_execution={several}"
        )
    profiled = settings.profile_steps
    if profiled is not None and profiled[1] > total:
        raise ValueError(
            f"--profile_steps must lie within the run's {total} steps."
            f" Received: --profile_steps={profiled[0]},{profiled[1]}"
        )


def every(epochs, passes):
    """A period in epochs of the data, in epochs of `fit`."""
    return max(1, round(epochs / passes))


def optimizer(settings, num_examples, total_steps):
    """The optimizer with its schedule, and (l2, l2_scope) for the model.

    As in the official code: LARS decays by itself and the supervised head is
    penalised in the loss; momentum and adam have the penalty in the loss.
    """
    peak = optimizers.scale_learning_rate(
        settings.learning_rate,
        settings.train_batch_size,
        settings.learning_rate_scaling,
    )
    schedule = optimizers.WarmupCosine(
        peak,
        warmup_steps=optimizers.warmup_steps(
            settings.warmup_epochs, num_examples, settings.train_batch_size
        ),
        total_steps=total_steps,
    )
    scope = optimizers.decay_in_loss(settings.optimizer)
    decay = settings.weight_decay
    made = optimizers.create_optimizer(
        settings.optimizer,
        schedule,
        weight_decay=0.0 if scope == "all" else decay,
        momentum=settings.momentum,
        nesterov=settings.nesterov,
        beta_1=settings.beta_1,
        beta_2=settings.beta_2,
    )
    return made, 0.0 if scope == "none" else decay, scope


def class_view(settings, size, source):
    """Augmentation of a classifier's training: crops, flips, colour if asked.

    Photographs are cropped on the host; the device only flips them then.
    """
    arguments = view_arguments(settings, size)
    if settings.use_blur is None:
        arguments["blur_probability"] = 0.0
    return views.View(crop=not cropped_on_host(source), **arguments)


def start_line(settings, place, source, total_steps):
    """One line that says on what, how much and how is trained."""
    batch, replicas = settings.train_batch_size, place.devices.replicas
    return (
        f"Training on {place.devices} | {source.name} {source.split}:"
        f" {source.num_examples} images | global batch {batch}, per device"
        f" {batch // replicas} | {total_steps} steps | {place.precision}"
        f" | TensorFlow {tf.__version__}, Keras {keras.__version__}"
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
            run.claim(settings.flags_text)
            answer["results"] = run.finished()
        except ValueError as error:
            answer["error"] = str(error)
    answer = agreed(place, answer)
    if "error" in answer:
        raise ValueError(answer["error"])
    if answer["results"] is not None:
        print(f"Finished already: {run.results}")
    return run, answer["results"]


def agreed(place, value):
    """The chief's value of what JSON can hold, on every process."""
    data = json.dumps(value).encode()
    return json.loads(workers.broadcast(place.devices.strategy, data))


def finish(place, run, results, timing):
    """Writes the results and prints them; all processes end together."""
    results = agreed(place, results)
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
        checkpoint_epochs=every(epochs, passes) if epochs else 0,
        checkpoint_steps=settings.checkpoint_steps,
        checkpoint_minutes=settings.checkpoint_minutes,
        keep=settings.keep_checkpoint_max,
        log_every=settings.log_every,
        profile_steps=settings.profile_steps,
    )
