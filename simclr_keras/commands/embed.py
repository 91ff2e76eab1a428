"""Writes the embeddings of images, with an index of what they are."""

from absl import flags

from simclr_keras.commands import cli
from simclr_keras.commands import data_flags
from simclr_keras.commands import model_flags
from simclr_keras.commands import required
from simclr_keras.commands import run_flags


def define_flags(values):
    """Defines the flags of `simclr-embed`."""
    run_flags.define_run(values)
    data_flags.define_data(values)
    model_flags.define_checkpoint(values)
    flags.DEFINE_string(
        "split", "train", "Split that is embedded.", flag_values=values
    )
    flags.DEFINE_string(
        "layer",
        "h",
        "What is written: h, z of a pre-training, or the output of a layer of"
        " the encoder, such as block_group3, averaged over space.",
        flag_values=values,
    )
    flags.DEFINE_string(
        "neighbors",
        None,
        "Draws neighbors.png: the images most similar to those of random:N"
        " embedded ones, or to an image file.",
        flag_values=values,
    )
    flags.DEFINE_integer(
        "neighbors_k",
        8,
        "Neighbours of each query of --neighbors.",
        lower_bound=1,
        flag_values=values,
    )
    flags.DEFINE_boolean(
        "map",
        False,
        "Draws map.png: up to 5,000 images in a plane by UMAP where it is"
        " installed, else t-SNE, coloured by label.",
        flag_values=values,
    )
    flags.DEFINE_boolean(
        "projector",
        False,
        "Writes up to 10,000 images for TensorBoard's embedding projector.",
        flag_values=values,
    )


def run(settings):
    """Embeds as the settings say; returns the run directory's path."""
    required.check(settings, "model_dir", "checkpoint")
    from simclr_keras.commands import embedding

    return embedding.embed(settings)


def main():
    """Entry point of `simclr-embed`."""
    cli.start(define_flags, run, __doc__)


if __name__ == "__main__":
    main()
