"""Writes the embeddings of images, with an index of their ids and labels."""

import simclr_keras as sk
from simclr_keras import choices
from simclr_keras.commands.common import checkpoint
from simclr_keras.commands.common import cli
from simclr_keras.commands.common import embed_files
from simclr_keras.commands.common import embed_pictures
from simclr_keras.commands.common import embedding_index
from simclr_keras.commands.common import image_flags
from simclr_keras.commands.common import input_data
from simclr_keras.commands.common import label_flags
from simclr_keras.commands.common import shared_flags
from simclr_keras.commands.common import stages
from simclr_keras.commands.common.flag_kinds import Group

FIRST = (
    "checkpoint",
    "dataset",
    "split",
    "model_dir",
    "layer",
    "rows_per_file",
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
    image_flags.define_data(values)
    image_flags.define_pictures(values)
    Group(values, "data").string("split", "train", "Split that is embedded.")
    shared_flags.define_trained_model(values)
    Group(values, "network").string(
        "layer",
        "h",
        "What is written: h, z of a pre-training, or the output of a layer of"
        " the encoder, such as block_group3, averaged over space.",
    )
    shared_flags.define_run(values)
    Group(values, "devices").choice(
        "strategy",
        "auto",
        ["auto", "single", "multi_worker"],
        "multi_worker: the processes that TF_CONFIG names (tools/launch_local),"
        " or the tasks that SLURM's srun has started, share the images; single:"
        " this process; auto: such workers or tasks where there are several.",
        may_change=True,
    )
    run = Group(values, "run")
    run.integer(
        "rows_per_file",
        0,
        "Embeddings in a file: embeddings-00000-of-00012.npy and so on, with"
        " index-00000-of-00012.csv. Workers write files at the same time, so"
        " all must see --model_dir. 0: one file, which the first worker"
        " writes.",
        least=0,
    )
    run.choice(
        "format",
        choices.EMBEDDING_FORMATS[0],
        choices.EMBEDDING_FORMATS,
        "Files of embeddings: npy, with ids and labels in an index beside them;"
        " parquet, with ids and labels as columns (needs pyarrow).",
    )
    run.path(
        "neighbors",
        None,
        "Draws the images most similar to those of random:N embedded ones, or"
        " to an image file: neighbors.png, .svg and .pdf.",
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
        "Draws up to 5,000 images in a plane by UMAP where it is installed,"
        " else t-SNE, coloured by label: map.png, .svg and .pdf.",
        may_change=True,
    )
    run.boolean(
        "projector",
        False,
        "Writes up to 10,000 images for TensorBoard's embedding projector.",
        may_change=True,
    )


def run(flags):
    """Embeds as the flags say; returns the run directory's path."""
    cli.require(flags, "model_dir", "checkpoint")
    embed_pictures.check(flags)
    embed_files.check(flags)
    table = label_flags.table(flags)
    from simclr_keras.distribute import workers

    devices = _set_up(flags)
    model = checkpoint.load_and_set_channels(flags)
    source = input_data.open_source(flags, flags.split, table)
    embedding_index.check(source)
    input_data.check_shown(flags, source)
    query = embed_pictures.query(flags, source.num_examples)
    print(f"Embedding {source.summary()}")
    model = checkpoint.pretrained(flags, source, model)
    size = input_data.image_size(flags, source, checkpoint.trained_size(model))
    features = sk.evaluation.layer_features(model, flags.layer)
    images = {"images": source}
    with stages.run_directory(flags, devices, images) as (run, results):
        # All workers ask the first one, whose disk counts.
        if results is not None and workers.from_chief(
            devices.strategy,
            lambda: embed_files.are_missing(flags, run, source),
        ):
            print("Files of embeddings are gone: they are made again.")
            results = None
        if results is None:
            if devices.chief:
                run.record_start()
            results, timing = embed_files.write(
                flags, devices, run, source, features, size
            )
            stages.finish(devices, run, results, timing)
        if embed_pictures.wanted(flags):
            workers.from_chief(
                devices.strategy,
                lambda: embed_pictures.draw(
                    flags, run, source, query, features, size
                ),
            )
    return run.path


def _set_up(flags):
    """`stages.set_up` with the workers of a cluster, or with this process."""
    from simclr_keras.distribute import strategy

    if flags.strategy == "auto":
        shared = len(strategy.addresses()) > 1
        flags.strategy = "multi_worker" if shared else "single"
    return stages.set_up(flags)


def main():
    """Entry point of `simclr-embed`."""
    cli.start(define_flags, run, __doc__, first=FIRST, example=EXAMPLE)


if __name__ == "__main__":
    main()
