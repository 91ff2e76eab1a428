"""A run directory belongs to one run; another run is refused."""

import csv

import pytest

from simclr_keras.training import RunDirectory
from simclr_keras.training.metrics_file import MetricsFile

pytestmark = pytest.mark.newest
FLAGS = "--dataset=shapes\n--learning_rate=0.1\n--model_dir=a\n"


def test_same_flags_come_back_and_others_are_refused(tmp_path):
    run = RunDirectory(tmp_path / "run")
    run.claim(FLAGS)
    run.claim(FLAGS.replace("dataset=shapes", "dataset=cifar10"))
    run.claim(FLAGS)  # nothing had begun
    run.checkpoints.mkdir()
    run.claim(
        FLAGS.replace("--model_dir=a", "--model_dir=b"), ignored=["model_dir"]
    )
    with pytest.raises(ValueError, match="--learning_rate: 0.1 there, 0.2 now"):
        run.claim(FLAGS.replace("0.1", "0.2"))
    assert run.flags.read_text() == FLAGS


@pytest.mark.parametrize(
    "name",
    [
        "embeddings.npy",
        "embeddings.npy.rows",
        "embeddings-00001-of-00003.npy",
        "embeddings-00001-of-00003.npy.rows",
        "embeddings.parquet",
        "embeddings-00001-of-00003.parquet",
    ],
)
def test_embeddings_belong_to_their_flags(tmp_path, name):
    """A set that is begun too; a file of another name is none."""
    run = RunDirectory(tmp_path / "run")
    run.claim(FLAGS)
    (run.path / f"my_{name}").touch()
    run.claim(FLAGS)
    (run.path / name).touch()
    run.claim(FLAGS)
    with pytest.raises(ValueError, match="--learning_rate: 0.1 there, 0.2 now"):
        run.claim(FLAGS.replace("0.1", "0.2"))


def test_a_directory_with_other_things_is_left_alone(tmp_path):
    (tmp_path / "thesis.tex").write_text("mine")
    with pytest.raises(ValueError, match="no\\s+flags.txt"):
        RunDirectory(tmp_path).claim(FLAGS)
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.tex"]


def test_results_end_a_run(tmp_path):
    run = RunDirectory(tmp_path / "run")
    run.claim(FLAGS)
    assert run.finished() is None
    run.write_results({"accuracy": 0.5}, {"seconds": 1.0})
    assert run.finished() == {"accuracy": 0.5}


def test_metrics_file_grows_columns_and_forgets_lost_steps(tmp_path):
    path = tmp_path / "metrics.csv"
    file = MetricsFile(path, keep_until=0)
    file.write("steps", 0, 5, {"loss": 1.0})
    file.write("epoch", 0, 10, {"loss": 0.5, "val_loss": 2.0})
    file.write("steps", 1, 15, {"loss": 0.25})
    file = MetricsFile(path, keep_until=10)
    file.write("steps", 1, 15, {"loss": 0.125})
    rows = list(csv.DictReader(path.open()))
    assert [(r["step"], r["loss"], r["val_loss"]) for r in rows] == [
        ("5", "1", ""),
        ("10", "0.5", "2"),
        ("15", "0.125", ""),
    ]


def test_names_of_classes_stay_those_of_the_checkpoints(tmp_path):
    run = RunDirectory(tmp_path / "run")
    run.claim(FLAGS)
    run.write_class_names(["cat", "dog"])
    run.write_class_names(["dog", "eel"])  # nothing was trained
    run.checkpoints.mkdir()
    (run.checkpoints / "step-00000001.npz").touch()
    run.write_class_names(["dog", "eel"])
    with pytest.raises(ValueError, match="cat, dog; it has dog, eel"):
        run.write_class_names(["cat", "dog"])
    assert run.read_class_names() == ["dog", "eel"]
