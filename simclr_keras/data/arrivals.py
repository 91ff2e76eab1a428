"""Puts the batches that a tf.data service sends into their order."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable

import numpy as np
import tensorflow as tf

# Seconds without any batch after which the service counts as silent.
_SILENCE_SECONDS = 60
_REMEDY = (
    "has failed. Start it again, and then the same command, which goes on from"
    " what was saved last; or leave out --data_service, for the same batches."
)


class Arrivals:
    """Batches of a service, by their number.

    A thread receives them. It keeps those whose turn is still to come, and
    stops receiving while there are `ahead` of them.

    Args:
        from_number: function that makes the `tf.data.Dataset` of the service
            from a batch on. Its elements are the number of a batch, whether it
            is complete, and what is in it.
        empty: what is returned in place of a batch's content that did not
            arrive.
        ahead: number of batches that are kept.
        address: name of the service, for messages.
    """

    def __init__(
        self,
        from_number: Callable[[int], tf.data.Dataset],
        empty: tuple[np.ndarray, ...],
        ahead: int,
        address: str,
    ):
        self._from_number, self._empty = from_number, empty
        self._ahead, self._address = ahead, address
        self._stream = None
        self._missed = 0

    def take(self, number: tf.Tensor) -> tuple[tf.Tensor, ...]:
        """Waits for a batch.

        Args:
            number: `int64` scalar. After another one than the next, the service
                begins anew with it.

        Returns:
            Whether the batch arrived, and its content. It does not arrive if
            all that can be kept arrived before it, if it is not complete, or
            if the service is silent.

        Raises:
            RuntimeError: the service has failed.
        """
        number = int(number)
        stream = self._stream
        if stream is None or stream.number != number or stream.is_late():
            if stream is not None:
                stream.stop()
            stream = _Stream(self._from_number, number, self._ahead)
            self._stream = stream
        batch, reason = stream.take()
        if batch is not None:
            return True, *batch
        if stream.error is not None:
            raise RuntimeError(
                f"the data service at {self._address} {_REMEDY} It failed with:"
                f" {stream.error}"
            )
        self._missed += 1
        if str(self._missed).strip("0") == "1":  # the 1st, 10th, 100th, ...
            print(
                f"Batch {number} is decoded here, as it {reason}"
                f" ({self._missed} so far; data service {self._address})."
            )
        return False, *self._empty


def explain(message: str) -> str:
    """Explains to the user that the service failed.

    Args:
        message: TensorFlow's message, which contains that of `Arrivals.take`.

    Returns:
        The lines of `Arrivals.take`; `message` itself if it has none.
    """
    found = re.search(
        rf"RuntimeError: (the data service at .*?{re.escape(_REMEDY)}[^\n]*)",
        message,
    )
    return message if found is None else found[1]


class _Stream:
    """Receives the batches from a number on.

    Attributes:
        number: number of the next batch that `take` returns.
        error: text of the error with which the service failed, or None.
    """

    def __init__(self, from_number, first, ahead):
        self.number, self.error = first, None
        self._ahead = ahead
        self._kept = {}
        self._late = 0  # batches in a row that arrived after their turn
        self._silent = self._stopped = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(
            target=self._receive, args=(from_number, first), daemon=True
        )
        self._thread.start()

    def is_late(self):
        """Whether the service lags behind, after it was silent."""
        return self._late > self._ahead

    def stop(self):
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def take(self):
        """The next batch, and None; or None, and the reason."""
        with self._changed:
            number = self.number
            while not (
                number in self._kept
                or len(self._kept) >= self._ahead
                or self._silent
                or self.error
            ):
                if not self._changed.wait(_SILENCE_SECONDS):
                    self._silent = True
            reason = "has not arrived before many later ones"
            if self._silent:
                reason = f"has not arrived within {_SILENCE_SECONDS} s"
            elif number in self._kept:
                reason = "has an image that workers cannot decode"
            batch = self._kept.pop(number, None)
            self.number += 1
            self._changed.notify_all()
        return batch, reason

    def _receive(self, from_number, first):
        try:
            for number, complete, *batch in from_number(first):
                if not self._keep(int(number), batch if complete else None):
                    return
        except tf.errors.OpError as error:
            with self._changed:
                self.error = error.message
                self._changed.notify_all()

    def _keep(self, number, batch):
        """Keeps a batch, then waits for room; False: nobody wants more."""
        with self._changed:
            self._silent = False
            if number < self.number:
                self._late += 1
            else:
                self._late = 0
                self._kept[number] = batch
            self._changed.notify_all()
            self._changed.wait_for(
                lambda: self._stopped or len(self._kept) < self._ahead
            )
            return not self._stopped
