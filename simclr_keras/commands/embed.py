"""Writes the embeddings of images, with an index of their ids and labels."""

import time

import simclr_keras as sk
from simclr_keras.commands.common import build
from simclr_keras.commands.common import cli
from simclr_keras.commands.common import embedding_index
from simclr_keras.commands.common import flag_kinds
from simclr_keras.commands.common import image_flags
from simclr_keras.commands.common import input_data
from simclr_keras.commands.common import progress_output
from simclr_keras.commands.common import shared_flags
from simclr_keras.commands.common import stages
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

_RANDOM = "random:"
# Largest number of images in the map, and in TensorBoard's projector.
_MAP_ROWS, _PROJECTOR_ROWS = 5000, 10000
_PICTURE_PIXELS = 128  # largest side of an image in neighbors.png


def define_flags(values):
    """Defines the flags of `simclr-embed`."""
    image_flags.define_data(values)
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
    source = input_data.open_source(settings, settings.split)
    query = _query(settings, source.num_examples)
    print(f"Embedding {source.summary()}")
    model = build.pretrained(settings, source)
    size = input_data.image_size(settings, source, build.trained_size(model))
    features = sk.evaluation.layer_features(model, settings.layer)
    with stages.run_directory(settings, devices) as (run, results):
        if results is None:
            if devices.chief:
                run.record_start()
            results, timing = _embed(settings, run, source, features, size)
            stages.finish(devices, run, results, timing)
        if settings.neighbors or settings.map or settings.projector:
            _draw(settings, run, source, query, features, size)
    return run.path


def _check_neighbors(settings):
    """Raises a ValueError unless `--neighbors` is random:N or a file."""
    value = settings.neighbors
    if not value:
        return
    if value.startswith(_RANDOM):
        number = value[len(_RANDOM) :]
        if not number.isdecimal() or not int(number):
            raise ValueError(
                "--neighbors=random:N needs a number of at least 1. Received:"
                f" --neighbors={value}"
            )
    elif not flag_kinds.as_path(value, "--neighbors").is_file():
        raise ValueError(
            "--neighbors must be an image file, or random:N. Received:"
            f" --neighbors={value}, which is not a file"
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
    if value.startswith(_RANDOM):
        return None
    from simclr_keras.report import neighbor_grid

    return neighbor_grid.query_image(
        value, settings.max_pixels, settings.pixel_range, "--neighbors"
    )


def _embed(settings, run, source, features, size):
    """Writes the index and the embeddings that are missing.

    Returns:
        Pair of the results and the timing of the run.
    """
    import numpy as np

    started = time.perf_counter()
    columns = features(np.zeros([1, size, size, 3], np.float32)).shape[-1]
    count = source.num_examples
    embedding_index.write(run.path / "index.csv", source)
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
        batches = sk.evaluation.Extractor(features).batches(dataset)
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


def _draw(settings, run, source, query, features, size):
    """Writes the pictures that the flags ask for into the run directory.

    Args:
        settings: the command's.
        run: `RunDirectory` with `embeddings.npy`.
        source: the images that were embedded.
        query: the decoded image of `--neighbors`, or None.
        features: function of float images that returns their embeddings.
        size: side of its input images in pixels.
    """
    import numpy as np

    from simclr_keras import paths
    from simclr_keras.images import CenterCrop

    labels = sk.data.read_labels(source) if source.has_classes else None
    with paths.local_copy(run.path / "embeddings.npy") as file:
        bank = np.load(file, mmap_mode="r")
        if settings.neighbors:
            h = None if query is None else features(CenterCrop(size)(query))
            _draw_neighbors(settings, run, source, bank, labels, query, h)
        if settings.map:
            _draw_map(settings, run, source, bank, labels)
        if settings.projector:
            _write_projector(settings, run, source, bank)


def _draw_neighbors(settings, run, source, bank, labels, query, h):
    from simclr_keras.report import neighbor_grid

    k = min(settings.neighbors_k, len(bank) - 1)
    read = _reader(settings, source)
    if query is None:
        number = int(settings.neighbors[len(_RANDOM) :])
        rows = _sample(settings, len(bank), number)
        picture, share = neighbor_grid.draw_of_rows(
            run.path, bank, rows, k, read, labels, source.ids
        )
        if share is not None:
            print(f"Neighbours of the class of their query: {share:.1%}.")
    else:
        own = neighbor_grid.row_of_file(source.files, settings.neighbors)
        picture = neighbor_grid.draw_of_image(
            run.path, bank, h, query, k, read, source.ids, own
        )
    print(f"Neighbours: {picture}")


def _reader(settings, source):
    """Function of rows that returns their images in the size for pictures."""
    pixels = _PICTURE_PIXELS
    if source.image_shape is not None:
        pixels = min(pixels, max(source.image_shape[:2]))
    batch = settings.eval_batch_size
    return lambda rows: sk.data.read_images(source, rows, pixels, batch)


def _draw_map(settings, run, source, bank, labels):
    from simclr_keras.report import embedding_map

    rows = _sample(settings, len(bank), _MAP_ROWS)
    names, read = source.class_names, _reader(settings, source)
    picture, method = embedding_map.draw(
        run.path, bank, rows, labels, names, settings.seed, read
    )
    print(f"Map of {len(rows)} images by {method}: {picture}")


def _write_projector(settings, run, source, bank):
    from simclr_keras.report import projector

    rows = _sample(settings, len(bank), _PROJECTOR_ROWS)
    names = embedding_index.label_texts(source, rows)
    ids, size = source.ids, projector.image_size(len(rows))
    folder = run.path / "tensorboard" / "projector"
    projector.write(
        folder,
        bank[rows],
        [ids[row] for row in rows],
        names,
        sk.data.read_images(source, rows, size, settings.eval_batch_size),
        settings.layer,
    )
    print(f"Projector of {len(rows)} images: tensorboard --logdir {folder}")


def _sample(settings, count, most):
    """Returns at most `most` of `count` rows, drawn at random, sorted."""
    import numpy as np

    rng = np.random.default_rng(settings.seed)
    return np.sort(rng.choice(count, min(count, most), replace=False))


def main():
    """Entry point of `simclr-embed`."""
    cli.start(define_flags, run, __doc__, first=FIRST, example=EXAMPLE)


if __name__ == "__main__":
    main()
