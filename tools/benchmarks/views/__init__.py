"""Suite views: two views of every image, beside other ways to draw them."""

import importlib.metadata

from benchmarks import measure
from benchmarks import options as flags
from benchmarks.streams import missing
from benchmarks.views import tables

# Batch and batches in a row, by the size in pixels.
_SIZES = {"32": (256, 20), "224": (32, 4)}
_PEERS = {
    "keras-cv": ("keras_cv",),
    "Lightly": ("lightly", "torch", "torchvision"),
}


def define_flags(parser):
    """Adds the flags of this suite."""
    flags.several(
        parser, "size", _SIZES, "of the views in pixels; default: 32 and 224"
    )
    flags.define_counts(
        parser,
        batch=(None, "images; default: 256 of 32 pixels, 32 of 224"),
        steps=(None, "batches timed in a row; default: 20 of 32 pixels, 4"),
        repeats=(5, "how often all is measured in turn"),
    )


def run(options):
    """Measures; returns what the JSON file holds."""
    left_out = {
        name: absent
        for name, packages in _PEERS.items()
        if (absent := missing(*packages))
    }
    return {
        "repeats": options.repeats,
        "left_out": left_out,
        "versions": {
            name: importlib.metadata.version(packages[0])
            for name, packages in _PEERS.items()
            if name not in left_out
        },
        "sizes": [
            _measure(size, options, [p for p in _PEERS if p not in left_out])
            for size in options.size or _SIZES
        ],
    }


def report(results):
    """The Markdown of what `run` returned."""
    return tables.report(results)


def _measure(size, options, peers):
    """One size of views."""
    from benchmarks.views import subjects

    batch, steps = _SIZES[size]
    batch, steps = options.batch or batch, options.steps or steps
    ready = size == "224"
    streams = {}
    for name, make in subjects.MAKERS.items():
        if name in peers or name not in _PEERS:
            measure.say(f"{size} pixels: building {name}")
            streams[name] = make(int(size), ready, batch, steps)
    return {
        "size": int(size),
        "ready": ready,
        "batch": batch,
        "steps": steps,
        "measured": measure.alternate(
            {name: stream.run for name, stream in streams.items()},
            options.repeats,
            f"{size} pixels",
        ),
    }
