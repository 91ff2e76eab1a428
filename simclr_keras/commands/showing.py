"""What `simclr-embed` draws of its embeddings: neighbours, maps, projector."""

import csv

import numpy as np
import tensorflow as tf

from simclr_keras import data
from simclr_keras import evaluation
from simclr_keras import paths
from simclr_keras import training
from simclr_keras.commands import input_data
from simclr_keras.evaluation import pictures
from simclr_keras.images import CenterCrop
from simclr_keras.images import decode
from simclr_keras.images import problem

_RANDOM = "random:"
_MAP_ROWS, _PROJECTOR_ROWS = 5000, 10000
_SPRITE_PIXELS, _PICTURE_PIXELS = 8192, 128


def check(settings):
    """Checks the flags, before any long work.

    Raises:
        ValueError: `--neighbors` is neither random:N nor a file.
    """
    asked = settings.neighbors
    if not asked:
        return
    if asked.startswith(_RANDOM):
        number = asked[len(_RANDOM) :]
        if not number.isdigit() or not int(number):
            raise ValueError(
                "--neighbors=random:N needs a number of at least 1. Received:"
                f" --neighbors={asked}"
            )
    elif not paths.as_path(asked, "--neighbors").is_file():
        raise ValueError(
            "--neighbors must be an image file, or random:N. Received:"
            f" --neighbors={asked}, which is no file"
        )


def show(settings, run, source, function, size):
    """Draws what the flags ask for, into the run directory.

    Args:
        settings: of the command.
        run: `RunDirectory` with `embeddings.npy`.
        source: what was embedded.
        function: from float images to features, as it was embedded.
        size: side in pixels of the images that it takes.
    """
    if not (settings.neighbors or settings.map or settings.projector):
        return
    labels = data.read_labels(source) if source.has_labels else None
    with paths.local_copy(run.path / "embeddings.npy") as file:
        bank = np.load(file, mmap_mode="r")
        if settings.neighbors:
            _neighbors(settings, run, source, function, size, bank, labels)
        if settings.map:
            _map(settings, run, source, bank, labels)
        if settings.projector:
            _projector(settings, run, source, bank, labels)


def _neighbors(settings, run, source, function, size, bank, labels):
    asked, k = settings.neighbors, min(settings.neighbors_k, len(bank) - 1)
    if k < 1:
        raise ValueError(
            "--neighbors needs at least two embedded images. Received:"
            f" {len(bank)}"
        )
    own = asked.startswith(_RANDOM)
    if own:
        count = min(int(asked[len(_RANDOM) :]), len(bank))
        rng = np.random.default_rng(settings.seed)
        chosen = np.sort(rng.choice(len(bank), count, replace=False))
        queries = np.asarray(bank[chosen])
    else:
        image = query_image(asked, settings.max_pixels, settings.pixel_range)
        queries = np.asarray(function(CenterCrop(size)(image)))
    # A query that is in the bank finds itself: one more, and without it.
    rows, _ = evaluation.nearest(queries, bank, min(k + own, len(bank)))
    if own:
        rows = np.stack([each[each != c][:k] for each, c in zip(rows, chosen)])
    images = _images(settings, source, rows)
    if own:
        first = _images(settings, source, chosen[:, np.newaxis])
    else:
        pixels = images.shape[2]
        first = CenterCrop(pixels)(image).numpy()[np.newaxis]
        first = (first * 255 + 0.5).astype(np.uint8)
    matches = None
    if own and labels is not None:
        matches = list(labels[rows] == labels[chosen][:, np.newaxis])
        share = np.mean(matches)
        print(f"Of the class of their query: {share:.1%} of the neighbours.")
    grid = pictures.neighbors_picture(
        list(np.concatenate([first, images], axis=1)), matches
    )
    training.write_png(run.path / "neighbors.png", grid)
    print(f"Neighbours: {run.path / 'neighbors.png'}")


def query_image(path, max_pixels, pixel_range=None):
    """The image of a file, decoded as those of a data set, `[1, H, W, 3]`."""
    encoded = tf.io.read_file(path)
    try:
        image = decode(encoded, max_pixels, pixel_range=pixel_range)
        return image[tf.newaxis]
    except tf.errors.OpError as error:
        reason = problem(encoded.numpy(), max_pixels)
        raise ValueError(
            "--neighbors must be an image that can be decoded. Received:"
            f" --neighbors={path}: {reason}"
        ) from error


def _images(settings, source, rows, pixels=None):
    """uint8 images `[*rows.shape, S, S, 3]` of some rows of a source."""
    if pixels is None:
        pixels = _PICTURE_PIXELS
        if source.image_shape is not None:
            pixels = min(pixels, max(source.image_shape[:2]))
    wanted, back = np.unique(rows, return_inverse=True)
    dataset = input_data.evaluation_data(
        source.take(wanted), pixels, settings.eval_batch_size, labelled=False
    )
    images = np.concatenate([np.asarray(batch) for batch in dataset])
    if images.dtype != np.uint8:
        images = (np.clip(images, 0, 1) * 255 + 0.5).astype(np.uint8)
    return images[back.reshape(rows.shape)]


def _some(settings, count, most):
    """At most so many rows, at random, in their order."""
    rng = np.random.default_rng(settings.seed)
    rows = rng.choice(count, min(count, most), replace=False)
    return np.sort(rows)


def _map(settings, run, source, bank, labels):
    rows = _some(settings, len(bank), _MAP_ROWS)
    shown = None if labels is None else labels[rows]
    points, method = evaluation.to_plane(bank[rows], seed=settings.seed)
    picture = pictures.map_picture(points, shown, source.class_names)
    training.write_png(run.path / "map.png", picture)
    with (run.path / "map.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["row", "x", "y"])
        writer.writerows(zip(rows, *points.T))
    print(f"Map of {len(rows)} images by {method}: {run.path / 'map.png'}")


def _projector(settings, run, source, bank, labels):
    rows = _some(settings, len(bank), _PROJECTOR_ROWS)
    folder = run.path / "tensorboard" / "projector"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "tensors.tsv").open("w") as file:
        np.savetxt(file, bank[rows], "%.6g", delimiter="\t")
    ids = source.ids
    with (folder / "metadata.tsv").open("w", encoding="utf-8") as file:
        file.write("id\tlabel\n")
        for row in rows:
            label = "" if labels is None else source.class_names[labels[row]]
            file.write(f"{ids[row]}\t{label}\n")
    side = int(np.ceil(np.sqrt(len(rows))))
    pixels = max(8, min(64, _SPRITE_PIXELS // side))
    images = _images(settings, source, rows, pixels)
    training.write_png(folder / "sprite.png", pictures.sprite(images))
    (folder / "projector_config.pbtxt").write_text(
        "embeddings {\n"
        f'  tensor_name: "{settings.layer}"\n'
        '  tensor_path: "tensors.tsv"\n'
        '  metadata_path: "metadata.tsv"\n'
        "  sprite {\n"
        '    image_path: "sprite.png"\n'
        f"    single_image_dim: {pixels}\n"
        f"    single_image_dim: {pixels}\n"
        "  }\n}\n"
    )
    print(f"Projector of {len(rows)} images: tensorboard --logdir {folder}")
