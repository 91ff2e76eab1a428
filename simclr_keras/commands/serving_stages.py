"""The stages of `simclr-embed` and `simclr-export`."""

import csv
import pathlib

import numpy as np

from simclr_keras import data
from simclr_keras import evaluation
from simclr_keras import models
from simclr_keras import serving
from simclr_keras import training
from simclr_keras.commands import build
from simclr_keras.commands import classifying


def embed(settings):
    """Writes `embeddings.npy` and `index.csv`; returns their directory."""
    place = build.set_up(settings)
    source = build.open_source(settings, settings.split)
    model = classifying.load_pretrained(settings)
    size = build.image_size(
        settings, source, classifying.pretrained_size(model)
    )
    run, _ = build.run_directory(settings, place)
    if (run.path / "index.csv").exists():
        print(f"Finished already: {run.path}")
        return run.path
    h, _ = evaluation.extract(
        getattr(model, "encoder", model),
        build.evaluation_data(
            source, size, settings.eval_batch_size, labelled=False
        ),
        verbose=settings.verbose,
    )
    np.save(run.path / "embeddings.npy", h)
    with open(run.path / "index.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["row", "id", "label"])
        labels = data.read_labels(source) if source.has_labels else None
        for row, name in enumerate(source.ids):
            writer.writerow([row, name, "" if labels is None else labels[row]])
    print(f"{h.shape[0]} embeddings of {h.shape[1]} numbers: {run.path}")
    return run.path


def export(settings):
    """Writes the SavedModel; returns its directory."""
    model = classifying.load_pretrained(settings)
    target = settings.export_dir
    if not target:
        directory = pathlib.Path(settings.checkpoint)
        if not (directory / "checkpoints").is_dir():
            raise ValueError(
                "--export_dir must name a directory where --checkpoint is not a"
                f" run directory. Received: --checkpoint={settings.checkpoint}"
            )
        target = training.RunDirectory(directory).export
    size = settings.image_size or classifying.pretrained_size(model)
    if not size:
        raise ValueError(
            "--image_size must be given: the model does not say on which size"
            " it was trained. Received: --image_size=0"
        )
    serving.export(
        model,
        target,
        class_names=settings.class_names or _class_names(settings, model),
        image_size=size,
    )
    print(f"SavedModel: {target}")
    return pathlib.Path(target)


def _class_names(settings, model):
    """The names that the training left in its run directory, or None."""
    path = pathlib.Path(settings.checkpoint) / classifying.CLASS_NAMES
    if not isinstance(model, models.Classifier) or not path.exists():
        return None
    return path.read_text(encoding="utf-8").splitlines()
