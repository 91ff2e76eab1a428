"""Suite input: batches for the step, beside a pipeline image by image.

Photographs: ours decodes each once and cuts two uint8 crops of it; the views'
colours are left to the device. The other decodes, and crops and colours twice,
on the host. Small images in memory: ours shuffles and hands on. What is left
to the device is measured as well: both then yield finished views.
"""

import itertools
import pathlib

from benchmarks import measure
from benchmarks import options as flags
from benchmarks import words
from benchmarks.spread import ratio
from benchmarks.streams import Stream

_ROOT = pathlib.Path(__file__).resolve().parents[2]
_PHOTOS = _ROOT.parent / "shared" / "data" / "photos"
_PARTS = {"photographs": 224, "arrays": 32}  # pixels
# Batch, and batches in a row.
_AMOUNTS = {"photographs": (32, 10), "arrays": (256, 40)}
# Arguments of `sk.data.load` for photographs, by what is measured with them.
_PIPELINES = {"ours": {}}
_ARRAY_IMAGES = 10_000


def define_flags(parser):
    """Adds the flags of this suite."""
    flags.several(parser, "part", _PARTS, "default: both")
    parser.add_argument(
        "--photos",
        type=pathlib.Path,
        default=_PHOTOS,
        help="folder of photographs; default: ../shared/data/photos",
    )
    flags.define_counts(
        parser,
        batch=(None, "images; default: 32 photographs, 256 small images"),
        steps=(None, "batches timed in a row; default: 10 and 40"),
        repeats=(5, "how often all is measured in turn"),
    )


def run(options):
    """Measures; returns what the JSON file holds."""
    parts, left_out = [], {}
    for part in options.part or _PARTS:
        if part == "photographs" and not options.photos.is_dir():
            left_out[part] = f"--photos={options.photos} is no folder"
            continue
        measure.say(f"{part}: building")
        batch, steps = _AMOUNTS[part]
        batch, steps = options.batch or batch, options.steps or steps
        if part == "photographs":
            batch, streams = _photographs(options.photos, batch, steps)
        else:
            streams = _arrays(batch, steps)
        measured = measure.alternate(
            {name: stream.run for name, stream in streams.items()},
            options.repeats,
            part,
        )
        about = {"part": part, "batch": batch, "steps": steps}
        parts.append({**about, "measured": measured})
    return {
        "repeats": options.repeats,
        "parts": parts,
        "left_out": left_out,
    }


def _photographs(photos, batch, steps):
    """Batch, at most as many as there are, and dict of `Stream`s."""
    import tensorflow as tf

    import simclr_keras as sk
    from benchmarks.plain import views as plain

    spec, size = f"folder:{photos}", _PARTS["photographs"]
    files = sk.data.open_source(spec).files
    batch = min(batch, len(files))

    def decode(path):
        # Of any format, as photographs in a folder are.
        image = tf.io.decode_image(
            tf.io.read_file(path), channels=3, expand_animations=False
        )
        return tf.ensure_shape(image, (None, None, 3))

    paths = tf.data.Dataset.from_tensor_slices(files).repeat()
    paths = paths.shuffle(len(files))
    streams = {}
    for name, arguments in _PIPELINES.items():
        dataset = sk.data.load(
            spec, image_size=size, batch_size=batch, **arguments
        )
        streams |= _ours(name, dataset, size, batch, steps)
    per_image = plain.pipeline(paths.map(decode, tf.data.AUTOTUNE), size, batch)
    streams["tf.data"] = Stream(lambda: per_image, batch, steps)
    return batch, streams


def _arrays(batch, steps):
    """Dict of `Stream`s of small images in memory."""
    import numpy as np
    import tensorflow as tf

    import simclr_keras as sk
    from benchmarks.plain import views as plain

    size = _PARTS["arrays"]
    images = np.random.default_rng(0).integers(
        0, 256, (_ARRAY_IMAGES, size, size, 3), np.uint8
    )
    dataset = sk.data.load(images, batch_size=batch)
    streams = _ours("ours", dataset, size, batch, steps)
    slices = tf.data.Dataset.from_tensor_slices(images).repeat()
    per_image = plain.pipeline(slices.shuffle(_ARRAY_IMAGES), size, batch)
    streams["tf.data"] = Stream(lambda: per_image, batch, steps)
    return streams


def _ours(name, dataset, size, batch, steps):
    """Streams of what the step is given, and of the views made of that."""
    import tensorflow as tf

    import simclr_keras as sk
    from simclr_keras.data import epochs

    # As in a long training: no epoch ends here, after three batches or so.
    dataset = dataset.endless(epochs.WHOLE)
    views = sk.TwoViews(size)
    draw = tf.function(views, autograph=False)

    def finished():
        for step, images in zip(itertools.count(), dataset):
            pair = draw(images, tf.constant(step, tf.int64))
            float(pair[0][0, 0, 0, 0])  # then the device is done
            yield pair

    return {
        name: Stream(lambda: dataset, batch, steps),
        f"{name}, views": Stream(finished, batch, steps),
    }


_NAMES = {
    "ours": "ours: what the step is given",
    "ours, views": "ours, and views made of it on the device",
    "tf.data": "views by tf.image in tf.data, image by image",
}
_TITLES = {
    "photographs": "Photographs, crops of 224 pixels",
    "arrays": "Images of 32 pixels in memory",
}


def report(results):
    """The Markdown of what `run` returned."""
    parts = [_part(each, results["repeats"]) for each in results["parts"]]
    parts += [
        f"The part {part} was left out: {reason}."
        for part, reason in results["left_out"].items()
    ]
    return "\n\n".join(parts)


def _part(each, repeats):
    from simclr_keras.evaluation import markdown_table

    about = f"""
        Median (lowest-highest) of {repeats} repeats in turn, of
        {each["steps"]} batches of {each["batch"]} images; ratios are taken
        within a repeat."""
    measured = each["measured"]
    tf_data = measured["tf.data"]["clock"]
    rows = [
        (
            _NAMES.get(name, name),
            measure.rates(measured, name).text(0),
            ratio(tf_data, times["clock"]).text(2),
        )
        for name, times in measured.items()
    ]
    return "\n\n".join(
        [
            f"## {_TITLES[each['part']]}",
            words.paragraph(about),
            markdown_table(rows, ["pipeline", "images/s", "against tf.data"]),
        ]
    )
