"""Trained model -> SavedModel that plain TensorFlow loads and serves."""

from simclr_keras import compat
from simclr_keras.images import MAX_PIXELS
from simclr_keras.images import CenterCrop
from simclr_keras.images import check_max_pixels
from simclr_keras.serving import card
from simclr_keras.serving import onnx_file
from simclr_keras.serving import signatures
from simclr_keras.serving import warmup
from simclr_keras.serving.versions import new_version

FORMATS = ("saved_model", "onnx")


def export(
    model,
    directory,
    *,
    format="saved_model",
    version=None,
    class_names=None,
    image_size=None,
    crop_proportion="auto",
    max_pixels=MAX_PIXELS,
    about=None,
):
    """Writes a model as a SavedModel that needs neither us nor Keras.

    `directory` holds versions in numbered folders, as TensorFlow Serving reads
    them (`--model_base_path`); this writes a new one. Its signatures:

    * `serving_default`: `images`, uint8 `[B, H, W, 3]`, RGB, of any number and
      size;
    * `serve_encoded`: `encoded`, string `[B]`, contents of JPEG, PNG, GIF, BMP
      and WebP files, each of its own size; as they are decoded in training;
    * `classify`, of a classifier: `encoded` as above.

    The first two return float32 tensors: `embedding` `[B, C]`, which is h, and
    of a classifier `logits` and `probabilities` `[B, K]`. `classify` returns
    `class_names` and `probabilities` `[B, K]`, the most probable first.
    Evaluation's preprocessing is inside: division by 255, central crop, bicubic
    resize. No augmentation is. A request with an image that cannot be decoded
    fails alone.

    Beside the graph lie `model_card.json` and `README.md`, which say the above
    with its numbers and what `about` says, requests by which TensorFlow
    Serving warms up, and what `load` needs to have the Keras model again.

    Args:
        model: `Classifier`, `SimCLR`, or any `keras.Model` that maps float
            images in [0, 1] to features `[B, C]` or to a feature map.
        directory: local path that holds the versions; made where missing. Its
            name is the model's name on the card.
        format: "saved_model"; or "onnx", which writes `model.onnx` with the
            signature `serving_default`, needs tf2onnx, and takes models with
            less than 2 GiB of weights.
        version: positive integer. Defaults to None: one more than the highest
            there, 1 in a new directory.
        class_names: K names in the order of the labels, for a classifier.
            Defaults to None: "0", "1", ...
        image_size: pixels that images are resized to: an integer, or a pair
            `(height, width)`. Defaults to None: what the model knows, from its
            `image_size`, its views, or the encoder's input.
        crop_proportion: see `views.CenterCrop`. Defaults to "auto", as in
            evaluation.
        max_pixels: height times width of the largest image that the signatures
            of encoded images decode. Defaults to 89,478,485, as in Pillow.
        about: dict for the card with some of `license`, `data`, `metrics` and
            `run`, each a string or a dict of what JSON knows. Defaults to
            None: the card says that these were not said.

    Returns:
        `pathlib.Path` of the version's folder.

    Raises:
        ImportError: tf2onnx is needed and not installed.
        ValueError: the version exists already, or is no positive integer; the
            directory is a file; the image size is unknown or does not fit;
            class names do not fit the model; `about` has other entries; the
            model is too large for ONNX.

    Example:

        path = export(probe, "runs/photos/export", class_names=["cat", "dog"])
        serve = tf.saved_model.load(str(path)).signatures["serve_encoded"]
        serve(encoded=tf.constant([jpeg_bytes]))["probabilities"]
    """
    class_names = _checked_names(class_names, _class_count(model))
    about = _checked_about(about)
    if format not in FORMATS:
        raise ValueError(
            f"format must be one of {', '.join(FORMATS)}. Received: {format!r}"
        )
    if format == "onnx":
        onnx_file.check(compat.weights_of(model))
    size = _image_size(model, image_size)
    crop = CenterCrop(size, crop_proportion=crop_proportion)
    max_pixels = check_max_pixels(max_pixels)
    functions = signatures.make(model, crop, class_names, max_pixels)
    with new_version(directory, version) as (target, final):
        name = final.parent.resolve().name
        if format == "onnx":
            function = functions[signatures.DEFAULT]
            onnx_file.write(target, function)
            traced = {signatures.DEFAULT: function.get_concrete_function()}
        else:
            traced = signatures.save(target, model, functions)
            warmup.write(target, name, size, traced)
        card.write(
            target,
            card.make(
                name, int(final.name), model, crop, class_names, traced, about
            ),
        )
    return final


def _class_count(model):
    """K of a classifier, else None."""
    return model.num_classes if hasattr(model, "logits_of") else None


def _checked_about(about):
    about = dict(about or {})
    other = sorted(set(about) - set(card.SECTIONS))
    if other:
        raise ValueError(
            f"about may have {', '.join(card.SECTIONS)}. Received:"
            f" {', '.join(map(str, other))}"
        )
    return about


def _checked_names(class_names, class_count):
    if class_names is None:
        return (
            None if class_count is None else list(map(str, range(class_count)))
        )
    names = [str(name) for name in class_names]
    if class_count is None:
        raise ValueError(
            "class_names must be left out for a model that gives embeddings"
            f" alone; export a Classifier. Received: {len(names)} names"
        )
    one_line = all(name and len(name.splitlines()) == 1 for name in names)
    if len(names) != class_count or len(set(names)) != len(names):
        raise ValueError(
            f"class_names must be {class_count} different names, one for each"
            f" class of the model. Received: {len(names)} names:"
            f" {names[:10]!r}"
        )
    if not one_line:
        raise ValueError(
            "class_names must be neither empty nor longer than a line."
            f" Received: {names[:10]!r}"
        )
    return names


def _image_size(model, image_size):
    """`(height, width)` of the argument, or of what the model knows."""
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
    if len(size) != 2 or not all(isinstance(x, int) and x > 0 for x in size):
        raise ValueError(
            "image_size must be a positive integer, or a pair of them, in"
            f" pixels. Received: image_size={image_size!r}"
        )
    if fixed is not None and size != fixed:
        raise ValueError(
            f"image_size must be {fixed}, the encoder's fixed input. Received:"
            f" image_size={size}"
        )
    return size
