"""Suite step: the training step, beside a plain Keras rendering of it.

Ours, with its views and without; and the same network of stock Keras layers,
with views drawn image by image in tf.data and without. All in turn, in one
process, with products of matrices between them: what the machine can do.
"""

import importlib

from benchmarks import measure
from benchmarks import options as flags
from benchmarks.step import tables

PRECISIONS = ("float32", "bfloat16")
_ENCODERS = ("resnet18", "resnet50", "tiny", "smallest")
_DEFAULT = _ENCODERS[:3]
_PROFILED = ("ours, given views", "plain, given views")


def define_flags(parser):
    """Adds the flags of this suite."""
    words = f"default: {', '.join(_DEFAULT)}"
    flags.several(parser, "encoder", _ENCODERS, words)
    words = "default: float32, and bfloat16 where the processor multiplies it"
    flags.several(parser, "precision", PRECISIONS, words)
    flags.define_counts(
        parser,
        batch=(None, "images in a step; default: 256 of 32 pixels, 16 of 224"),
        steps=(None, "timed in a row; default: 2, of tiny 10"),
        repeats=(5, "how often all is measured in turn"),
    )
    parser.add_argument(
        "--xla",
        action="store_true",
        help="also with the step compiled by XLA; on a GPU always",
    )


def run(options):
    """Measures; returns what the JSON file holds."""
    # TensorFlow is not loaded for the flags.
    rate = importlib.import_module("benchmarks.rate")
    precisions = options.precision or _precisions()
    products = {name: rate.best(name, **_brief(options)) for name in precisions}
    networks = [
        _measure(name, precisions, products, options)
        for name in options.encoder or _DEFAULT
    ]
    return {
        "products": {
            name: {
                "size": product.size,
                "sizes": sizes,
                "before": sizes[str(product.size)],
                "after": rate.again(product),
            }
            for name, (product, sizes) in products.items()
        },
        "networks": networks,
    }


def report(results):
    """The Markdown of what `run` returned."""
    return tables.report(results)


def _precisions():
    from simclr_keras.commands import stages

    fast = stages.multiplies_bfloat16()
    return PRECISIONS if fast else PRECISIONS[:1]


def _brief(options):
    """Arguments of `rate.best`: small ones where only the tool is tried."""
    if options.encoder == ["smallest"]:
        return {"repeats": 1, "sizes": (64,), "seconds": 0.01}
    return {}


def _measure(name, precisions, products, options):
    """Everything about one network."""
    import tensorflow as tf

    from benchmarks.step import networks
    from benchmarks.step import operations
    from benchmarks.step import trainings

    network = networks.NETWORKS[name]
    batch = options.batch or network.batch
    steps = options.steps or network.steps
    kinds = {
        "ours": (trainings.ours, {}),
        "ours, given views": (trainings.ours, {"given": True}),
        "plain": (trainings.plain, {}),
        "plain, given views": (trainings.plain, {"given": True}),
    }
    if options.xla or tf.config.list_physical_devices("GPU"):
        kinds["ours, XLA"] = (trainings.ours, {"jit": True})
        # The pipeline stays as it is: XLA has no part in it.
        kinds["plain, XLA"] = (trainings.plain, {"jit": True})
    made = {}
    for precision in precisions:
        for kind, (make, arguments) in kinds.items():
            measure.say(f"{name}: building and tracing {kind}, {precision}")
            made[kind, precision] = make(
                network, precision, batch, steps, **arguments
            )
    subjects = {key: training.run for key, training in made.items()}
    for precision in precisions:
        subjects["products", precision] = products[precision][0].run
    measured = measure.alternate(subjects, options.repeats, name)
    spent = {}
    if not tf.config.list_physical_devices("GPU"):
        measure.say(f"{name}: where the time goes")
        for precision in precisions:
            spent[precision] = {
                kind: operations.seconds(made[kind, precision])
                for kind in _PROFILED
            }
    return {
        "name": name,
        "title": network.title,
        "image_size": network.image_size,
        "batch": batch,
        "steps": steps,
        "repeats": options.repeats,
        "flops": network.training_flops(batch),
        "precisions": {
            precision: {
                kind: measured[kind, precision] for kind in (*kinds, "products")
            }
            for precision in precisions
        },
        "operations": spent,
        "peak_bytes": {
            precision: {
                kind: made[kind, precision].peak_bytes for kind in kinds
            }
            for precision in precisions
        },
    }
