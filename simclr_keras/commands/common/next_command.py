"""Names what a run has written and the command that follows it."""

import shlex

from simclr_keras import old_runs
from simclr_keras.commands.common import image_flags


def after_pretraining(flags, run_directory, labelled):
    """Text that names the files to look at and the next command to run.

    Args:
        flags: the command's.
        run_directory: `RunDirectory` of the run.
        labelled: whether training and held-out images have labels of any kind.
    """
    path = run_directory.path
    given = old_runs.parse_flags(flags.flags_text)
    handed_on = {
        name: given[name]
        for name in (*image_flags.IMAGE_FLAGS, "train_split", "eval_split")
        if given[name] != flags.flag_defaults[name]
    }
    if labelled:
        program, suffix = "simclr-linear-eval", "linear"
    else:
        program, suffix = "simclr-embed", "embeddings"
        handed_on.pop("eval_split", None)
        if "train_split" in handed_on:
            handed_on["split"] = handed_on.pop("train_split")
    arguments = {
        "checkpoint": path,
        "dataset": flags.dataset,
        **handed_on,
        "model_dir": f"{path}_{suffix}",
    }
    line = shlex.join([program, *(f"--{n}={arguments[n]}" for n in arguments)])
    return (
        f"\nRun directory: {path} (views.png, metrics.csv, results.json)\n"
        f"Curves:  tensorboard --logdir {shlex.quote(str(path))}\n"
        f"Next:    {line}"
    )
