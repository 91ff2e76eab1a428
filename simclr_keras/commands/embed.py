"""Writes the embeddings of images, with an index of what they are."""

from simclr_keras.commands import cli
from simclr_keras.commands import data_flags
from simclr_keras.commands import model_flags
from simclr_keras.commands import run_flags
from simclr_keras.commands.flag_kinds import Group

FIRST = (
    "checkpoint",
    "dataset",
    "split",
    "model_dir",
    "layer",
    "neighbors",
    "map",
    "projector",
)
EXAMPLE = (
    "simclr-embed --checkpoint=runs/photos --dataset=folder:/photos"
    " --model_dir=runs/photos_embeddings --neighbors=random:8 --map"
)


def define_flags(values):
    """Defines the flags of `simclr-embed`."""
    data_flags.define_data(values)
    Group(values, "data").string("split", "train", "Split that is embedded.")
    model_flags.define_checkpoint(values)
    Group(values, "network").string(
        "layer",
        "h",
        "What is written: h, z of a pre-training, or the output of a layer of"
        " the encoder, such as block_group3, averaged over space.",
    )
    run_flags.define_run(values)
    run = Group(values, "run")
    run.path(
        "neighbors",
        None,
        "Draws neighbors.png: the images most similar to those of random:N"
        " embedded ones, or to an image file.",
        may_change=True,
    )
    run.integer(
        "neighbors_k",
        8,
        "Neighbours of each query of --neighbors.",
        least=1,
        may_change=True,
    )
    run.boolean(
        "map",
        False,
        "Draws map.png: up to 5,000 images in a plane by UMAP where it is"
        " installed, else t-SNE, coloured by label.",
        may_change=True,
    )
    run.boolean(
        "projector",
        False,
        "Writes up to 10,000 images for TensorBoard's embedding projector.",
        may_change=True,
    )


def run(settings):
    """Embeds as the settings say; returns the run directory's path."""
    cli.require(settings, "model_dir", "checkpoint")
    from simclr_keras.commands import embedding

    return embedding.embed(settings)


def main():
    """Entry point of `simclr-embed`."""
    cli.start(define_flags, run, __doc__, first=FIRST, example=EXAMPLE)


if __name__ == "__main__":
    main()
