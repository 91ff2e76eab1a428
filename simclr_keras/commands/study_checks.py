"""Checks every run of a study before the first of them begins."""

from absl import flags

import simclr_keras as sk
from simclr_keras import old_runs
from simclr_keras.commands import build
from simclr_keras.commands import command_line
from simclr_keras.commands import finetune
from simclr_keras.commands import input_data
from simclr_keras.commands import linear_eval
from simclr_keras.commands import pretrain

COMMANDS = {
    "pretrain": pretrain,
    "linear_eval": linear_eval,
    "finetune": finetune,
}


def check(cells, failures):
    """Refuses a study of which a run cannot be what it is to be.

    Args:
        cells: list of `Cell`.
        failures: `Failures` of the study.

    Returns:
        The cells, with what their images say, and a dict of name of a cell ->
        images that its pre-training sees.
    """
    import tensorflow as tf

    # The GPUs are for the runs.
    tf.config.set_visible_devices([], "GPU")
    labelled = any(
        run.measure is not None and "predict" not in run.flags
        for cell in cells
        for run in cell.runs
    )
    opened, work, checked = {}, {}, []

    def look_at(cell, each):
        define = COMMANDS[each.command].define_flags
        try:
            parsed = command_line.parse(define, each.arguments)
        except flags.Error as error:
            raise ValueError(f"{cell.name}: {error}") from error
        if failures.settled(cell, each):
            _check_settled(each, parsed)
        splits = parsed.dataset, parsed.train_split, parsed.eval_split
        key = (each.measure is None, parsed.image_size, *splits)
        if key not in opened:
            opened[key] = _open(parsed, each, labelled)
        return parsed, opened[key]

    for cell in cells:
        parsed, images = look_at(cell, cell.runs[0])
        steps = _check_pretraining(cell, parsed, images)
        work[cell.name] = steps * parsed.train_batch_size
        cell = _with_its_blur(cell, parsed, images)
        for each in cell.runs[1:]:
            look_at(cell, each)
        checked.append(cell)
    return checked, work


def _with_its_blur(cell, parsed, images):
    """The cell, its networks blurring where the pre-training does unasked.

    Args:
        cell: a `Cell`.
        parsed: settings of its pre-training.
        images: `PretrainingImages`.
    """
    from simclr_keras.studies import cells
    from simclr_keras.views import blur

    shared = any("use_blur" in run.same for run in cell.runs)
    if not shared or parsed.use_blur is not None:
        return cell
    size = images.size
    if parsed.checkpoint and not parsed.image_size:
        model = build.pretrained(parsed, images.trained)
        trained = build.trained_size(model)
        size = input_data.image_size(parsed, images.trained, trained)
    blurred = blur.check_probability(None, (size, size))
    return cells.with_blur(cell) if blurred else cell


def _check_settled(run, parsed):
    """Refuses a run that was made with other flags than it has now."""
    from simclr_keras.training import run_settings
    from simclr_keras.training.text_files import read_text

    directory = sk.training.RunDirectory(run.directory)
    if not directory.flags.exists():
        return
    ignored = [*parsed.may_change]
    if run.measure is not None:
        # The pre-training of the same cell, however its path is spelt.
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
    """Opens what a run reads, with labels where the study needs them."""
    if run.measure is not None:
        for split in (parsed.train_split, parsed.eval_split):
            source = input_data.open_source(parsed, split)
            if labelled:
                sk.data.require_labels(source)
        return None
    images = input_data.open_for_pretraining(parsed)
    if labelled and not images.labelled:
        raise ValueError(
            "--dataset must have labels to train and to evaluate on, by which"
            f" the features are measured. Received: {images.trained.summary()}"
            f" and --eval_split={parsed.eval_split}"
        )
    return images


def _check_pretraining(cell, parsed, images):
    """Steps of a pre-training that suits its images."""
    number = images.trained.num_examples
    if parsed.train_batch_size > number:
        raise ValueError(
            f"{cell.name}: --train_batch_size must be at most the {number}"
            " images. Received: --train_batch_size="
            f"{parsed.train_batch_size}"
        )
    pretrain.check_whole_images(parsed, images)
    return build.total_steps(parsed, number)
