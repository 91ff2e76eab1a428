"""Evaluates as one or as one of several processes; each writes what it has.

    python evaluating.py FOLDER

writes `worker-<number>.npz` to the folder; photographs are in `FOLDER/photos`.
"""

import dataclasses
import pathlib
import sys

import keras
import numpy as np
import training

import simclr_keras as sk
from simclr_keras import data
from simclr_keras.distribute import sharing
from simclr_keras.distribute import strategy
from simclr_keras.distribute import workers

COUNT, BATCH = 45, 8  # six batches, the last of five images


def _model():
    model = sk.SimCLR(
        sk.TinyResNet((4,)),
        sk.ProjectionHead(num_layers=2, out_dim=8),
        sk.TwoViews(16, jit=False),
    )
    training._set_weights(model)
    model.compile(sk.optimizers.AdamW(1e-4), sk.NTXent(temperature=0.5))
    return model


def _images(size, count=COUNT):
    rng = np.random.default_rng(size)
    images = rng.integers(0, 256, (count, size, size, 3), dtype=np.uint8)
    return images, np.arange(count) % 4


def _batches(pair, batch=BATCH):
    return data.load(
        pair, image_size=16, batch_size=batch, training=False, labelled=True
    )


def features(model, devices, folder):
    """Features of images in memory, of other sizes, files, transformed."""
    extractor = sk.evaluation.Extractor(model.encoder, strategy=devices)
    known, few = _batches(_images(16)), _batches(_images(16, 5))
    found = {}
    found["h"], found["y"] = extractor(known)
    found["again"], _ = extractor(known)
    found["few"], found["few_y"] = extractor(few)
    several = dataclasses.replace(
        data.open_source(_images(16, 5)),
        labels=np.eye(5, 2, dtype=np.float32),
        class_names=("a", "b"),
        task="multilabel",
    )
    several = data.evaluation_images(several, 16, BATCH)
    found["several"], found["several_y"] = extractor(several)
    found["dataset"], _ = extractor(known.as_dataset())
    both, _ = sk.evaluation.extract(
        model, known, outputs=("h", "z"), strategy=devices
    )
    found.update({f"of_two_{name}": both[name] for name in both})
    large = data.open_source(_images(20))
    cropped = data.evaluation_images(large, 16, BATCH)
    turned = sk.evaluation.transformed_images(large, "rotation", 16, BATCH)
    found["cropped"], _ = extractor(cropped)
    found["turned"], found["turns"] = extractor(turned)
    photos = data.open_source(f"folder:{folder / 'photos'}")
    photos = data.evaluation_images(photos, 16, 4, labelled=False)
    found["photos"], _ = extractor(photos)
    knn = sk.evaluation.KNNCallback(cropped, known, k=5)
    found["knn"] = knn.accuracy_of(model)
    knn = sk.evaluation.KNNCallback(known, few, k=5)
    found["knn_of_few"] = knn.accuracy_of(model)
    return found, len(extractor.own_part(known)[1])


def fitted(model):
    """Figures of a validation, and the parts of batches that were read."""
    parts, endless = [], data.Batches.endless

    def noted(self, part):
        parts.append(part)
        return endless(self, part)

    data.Batches.endless = noted
    images, _ = _images(16, 48)
    history = model.fit(
        data.load(images, batch_size=24),
        epochs=2,
        verbose=0,
        validation_data=data.load(images, batch_size=12, training=False),
    ).history
    return {"val_loss": history["val_loss"]}, parts


def _rows_of(number):
    """Rows of a process: none, 2, 3, ..., with numbers that are hard to add."""
    rows = np.arange(3 * (number + 1), dtype=np.float32).reshape(-1, 3)
    rows[0] = [-0.0, np.nan, np.inf]
    return rows * number if number else rows[:0, :0]


def main():
    """Evaluates, and writes the arrays."""
    folder = pathlib.Path(sys.argv[1])
    choice = strategy.choose("auto")
    with choice.strategy.scope():
        keras.utils.set_random_seed(0)
        model = _model()
    number = workers.worker_number(choice.strategy)
    found, own = features(model, choice.strategy, folder)
    figures, parts = fitted(model)
    sharing._WORDS = 12  # so that one collective is not enough
    found["rows"] = _rows_of(number)
    found["gathered"] = sharing.gather_slices(choice.strategy, found["rows"])
    integers = np.arange(number + 2) - 2**40 * number
    found["integers"] = sharing.gather_slices(choice.strategy, integers)
    np.savez(
        folder / f"worker-{number}.npz",
        own=own,
        parts=np.array(parts).reshape(-1, 2),
        **found,
        **figures,
    )


if __name__ == "__main__":
    main()
