"""Plans the runs of a study, and checks all of them before the first one."""

import pathlib
from typing import NamedTuple

from absl import flags as absl_flags

import simclr_keras as sk
from simclr_keras import old_runs
from simclr_keras.commands import finetune
from simclr_keras.commands import linear_eval
from simclr_keras.commands import pretrain
from simclr_keras.commands.common import build
from simclr_keras.commands.common import checkpoint
from simclr_keras.commands.common import command_line
from simclr_keras.commands.common import image_flags
from simclr_keras.commands.common import input_data
from simclr_keras.commands.common import label_flags
from simclr_keras.commands.common import pretraining_data
from simclr_keras.commands.common import training_checks
from simclr_keras.commands.common import user_callbacks
from simclr_keras.studies import catalog

# Flags that decide which images a run opens, and how it reads them.
_READING = (
    *image_flags.IMAGE_FLAGS,
    *("dataset", "train_split", "eval_split", "image_size"),
    *("loss", "probe_dataset"),
)
# Flags of `simclr-study` that are no flags of `simclr-pretrain`.
_OWN = (
    "study",
    "grid",
    "seeds",
    "jobs",
    "dry_run",
    "label_fractions",
    "transfer_datasets",
)
# Flags that a cell does not take from the study: it sets them, or needs none.
_OF_CELLS = (*_OWN, "model_dir", "seed", "preview_views")
# Groups of flags whose values evaluations take from the pre-training.
_SHARED_GROUPS = ("data", "devices")
COMMANDS = {
    "pretrain": pretrain,
    "linear_eval": linear_eval,
    "finetune": finetune,
}


class Work(NamedTuple):
    """The amount of work of a pre-training.

    Attributes:
        steps: training steps.
        images: images that it processes, counted anew in every epoch.
    """

    steps: int
    images: int


def make_plan(flags):
    """The `Study`, its evaluations and its cells.

    Raises:
        ValueError: a flag is not allowed in a study, or flags contradict each
            other.
    """
    from simclr_keras.studies import cells
    from simclr_keras.studies import options

    if "://" in flags.model_dir:
        raise ValueError(
            "--model_dir must be a local directory, as the logs of the runs are"
            f" written to it. Received: --model_dir={flags.model_dir}"
        )
    if flags.study is None:
        raise ValueError(
            f"--study must be one of {', '.join(catalog.STUDIES)}. Received:"
            " nothing"
        )
    for name in ("preview_views", "checkpoint"):
        if getattr(flags, name) and (
            name == "preview_views" or flags.study == "width_and_depth"
        ):
            raise ValueError(
                f"--{name} must be left out of --study={flags.study}."
                f" Received: --{name}={getattr(flags, name)}"
            )
    label_flags.require_classes(flags, "a study, which compares accuracies")
    study = catalog.STUDIES[flags.study]
    asked = options.parse(
        flags.study,
        flags.grid,
        flags.label_fractions,
        flags.transfer_datasets,
        [n for n in flags.flag_defaults if n not in _OF_CELLS],
    )
    own = old_runs.parse_flags(flags.flags_text)
    base = {
        name: text
        for name, text in own.items()
        if name not in _OF_CELLS
        and text is not None
        and text != flags.flag_defaults[name]
    }
    evaluations = study.evaluations(flags, asked)
    known = {name: _flags_of(name) for name in ("linear_eval", "finetune")}
    planned = cells.make_cells(
        pathlib.Path(flags.model_dir),
        study.points(flags, asked),
        evaluations,
        range(flags.seed, flags.seed + flags.seeds),
        base,
        {name: _shared(values) for name, values in known.items()},
        flags.flag_defaults,
        {n: values["learning_rate"].default for n, values in known.items()},
    )
    return study, evaluations, planned


def _flags_of(command):
    """The `FlagValues` of a command, with their defaults."""
    values = absl_flags.FlagValues()
    COMMANDS[command].define_flags(values)
    return values


def _shared(values):
    """Names of flags whose values an evaluation takes from the pre-training."""
    groups = values.flags_by_module_dict()
    return {flag.name for group in _SHARED_GROUPS for flag in groups[group]}


def check(cells, failures):
    """Checks the flags and images of every run before the first one starts.

    Args:
        cells: list of `Cell`.
        failures: `Failures` of the study.

    Returns:
        The cells, with `use_blur` set as the size of their images implies, and
        a dict of name of a cell -> `Work` of its pre-training.

    Raises:
        ValueError: a run cannot be made as planned.
    """
    import tensorflow as tf

    # Leaves the GPUs to the processes of the runs.
    tf.config.set_visible_devices([], "GPU")
    labelled = any(
        run.measure is not None and "predict" not in run.flags
        for cell in cells
        for run in cell.runs
    )
    from simclr_keras.views import transformed

    opened, work, checked = {}, {}, []

    def look_at(cell, each):
        define = COMMANDS[each.command].define_flags
        try:
            parsed = command_line.parse(define, each.arguments)
        except absl_flags.Error as error:
            raise ValueError(f"{cell.name}: {error}") from error
        if failures.settled(cell, each):
            _check_settled(each, parsed)
        key = (
            each.measure is None,
            *(str(getattr(parsed, name, None)) for name in _READING),
        )
        if getattr(parsed, "predict", None) == "gray":
            transformed.check_gray(parsed.channels or 3)
        if key not in opened:
            opened[key] = _open(parsed, each, labelled)
        return parsed, opened[key]

    for cell in cells:
        parsed, images = look_at(cell, cell.runs[0])
        steps = _check_pretraining(cell, parsed, images)
        work[cell.name] = Work(steps, steps * parsed.train_batch_size)
        cell = _with_its_blur(cell, parsed, images)
        for each in cell.runs[1:]:
            look_at(cell, each)
        checked.append(cell)
    return checked, work


def _with_its_blur(cell, parsed, images):
    """The cell, with `use_blur` in evaluations if its pre-training blurs.

    Without `--use_blur`, a pre-training blurs images above 32 pixels, and an
    evaluation does not.

    Args:
        cell: a `Cell`.
        parsed: flags of its pre-training.
        images: `PretrainingImages`.
    """
    from simclr_keras.studies import cells
    from simclr_keras.views import blur

    shared = any("use_blur" in run.same for run in cell.runs)
    if not shared or parsed.use_blur is not None:
        return cell
    size = images.size
    if parsed.checkpoint and not parsed.image_size:
        model = checkpoint.pretrained(parsed, images.trained)
        trained = checkpoint.trained_size(model)
        size = input_data.image_size(parsed, images.trained, trained)
    blurred = blur.check_probability(None, (size, size))
    return cells.with_blur(cell) if blurred else cell


def _check_settled(run, parsed):
    """Refuses a settled run whose flags differ from the planned ones."""
    from simclr_keras.training import run_settings
    from simclr_keras.training.text_files import read_text

    directory = sk.training.RunDirectory(run.directory)
    if not directory.flags.exists():
        return
    ignored = [*parsed.may_change]
    if run.measure is not None:
        # It is the pre-training of the cell; its path may be spelt differently.
        ignored.append("checkpoint")
    run_settings.refuse_other(
        directory.path,
        old_runs.flag_differences(
            read_text(directory.flags),
            parsed.flags_text,
            parsed.flag_defaults,
            ignored,
        ),
    )


def _open(parsed, run, labelled):
    """Opens the images of a run; raises if needed labels are missing."""
    if run.measure is not None:
        table = label_flags.table(parsed)
        for split in (parsed.train_split, parsed.eval_split):
            source = input_data.open_source(parsed, split, table)
            if labelled:
                sk.data.require_labels(source)
        return None
    images = pretraining_data.open_for_pretraining(parsed)
    if labelled and not images.classified:
        raise ValueError(
            "--dataset must have labels to train and to evaluate on, by which"
            f" the features are measured. Received: {images.trained.summary()}"
            f" and --eval_split={parsed.eval_split}"
        )
    return images


def _check_pretraining(cell, parsed, images):
    """Refuses flags that do not suit the images; returns the training steps."""
    number = images.trained.num_examples
    try:
        training_checks.check_enough_images(parsed, number)
    except ValueError as error:
        raise ValueError(f"{cell.name}: {error}") from error
    pretraining_data.check_whole_images(parsed, images)
    user_callbacks.check(parsed.callbacks)
    return build.total_steps(parsed, number)
