"""Chooses how progress is shown: Keras's bar, printed lines, or nothing."""

import contextlib

_LINES = "lines"  # for output to a file: a line every half a minute


def for_fit(settings, keep_run, total_steps):
    """How the chief shows the progress of `fit`.

    Args:
        settings: the command's.
        keep_run: `KeepRun`, the callback of the run, which counts the steps.
        total_steps: training steps of the whole run.

    Returns:
        Pair of Keras's `verbose` and of callbacks to append after `keep_run`.
    """
    from simclr_keras.training import progress_lines

    kind = _kind(settings)
    if kind != _LINES:
        return int(kind), []
    batch = settings.train_batch_size
    return 0, [progress_lines.ProgressLines(keep_run, total_steps, batch)]


@contextlib.contextmanager
def of_rows(settings, count, done):
    """Context that shows the progress of embedding.

    Args:
        settings: the command's.
        count: images in all.
        done: images that were embedded before.

    Yields:
        Function to call with the number of images done, or None.
    """
    from simclr_keras import console

    kind = _kind(settings)
    if kind == "0":
        yield None
        return
    with console.counting(count, done, bar=kind != _LINES) as show:
        yield show


def _kind(settings):
    """`_LINES`, or Keras's `verbose` as text."""
    from simclr_keras import console

    kind = str(settings.verbose)
    if kind != "auto":
        return kind
    return "1" if console.is_terminal() else _LINES
