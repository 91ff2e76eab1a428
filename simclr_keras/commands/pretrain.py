"""Pretrains an encoder on unlabelled images by contrasting two views."""

import simclr_keras as sk
from simclr_keras import choices
from simclr_keras.commands.common import build
from simclr_keras.commands.common import cli
from simclr_keras.commands.common import image_flags
from simclr_keras.commands.common import input_data
from simclr_keras.commands.common import next_command
from simclr_keras.commands.common import pretraining_data
from simclr_keras.commands.common import shared_flags
from simclr_keras.commands.common import stages
from simclr_keras.commands.common import training_checks
from simclr_keras.commands.common import warm_start
from simclr_keras.commands.common.flag_kinds import Group

FIRST = (
    "dataset",
    "model_dir",
    "image_size",
    "resnet_depth",
    "train_batch_size",
    "train_epochs",
    "learning_rate",
    "temperature",
    "color_jitter_strength",
    "micro_batch_size",
)
EXAMPLE = (
    "simclr-pretrain --dataset=folder:/photos --train_batch_size=256"
    " --model_dir=runs/photos"
)


def define_flags(values):
    """Defines the flags of `simclr-pretrain`."""
    image_flags.define_data(values)
    image_flags.define_splits(values, eval_split=None)
    image_flags.define_decoding(values)
    image_flags.define_views(values, color_strength=1.0)
    warm_start.define_flags(values)
    shared_flags.define_training(
        values,
        batch=512,
        epochs=100,
        rate=0.3,
        optimizer="lars",
        decay=1e-6,
        warmup=10.0,
    )
    _define_contrast(values)
    _define_evaluation(values)
    shared_flags.define_run(values)
    shared_flags.define_replicas(values)
    shared_flags.define_saving(values)
    image_flags.define_ablations(values)
    image_flags.define_pictures(values)
    Group(values, "views").boolean(
        "preview_views",
        False,
        "Write a picture of the views of one batch to --model_dir and stop.",
        may_change=True,
    )


def _define_contrast(values):
    training = Group(values, "training")
    training.integer(
        "micro_batch_size",
        None,
        "Images of the global batch that go through the networks at a time, by"
        " gradient caching: it needs the memory of that many images and one"
        " more forward pass, and computes the loss of the whole batch; batch"
        " norm is over that many. None or 0: all of them.",
        least=0,
    )
    training.choice("loss", "nt_xent", choices.LOSSES, "Contrastive loss.")
    training.float(
        "temperature",
        0.1,
        "Temperature of the loss; margin_triplet has none.",
        least=1e-4,
    )
    training.float("margin", 0.8, "Margin of margin_triplet.", least=0.0)
    training.boolean(
        "semi_hard",
        True,
        "Semi-hard negatives for nt_logistic and margin_triplet.",
    )
    training.boolean("hidden_norm", True, "Normalise z in the loss.")


def _define_evaluation(values):
    training = Group(values, "training")
    training.boolean(
        "lineareval_while_pretraining",
        True,
        "Train an online linear probe behind a stop-gradient where the data"
        " has labels.",
    )
    Group(values, "data").path(
        "probe_dataset",
        None,
        "Labelled data set of the online probe, if not the training images.",
    )
    training.integer(
        "eval_every_epochs",
        0,
        "Epochs between validation and kNN evaluation; 0: no validation, and"
        " kNN at the end only.",
        least=0,
    )
    training.integer("knn_k", 200, "Neighbours that vote.", least=1)
    training.integer(
        "knn_images",
        50_000,
        "Training images kept as neighbours, at most.",
        least=1,
    )


def run(flags):
    """Pretrains as the flags say; returns the results that it wrote."""
    cli.require(flags, "model_dir")
    _check_negatives(flags)
    training_checks.check_service(flags)
    devices = stages.set_up(flags)
    images = pretraining_data.open_for_pretraining(flags)
    if flags.preview_views:
        flags.train_batch_size = min(32, images.trained.num_examples)
    else:
        training_checks.check(flags, devices, images.trained.num_examples)
    start = warm_start.load_start(flags, devices, images.trained)
    images = warm_start.with_image_size(flags, images, start)
    dataset = pretraining_data.pretraining_batches(flags, devices, images)
    pretraining_data.check_whole_images(flags, images)
    input_data.check_shown(flags, images.trained)
    views = build.two_views(flags, images.size, images.channels)
    # A preview of the views never extends a finished run.
    number = None if flags.preview_views else images.trained.num_examples
    with stages.run_directory(flags, devices, images.by_use(), number) as taken:
        directory, finished = taken
        if flags.preview_views:
            picture = _write_views(flags, devices, directory, views, dataset)
            stages.announce(devices, f"View pairs: {picture}")
            return {"views": str(picture)}
        if finished is not None:
            return finished
        epochs = build.num_epochs(flags, images.trained.num_examples)
        images, dataset = pretraining_data.cached_batches(
            flags, devices, images, dataset, epochs
        )
        dataset = stages.group_short_epochs(flags, images.trained, dataset)
        _write_views(flags, devices, directory, views, dataset)
        with devices.strategy.scope():
            model = _model(flags, images, views, start)
        begins_with = start and start.describe(model.projection_head)
        start = None  # frees its weights, which `model` has copied
        knn, validation = _measures(flags, devices, images, dataset)
        figures = stages.fit(
            flags,
            devices,
            directory,
            model,
            images.trained,
            dataset,
            callbacks=[knn] if knn else [],
            validation=validation,
            begins_with=begins_with,
        )
        results = _results(flags, images, model, knn)
        results = stages.finish(devices, directory, results, figures)
        text = next_command.after_pretraining(flags, directory, images.labelled)
        stages.announce(devices, text)
        return results


def _check_negatives(flags):
    """Refuses a batch in which an image has no negatives."""
    if flags.train_batch_size < 2 and not flags.preview_views:
        raise ValueError(
            "--train_batch_size must be at least 2: a single image has no"
            " negatives, its loss is 0. Received: --train_batch_size="
            f"{flags.train_batch_size}"
        )


def _write_views(flags, devices, directory, views, dataset):
    """Writes the picture of one batch's views; returns its path."""
    from simclr_keras.report import grids

    picture = directory.path / "views.png"
    if devices.chief:
        grids.write_view_pairs(
            picture,
            views,
            dataset,
            directory.tensorboard,
            flags.show_channels,
        )
    return picture


def _model(flags, images, views, start):
    """The compiled `SimCLR`, with the networks of `start` if it is not None."""
    optimizer, decay_in_loss = build.optimizer(
        flags, images.trained.num_examples
    )
    encoder, head = warm_start.make_networks(
        flags, images.size, start, images.channels
    )
    model = sk.SimCLR(
        encoder,
        head,
        views,
        num_classes=images.probe and images.probe.num_classes,
        micro_batch_size=flags.micro_batch_size or None,
        **decay_in_loss,
    )
    if start is not None:
        start.copy_head_weights(model.projection_head)
    loss = build.contrastive_loss(flags)
    model.compile(optimizer, loss, **build.compile_arguments(flags))
    return model


def _measures(flags, devices, images, dataset):
    """The kNN callback or None, and the validation arguments of `fit`."""
    every = flags.eval_every_epochs
    if not every or images.held_out is None:
        return None, {}
    every = sk.data.epochs_to_fit_epochs(every, dataset.epochs_per_fit_epoch)
    knn = _knn(flags, images, every) if images.classified else None
    return knn, pretraining_data.validation(flags, devices, images, every)


def _knn(flags, images, every=1):
    """Callback that classifies held-out images by kNN in training images."""
    number = min(flags.knn_images, images.trained.num_examples)
    bank = sk.data.keep_some(images.trained, number, seed=flags.seed)
    batches = (
        sk.data.evaluation_images(each, images.size, flags.eval_batch_size)
        for each in (bank, images.held_out)
    )
    k = min(flags.knn_k, number)
    return sk.evaluation.KNNCallback(*batches, every=every, k=k)


def _results(flags, images, model, knn=None):
    """The dict for `results.json`; `knn` is the callback from `_measures`."""
    results = {
        "dataset": images.trained.name,
        "train_images": images.trained.num_examples,
        "image_size": images.size,
        "steps": stages.steps_done(model),
        "parameters": int(model.encoder.count_params()),
    }
    if images.classified:
        knn = knn or _knn(flags, images)
        results["knn_accuracy"] = round(float(knn.accuracy_of(model)), 6)
    return results


main = cli.training_command(define_flags, run, __doc__, FIRST, EXAMPLE)


if __name__ == "__main__":
    main()
