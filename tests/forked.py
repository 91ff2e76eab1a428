"""Processes for tests, forked where TensorFlow is imported and not used yet.

A new Python takes five seconds of processor time to import TensorFlow and
Keras; a fork of one server that has imported them takes none. What a process
has to be for (signals, kill -9, several workers, devices that are split before
TensorFlow starts) is as real in a fork.
"""

import importlib
import json
import multiprocessing
import os
import pathlib
import runpy
import signal
import socket
import sys
import time
from multiprocessing import forkserver

SECONDS = 600
_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(["forked_imports"])


def _start_server():
    """Starts the server where it does not run yet.

    Python's own hands it the path of modules and then does not look there.
    """
    here = str(pathlib.Path(__file__).parent)
    known = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join([here, *filter(None, [known])])
    try:
        forkserver.ensure_running()
    finally:
        del os.environ["PYTHONPATH"]
        if known is not None:
            os.environ["PYTHONPATH"] = known


class Process:
    """A forked process with a log file, in a session of its own.

    Args:
        path: a script, run as `__main__`; or the name of a command of the
            package, such as `"pretrain"`.
        arguments: its command line.
        log: path of the file that takes what it prints.
        **environment: variables beside those of this process.
    """

    def __init__(self, path, arguments, log, **environment):
        _start_server()
        self.log = pathlib.Path(log)
        self._process = _FORKS.Process(
            target=_run,
            args=(
                str(path),
                list(map(str, arguments)),
                str(log),
                {**os.environ, **environment},
            ),
            daemon=True,  # else the tests' end would wait for it
        )
        self.log.write_text("")
        self._process.start()
        self.pid = self._process.pid

    def text(self):
        """What it has printed so far."""
        return self.log.read_text(errors="replace")

    def poll(self):
        """Its exit code, negative for a signal; None while it runs."""
        return self._process.exitcode

    def wait(self, seconds=SECONDS):
        """Its exit code; fails where it does not end in time."""
        self._process.join(seconds)
        assert self.poll() is not None, f"still running:\n{self.text()[-3000:]}"
        return self.poll()

    def wait_for(self, condition, seconds=SECONDS):
        """Returns when the condition holds; fails where it ended before."""
        end = time.monotonic() + seconds
        while not condition():
            assert self.poll() is None, self.text()[-3000:]
            assert time.monotonic() < end, self.text()[-3000:]
            time.sleep(0.005)

    def lines(self, seconds=SECONDS):
        """Yields the lines that it prints, as they come, until it has ended."""
        end = time.monotonic() + seconds
        with open(self.log, encoding="utf-8") as file:
            line = ""
            while True:
                ended = self.poll() is not None
                line += file.readline()
                if line.endswith("\n"):
                    yield line[:-1]
                    line = ""
                elif ended:
                    return
                else:
                    assert time.monotonic() < end, self.text()[-3000:]
                    time.sleep(0.002)

    def send_signal(self, number):
        """Sends it a signal; nothing where it has ended."""
        try:
            os.kill(self.pid, number)
        except ProcessLookupError:
            pass

    def end(self):
        """Ends it and its children, however it stands."""
        if self.poll() is None:
            try:
                os.killpg(self.pid, signal.SIGKILL)
            except ProcessLookupError:  # it has not become a leader yet
                self._process.kill()
            self._process.join()


def workers(count, path, arguments, directory):
    """Processes that train together, as `TF_CONFIG` tells each of them.

    Args:
        count: how many; they are on this machine.
        path: see `Process`.
        arguments: see `Process`.
        directory: where their logs lie, which exists.
    """
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    cluster = {"worker": [f"127.0.0.1:{port}" for port in ports]}
    started = []
    for index in range(count):
        task = {"type": "worker", "index": index}
        config = json.dumps({"cluster": cluster, "task": task})
        log = pathlib.Path(directory) / f"worker-{index}.log"
        started.append(Process(path, arguments, log, TF_CONFIG=config))
    return started


def _run(path, arguments, log, environment):
    """The life of the process."""
    os.setsid()
    os.environ.clear()
    os.environ.update(environment)
    output = os.open(log, os.O_WRONLY | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(output, stream)
    # Streams of before the fork may be closed, or buffer what is never read.
    sys.stdout = open(1, "w", buffering=1, closefd=False)
    sys.stderr = open(2, "w", buffering=1, closefd=False)
    sys.argv = [path, *arguments]
    try:
        if path.endswith(".py"):
            sys.path.insert(0, str(pathlib.Path(path).parent))
            runpy.run_path(path, run_name="__main__")
        else:
            importlib.import_module(f"simclr_keras.commands.{path}").main()
    except KeyboardInterrupt:  # ends a Python that nobody forked so too
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)


def forget_package():
    """Makes a forked process one that has not imported the package yet."""
    import keras

    for name in list(sys.modules):
        if name.partition(".")[0] == "simclr_keras":
            del sys.modules[name]
    keras.saving.get_custom_objects().clear()
