"""A full disk raises an error that names the file and the remedy."""

import errno
import os
import subprocess

import numpy as np
import pytest
import tensorflow as tf

from simclr_keras import disk
from simclr_keras.data import cache_files
from simclr_keras.evaluation import RowsFile
from simclr_keras.report.grids import write_png


@pytest.fixture(scope="module")
def small_disk(tmp_path_factory):
    """A file system of 1 MiB."""
    path = tmp_path_factory.mktemp("disk")
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(path)]
    try:
        mounted = subprocess.run(command, capture_output=True).returncode == 0
    except FileNotFoundError:
        mounted = False
    if not mounted:
        pytest.skip("this user cannot mount a small disk")
    yield path
    subprocess.run(["umount", str(path)], check=True)


def _in_child(function):
    """What a function says in a forked process; SIGBUS would end this one."""
    read, write = os.pipe()
    child = os.fork()
    if not child:
        try:
            os.write(write, str(function()).encode())
        except BaseException as error:
            os.write(write, f"{type(error).__name__}: {error}".encode())
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as pipe:
        said = pipe.read()
    _, status = os.waitpid(child, 0)
    assert not os.WIFSIGNALED(status), os.WTERMSIG(status)
    return said


def _write_rows(path):
    rows = RowsFile(path, 10_000, 64)  # 2.4 MiB
    rows.append(np.ones((10_000, 64), np.float32))
    rows.finish()


def test_embeddings_that_do_not_fit_are_an_error(small_disk):
    path = small_disk / "embeddings.npy"
    said = _in_child(lambda: _write_rows(path))
    assert said.startswith("OSError: [Errno 28] No space left on device")
    assert "0.002 GiB are needed" in said and f"{path}.partial" in said
    assert "Make room" in said
    assert not any(small_disk.iterdir())


def test_a_cache_that_does_not_fit_is_an_error(small_disk):
    def fill(pixels):
        pixels[:] = 1
        return np.zeros((1, 2), np.int32)

    said = _in_child(
        lambda: cache_files.write(small_disk / "cache", "mark", 2**22, fill)
    )
    assert said.startswith("OSError: [Errno 28] No space left on device")
    assert "cache.partial" in said
    assert not any(small_disk.iterdir())


def test_a_picture_that_does_not_fit_is_an_error(small_disk):
    noise = np.random.default_rng(0).integers(0, 256, (800, 800, 3))
    path = small_disk / "views.png"
    with pytest.raises(OSError, match="No space left") as caught:
        write_png(path, noise.astype(np.uint8))
    assert caught.value.filename == str(path)
    path.unlink()


@pytest.mark.parametrize("reserves", [True, False])
def test_rows_are_whole_where_nothing_can_be_reserved(
    tmp_path, monkeypatch, reserves
):
    """As on macOS, which has no `posix_fallocate`, and on some disks."""

    def cannot(*arguments):
        raise OSError(errno.EOPNOTSUPP, "not supported")

    if reserves:
        monkeypatch.setattr(os, "posix_fallocate", cannot, raising=False)
    else:
        monkeypatch.delattr(os, "posix_fallocate", raising=False)
    array = np.arange(12, dtype=np.float32).reshape(4, 3)
    rows = RowsFile(tmp_path / "rows.npy", 4, 3)
    rows.append(array[:2])
    rows.save()
    again = RowsFile(tmp_path / "rows.npy", 4, 3)
    assert again.done == 2
    again.append(array[2:])
    again.finish()
    np.testing.assert_array_equal(np.load(tmp_path / "rows.npy"), array)


def test_reserving_by_zeros_runs_full_as_well(small_disk, monkeypatch):
    monkeypatch.delattr(os, "posix_fallocate", raising=False)
    path = small_disk / "zeros"
    with open(path, "wb") as file, pytest.raises(OSError) as caught:
        disk.allocate(file, 2**21)
    path.unlink()
    assert caught.value.errno == errno.ENOSPC
    assert caught.value.filename == str(path)


def test_what_was_half_written_and_is_damaged_is_said(tmp_path):
    rows = RowsFile(tmp_path / "rows.npy", 4, 3)
    rows.append(np.ones((2, 3), np.float32))
    rows.save()
    for content in ("garbage", "-1", "5"):
        (tmp_path / "rows.npy.rows").write_text(content)
        with pytest.raises(ValueError, match="remove") as caught:
            RowsFile(tmp_path / "rows.npy", 4, 3)
        assert str(caught.value).startswith(f"{tmp_path}/rows.npy.partial")


def test_errors_of_tensorflow_become_one_line_that_names_the_file(tmp_path):
    with pytest.raises(OSError) as caught:
        with disk.naming(tmp_path):
            raise tf.errors.ResourceExhaustedError(
                None, None, "No space left on device\n\tCould not flush."
            )
    assert str(caught.value) == (
        f"{tmp_path} could not be written: No space left on device"
    )


def test_errors_that_name_a_file_are_left_alone(tmp_path):
    with pytest.raises(FileNotFoundError) as caught:
        with disk.naming(tmp_path / "other"):
            open(tmp_path / "missing")
    assert caught.value.filename == str(tmp_path / "missing")
