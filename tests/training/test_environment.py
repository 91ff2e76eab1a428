"""environment.json: what every start of a run ran on, and how."""

import json
import pathlib
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

import simclr_keras as sk
from simclr_keras.training import RunDirectory
from simclr_keras.training import environment

FLAGS = (
    "# Not set: data_dir\n--learning_rate=0.1\n--resnet_depth=50\n"
    "--hidden_norm=true\n--train_split=train[:80%]\n--model_dir=null\n"
)


def _starts(run):
    return json.loads(run.environment.read_text())["starts"]


def test_versions_are_those_that_run():
    found = environment.versions()
    assert found["python"] == ".".join(map(str, sys.version_info[:3]))
    assert found["tensorflow"] == tf.__version__
    assert found["keras"] == keras.__version__
    assert found["numpy"] == np.__version__
    assert found["simclr_keras"] == sk.__version__


@pytest.mark.newest
def test_the_commit_is_that_of_the_clone():
    root = pathlib.Path(sk.__file__).parents[1]
    if not (root / ".git").exists():
        pytest.skip("the package does not run from a clone")
    command = ["git", "-C", str(root), "rev-parse", "HEAD"]
    head = subprocess.run(command, capture_output=True, text=True).stdout
    assert environment.commit() in (head.strip(), f"{head.strip()}-dirty")


@pytest.mark.newest
def test_a_start_is_added_and_none_is_lost(tmp_path):
    run = RunDirectory(tmp_path / "run")
    run.claim(FLAGS)
    run.record_start(step=0)
    first = _starts(run)
    assert len(first) == 1
    assert first[0]["flags"] == {
        "data_dir": None,
        "learning_rate": 0.1,
        "resnet_depth": 50,
        "hidden_norm": True,
        "train_split": "train[:80%]",
        "model_dir": "null",
    }
    again = RunDirectory(tmp_path / "run")
    again.claim(FLAGS.replace("=null", "=b"), ignored=["model_dir"])
    again.record_start()
    both = _starts(again)
    assert both[:1] == first
    assert both[1]["flags"]["model_dir"] == "b"


@pytest.mark.newest
def test_damaged_files_are_kept_aside(tmp_path):
    run = RunDirectory(tmp_path)
    damaged = ("{", "{}", '{"starts": null}', "[]")
    for text in damaged:
        run.environment.write_text(text)
        run.record_start()
        assert len(_starts(run)) == 1
    aside = sorted(tmp_path.glob("environment.damaged*.json"))
    assert sorted(path.read_text() for path in aside) == sorted(damaged)


@pytest.mark.newest
def test_numbers_that_are_no_json_stay_texts(tmp_path):
    run = RunDirectory(tmp_path / "run")
    run.claim("--margin=1e400\n--temperature=NaN\n")
    run.record_start()
    flags = _starts(run)[0]["flags"]
    assert (flags["margin"], flags["temperature"]) == ("1e400", "NaN")


def test_fit_records_where_it_goes_on(pretraining, tmp_path):
    pretraining.fit(tmp_path, 1)
    pretraining.fit(tmp_path, 2)
    starts = _starts(RunDirectory(tmp_path))
    assert [start["step"] for start in starts] == [0, 4]
    assert starts[0]["model"]["loss.class"] == "NTXent"
    assert "flags" not in starts[0]
