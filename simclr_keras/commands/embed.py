"""Writes the embeddings of images, with an index of their ids and labels."""

import csv
import time

import simclr_keras as sk
from simclr_keras.commands.common import build
from simclr_keras.commands.common import channel_settings
from simclr_keras.commands.common import cli
from simclr_keras.commands.common import embedding_pictures
from simclr_keras.commands.common import flag_kinds
from simclr_keras.commands.common import image_flags
from simclr_keras.commands.common import input_data
from simclr_keras.commands.common import progress_output
from simclr_keras.commands.common import shared_flags
from simclr_keras.commands.common import stages
from simclr_keras.commands.common.embedding_pictures import RANDOM
from simclr_keras.commands.common.flag_kinds import Group

FIRST = (
    "checkpoint",
    "dataset",
    "split",
    "model_dir",
    "layer",
    "neighbors",
    "map",
    "projector",
)
EXAMPLE = (
    "simclr-embed --checkpoint=runs/photos --dataset=folder:/photos"
    " --model_dir=runs/photos_embeddings --neighbors=random:8 --map"
)


def define_flags(values):
    """Defines the flags of `simclr-embed`."""
    image_flags.define_data(values)
    image_flags.define_pictures(values)
    Group(values, "data").string("split", "train", "Split that is embedded.")
    shared_flags.define_checkpoint(values)
    Group(values, "network").string(
        "layer",
        "h",
        "What is written: h, z of a pre-training, or the output of a layer of"
        " the encoder, such as block_group3, averaged over space.",
    )
    shared_flags.define_run(values)
    run = Group(values, "run")
    run.path(
        "neighbors",
        None,
        "Draws the images most similar to those of random:N embedded ones, or"
        " to an image file: neighbors.png, .svg and .pdf.",
        may_change=True,
    )
    run.integer(
        "neighbors_k",
        8,
        "Neighbours of each query of --neighbors.",
        least=1,
        may_change=True,
    )
    run.boolean(
        "map",
        False,
        "Draws up to 5,000 images in a plane by UMAP where it is installed,"
        " else t-SNE, coloured by label: map.png, .svg and .pdf.",
        may_change=True,
    )
    run.boolean(
        "projector",
        False,
        "Writes up to 10,000 images for TensorBoard's embedding projector.",
        may_change=True,
    )


def run(settings):
    """Embeds as the settings say; returns the run directory's path."""
    cli.require(settings, "model_dir", "checkpoint")
    _check_neighbors(settings)
    devices = stages.set_up(settings)
    model = channel_settings.load_checkpoint(settings)
    source = input_data.open_source(settings, settings.split)
    input_data.check_shown(settings, source)
    query = _query(settings, source.num_examples)
    print(f"Embedding {source.summary()}")
    model = build.pretrained(settings, source, model)
    size = input_data.image_size(settings, source, build.trained_size(model))
    features = sk.evaluation.layer_features(model, settings.layer)
    with stages.run_directory(settings, devices) as (run, results):
        if results is None:
            if devices.chief:
                run.record_start()
            results, timing = _embed(settings, run, source, features, size)
            stages.finish(devices, run, results, timing)
        if settings.neighbors or settings.map or settings.projector:
            embedding_pictures.draw(
                settings, run, source, query, features, size
            )
    return run.path


def _check_neighbors(settings):
    """Raises a ValueError unless `--neighbors` is random:N or a file."""
    value = settings.neighbors
    if not value:
        return
    if value.startswith(RANDOM):
        number = value[len(RANDOM) :]
        if not number.isdecimal() or not int(number):
            raise ValueError(
                "--neighbors=random:N needs a number of at least 1. Received:"
                f" --neighbors={value}"
            )
    elif not flag_kinds.as_path(value, "--neighbors").is_file():
        raise ValueError(
            "--neighbors must be an image file, or random:N. Received:"
            f" --neighbors={value}, which is no file"
        )


def _query(settings, count):
    """The decoded image file of `--neighbors`; None if it names no file.

    Raises:
        ValueError: it cannot be decoded, or has no neighbours among `count`
            images.
    """
    value = settings.neighbors
    if not value:
        return None
    if count < 2:
        raise ValueError(
            f"--neighbors needs at least two embedded images. Received: {count}"
        )
    if value.startswith(RANDOM):
        return None
    from simclr_keras.report import neighbor_grid

    return neighbor_grid.query_image(
        value,
        settings.max_pixels,
        settings.pixel_range,
        "--neighbors",
        settings.channels,
    )


def _embed(settings, run, source, features, size):
    """Writes the index and the embeddings that are missing.

    Returns:
        Pair of the results and the timing of the run.
    """
    import numpy as np

    started = time.perf_counter()
    count, shape = source.num_examples, (size, size, source.num_channels)
    columns = features(np.zeros([1, *shape], np.float32)).shape[-1]
    _write_index(run.path / "index.csv", source)
    path = run.path / "embeddings.npy"
    rows = sk.evaluation.RowsFile(path, count, columns)
    resumed = rows.done
    missing = source
    if resumed:
        print(f"Resuming after {resumed} of {count} images.")
        missing = source.take(np.arange(resumed, count))
    if resumed < count:
        dataset = sk.data.evaluation_images(
            missing, size, settings.eval_batch_size, labelled=False
        )
        extractor = sk.evaluation.Extractor(features, channels=shape[-1])
        batches = extractor.batches(dataset)
        with progress_output.of_rows(settings, count, resumed) as show:
            rows.append_all((h for h, _ in batches), show)
    rows.finish()
    seconds = time.perf_counter() - started
    results = {
        "dataset": source.name,
        "split": source.split,
        "images": count,
        "layer": settings.layer,
        "numbers": columns,
    }
    timing = {
        "seconds": round(seconds, 1),
        "images_per_second": round((count - resumed) / seconds, 1),
    }
    return results, timing


def _write_index(path, source):
    from simclr_keras import disk

    labels = sk.data.read_labels(source) if source.has_labels else None
    with disk.naming(path), path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["row", "id", "label"])
        for row, name in enumerate(source.ids):
            writer.writerow([row, name, "" if labels is None else labels[row]])


def main():
    """Entry point of `simclr-embed`."""
    cli.start(define_flags, run, __doc__, first=FIRST, example=EXAMPLE)


if __name__ == "__main__":
    main()
