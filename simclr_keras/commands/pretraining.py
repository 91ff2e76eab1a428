"""The stages of `simclr-pretrain`, from data to results."""

import tensorflow as tf

from simclr_keras import compat
from simclr_keras import contrastive
from simclr_keras import data
from simclr_keras import disk
from simclr_keras import evaluation
from simclr_keras import models
from simclr_keras import networks
from simclr_keras import old_runs
from simclr_keras import views
from simclr_keras.commands import build
from simclr_keras.commands import hardware
from simclr_keras.commands import input_data
from simclr_keras.commands import overlap
from simclr_keras.commands import runs
from simclr_keras.commands import timing
from simclr_keras.models import fitting
from simclr_keras.models import micro_batches
from simclr_keras.training import pictures

# Flags that say which images there are and how they are read.
_OF_THE_IMAGES = (
    "data_dir",
    "folder_layout",
    "split_order",
    "pixel_range",
    "max_pixels",
    "skip_corrupt",
)


@runs.releasing
def run(settings):
    """Pretrains; returns the dict written to `results.json`."""
    _check_batch(settings)
    place = hardware.set_up(settings)
    source = input_data.open_source(settings, settings.train_split)
    probe = _probe_source(settings, source)
    held_out = _evaluation_source(settings)
    overlap.say(source, held_out)
    size = input_data.image_size(settings, source)
    if settings.preview_views:
        settings.train_batch_size = min(32, source.num_examples)
    else:
        place.check_batch(settings.train_batch_size)
        micro_batches.check_size(
            settings.train_batch_size,
            settings.micro_batch_size or None,
            place.devices.replicas,
            "--micro_batch_size",
        )
        build.check_steps(settings, source.num_examples)
    dataset = _training_data(settings, place, source, probe, size)
    two_views = _two_views(settings, size)
    run_directory, finished = runs.run_directory(settings, place)
    if finished is not None and not settings.preview_views:
        return finished
    total = build.total_steps(settings, source.num_examples)
    if not settings.preview_views:
        given = source, probe
        source, probe, held_out = _cached(settings, source, probe, held_out)
        if (source, probe) != given:
            dataset = _training_data(settings, place, source, probe, size)
        dataset, epochs, passes = build.in_epochs(dataset, total)
    # As `fit` would: so the picture and the training share one pipeline.
    dataset = data.with_crops(dataset, fitting.stated_crops(two_views))
    picture = run_directory.path / "views.png"
    if place.devices.chief:
        _write_preview(run_directory, picture, two_views, dataset)
    if settings.preview_views:
        runs.announce(place, f"View pairs: {picture}")
        return {"views": str(picture)}

    with place.scope():
        model = _model(settings, source, probe, size, two_views, total)
    print(runs.start_line(settings, place, source, total))
    timer = timing.Timing(settings)
    callbacks, validation = [], {}
    if held_out is not None:
        callbacks, validation = _evaluations(
            settings, place, source, probe, held_out, size, passes
        )
    callbacks += runs.run_callbacks(settings, run_directory, passes)
    model.fit(
        dataset,
        epochs=epochs,
        verbose=settings.verbose if place.devices.chief else 0,
        callbacks=[timing.StopAtStep(total, dataset.steps), timer, *callbacks],
        **validation,
    )
    figures = timer.figures()
    results = _results(settings, source, held_out, size, model, callbacks)
    results = runs.finish(place, run_directory, results, figures)
    runs.announce(place, _next(settings, run_directory, results))
    return results


def _check_batch(settings):
    """Refuses a batch in which an image has no negatives."""
    if settings.train_batch_size < 2 and not settings.preview_views:
        raise ValueError(
            "--train_batch_size must be at least 2: one image alone has nothing"
            " to be told from, its loss is 0. Received: --train_batch_size="
            f"{settings.train_batch_size}"
        )


def _evaluation_source(settings):
    if settings.eval_split is not None:
        split = settings.eval_split
        return input_data.open_source(settings, split) if split else None
    try:
        return input_data.open_source(settings, "test")
    except ValueError as error:
        print(f"No evaluation, --eval_split is not given: {error}")
        return None


def _probe_source(settings, source):
    """Where the online probe's labels come from; None for no probe."""
    if not settings.lineareval_while_pretraining:
        return None
    if settings.probe_dataset is not None:
        source = input_data.open_source(
            settings, "train", settings.probe_dataset
        )
        data.require_labels(source)
    return source if source.has_labels else None


def _cached(settings, source, probe, held_out):
    """The sources that are read more than once, decoded where they fit."""
    passes = build.passes(settings, source.num_examples)
    made = input_data.cached(settings, source, passes)
    if probe is source:
        probe = made
    elif probe is not None:
        probe = input_data.cached(settings, probe, passes)
    if held_out is not None and settings.eval_every_epochs:
        times = passes / settings.eval_every_epochs
        held_out = input_data.cached(settings, held_out, times)
    return made, probe, held_out


def _training_data(settings, place, source, probe, size):
    """Shuffled batches of images, with labels where a probe learns from them.

    Raises ValueError where the batch does not fit the data set.
    """
    dataset = data.make_dataset(
        source,
        batch_size=settings.train_batch_size,
        image_size=size,
        training=True,
        labelled=probe is source,
        views=2,
        seed=settings.seed,
    )
    if probe is None or probe is source:
        return dataset
    return data.with_probe(
        dataset,
        data.make_dataset(
            probe,
            batch_size=_part_of_batch(
                settings, place, probe, "the batch of --probe_dataset"
            ),
            image_size=size,
            training=True,
            labelled=True,
            views=1,
            seed=settings.seed + 1,
        ),
    )


def _part_of_batch(settings, place, source, name):
    """The largest divisor of the batch for which there are images.

    Of the batch, so that it does not depend on the number of replicas.
    """
    batch = settings.train_batch_size
    size = next(
        size
        for size in range(min(batch, source.num_examples), 0, -1)
        if batch % size == 0
    )
    fitting.check_replicas(size, place.devices.replicas, name)
    return size


def _two_views(settings, size):
    arguments = build.view_arguments(settings, size)
    return views.TwoViews(seed=settings.seed, **arguments)


def _write_preview(run_directory, path, two_views, dataset):
    """Writes a picture of the view pairs of one batch, to TensorBoard too."""
    grid = pictures.view_pairs(two_views, next(iter(dataset)))
    dataset.seek(0)
    pictures.write_png(path, grid)
    with disk.naming(run_directory.tensorboard):
        writer = tf.summary.create_file_writer(str(run_directory.tensorboard))
        with writer.as_default(step=0):
            tf.summary.image("views", grid[None])
        writer.close()


def _model(settings, source, probe, size, two_views, total_steps):
    optimizer, l2, l2_scope = build.optimizer(
        settings, source.num_examples, total_steps
    )
    model = models.SimCLR(
        build.encoder(settings, size),
        networks.ProjectionHead(
            settings.proj_head_mode,
            num_layers=settings.num_proj_layers,
            out_dim=settings.proj_out_dim,
            width=settings.proj_hidden_dim or None,
            global_bn=settings.global_bn,
        ),
        two_views,
        num_classes=None if probe is None else probe.num_classes,
        l2=l2,
        l2_scope=l2_scope,
        micro_batch_size=settings.micro_batch_size or None,
    )
    loss = contrastive.make_loss(
        settings.loss,
        temperature=settings.temperature,
        normalize=settings.hidden_norm,
        margin=settings.margin,
        semi_hard=settings.semi_hard,
    )
    model.compile(optimizer, loss, **hardware.compile_arguments(settings))
    return model


def _evaluations(settings, place, source, probe, held_out, size, passes):
    """kNN callback and validation arguments of `fit`, where asked for."""
    every = settings.eval_every_epochs
    if not every:
        return [], {}
    every = build.every(every, passes)
    labelled = _both_labelled(source, held_out)
    if probe is not None and not (probe is source and labelled):
        # Its step wants labels that these images do not have.
        return _knn(settings, source, held_out, size, every), {}
    validation = input_data.evaluation_data(
        held_out,
        size,
        _part_of_batch(settings, place, held_out, "the validation batch"),
        labelled=probe is not None,
        drop_remainder=True,
    )
    arguments = {"validation_data": validation, "validation_freq": every}
    return _knn(settings, source, held_out, size, every), arguments


def _both_labelled(source, held_out):
    return held_out is not None and source.has_labels and held_out.has_labels


def _knn(settings, source, held_out, size, every):
    """List of the kNN callback, empty where labels are missing."""
    if not _both_labelled(source, held_out):
        return []
    bank, k = _neighbours(settings, source)
    knn = evaluation.KNNCallback(
        input_data.evaluation_data(bank, size, settings.eval_batch_size),
        input_data.evaluation_data(held_out, size, settings.eval_batch_size),
        every=every,
        k=k,
    )
    return [knn]


def _neighbours(settings, source):
    """Training images that vote, and how many of them at a time."""
    number = min(settings.knn_images, source.num_examples)
    bank = data.keep_some(source, number, seed=settings.seed)
    return bank, min(settings.knn_k, number)


def _results(settings, source, held_out, size, model, callbacks):
    results = {
        "dataset": source.name,
        "train_images": source.num_examples,
        "image_size": size,
        "steps": int(compat.as_numpy(model.optimizer.iterations)),
        "parameters": int(model.encoder.count_params()),
    }
    if not _both_labelled(source, held_out):
        return results
    measured = [getattr(each, "measured", None) for each in callbacks]
    known = dict(filter(None, measured)).get(results["steps"])
    if known is None:
        known = _knn_accuracy(settings, source, held_out, size, model)
    return {**results, "knn_accuracy": round(float(known), 6)}


def _knn_accuracy(settings, source, held_out, size, model):
    bank, k = _neighbours(settings, source)
    batch = settings.eval_batch_size
    train_h, train_y = evaluation.extract(
        model.encoder, input_data.evaluation_data(bank, size, batch)
    )
    test_h, test_y = evaluation.extract(
        model.encoder, input_data.evaluation_data(held_out, size, batch)
    )
    return evaluation.knn_accuracy(train_h, train_y, test_h, test_y, k)


def _next(settings, run_directory, results):
    """What to look at, and which command comes next."""
    path = run_directory.path
    labelled = "knn_accuracy" in results
    given = old_runs.parse_flags(settings.flags_text)
    where = "".join(
        f" --{name}={given[name]}"
        for name in _OF_THE_IMAGES
        if given[name] != settings.flag_defaults[name]
    )
    return (
        f"\nRun directory: {path} (views.png, metrics.csv, results.json)\n"
        f"Curves:  tensorboard --logdir {path}\n"
        f"Next:    simclr-{'linear-eval' if labelled else 'embed'}"
        f" --checkpoint={path} --dataset={settings.dataset}"
        f"{where} --model_dir={path}_{'linear' if labelled else 'embeddings'}"
    )
