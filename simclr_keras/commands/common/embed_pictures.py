"""Draws what `simclr-embed` is asked for: neighbours, a map, the projector."""

import simclr_keras as sk
from simclr_keras.commands.common import flag_kinds

_RANDOM = "random:"
# Largest number of images in the map, and in TensorBoard's projector.
_MAP_ROWS, _PROJECTOR_ROWS = 5000, 10000
_PICTURE_PIXELS = 128  # largest side of an image in neighbors.png
_SAMPLE = 64  # images by whose values pictures of bands are stretched


def wanted(flags):
    """Whether the flags ask for a picture or for the projector."""
    return bool(flags.neighbors or flags.map or flags.projector)


def check(flags):
    """Refuses flags of pictures that cannot be drawn, before any work.

    Raises:
        ValueError: `--neighbors` is neither random:N nor a file; or there is
            something to draw, and `--format` is one that is not read here.
    """
    if wanted(flags) and flags.format != "npy":
        raise ValueError(
            "--format must be npy for --neighbors, --map and --projector, which"
            f" do not read other files. Received: --format={flags.format}"
        )
    value = flags.neighbors
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


def query(flags, count):
    """The decoded image file of `--neighbors`; None if it names no file.

    Raises:
        ValueError: it cannot be decoded, or has no neighbours among `count`
            images.
    """
    value = flags.neighbors
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
        value,
        flags.max_pixels,
        flags.pixel_range,
        "--neighbors",
        flags.channels,
    )


def draw(flags, run, source, query, features, size):
    """Writes the pictures that the flags ask for into the run directory.

    Args:
        flags: the command's.
        run: `RunDirectory` with the embeddings, as `.npy` files.
        source: the images that were embedded.
        query: the decoded image of `--neighbors`, or None.
        features: function of float images that returns their embeddings.
        size: side of its input images in pixels.
    """
    from simclr_keras.images import CenterCrop

    labels = sk.data.read_labels(source) if source.has_labels else None
    classes = labels if source.has_classes else None
    to_rgb = _bands(flags, source)
    with sk.evaluation.open_embeddings(run.path) as bank:
        if flags.neighbors:
            h = None if query is None else features(CenterCrop(size)(query))
            _draw_neighbors(flags, run, source, bank, classes, to_rgb, query, h)
        if flags.map:
            _draw_map(flags, run, source, bank, classes, to_rgb)
        if flags.projector:
            _write_projector(flags, run, source, bank, labels, to_rgb)


def _draw_neighbors(flags, run, source, bank, labels, to_rgb, query, h):
    from simclr_keras.report import neighbor_grid

    k = min(flags.neighbors_k, len(bank) - 1)
    read = _reader(flags, source, to_rgb)
    if query is None:
        number = int(flags.neighbors[len(_RANDOM) :])
        rows = _sample(flags, len(bank), number)
        picture, share = neighbor_grid.draw_of_rows(
            run.path, bank, rows, k, read, labels, source.ids
        )
        if share is not None:
            print(f"Neighbours of the class of their query: {share:.1%}.")
    else:
        own = neighbor_grid.row_of_file(source.files, flags.neighbors)
        picture = neighbor_grid.draw_of_image(
            run.path, bank, h, query, k, read, source.ids, own, to_rgb
        )
    print(f"Neighbours: {picture}")


def _bands(flags, source):
    """The `Bands` that convert images to RGB, stretched by some of them."""
    from simclr_keras.data import subsets
    from simclr_keras.report import bands

    if source.num_channels == 3 and flags.show_channels is None:
        return bands.Bands()
    rows = subsets.spread_rows(source.num_examples, _SAMPLE)
    some = sk.data.read_images(source, rows, _pixels(source))
    return bands.bands_of(some, flags.show_channels)


def _pixels(source):
    """Side of an image in pictures."""
    if source.image_shape is None:
        return _PICTURE_PIXELS
    return min(_PICTURE_PIXELS, max(source.image_shape[:2]))


def _reader(flags, source, to_rgb):
    """Function of rows that returns their images as pictures show them."""
    pixels, batch = _pixels(source), flags.eval_batch_size
    return lambda rows: to_rgb(sk.data.read_images(source, rows, pixels, batch))


def _draw_map(flags, run, source, bank, labels, to_rgb):
    from simclr_keras.report import embedding_map

    rows = _sample(flags, len(bank), _MAP_ROWS)
    names = source.class_names
    read = _reader(flags, source, to_rgb)
    picture, method = embedding_map.draw(
        run.path, bank, rows, labels, names, flags.seed, read
    )
    print(f"Map of {len(rows)} images by {method}: {picture}")


def _write_projector(flags, run, source, bank, labels, to_rgb):
    from simclr_keras.report import projector

    rows = _sample(flags, len(bank), _PROJECTOR_ROWS)
    texts = [""] * len(rows)
    if labels is not None:
        names, task = source.class_names, source.task
        texts = sk.data.label_texts(labels[rows], names, task)
    ids, size = source.ids, projector.image_size(len(rows))
    folder = run.path / "tensorboard" / "projector"
    images = sk.data.read_images(source, rows, size, flags.eval_batch_size)
    projector.write(
        folder,
        bank[rows],
        [ids[row] for row in rows],
        texts,
        to_rgb(images),
        flags.layer,
    )
    print(f"Projector of {len(rows)} images: tensorboard --logdir {folder}")


def _sample(flags, count, most):
    """Returns at most `most` of `count` rows, drawn at random, sorted."""
    import numpy as np

    rng = np.random.default_rng(flags.seed)
    return np.sort(rng.choice(count, min(count, most), replace=False))
