"""Two processes on one core each, started, asked and ended together."""

import contextlib
import json
import os
import pathlib
import socket
import subprocess
import sys
import tempfile

from benchmarks import Failure

_TOOLS = pathlib.Path(__file__).resolve().parents[2]
_TICK, _END_SECONDS = 1.0, 20.0


def two_cores():
    """Numbers of two cores that this process may use, of different ones.

    Two hardware threads of one core would share its arithmetic.

    Raises:
        Failure: there are no two, or processes cannot be bound to them.
    """
    if not hasattr(os, "sched_getaffinity"):
        raise Failure(
            "the suite scaling binds processes to cores, which needs Linux."
            f" Received: {sys.platform}"
        )
    cores = sorted(os.sched_getaffinity(0))
    others = [core for core in cores if core not in _threads_beside(cores[0])]
    if not others:
        raise Failure(
            "the suite scaling needs two cores. Received: this process may use"
            f" {cores}"
        )
    return [cores[0], others[0]]


def _threads_beside(core):
    """Numbers of the hardware threads of the core that has this one."""
    topology = pathlib.Path(f"/sys/devices/system/cpu/cpu{core}/topology")
    path = topology / "thread_siblings_list"
    threads = {core}
    for part in path.read_text().split(",") if path.exists() else ():
        first, _, last = part.strip().partition("-")
        threads.update(range(int(first), int(last or first) + 1))
    return threads


class Pair:
    """Two workers that wait for requests."""

    def __init__(self, kind, cores, folder):
        self._log = pathlib.Path(folder) / f"{kind}.log"
        self._server = socket.create_server(("127.0.0.1", 0))
        self._streams = {}
        port = str(self._server.getsockname()[1])
        path = [str(_TOOLS), os.environ.get("PYTHONPATH")]
        with self._log.open("wb") as output:
            self._launcher = subprocess.Popen(
                [sys.executable, _TOOLS / "launch_local", "--workers=2"]
                + ["--pin", "--grace=5", "--kill_after=5", "--"]
                + [sys.executable, "-m", "benchmarks.scaling.worker"]
                + [port, kind],
                env={
                    **os.environ,
                    "PYTHONPATH": os.pathsep.join(filter(None, path)),
                    # Cores are what is measured, where there are GPUs, too.
                    "CUDA_VISIBLE_DEVICES": "-1",
                },
                stdout=output,
                stderr=subprocess.STDOUT,
                preexec_fn=lambda: os.sched_setaffinity(0, cores),
            )

    def connect(self):
        """Waits for both; they need seconds to load TensorFlow."""
        self._server.settimeout(_TICK)
        while len(self._streams) < 2:
            try:
                connection, _ = self._server.accept()
            except socket.timeout:
                if self._launcher.poll() is not None:
                    raise self._failure() from None
                continue
            connection.settimeout(None)
            stream = connection.makefile("rw")
            connection.close()  # the stream keeps it open
            self._streams[json.loads(stream.readline())] = stream

    def ask(self, request, *, only=None, **arguments):
        """Replies of both workers to a request, or of one; as a list."""
        numbers = (0, 1) if only is None else (only,)
        streams = [self._streams[number] for number in numbers]
        try:
            for stream in streams:
                stream.write(json.dumps([request, arguments]) + "\n")
                stream.flush()
            lines = [stream.readline() for stream in streams]
        except OSError as error:
            raise self._failure() from error
        if not all(lines):
            raise self._failure()
        return [json.loads(line) for line in lines]

    def _failure(self):
        """The error to raise when a worker has ended by itself."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._launcher.wait(_END_SECONDS)
        lines = self._log.read_text(errors="replace").splitlines()
        return Failure("\n".join(["a worker failed:", *lines[-40:]]))

    def release(self):
        """Lets the workers go."""
        for stream in self._streams.values():
            with contextlib.suppress(OSError):
                stream.close()
        self._server.close()

    def end(self):
        """Sees to it that they have gone."""
        try:
            self._launcher.wait(_END_SECONDS if self._streams else 0)
        except subprocess.TimeoutExpired:
            self._launcher.terminate()
            self._launcher.wait()


@contextlib.contextmanager
def started(cores, *kinds):
    """List of a `Pair` of each kind.

    Args:
        cores: numbers of two cores.
        *kinds: `"joined"`, in one training, or `"independent"`.
    """
    begun = []
    with tempfile.TemporaryDirectory() as folder:
        try:
            for kind in kinds:
                begun.append(Pair(kind, cores, folder))
            for pair in begun:
                pair.connect()
            yield begun
        finally:
            for pair in begun:
                pair.release()
            for pair in begun:
                pair.end()
