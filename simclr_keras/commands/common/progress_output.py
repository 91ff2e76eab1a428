"""Chooses what shows the progress: Keras's bar, lines, or nothing."""

import contextlib

_LINES = "lines"  # for files: one now and then


def for_fit(settings, keep_run, total_steps):
    """What shows the progress of a `fit` in the process that shows it.

    Args:
        settings: the command's.
        keep_run: callback of the run, which counts the steps.
        total_steps: training steps of the whole run.

    Returns:
        Pair of Keras's `verbose` and of callbacks that stand behind the run's.
    """
    from simclr_keras.training import progress_lines

    kind = _kind(settings)
    if kind != _LINES:
        return int(kind), []
    batch = settings.train_batch_size
    return 0, [progress_lines.ProgressLines(keep_run, total_steps, batch)]


@contextlib.contextmanager
def of_rows(settings, count, done):
    """Context in which the progress of embedding is shown.

    Args:
        settings: the command's.
        count: images in all.
        done: images that were done before.

    Yields:
        Function of the number of images done, or None.
    """
    from simclr_keras import console

    kind = _kind(settings)
    if kind == "0":
        yield None
        return
    with console.counting(count, done, bar=kind != _LINES) as show:
        yield show


def _kind(settings):
    """`_LINES`, or Keras's `verbose` as a text."""
    from simclr_keras import console

    kind = str(settings.verbose)
    if kind != "auto":
        return kind
    return "1" if console.is_terminal() else _LINES
