"""Refuses a command line that lacks something, before TensorFlow is loaded."""

_MUST = {
    "model_dir": "--model_dir must name the run directory, such as"
    " --model_dir=runs/first.",
    "checkpoint": "--checkpoint must name a pre-training's run directory, a"
    " checkpoint in it, a .keras file, an export or a file of weights.",
    "eval_split": "--eval_split must name the split that the accuracy is"
    " measured on.",
}


def check(settings, *names):
    """Checks that flags are given.

    Args:
        settings: the command's.
        *names: of the flags.

    Raises:
        ValueError: one of them is not.
    """
    for name in names:
        if not getattr(settings, name):
            raise ValueError(f"{_MUST[name]} Received: nothing")
