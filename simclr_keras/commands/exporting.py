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
    """Writes a version of the export; returns its folder."""
    model = loading.as_trained(settings)
    run = training.find_run(settings.checkpoint)
    if not settings.export_dir and run is None:
        raise ValueError(
            "--export_dir must name a directory where --checkpoint is no run"
            " directory and lies in none. Received:"
            f" --checkpoint={settings.checkpoint}"
        )
    size = input_data.image_size(settings, None, loading.trained_size(model))
    # An export says itself what it is, wherever it was copied to.
    card = serving.read_card(settings.checkpoint)
    names, pixel_range, about = card or (
        _class_names(run),
        pixel_range_of(run),
        _about(run),
    )
    if not isinstance(model, models.Classifier):
        names = None
    if settings.license:
        about["license"] = settings.license
    path = serving.export(
        model,
        settings.export_dir or _directory(run, settings.format),
        format=settings.format,
        precision=settings.precision,
        version=settings.version or None,
        class_names=settings.class_names or names,
        image_size=size,
        pixel_range=pixel_range,
        max_pixels=settings.max_pixels,
        about=about,
    )
    print(f"Exported: {path}")
    return path


def _directory(run, format):
    """Where the versions of a format lie in a run directory."""
    if format == "saved_model":
        return run.export
    return run.path / f"{run.export.name}_{format}"


def _class_names(run):
    """The names that the training left in its run directory, or None."""
    path = run and run.path / classifying.CLASS_NAMES
    if path is None or not path.exists():
        return None
    return path.read_text(encoding="utf-8").splitlines()


def pixel_range_of(run):
    """The range of 16-bit images that the training was told, or None."""
    value = run and run.settings().get("pixel_range")
    return value and tuple(float(x) for x in value.split(","))


def _about(run):
    """What a run directory says of the training, for the model's card."""
    results = run and run.finished()
    if results is None:
        return {}
    data = {k: results.pop(k) for k in list(results) if k in _OF_DATA}
    settings = run.settings()
    for name in _PLACES:
        settings.pop(name, None)
    return {"data": data, "metrics": results, "run": settings}
