"""The stage of `simclr-embed`: images to rows on the disk."""

import csv
import re
import time

import keras
import numpy as np

from simclr_keras import data
from simclr_keras import disk
from simclr_keras import evaluation
from simclr_keras.commands import build
from simclr_keras.commands import input_data
from simclr_keras.commands import showing
from simclr_keras.commands import stages
from simclr_keras.models import fitting

_SAVE_SECONDS = 10.0


def embed(settings):
    """Writes `embeddings.npy` and `index.csv`; returns their directory."""
    showing.check(settings)
    place = stages.set_up(settings)
    source = input_data.open_source(settings, settings.split)
    print(f"Embedding {source.summary()}")
    model = build.pretrained(settings, source)
    size = input_data.image_size(settings, source, build.trained_size(model))
    function = layer_of(model, settings.layer)
    with stages.run_directory(settings, place) as (run, results):
        if results is None:
            _embed(settings, place, run, source, function, size)
        showing.show(settings, run, source, function, size)
        return run.path


def _embed(settings, place, run, source, function, size):
    """Writes what is not there yet."""
    started = time.perf_counter()
    columns = function(np.zeros([1, size, size, 3], np.float32)).shape[-1]
    _write_index(run.path / "index.csv", source)
    rows = evaluation.RowsFile(
        run.path / "embeddings.npy", source.num_examples, columns
    )
    begun = rows.done
    if begun:
        print(f"Going on behind {begun} of {source.num_examples} images.")
    _fill(rows, function, source, size, settings)
    rows.finish()
    seconds = time.perf_counter() - started
    results = {
        "dataset": source.name,
        "split": source.split,
        "images": source.num_examples,
        "layer": settings.layer,
        "numbers": columns,
    }
    rate = (source.num_examples - begun) / seconds
    figures = {
        "seconds": round(seconds, 1),
        "images_per_second": round(rate, 1),
    }
    stages.finish(place, run, results, figures)


def layer_of(model, layer):
    """Function of float images that gives the features of a layer.

    Args:
        model: `SimCLR`, `Classifier` or an encoder.
        layer: "h", "z", or the name of a layer of the encoder.

    Raises:
        ValueError: the model has no such layer.
    """
    encoder = getattr(model, "encoder", model)
    if layer == "h":
        return lambda images: fitting.pooled(encoder(images, training=False))
    if layer == "z":
        head = getattr(model, "projection_head", None)
        if head is None:
            raise ValueError(
                "--layer=z needs a model with its projection head: a"
                f" pre-training's. Received: a {type(model).__name__}"
            )
        return lambda images: head(
            fitting.pooled(encoder(images, training=False)), training=False
        )
    try:
        part = keras.Model(encoder.input, encoder.get_layer(layer).output)
    except (AttributeError, ValueError) as error:
        names = [each.name for each in getattr(encoder, "layers", ())]
        groups = [n for n in names if re.fullmatch(r"block_group\d+", n)]
        raise ValueError(
            "--layer must be h, z or a layer of the encoder, such as"
            f" {', '.join(groups) or 'one that summary() lists'}."
            f" Received: --layer={layer}"
        ) from error
    return lambda images: fitting.pooled(part(images, training=False))


def _fill(rows, function, source, size, settings):
    """Writes the rows that are missing, a batch at a time."""
    count = source.num_examples
    if rows.done == count:
        return
    if rows.done:
        source = source.take(np.arange(rows.done, count))
    dataset = input_data.evaluation_data(
        source, size, settings.eval_batch_size, labelled=False
    )
    bar = keras.utils.Progbar(count) if settings.verbose else None
    saved = time.monotonic()
    for batch, _ in evaluation.Extractor(function).batches(dataset):
        rows.append(batch)
        if bar is not None:
            bar.update(rows.done)
        if time.monotonic() - saved > _SAVE_SECONDS:
            rows.save()
            saved = time.monotonic()


def _write_index(path, source):
    labels = data.read_labels(source) if source.has_labels else None
    with disk.naming(path), path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["row", "id", "label"])
        for row, name in enumerate(source.ids):
            writer.writerow([row, name, "" if labels is None else labels[row]])
