"""Writes the embeddings of images, with an index of what they are."""

from absl import flags

from simclr_keras.commands import cli
from simclr_keras.commands import shared_flags


def define_flags(values):
    """Defines the flags of `simclr-embed`."""
    shared_flags.define_run(values)
    shared_flags.define_data(values)
    shared_flags.define_checkpoint(values)
    flags.DEFINE_string(
        "split", "train", "Split that is embedded.", flag_values=values
    )


def run(settings):
    """Embeds as the settings say; returns the path of the embeddings."""
    from simclr_keras.commands import serving_stages

    return serving_stages.embed(settings)


def main():
    """Entry point of `simclr-embed`."""
    cli.start(define_flags, run, __doc__)


if __name__ == "__main__":
    main()
