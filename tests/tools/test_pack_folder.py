"""tools/pack_folder: goes on where it ended, and touches nothing else."""

import pathlib
import shlex
import subprocess
import sys

import numpy as np
import PIL.Image
import pytest
import tensorflow as tf

from simclr_keras import data
from simclr_keras.data.sources import listing

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "tools"))

import packing

pytestmark = pytest.mark.newest


@pytest.fixture
def folder(tmp_path):
    for number in range(8):
        path = tmp_path / "in" / "ab"[number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        PIL.Image.new("RGB", (9, 9), (number, 0, 0)).save(path)
    return tmp_path / "in"


def pack(folder, output):
    """One image in a shard: it has more than a byte."""
    packing.main(
        [f"--folder={folder}", f"--output={output}", "--shard_mib=1e-6"]
    )


def test_it_goes_on_where_it_ended(folder, tmp_path, monkeypatch, capsys):
    """Stopped in the fourth of eight shards, it keeps three."""
    output, example, calls = tmp_path / "o [v2]'s", packing._example, []

    def stopped(*arguments):
        calls.append(arguments)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return example(*arguments)

    monkeypatch.setattr(packing, "_example", stopped)
    with pytest.raises(KeyboardInterrupt):
        pack(folder, output)
    kept = {path: path.stat().st_ino for path in output.glob("train-*")}
    assert len(kept) == 3
    pack(folder, output)
    assert len(calls) == 4 + 5
    assert (
        kept.items()
        <= {path: path.stat().st_ino for path in output.glob("*")}.items()
    )
    assert not list(output.glob(".*"))
    last = capsys.readouterr().out.splitlines()[-1]
    spec = shlex.split(last)[-1].partition("=")[2]
    source = data.open_source(spec)
    np.testing.assert_array_equal(source.labels, [0] * 4 + [1] * 4)
    assert source.class_names == ("a", "b")
    record = next(iter(tf.data.TFRecordDataset(source.shards.files[0])))
    features = tf.train.Example.FromString(record.numpy()).features.feature
    assert features["image/filename"].bytes_list.value == [b"a/0.png"]


def test_the_folder_is_listed_once(folder, tmp_path, monkeypatch):
    """Though it has two splits; each packed file is of one of them."""
    (folder / "a").rename(folder / "train")
    (folder / "b").rename(folder / "test")
    find, listed = listing.find, []

    def counted(*arguments):
        listed.append(arguments)
        return find(*arguments)

    monkeypatch.setattr(listing, "find", counted)
    pack(folder, tmp_path / "out")
    assert len(listed) == 1
    for split in ("train", "test"):
        found = list((tmp_path / "out").glob(f"{split}-*-of-00004.tfrecord"))
        assert len(found) == 4


def test_it_refuses_what_is_not_its_own(folder, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    (other / "notes.txt").write_text("mine")
    with pytest.raises(SystemExit, match="--output.*holds notes.txt"):
        pack(folder, other)
    pack(folder, tmp_path / "out")
    PIL.Image.new("RGB", (9, 9)).save(folder / "a" / "new.png")
    with pytest.raises(SystemExit, match="--output.*packed.json is of others"):
        pack(folder, tmp_path / "out")
    with pytest.raises(SystemExit, match="an existing folder"):
        pack(tmp_path / "nix", tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_two_processes_do_not_pack_into_one_folder(
    folder, tmp_path, monkeypatch
):
    """The second is started while the first writes its first shard."""
    output, example, errors = tmp_path / "out", packing._example, []
    command = [
        sys.executable,
        packing.__file__,
        f"--folder={folder}",
        f"--output={output}",
        "--shard_mib=1e-6",
    ]

    def slowly(*arguments):
        if not errors:
            second = subprocess.run(command, capture_output=True, text=True)
            errors.append(second.stderr)
        return example(*arguments)

    monkeypatch.setattr(packing, "_example", slowly)
    pack(folder, output)
    assert "is in use by process" in errors[0]
    assert len(list(output.glob("train-*"))) == 8
    assert {path.name for path in output.iterdir()} == {
        "packed.json",
        *(f"train-{k:05}-of-00008.tfrecord" for k in range(8)),
    }
