"""Defines and runs what `simclr-linear-eval` and `simclr-finetune` share."""

import time

import simclr_keras as sk
from simclr_keras import choices
from simclr_keras.commands.common import checkpoint
from simclr_keras.commands.common import classifier_training
from simclr_keras.commands.common import cli
from simclr_keras.commands.common import flag_kinds
from simclr_keras.commands.common import image_flags
from simclr_keras.commands.common import input_data
from simclr_keras.commands.common import label_flags
from simclr_keras.commands.common import shared_flags
from simclr_keras.commands.common import stages
from simclr_keras.commands.common import tasks
from simclr_keras.commands.common import training_checks
from simclr_keras.commands.common.flag_kinds import Group

FIRST = (
    "checkpoint",
    "dataset",
    "model_dir",
    "train_split",
    "eval_split",
    "label_fraction",
    "train_batch_size",
    "train_epochs",
    "learning_rate",
)


def define_flags(values, *, epochs, rate, baseline):
    """Defines the flags that both commands that train a classifier have.

    Args:
        values: `FlagValues`.
        epochs: default of `--train_epochs`.
        rate: default of `--learning_rate`.
        baseline: name of the baseline that `--from_scratch` gives.
    """
    image_flags.define_data(values)
    image_flags.define_splits(values)
    image_flags.define_decoding(values)
    Group(values, "data").float(
        "label_fraction",
        1.0,
        "Share of the training images whose labels are used, chosen by --seed,"
        " class-balanced for --task=classification: 0.01 is 1 %.",
        least=0.0,
        most=1.0,
    )
    Group(values, "training").choice(
        "class_weight",
        "none",
        choices.CLASS_WEIGHTS,
        "Weights of the classes in the loss. balanced: in inverse proportion to"
        " their images, so that every class counts as much; for"
        " --task=classification.",
    )
    image_flags.define_views(values, color_strength=0.0)
    shared_flags.define_trained_model(values)
    network = Group(values, "network")
    network.boolean(
        "from_scratch",
        False,
        "Forget the checkpoint's weights and keep its architecture: the"
        f" {baseline} baseline.",
    )
    network.integer(
        "ft_proj_selector",
        0,
        "Output of the projection head that is classified: 0 is h, 1 its first"
        " layer's (SimCLRv2), -1 is z.",
    )
    shared_flags.define_training(
        values,
        batch=256,
        epochs=epochs,
        rate=rate,
        optimizer="momentum",
        decay=0.0,
        warmup=0.0,
    )
    values.set_default("nesterov", True)
    # Squared errors have no bounded gradient: momentum at the rates above
    # diverges on features of hundreds of units.
    flag_kinds.default_if(
        values,
        "task",
        "regression",
        {
            "optimizer": "adam",
            "learning_rate": 0.001,
            "learning_rate_scaling": "none",
        },
    )
    shared_flags.define_run(values)
    shared_flags.define_replicas(values)
    shared_flags.define_saving(values)


def run(flags, freeze, measure_features=None, predict=None):
    """Trains a classifier, or measures the features of a frozen encoder.

    Args:
        flags: the command's.
        freeze: see `Classifier`.
        measure_features: called instead of training; function of the flags
            and of features and labels, `(train_h, train_y, test_h, test_y)`,
            that returns a dict of results and what was predicted, as
            `Task.measure` takes it. Defaults to None.
        predict: a key of `choices.TRANSFORMATIONS`, with `measure_features`
            only: the transformation of an image is its label. Defaults to None:
            the labels of the data set.

    Returns:
        The dict written to `results.json`.
    """
    cli.require(flags, "model_dir", "eval_split", "checkpoint")
    from simclr_keras.distribute import workers

    task = tasks.of(flags)
    if flags.class_weight != "none":
        what = f"--class_weight={flags.class_weight}"
        label_flags.require_classes(flags, what)
    training_checks.check_service(flags, trains=measure_features is None)
    table = label_flags.table(flags)
    devices = stages.set_up(flags)
    pretrained = checkpoint.load_and_set_channels(flags)
    source, held_out = _open(flags, table, not predict)
    if measure_features is None:
        training_checks.check(flags, devices, source.num_examples)
    pretrained = checkpoint.pretrained(flags, source, pretrained)
    trained_size = checkpoint.trained_size(pretrained)
    size = input_data.image_size(flags, source, trained_size)
    # A measurement of features has no checkpoint to resume from.
    number = source.num_examples if measure_features is None else None
    images = {"training images": source, "evaluation images": held_out}
    with stages.run_directory(flags, devices, images, number) as taken:
        directory, finished = taken
        if finished is not None:
            return finished
        names = choices.TRANSFORMATIONS.get(predict, source.class_names)
        workers.from_chief(
            devices.strategy, lambda: directory.write_class_names(names)
        )
        started = time.perf_counter()
        if measure_features is not None:
            if devices.chief:
                directory.record_start()  # in a training, `fit` does
            figures = {}
            features = _features(
                flags, devices, pretrained, source, held_out, size, predict
            )
            measured, outputs = measure_features(flags, *features)
            labels = features[-1]
        else:
            with devices.strategy.scope():
                model = classifier_training.make_model(
                    flags, pretrained, source, size, freeze
                )
            figures = classifier_training.train(
                flags, devices, directory, model, source
            )
            measured = {"steps": stages.steps_done(model)}
            outputs, labels = classifier_training.outputs_of(
                flags, devices, model, held_out
            )
        results = {
            "dataset": source.name,
            "labelled_images": source.num_examples,
            "test_images": held_out.num_examples,
            "image_size": size,
            **({"predicted": predict} if predict else {}),
            **tasks.described(flags),
            **measured,
            **task.measure(names, labels, outputs),
        }
        if devices.chief:
            task.write(directory, names, labels, outputs)
        figures["seconds"] = round(time.perf_counter() - started, 1)
        results = stages.finish(devices, directory, results, figures)
        stages.announce(devices, f"\nRun directory: {directory.path}")
        return results


def _open(flags, table, labelled):
    """Opens the training and evaluation images, with labels if needed."""
    source = input_data.open_source(flags, flags.train_split, table)
    held_out = input_data.open_source(flags, flags.eval_split, table)
    if labelled:
        input_data.check_classes(source, held_out)
    sk.data.warn_of_overlap(source, held_out)
    if flags.label_fraction != 1:
        source = sk.data.label_subset(
            source, flags.label_fraction, seed=flags.seed
        )
    if labelled:
        tasks.check_targets(source, held_out)
    if flags.train_batch_size > source.num_examples:
        print(
            f"A batch is all {source.num_examples} labelled images, fewer than"
            f" --train_batch_size={flags.train_batch_size}."
        )
        flags.train_batch_size = source.num_examples
    return source, held_out


def _features(flags, devices, pretrained, source, held_out, size, predict):
    """Features that `--ft_proj_selector` names, and labels, of both sources."""
    print(f"Evaluating features of {source.summary()}")
    if predict:
        classes = ", ".join(choices.TRANSFORMATIONS[predict])
        print(f"Labels are what was done to an image: {classes}")
    encoder = sk.evaluation.projection_features(
        pretrained, flags.ft_proj_selector, "--ft_proj_selector"
    )
    train, test = (
        sk.evaluation.transformed_images(
            each,
            predict,
            size,
            flags.eval_batch_size,
            seed=flags.seed,
            held_out=each is held_out,
        )
        if predict
        else sk.data.evaluation_images(each, size, flags.eval_batch_size)
        for each in (source, held_out)
    )
    return sk.evaluation.extract_both(
        encoder,
        train,
        test,
        channels=source.num_channels,
        strategy=devices.strategy,
    )
