"""Imports a checkpoint of the official SimCLR as a .keras file."""

import simclr_keras as sk
from simclr_keras.commands.common import cli
from simclr_keras.commands.common import flag_kinds
from simclr_keras.commands.common import shared_flags
from simclr_keras.commands.common.flag_kinds import Group

FIRST = ("checkpoint", "output", "image_size", "sk_ratio")
EXAMPLE = "simclr-import-official --checkpoint=r50_1x_sk0 --output=r50.keras"


def define_flags(values):
    """Defines the flags of `simclr-import-official`."""
    network = Group(values, "network")
    network.path(
        "checkpoint",
        None,
        "Official checkpoint, version 1 or 2: its prefix, its .index file, a"
        " directory of checkpoints, of which the newest is taken, or a"
        " SavedModel.",
    )
    network.float(
        "sk_ratio",
        None,
        "Selective kernels of a ResNet-18 or -34 for small images, whose shapes"
        " do not show them.",
        least=0.0,
        most=1.0,
    )
    Group(values, "data").integer(
        "image_size",
        0,
        "Side in pixels that the model is for. 0: 32 for a stem for small"
        " images, else 224.",
        least=0,
    )
    Group(values, "run").path("output", None, "New .keras file to write.")
    shared_flags.define_log(values)


def run(flags):
    """Imports as the flags say; returns the path of the file."""
    for name in ("checkpoint", "output"):
        if not getattr(flags, name):
            raise ValueError(f"--{name} must be given.")
    output = flag_kinds.as_path(flags.output, "--output")
    if output.suffix != ".keras":
        raise ValueError(
            f"--output must end in .keras. Received: --output={output}"
        )
    if output.exists():
        raise ValueError(
            "--output must be a new file; nothing is overwritten. Received:"
            f" --output={output}"
        )
    from simclr_keras import paths

    official = sk.serving.load_official(flags.checkpoint, flags.sk_ratio)
    size = flags.image_size or (32 if official.encoder.small_images else 224)
    supervised = official.supervised_head
    model = sk.SimCLR(
        official.encoder,
        official.projection_head,
        sk.TwoViews(size),
        num_classes=supervised.units if supervised else None,
    )
    if supervised:
        model.probe.set_weights(supervised.get_weights())
    output.parent.mkdir(parents=True, exist_ok=True)
    if paths.is_remote(output):
        with paths.made_locally(output) as made:
            model.save(made)
    else:
        model.save(output)
    header = ["variable", "shape", "becomes"]
    print(sk.evaluation.markdown_table(official.variables, header))
    print(f"\n{_summary(official, size)}\n{output}")
    return output


def _summary(official, size):
    encoder, head = official.encoder, official.projection_head
    supervised = official.supervised_head
    classes = supervised.units if supervised else "no"
    left = sum("left out" in fate for *_, fate in official.variables)
    return (
        f"ResNet-{encoder.depth}, width {encoder.width}, sk_ratio"
        f" {encoder.sk_ratio:g}, se_ratio {encoder.se_ratio:g}, images of"
        f" {size} pixels; projection head of {head.depth} layers; {classes}"
        f" classes. {len(official.variables) - left} variables taken over,"
        f" {left} left out."
    )


def main():
    """Entry point of `simclr-import-official`."""
    cli.start(define_flags, run, __doc__, first=FIRST, example=EXAMPLE)


if __name__ == "__main__":
    main()
