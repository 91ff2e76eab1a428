"""One process on one core, which trains and exchanges as it is told.

  python -m benchmarks.scaling.worker PORT joined|independent

Started by tools/launch_local. Requests and replies are lines of JSON.
"""

import json
import os
import socket
import sys

from benchmarks.scaling import exchange
from benchmarks.scaling import training
from simclr_keras.distribute import strategy


class _Worker:
    """What can be asked for: each method but the first."""

    def __init__(self, devices):
        self._strategy = devices
        self._trainings = {}

    def build(self, network, batch):
        """Makes a model, and one without global batch norm to compare.

        Returns the number of its trainable parameters.
        """
        self._trainings = {}
        kinds = {"global": True}
        if self._strategy.num_replicas_in_sync > 1:
            kinds["local"] = False
        for name, global_bn in kinds.items():
            self._trainings[name] = training.Training(
                self._strategy, network, batch, global_bn
            )
        return self._trainings["global"].parameters

    def train(self, steps, norm="global"):
        """Seconds per step."""
        return self._trainings[norm].run(steps)

    def exchange(self, repeats):
        """What a step exchanges, and how long each part takes by itself."""
        training = self._trainings["global"]
        return exchange.parts(self._strategy, training, repeats)

    def all_reduce(self, size, repeats):
        """Seconds of one all-reduce."""
        return exchange.all_reduce_seconds(self._strategy, size, repeats)


def main(port, kind):
    """Serves requests until there are no more."""
    number = json.loads(os.environ["TF_CONFIG"])["task"]["index"]
    if kind == "independent":
        del os.environ["TF_CONFIG"]
    names = {"independent": "single", "joined": "multi_worker"}
    worker = _Worker(strategy.choose(names[kind]).strategy)
    with socket.create_connection(("127.0.0.1", int(port))) as connection:
        stream = connection.makefile("rw")
        _write(stream, number)
        for line in stream:
            name, arguments = json.loads(line)
            _write(stream, getattr(worker, name)(**arguments))


def _write(stream, value):
    stream.write(json.dumps(value) + "\n")
    stream.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
