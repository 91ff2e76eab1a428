"""The page that compares runs: what it says, of which runs, and its names."""

import html
import pathlib
import re

import pytest

from simclr_keras import training
from simclr_keras.report import compared_tables
from simclr_keras.report import comparison
from simclr_keras.report import plots
from simclr_keras.report import run_files

pytestmark = pytest.mark.newest
PRETRAINING = """scope,epoch,step,loss,contrastive_accuracy,knn_accuracy
steps,0,5,9.0,0.1,
epoch,0,10,8.0,0.2,
epoch,1,20,7.0,0.3,0.25
steps,2,25,6.5,0.4,
epoch,2,30,6.0,0.4,0.5
"""
# In its second epoch; the last line is not whole yet.
UNFINISHED = """scope,epoch,step,loss,contrastive_accuracy,learning_rate
steps,0,5,9.5,0.1,0.3
epoch,0,10,8.5,0.2,0.3
steps,1,15,nan,0.2,0.25
steps,1,17,7.5,0.3,0.2
steps,1,2"""
LINEAR = """scope,epoch,step,loss,accuracy,learning_rate
epoch,0,4,2.0,0.25,0.1
epoch,1,8,1.0,0.5,0.1
"""


def _run(directory, flags, metrics=None, results=None):
    run = training.RunDirectory(directory)
    flags = {**flags, "model_dir": directory}
    run.claim("".join(f"--{k}={v}\n" for k, v in flags.items()))
    if metrics is not None:
        run.metrics.write_text(metrics)
    if results is not None:
        run.write_results(results, {"seconds": 12.5})
    return run


def _pretraining(directory, temperature, *files):
    flags = {"temperature": temperature, "dataset": "<b>", "seed": 0}
    return _run(directory, flags, *files)


def _linear(directory, seed, accuracy, loss, **more):
    flags = {"protocol": "gradient", "dataset": "<b>", "seed": seed}
    results = {"dataset": "a", "test_images": 99, "accuracy": accuracy}
    results.update(loss=loss, **more)
    return _run(directory, {**flags, "eval_split": "test"}, LINEAR, results)


@pytest.fixture(autouse=True)
def _charts_as_svg_only(monkeypatch):
    """The other formats are the subject of test_plots, and slow."""
    monkeypatch.setattr(plots, "FORMATS", ("svg",))


@pytest.fixture
def runs(tmp_path):
    """Two pre-trainings, one still going on, and two classifiers."""
    results = {"dataset": "a", "steps": 30, "knn_accuracy": 0.5}
    return [
        _pretraining(tmp_path / "warm", 0.5, PRETRAINING, results),
        _pretraining(tmp_path / "cold", 0.1, UNFINISHED),
        _linear(tmp_path / "linear", 0, 0.5, 1.25),
        _linear(tmp_path / "again", 1, 0.75, 1.5, top5=0.9),
    ]


def _write(runs, page, **options):
    paths = [run.path for run in runs]
    return comparison.write(paths, page, **options).read_text("utf-8")


def _reported(runs):
    return [run_files.ReportedRun(run.path) for run in runs]


def _rows(text):
    """Texts of the cells of all tables, row by row."""
    rows = re.findall(r"<tr>(.*?)</tr>", text)
    cells = [re.findall(r"<t[hd].*?>(.*?)</t[hd]>", row) for row in rows]
    return [
        [html.unescape(re.sub("<.*?>", "", cell)) for cell in row]
        for row in cells
    ]


def _curves(text):
    """What the charts show, as their alternative texts say it."""
    return html.unescape("\n".join(re.findall(r'<img alt="(.*?)"', text)))


def test_tables_say_what_the_files_say(runs, tmp_path):
    text = _write(runs, tmp_path / "page.html")
    rows = _rows(text)
    assert ["", "warm", "cold", "linear", "again"] in rows
    state = ["simclr-pretrain", "not ended: step 17", str(runs[1].path)]
    assert ["cold", *state] in rows
    assert ["knn_accuracy", "50.00%", "-", "-", "-"] in rows
    assert ["accuracy", "-", "-", "50.00%", "75.00%"] in rows
    assert ["seconds", "12.5", "-", "12.5", "12.5"] in rows
    assert ["temperature", "0.5", "0.1", "-", "-"] in rows
    assert ["seed", "0", "0", "0", "1"] in rows
    # One value, one run, and what every run has for itself.
    flags = [row[0] for row in rows]
    assert not {"dataset", "protocol", "model_dir"} & set(flags[-4:])
    assert flags.count("dataset") == 1  # of the results
    best = re.findall(r'class="best" title="best">(.*?)<', text)
    assert best == ["75.00%", "1.25"]


def test_charts_have_a_curve_of_each_run(runs, tmp_path):
    """Losses of partners and of classes apart; steps where epochs lack.

    `cold` has ended one epoch; beside `warm`, both are drawn by steps, and
    without it `warm` by epochs. kNN is measured at the end of epochs only.
    """
    text = _write(runs[1:3], tmp_path / "page.html")
    assert _curves(text).splitlines() == [
        "Contrastive loss: cold from 9.5 at step 5 to 7.5 at step 17.",
        "Accuracy of picking the partner: cold from 0.1 at step 5 to 0.3 at"
        " step 17.",
        "Training loss: linear from 2 at step 4 to 1 at step 8.",
        "Training accuracy: linear from 0.25 at step 4 to 0.5 at step 8.",
        "Learning rate: cold from 0.3 at step 5 to 0.2 at step 17; linear from"
        " 0.1 at step 4 to 0.1 at step 8.",
    ]
    text = _write(runs[:2], tmp_path / "page.html")
    assert "loss: warm from 9 at step 5 to 6.5 at step 25;" in _curves(text)
    text = _write(runs[::3], tmp_path / "page.html", names=["a", "<b>"])
    assert "Contrastive loss: a from 8 at step 10 to 6" in _curves(text)
    assert "kNN accuracy: a from 0.25 at step 20 to 0.5" in _curves(text)
    assert "Training loss: <b> from 2 at" in _curves(text)
    assert "<b>" not in text
    sources = re.findall(r'(?:src|href)="(.*?)"', text)
    assert sources and all(source.startswith("data:") for source in sources)
    assert (tmp_path / "page_figures" / "contrastive_loss.svg").exists()


def test_runs_without_figures(tmp_path):
    """Nothing logged, nothing ended, nothing different: the page says so."""
    runs = [_pretraining(tmp_path / name, 0.5) for name in "ab"]
    text = _write(runs, tmp_path / "page.html")
    assert "No run has ended" in text and "Nothing is logged" in text
    assert "have the same values" in text
    assert "not ended: nothing logged" in text
    assert not (tmp_path / "page_figures").exists()


@pytest.mark.parametrize(
    "changed, best",
    [
        ({}, ["accuracy", "loss"]),
        ({"accuracy": 0.500001}, ["loss"]),  # as text they are alike
        ({"loss": float("nan")}, ["accuracy"]),
        ({"test_images": 100}, []),
        ({"dataset": "b"}, []),
        ({"predicted": "noise"}, []),
    ],
)
def test_the_best_is_named_where_it_is_clear(tmp_path, changed, best):
    results = {"accuracy": 0.75, "loss": 1.5, "steps": 9, **changed}
    runs = [
        _linear(tmp_path / "a", 0, 0.5, 1.25),
        _linear(tmp_path / "b", 0, **results),
    ]
    rows = compared_tables.results(_reported(runs))
    marked = [name for name, cells in rows if any(mark for _, mark in cells)]
    assert marked == best


@pytest.mark.parametrize("flag", ["file_column", "label_columns", None])
def test_no_best_where_a_flag_names_other_images(tmp_path, flag):
    runs = [
        _run(
            tmp_path / name,
            {"protocol": "cached", **({flag: name} if flag else {})},
            results={"dataset": "a", "test_images": 9, "accuracy": accuracy},
        )
        for name, accuracy in (("a", 0.25), ("b", 0.5))
    ]
    rows = dict(compared_tables.results(_reported(runs)))
    expected = [("25.00%", False), ("50.00%", flag is None)]
    assert rows["accuracy"] == expected


def test_flags_of_other_releases(tmp_path):
    """What a run lacks has the default, or the value of then.

    As `old_runs` has it: `folder_layout` was legacy before it was a flag.
    """
    now = {"folder_layout": "auto", "later": "3", "unset": None}
    old = _pretraining(tmp_path / "old", 0.5)
    new = _pretraining(tmp_path / "new", 0.5)
    new.flags.write_text(
        "# Not set: unset\n--temperature=0.5\n--dataset=<b>\n--seed=0\n"
        "--folder_layout=auto\n--later=3\n"
    )
    rows = compared_tables.different_settings(
        _reported([old, new]), {"simclr-pretrain": now}
    )
    assert rows == [("folder_layout", ["legacy", "auto"])]


@pytest.mark.parametrize(
    "paths, names",
    [
        ("runs/a runs/b", "a b"),
        ("lr_1/run lr_2/run", "lr_1 lr_2"),
        ("x/lr_1/run y/lr_1/run z/other", "x/lr_1/run y/lr_1/run other"),
        ("a a/a", "/a a/a"),
        ("a/run run", "a/run /run"),
    ],
)
def test_the_shortest_names_that_differ(paths, names):
    found = comparison.shortest_names(
        [pathlib.Path("/") / path for path in paths.split()]
    )
    assert len(set(found)) == len(found)
    assert found == names.split()


def test_what_cannot_be_compared_is_refused(runs, tmp_path):
    page = tmp_path / "page.html"
    same = [tmp_path / "warm", tmp_path / "cold/../warm"]
    for directories, names, message in [
        (same[:1], None, "at least two runs.*Received: 1"),
        (same, None, "each run once.*cold/../warm.*the same"),
        ([same[0], tmp_path], None, f"Received: '{tmp_path}', which has no"),
        ([run.path for run in runs[:2]], ["a", "a"], "names must be 2 diff"),
        ([run.path for run in runs[:2]], ["a"], "names must be 2 diff"),
    ]:
        with pytest.raises(ValueError, match=message):
            comparison.write(directories, page, names)
    assert not page.exists()
