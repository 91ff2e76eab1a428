"""Chooses how progress is shown: Keras's bar, printed lines, or nothing."""

import contextlib

_AUTO = "auto"  # a bar on a terminal, else a line every half a minute


def for_fit(flags, run_callback, total_steps):
    """How the chief shows the progress of `fit`.

    Args:
        flags: the command's.
        run_callback: `RunCallback` of this `fit`, which counts the steps.
        total_steps: training steps of the whole run.

    Returns:
        Pair of Keras's `verbose` and of callbacks to append after it.
    """
    from simclr_keras import console
    from simclr_keras.training import progress_lines

    if flags.verbose != _AUTO:
        return int(flags.verbose), []
    if console.is_terminal():
        return 1, []
    batch = flags.train_batch_size
    return 0, [progress_lines.ProgressLines(run_callback, total_steps, batch)]


@contextlib.contextmanager
def of_rows(flags, count, done):
    """Context that shows the progress of embedding.

    Args:
        flags: the command's.
        count: images in all.
        done: images that were embedded before.

    Yields:
        Function to call with the number of images done, or None.
    """
    from simclr_keras import console

    if flags.verbose == "0":
        yield None
        return
    bar = None if flags.verbose == _AUTO else flags.verbose == "1"
    with console.counting(count, done, bar) as show:
        yield show
