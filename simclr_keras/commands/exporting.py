"""The stage of `simclr-export`."""

from simclr_keras import models
from simclr_keras import serving
from simclr_keras import training
from simclr_keras.commands import classifying
from simclr_keras.commands import input_data
from simclr_keras.commands import loading

# Results that tell of the images, not of the model.
_OF_DATA = ("dataset", "train_images", "labelled_images", "test_images")
# Flags that tell where things lay on the machine of the training.
_PLACES = ("model_dir", "data_dir", "cache_dir", "checkpoint")


def export(settings):
    """Writes a version of the SavedModel; returns its folder."""
    model = loading.pretrained(settings)
    run = training.RunDirectory(settings.checkpoint)
    if not settings.export_dir and not run.checkpoints.is_dir():
        raise ValueError(
            "--export_dir must name a directory where --checkpoint is not a"
            f" run directory. Received: --checkpoint={settings.checkpoint}"
        )
    size = input_data.image_size(settings, None, loading.trained_size(model))
    onnx = settings.format == "onnx"
    names = settings.class_names or None
    if names is None and isinstance(model, models.Classifier):
        names = _class_names(run)
    path = serving.export(
        model,
        settings.export_dir or (run.export_onnx if onnx else run.export),
        format=settings.format,
        version=settings.version or None,
        class_names=names,
        image_size=size,
        max_pixels=settings.max_pixels,
        about={"license": settings.license, **_about(run)},
    )
    print(f"Exported: {path}")
    return path


def _class_names(run):
    """The names that the training left in its run directory, or None."""
    path = run.path / classifying.CLASS_NAMES
    if not path.exists():
        return None
    return path.read_text(encoding="utf-8").splitlines()


def _about(run):
    """What a run directory says of the training, for the model's card."""
    results = run.finished()
    if results is None:
        return {}
    data = {k: results.pop(k) for k in list(results) if k in _OF_DATA}
    settings = run.settings()
    for name in _PLACES:
        settings.pop(name, None)
    return {"data": data, "metrics": results, "run": settings}
