"""Finds the images of a source that cannot be decoded, before training.

They are found when a data set is opened, not during training, so that the
batches of an epoch stay a pure function of (seed, epoch, step).
"""

from __future__ import annotations

import dataclasses
import os
import re
import warnings
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from simclr_keras import compat
from simclr_keras import console
from simclr_keras.data.examples import AFTER_NAME
from simclr_keras.data.examples import CORRUPT
from simclr_keras.data.examples import Examples
from simclr_keras.data.sources.source import Source

_NAMED = 10


def leave_out_corrupt(source: Source) -> Source:
    """Decodes every image once, and leaves out those that cannot be decoded.

    Args:
        source: `Source`; it is returned unchanged if its images are in memory.

    Returns:
        `Source` without these images. Its `skipped` names them; a warning
        counts them and names the first ones.

    Raises:
        ValueError: no image can be decoded.
    """
    tensors = source.records is not None and source.records.is_tensor
    if source.images is not None or tensors:
        return source
    examples = Examples(source)
    count = source.num_examples

    def decodable(number, key):
        encoded, _ = examples.fetch(key)
        image = examples.decode(encoded)
        # Without the size, tf.data would find the decoding unused.
        return number, tf.size(image)

    numbers = examples.epoch(0, 0, count)
    numbers = numbers.map(decodable, num_parallel_calls=tf.data.AUTOTUNE)
    numbers = compat.untuned(numbers.ignore_errors())
    good = np.zeros(count, bool)
    with console.counting(count) as show:
        for number, _ in numbers.as_numpy_iterator():
            good[number] = True
            if number % 100 == 0:
                show(number)
        show(count)
    if good.all():
        return source
    names = names_of(source, ~good)
    _report(names, count)
    source = source.take(np.flatnonzero(good))
    return dataclasses.replace(source, skipped=names)


def names_of(source: Source, bad: np.ndarray) -> tuple[str, ...]:
    """Names of the images for which a `bool` array is true."""
    names = source.ids
    return tuple(names[i] for i in np.flatnonzero(bad))


def check_names(files: Sequence[str]) -> None:
    """Refuses files whose names cannot be passed to TensorFlow.

    Args:
        files: paths, strings as Python reads them from the disk.

    Raises:
        ValueError: a name is not UTF-8; the message shows it.
    """
    for path in files:
        try:
            str(path).encode()
        except UnicodeEncodeError as error:
            raise ValueError(
                f"{os.fsencode(path)!r}: names of files and folders must be"
                " UTF-8. Rename it, for example with convmv."
            ) from error


def explain(message: str) -> str:
    """Explains to the user which image stopped a run.

    Args:
        message: TensorFlow's message, which contains that of the pipeline.

    Returns:
        Text that begins with the name of the image and, if known, the reason;
        `message` itself if it is not about an image.
    """
    before, after = re.escape(CORRUPT), re.escape(AFTER_NAME)
    found = re.search(rf"\[{before}\] \[(.*?)\] \[{after}\]", message, re.S)
    if found is None:
        return message
    return (
        f"{found[1]}. Bring the image back, mend or remove it, or leave such"
        " images out by --skip_corrupt."
    )


def _report(names, count):
    listed = "\n  ".join(names[:_NAMED])
    more = f"\n  and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    text = (
        f"{len(names)} of {count} images cannot be decoded:\n  {listed}{more}"
    )
    if len(names) == count:
        raise ValueError(
            "The data set must hold images that can be decoded. Received:"
            f" {text}"
        )
    warnings.warn(f"Left out: {text}", stacklevel=4)
