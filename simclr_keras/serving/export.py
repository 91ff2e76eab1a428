"""Exports a trained model for TensorFlow, ONNX or TensorFlow Lite."""

from __future__ import annotations

import keras
import tensorflow as tf

from simclr_keras import compat
from simclr_keras import networks
from simclr_keras import paths
from simclr_keras import scalars
from simclr_keras.choices import EXPORT_FORMATS as FORMATS
from simclr_keras.choices import EXPORT_PRECISIONS as PRECISIONS
from simclr_keras.images import MAX_PIXELS
from simclr_keras.images import CenterCrop
from simclr_keras.images import check_max_pixels
from simclr_keras.images.formats import pixel_range as ranges
from simclr_keras.models import precision as precisions
from simclr_keras.serving import card
from simclr_keras.serving import output_names
from simclr_keras.serving import signatures
from simclr_keras.serving import single_file
from simclr_keras.serving import warmup
from simclr_keras.serving.versions import new_version

_LOW = ("bfloat16", "float16")


def export(
    model: keras.Model,
    directory: paths.PathLike,
    *,
    format: str = "saved_model",
    precision: str = "float32",
    version: int | None = None,
    class_names: list[str] | None = None,
    target_names: list[str] | None = None,
    image_size: int | tuple[int, int] | None = None,
    pixel_range: tuple[float, float] | None = None,
    crop_proportion: float | str | None = "auto",
    max_pixels: int = MAX_PIXELS,
    about: dict | None = None,
) -> paths.AnyPath:
    """Writes a model as a SavedModel that needs neither this package nor Keras.

    `directory` holds versions in numbered folders, as TensorFlow Serving reads
    them (`--model_base_path`); this writes a new one. Its signatures:

    * `serving_default`: `images`, uint8 `[B, H, W, C]`, C the channels of the
      encoder's input (three are RGB), of any number and size;
    * `serve_encoded`, for C of 1 or 3: `encoded`, string `[B]`, contents of
      JPEG, PNG, GIF, BMP and WebP files of any sizes, decoded as in training;
    * `classify`, for a classifier of such images: `encoded` as above;
    * `serve_values`, with a `pixel_range` and C other than 3: `values`, float32
      `[B, H, W, C]`, of which that range becomes black and white.

    All but `classify` return float32 tensors: `embedding` `[B, C]`, which is h;
    for a classifier also `logits` and `probabilities` `[B, K]`, or
    `predictions` if its activation is "linear", in the units of its targets.
    `classify` returns
    `class_names` and `probabilities` `[B, K]`, the most probable first.
    The graph includes evaluation's preprocessing (division by 255, central
    crop, bicubic resize) and no augmentation. An image that cannot be decoded
    makes only its own request fail.

    By default the export computes in float32, whatever precision the model was
    trained in: most runtimes have no other convolutions, and some read bfloat16
    without an error and return wrong numbers.

    The folder also holds `model_card.json` and `README.md`, which describe the
    signatures and contain `about`; warm-up requests for TensorFlow Serving; and
    the configuration from which `load` rebuilds the Keras model.

    Args:
        model: `Classifier`, `SimCLR`, or any `keras.Model` that maps float
            images in [0, 1] to features `[B, C]` or to a feature map.
        directory: path that holds the versions, local or such as
            `gs://bucket/export`; created if missing. Its name is the model's
            name on the card.
        format: "saved_model"; or a single file with the signature
            `serving_default`, for models with less than 2 GiB of weights:
            "onnx" writes `model.onnx` and needs tf2onnx; "tflite" writes
            `model.tflite` for TensorFlow Lite, with its built-in operations if
            these suffice; otherwise the card names the TensorFlow operations
            that its runtime needs ("select" or "flex" operations).
        precision: "float32"; or "as_trained", for a SavedModel in the
            precision of the model's layers. Defaults to "float32".
        version: positive integer. Defaults to None: one more than the highest
            existing version, 1 in a new directory.
        class_names: K names in the order of the labels, for a classifier.
            Defaults to None: "0", "1", ...
        target_names: K names of the predicted numbers, for a classifier whose
            activation is "linear"; the card lists them. Defaults to None: "0",
            "1", ...
        image_size: size in pixels that images are resized to: an integer, or a
            pair `(height, width)`. Defaults to None: the model's `image_size`,
            the size of its views, or that of the encoder's input.
        pixel_range: the `pixel_range` of `data.load` that the model was
            trained with; encoded images of 16 bits, and `values`, are scaled
            by it. Defaults to None.
        crop_proportion: see `views.CenterCrop`. Defaults to "auto", as in
            evaluation.
        max_pixels: largest height times width of an image that the signatures
            for encoded images decode. Defaults to 89,478,485, as in Pillow.
        about: dict for the card with some of `license`, `data`, `metrics` and
            `run`, each a string or a dict that JSON can represent. Defaults to
            None: the card says "Not said."

    Returns:
        `pathlib.Path` of the version's folder, or `paths.RemotePath` of one
        with a scheme.

    Raises:
        ImportError: tf2onnx is needed and not installed.
        ValueError: the version exists already, or is not a positive integer;
            the directory is a file, or one from which TensorFlow could not load
            a SavedModel; the image size is unknown or does not fit; class names
            do not fit the model; `about` has other entries; the
            model is too large for one file, cannot compute in float32, or has
            operations that the format does not support.
        OSError: the version could not be written, and its files are removed.

    Example:

        path = export(probe, "runs/photos/export", class_names=["cat", "dog"])
        serve = tf.saved_model.load(str(path)).signatures["serve_encoded"]
        serve(encoded=tf.constant([jpeg_bytes]))["probabilities"]
    """
    class_names, target_names = _names(model, class_names, target_names)
    about = _checked_about(about)
    _check_choices(format, precision)
    _check_path(directory, format)
    max_pixels = check_max_pixels(max_pixels)
    if format in single_file.FILES:
        single_file.check(format, compat.weights_of(model))
    size = _image_size(model, image_size)
    crop = CenterCrop(size, crop_proportion=crop_proportion)
    trained_in = precisions.compute_dtypes(model)[0]
    model = _in_precision(model, precision, format)
    pixel_range = ranges.check(pixel_range)
    functions = signatures.make(
        model,
        crop,
        class_names,
        max_pixels=max_pixels,
        pixel_range=pixel_range,
        channels=networks.image_channels(model),
    )
    if precision == "float32":
        _check_graph(functions[signatures.DEFAULT].get_concrete_function())
    names = {"class_names": class_names, "target_names": target_names}
    how = {
        "format": format,
        "precision": precisions.compute_dtypes(model)[0],
        "trained_in": trained_in,
        "extra_operations": [],
        "pixel_range": pixel_range,
        # A limit of the signatures for encoded images, which a single file does
        # not have.
        "max_pixels": None if format in single_file.FILES else max_pixels,
    }
    with new_version(directory, version) as (target, final):
        name = final.parent.resolve().name
        if format in single_file.FILES:
            function = functions[signatures.DEFAULT]
            extra = single_file.write(format, target, function, model)
            how["extra_operations"] = extra
            traced = {signatures.DEFAULT: function.get_concrete_function()}
        else:
            traced = signatures.save(target, model, functions)
            warmup.write(target, name, size, traced)
        version = int(final.name)
        card.write(
            target,
            card.make(name, version, model, crop, names, traced, how, about),
        )
    return final


def _check_choices(format, precision):
    if format not in FORMATS:
        raise ValueError(
            f"format must be one of {', '.join(FORMATS)}. Received: {format!r}"
        )
    if precision not in PRECISIONS:
        raise ValueError(
            f"precision must be one of {', '.join(PRECISIONS)}. Received:"
            f" {precision!r}"
        )


def _check_path(directory, format):
    """Refuses where TensorFlow could write a SavedModel, but not read it."""
    path = str(paths.as_path(directory, "directory"))
    if format not in single_file.FILES and set("[]*?") & set(path):
        raise ValueError(
            "directory (--export_dir) must have none of [ ] * ? in its path:"
            " TensorFlow takes them for a pattern when it loads a SavedModel."
            f" Received: {str(directory)!r}"
        )


def _in_precision(model, precision, format):
    """Returns the model, or a float32 model with the same weights."""
    dtypes = precisions.compute_dtypes(model)
    if dtypes == ["float32"]:
        return model
    if precision == "float32":
        return precisions.rebuild(model, "float32")
    if format in single_file.FILES:
        raise ValueError(
            "precision must be 'float32' for every format but 'saved_model':"
            f" runtimes of {format} do not compute in {dtypes[0]}. Received:"
            f" precision={precision!r}, format={format!r}"
        )
    return model


def _check_graph(function):
    """Raises a ValueError if a layer's code casts to a lower precision."""
    graph = function.graph.as_graph_def()
    nodes = [*graph.node]
    for part in graph.library.function:
        nodes += part.node_def
    low = {tf.as_dtype(name).as_datatype_enum for name in _LOW}
    for node in nodes:
        if low & {attribute.type for attribute in node.attr.values()}:
            raise ValueError(
                "precision='float32' needs a model that can compute in"
                " float32; one of its layers has another precision in its"
                " code. Export with precision='as_trained', or change the"
                f" layer. Received: {node.op} at {node.name!r}"
            )


def _names(model, class_names, target_names):
    """Names of classes and of numbers; None for what the model has not."""
    has_head = hasattr(model, "logits_of")
    numbers = has_head and model.activation == "linear"
    count = model.num_classes if has_head else None
    classes, targets = (None, count) if numbers else (count, None)
    return (
        output_names.check("class_names", class_names, classes),
        output_names.check("target_names", target_names, targets),
    )


def _checked_about(about):
    about = dict(about or {})
    other = sorted(set(about) - set(card.SECTIONS))
    if other:
        raise ValueError(
            f"about may have {', '.join(card.SECTIONS)}. Received:"
            f" {', '.join(map(str, other))}"
        )
    return about


def _image_size(model, image_size):
    """`(height, width)` from the argument, or else from the model."""
    encoder = getattr(model, "encoder", model)
    shape = getattr(encoder, "input_shape", None)
    fixed = None
    if isinstance(shape, tuple) and len(shape) == 4 and None not in shape[1:3]:
        fixed = tuple(shape[1:3])
    size = (
        image_size
        or getattr(model, "image_size", None)
        or getattr(getattr(model, "views", None), "size", None)
        or fixed
    )
    if not size:
        raise ValueError(
            "image_size must be given in pixels: the model takes images of any"
            " size, and does not say on which it was trained. Received:"
            f" image_size={image_size!r}"
        )
    size = tuple(size) if isinstance(size, (tuple, list)) else (size, size)
    if len(size) != 2 or not all(scalars.is_whole(x) and x > 0 for x in size):
        raise ValueError(
            "image_size must be a positive integer, or a pair of them, in"
            f" pixels. Received: image_size={image_size!r}"
        )
    size = tuple(int(x) for x in size)
    if fixed is not None and size != fixed:
        raise ValueError(
            f"image_size must be {fixed}, the encoder's fixed input. Received:"
            f" image_size={size}"
        )
    return size
