"""simclr-embed on several workers: the bits of one process, in its files."""

import json
import pathlib
import signal

import numpy as np
import pytest

SLOWLY = pathlib.Path(__file__).parents[1] / "end_to_end" / "slow_embedding.py"
IMAGES = 82  # eleven batches of 8: the second worker has none in the end


@pytest.fixture(scope="module")
def embed(fork_workers, checkpoint):
    """Function of (directory, workers, flags) that starts the command."""

    def start(directory, workers, *flags, path="embed"):
        arguments = [
            f"--checkpoint={checkpoint}",
            f"--model_dir={directory}",
            f"--split=test[:{IMAGES}]",
            "--image_size=16",
            "--eval_batch_size=8",
            "--verbose=0",
            *flags,
        ]
        return fork_workers(workers, path, arguments)

    return start


def _ended(processes):
    for process in processes:
        assert process.wait() == 0, process.text()[-3000:]


@pytest.fixture(scope="module")
def whole(embed, tmp_path_factory):
    """Directory of one process that wrote one file."""
    directory = tmp_path_factory.mktemp("embeddings") / "whole"
    _ended(embed(directory, 1))
    return directory


def _contents(directory, name):
    paths = sorted(directory.glob(name))
    return [np.load(path) for path in paths], [path.name for path in paths]


def test_one_file_is_that_of_one_process(embed, whole, tmp_path):
    """The second worker has no batch in the last turn."""
    _ended(embed(tmp_path / "run", 2, "--neighbors=random:2"))
    for name in ("embeddings.npy", "index.csv", "results.json"):
        ours = (tmp_path / "run" / name).read_bytes()
        assert ours == (whole / name).read_bytes()
    assert (tmp_path / "run" / "neighbors.png").exists()


def test_a_killed_worker_ends_the_others_and_they_go_on(embed, whole, tmp_path):
    run = tmp_path / "run"
    first, second = embed(run, 2, path=SLOWLY)
    notes = run / "embeddings.npy.rows"
    first.wait_for(lambda: notes.exists() and int(notes.read_text() or 0) >= 16)
    second.send_signal(signal.SIGKILL)
    assert first.wait(120) == 1
    assert "lost worker 1" in first.text(), first.text()[-3000:]
    rest = embed(run, 2)
    _ended(rest)
    assert "Resuming after" in rest[0].text()
    ours = (run / "embeddings.npy").read_bytes()
    assert ours == (whole / "embeddings.npy").read_bytes()


@pytest.mark.newest
def test_files_of_rows_are_written_by_all_and_resumed(embed, whole, tmp_path):
    """Killed, then by more workers: every row once, and the same bits."""
    run, flags = tmp_path / "run", ("--rows_per_file=16",)
    started = embed(run, 2, *flags, path=SLOWLY)
    part = run / "embeddings-00001-of-00006.npy.rows"
    started[0].wait_for(part.exists)
    for process in started:
        process.send_signal(signal.SIGKILL)
        process.wait()
    done = {
        path: path.stat().st_mtime_ns for path in run.glob("embeddings-*.npy")
    }
    assert run / "embeddings-00000-of-00006.npy" in done
    assert not (run / "results.json").exists()
    _ended(embed(run, 3, *flags))
    assert all(path.stat().st_mtime_ns == time for path, time in done.items())
    arrays, names = _contents(run, "embeddings-*.npy")
    assert names == [f"embeddings-{k:05d}-of-00006.npy" for k in range(6)]
    assert [len(array) for array in arrays] == [16] * 5 + [2]
    expected = np.load(whole / "embeddings.npy")
    np.testing.assert_array_equal(np.concatenate(arrays), expected)
    lines = []
    for path in sorted(run.glob("index-*.csv")):
        heading, *rows = path.read_text().splitlines()
        lines += rows
    assert [heading, *lines] == (whole / "index.csv").read_text().splitlines()
    results = json.loads((run / "results.json").read_text())
    assert (results["images"], results["files"]) == (IMAGES, 6)
    left = {path.name for path in run.iterdir()} - set(names)
    assert not any("partial" in name or "rows" in name for name in left)


@pytest.mark.newest
def test_a_disk_that_only_one_sees_is_refused(embed, whole, tmp_path):
    """For several files; one file is written by the first worker alone."""
    script = pathlib.Path(__file__).with_name("embedding_elsewhere.py")
    flags = "--rows_per_file=16"
    for worker in embed(tmp_path / "run", 2, flags, path=script):
        assert worker.wait() == 1, worker.text()[-3000:]
        assert "which 1 of 2 workers see whole" in worker.text()
    assert not list(tmp_path.glob("run*/embeddings*"))
    _ended(embed(tmp_path / "one", 2, path=script))
    ours = (tmp_path / "one" / "embeddings.npy").read_bytes()
    assert ours == (whole / "embeddings.npy").read_bytes()
    assert not (tmp_path / "one_elsewhere").exists()
