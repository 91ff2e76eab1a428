"""Suite memory: large batches on one device, by gradient caching.

Each batch size trains in a new process, to measure its peak resident memory.
The time per image is measured in one process, for the plain step and the step
in micro-batches in turn.
"""

from benchmarks import measure
from benchmarks import trainings

_TIMED = 4  # micro-batches in the timed step


def define_flags(parser):
    """Adds the flags of this suite."""
    parser.add_argument(
        "--encoder", choices=trainings.NETWORKS, default="resnet18"
    )
    parser.add_argument(
        "--precision", choices=("float32", "bfloat16"), default="float32"
    )
    parser.add_argument(
        "--micro_batch_size",
        type=int,
        default=256,
        help="images, also of the plain step; default: 256",
    )


def run(options):
    """Yields one `measure.Comparison` of memory and one of time."""
    micro = options.micro_batch_size
    network = trainings.NETWORKS[options.encoder]
    title = f"{network.title}, {network.image_size} pixels, {options.precision}"
    steps = options.steps or 1
    peaks = {}
    for batch in [micro, *(options.batch or (4096, 16384))]:
        how = "plain" if batch == micro else f"micro-batches of {micro}"
        measure.say(f"memory of {network.title} at batch {batch}")
        settings = (options.encoder, options.precision, batch, micro, steps)
        peaks[f"batch {batch:,}, {how}"] = measure.in_new_process(
            training_peak, *settings
        )
    yield measure.Comparison(
        f"Peak of memory: {title}",
        f"Resident memory of a process that trains for {steps} steps.",
        peak_bytes=peaks,
    )
    large, precision = _TIMED * micro, options.precision
    plain = trainings.ours(network, precision, micro)
    cached = trainings.ours(network, precision, large, micro_batch=micro)
    names = (f"batch {micro}, plain", f"batch {large}, cached")
    subjects = {
        names[0]: lambda: plain.step_seconds(_TIMED) / micro,
        names[1]: lambda: cached.step_seconds(1) / large,
    }
    yield measure.Comparison(
        f"Time of an image: {title}",
        f"An image's share of a step, in micro-batches of {micro} and plain.",
        measure.in_turn(subjects, options.repeats, title),
        images=1,
        reference={names[1]: names[0]},
    )


def training_peak(encoder, precision, batch, micro, steps):
    """Trains at one batch size; returns the peak memory in bytes."""
    network = trainings.NETWORKS[encoder]
    micro = None if batch == micro else micro
    trainings.ours(network, precision, batch, micro_batch=micro).fit(steps)
    return measure.peak_bytes()
