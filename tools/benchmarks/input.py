"""Suite input: images per second of our pipeline, compared with plain tf.data.

Ours decodes each photograph once and cuts two uint8 crops from it; the model
distorts colours on the device. The other pipeline decodes, crops and distorts
image by image on the host. Ours is measured both without and with its views
drawn: in the second case, both pipelines end with the same kind of tensors.
"""

import pathlib
import tempfile

import numpy as np
import tensorflow as tf

import simclr_keras as sk
from benchmarks import measure
from benchmarks import plain_views
from benchmarks import views

_ROOT = pathlib.Path(__file__).resolve().parents[2]
_PHOTOS = _ROOT.parent / "shared" / "data" / "photos"


def define_flags(parser):
    """Adds the flags of this suite."""
    parser.add_argument(
        "--photos",
        type=pathlib.Path,
        default=_PHOTOS,
        help="folder of photographs; default: ../shared/data/photos",
    )


def run(options):
    """Yields a `measure.Comparison` for each source and batch."""
    if options.photos.is_dir():
        for batch in options.batch or [32]:
            yield _photographs(options.photos, batch, options)
    else:
        measure.say(f"no photographs: --photos={options.photos} is no folder")
    for batch in options.batch or [256]:
        yield _arrays(batch, options)


def _photographs(folder, batch, options):
    def decode(path):
        image = tf.io.decode_image(
            tf.io.read_file(path), channels=3, expand_animations=False
        )
        return tf.ensure_shape(image, (None, None, 3))

    size = 224
    kinds = (".jpg", ".jpeg", ".png")
    files = [str(x) for x in folder.rglob("*") if x.suffix.lower() in kinds]
    with tempfile.TemporaryDirectory() as links:
        # 20 links make one long epoch, so that no epoch ends while measuring.
        for number in range(20):
            (pathlib.Path(links) / str(number)).symlink_to(folder.resolve())
        ours = sk.data.load(
            f"folder:{links}", image_size=size, batch_size=batch
        )
        paths = tf.data.Dataset.from_tensor_slices(files).repeat()
        images = paths.shuffle(len(files)).map(decode, tf.data.AUTOTUNE)
        return _compare("Photographs", ours, images, size, batch, 10, options)


def _arrays(batch, options):
    size = 32
    # More images than are drawn by default, so that no epoch ends.
    shape = (2 * 60 * batch, size, size, 3)
    images = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    ours = sk.data.load(images, batch_size=batch)
    slices = tf.data.Dataset.from_tensor_slices(images).repeat()
    slices = slices.shuffle(len(images))
    return _compare("Arrays", ours, slices, size, batch, 40, options)


def _compare(what, ours, images, size, batch, steps, options):
    """Compares our data set with views that tf.data draws of `images`."""
    steps = options.steps or steps
    draw = tf.function(sk.TwoViews(size), autograph=False)
    theirs = "views by tf.image in tf.data, image by image"
    pipelines = {
        theirs: plain_views.pipeline(images, size, batch).__iter__,
        "ours: what the step is given": ours.__iter__,
        "ours, and views made of it": lambda: views.drawn(ours, draw),
    }
    subjects = {
        name: measure.stream(start, steps) for name, start in pipelines.items()
    }
    return measure.Comparison(
        f"{what}, views of {size} pixels, batch {batch}",
        f"{steps} batches in a row.",
        measure.in_turn(subjects, options.repeats, what),
        images=batch,
        reference={name: theirs for name in subjects if name != theirs},
    )
