"""Suite step: our training step, compared with the same network in plain Keras.

Plain Keras uses stock layers, the dense loss, SGD, and views drawn image by
image in tf.data; our step draws its views itself and trains with LARS. Both are
measured with their own way to draw views, and with views drawn in advance. On
CPUs with AMX, our step in bfloat16 is measured with TensorFlow's gradients of
all kernels, too; see `simclr_keras.networks.kernel_gradient`.
"""

import functools

from benchmarks import measure
from benchmarks import trainings
from simclr_keras.networks import kernel_gradient


def define_flags(parser):
    """Adds the flags of this suite."""
    parser.add_argument(
        "--encoder",
        action="append",
        choices=trainings.NETWORKS,
        help="may be repeated; default: resnet18, resnet50, tiny",
    )
    parser.add_argument(
        "--precision",
        action="append",
        choices=("float32", "bfloat16"),
        help="may be repeated; default: float32",
    )
    parser.add_argument(
        "--xla",
        action="store_true",
        help="also with the whole step compiled by XLA",
    )


def run(options):
    """Yields a `measure.Comparison` for each encoder and batch."""
    for name in options.encoder or ("resnet18", "resnet50", "tiny"):
        network = trainings.NETWORKS[name]
        for batch in options.batch or [network.batch]:
            yield _compare(network, batch, options)


def _compare(network, batch, options):
    precisions = options.precision or ["float32"]
    steps = options.steps or network.steps
    variants = {"": {}, ", views given": {"given": True}}
    if options.xla:
        variants[", XLA"] = {"jit": True}
    trained, reference = {}, {}
    for precision in precisions:
        for variant, arguments in variants.items():
            ours = f"ours{variant}, {precision}"
            plain = f"plain Keras{variant}, {precision}"
            for name, make in (
                (ours, trainings.ours),
                (plain, trainings.plain),
            ):
                trained[name] = make(network, precision, batch, **arguments)
            reference[plain] = ours
            if precision != precisions[0]:
                reference[ours] = f"ours{variant}, {precisions[0]}"
            elif variant:
                reference[ours] = f"ours, {precision}"
        if precision == "bfloat16" and kernel_gradient.runs_on_amx():
            ours, name = "ours, bfloat16", "ours, TensorFlow's kernel gradients"
            trained[name] = trainings.ours(
                network, precision, batch, by_taps=False
            )
            reference[name] = ours
    subjects = {
        name: functools.partial(training.step_seconds, steps)
        for name, training in trained.items()
    }
    return measure.Comparison(
        f"{network.title}, {network.image_size} pixels, batch {batch}",
        f"Training step on two views of each image, mean of {steps} steps.",
        measure.in_turn(subjects, options.repeats, network.title),
        images=batch,
        reference=reference,
    )
