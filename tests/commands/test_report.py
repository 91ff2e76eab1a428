"""simclr-report: one page whose figures are those of the run's files."""

import base64
import html.parser
import json
import pathlib
import shutil
import subprocess
import sys

import numpy as np
import pytest

from simclr_keras import training
from simclr_keras.commands import pretrain
from simclr_keras.commands import report
from simclr_keras.commands.common import command_line
from simclr_keras.report import neighbor_plot
from simclr_keras.report import plots

pytestmark = pytest.mark.newest
PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de"
    "0000000c4944415408d763f8cfc000000301010018dd8db00000000049454e44ae426082"
)
ROWS = """scope,epoch,step,loss,val_loss,knn_accuracy,z_std
steps,0,5,9.0,,,
epoch,0,10,4.0,,,0.05
epoch,1,20,3.0,3.5,0.25,0.06
epoch,2,30,2.5,,0.5,
"""


class _Page(html.parser.HTMLParser):
    """Tags with their attributes, text of cells row by row, open tags."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.rows, self.open = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "link", "img"):
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] in ("td", "th"):
            self.rows[-1][-1] += data


def _run(directory, flags, results=None):
    run = training.RunDirectory(directory)
    run.claim("".join(f"--{k}={v}\n" for k, v in flags.items()))
    if results is not None:
        run.write_results(results, {"seconds": 12.5})
    return run


@pytest.fixture
def runs(tmp_path):
    """A pre-training with two evaluations, and one of another."""
    run = _run(
        tmp_path / "pre",
        {"train_epochs": 3, "dataset": "folder:<b>"},
        {"dataset": "folder:<b>", "steps": 30, "knn_accuracy": 0.5},
    )
    run.metrics.write_text(ROWS)
    (run.path / "views.png").write_bytes(PNG)
    results = {"labelled_images": 100, "accuracy": 0.625, "loss": 1.3177}
    chosen = {"k": 5, "l2": 0.1}  # no figures to compare
    _run(tmp_path / "linear", {"checkpoint": run.path}, {**results, **chosen})
    scratch = {"checkpoint": "pre", "from_scratch": "true"}
    _run(tmp_path / "scratch", scratch, {**results, "accuracy": 0.375})
    other = {"checkpoint": tmp_path / "elsewhere"}
    _run(tmp_path / "other", other, {"accuracy": 0.99})
    # What else may lie there: a folder of another program, and a file.
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign" / "flags.txt").write_bytes(b"\xff\xfe--checkpoint=")
    (tmp_path / "raw_pixels.json").write_text(json.dumps({"accuracy": 0.2}))
    return run


def _report(*arguments):
    """The text of the page that `simclr-report` writes."""
    flags = command_line.parse(report.define_flags, arguments, "model_dir")
    return report.run(flags).read_text(encoding="utf-8")


def test_page_says_what_the_files_say(runs):
    text = _report(str(runs.path))
    page = _Page(text)
    assert not page.open
    rows = page.rows
    assert ["knn_accuracy", "0.5"] in rows
    assert ["pre", "", "", "knn_accuracy", "50.00%"] in rows
    assert ["linear", "100", "", "accuracy", "62.50%"] in rows
    assert ["linear", "100", "", "loss", "1.318"] in rows
    assert ["scratch", "100", "scratch", "accuracy", "37.50%"] in rows
    assert ["raw_pixels", "", "", "accuracy", "20.00%"] in rows
    assert not {"k", "l2"} & {row[3] for row in rows if len(row) == 5}
    assert ["seconds", "12.5"] in rows
    assert ["train_epochs", "3"] in rows
    assert "99.00%" not in text
    assert "<b>" not in text and "folder:&lt;b&gt;" in text
    pictures = [a for t, a in page.tags if t == "img"]
    assert [a["alt"] for a in pictures] == [
        "Contrastive loss: loss from 4 at step 10 to 2.5 at step 30; val_loss"
        " from 3.5 at step 20 to 3.5 at step 20.",
        "kNN accuracy: knn_accuracy from 0.25 at step 20 to 0.5 at step 30.",
        "Images and the two views of each that were contrasted (pre).",
        "Standard deviation of z: z_std from 0.05 at step 10 to 0.06 at step"
        " 20.",
    ]
    png = base64.b64decode(pictures[2]["src"].split(",")[1])
    assert png == PNG


def test_evaluations_are_found_after_all_have_moved(runs, tmp_path):
    moved = tmp_path / "moved"
    moved.mkdir()
    for name in ("pre", "linear", "other"):
        (tmp_path / name).rename(moved / name)
    text = _report(str(moved / "pre"))
    assert ["linear", "100", "", "accuracy", "62.50%"] in _Page(text).rows
    assert "99.00%" not in text


def test_charts_are_files_too(runs, tmp_path):
    """Beside the page, and named after it; the page has the SVG."""
    output = tmp_path / "elsewhere.html"
    page = _Page(_report(str(runs.path), f"--output={output}"))
    folder = tmp_path / "elsewhere_figures"
    assert {path.name for path in folder.iterdir()} == {
        f"{name}.{kind}"
        for name in (
            "contrastive_loss",
            "knn_accuracy",
            "standard_deviation_of_z",
        )
        for kind in ("png", "svg", "pdf")
    }
    first = next(a["src"] for t, a in page.tags if t == "img")
    svg = (folder / "contrastive_loss.svg").read_bytes()
    assert base64.b64decode(first.split(",")[1]) == svg
    assert not (runs.path / "report.html").exists()


def test_the_description_of_a_picture_is_its_alternative_text(runs):
    images = np.zeros((1, 2, 8, 8, 3), np.uint8)
    figure = neighbor_plot.neighbors(images[:, 0], images)
    plots.save(figure, runs.path / "neighbors", "title", "What <it> shows.")
    page = _Page(_report(str(runs.path)))
    assert "What <it> shows." in [a.get("alt") for _, a in page.tags]


def test_a_run_without_any_epoch(tmp_path):
    """No charts, and no folder for them."""
    run = _run(tmp_path / "pre", {"dataset": "shapes"})
    text = _report(str(run.path))
    assert "has not ended" in text and "Curves" not in text
    assert {path.name for path in run.path.iterdir()} == {
        "flags.txt",
        "report.html",
    }


def test_page_needs_no_network(runs):
    """Nothing is fetched: pictures stand in it, and there is no script."""
    page = _Page(_report(f"--model_dir={runs.path}"))
    addresses = [
        value
        for _, attributes in page.tags
        for name, value in attributes.items()
        if name in ("src", "href")
    ]
    assert addresses and all(a.startswith("data:") for a in addresses)
    assert "script" not in {tag for tag, _ in page.tags}


def test_help_loads_neither_tensorflow_nor_matplotlib():
    code = (
        "import sys\n"
        "from simclr_keras.commands import embed, report\n"
        "sys.argv[1:] = ['--help']\n"
        "embed.main(), report.main()\n"
        "heavy = {'jinja2', 'keras', 'matplotlib', 'tensorflow'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "--neighbors_k" in done.stdout and "--output" in done.stdout


def test_the_templates_are_part_of_the_package(tmp_path):
    """Of what `setup.py` builds, as a wheel has it."""
    root = pathlib.Path(__file__).resolve().parents[2]
    subprocess.run(
        [sys.executable, "setup.py", "--quiet", "build_py"]
        + [f"--build-lib={tmp_path}"],
        cwd=root,
        check=True,
        capture_output=True,
    )
    folder = root / "simclr_keras/report"
    names = {path.name for path in folder.glob("*.html")}
    built = (tmp_path / "simclr_keras/report").glob("*.html")
    assert {path.name for path in built} == names and "page.html" in names


def test_several_runs_are_compared(runs, tmp_path, monkeypatch):
    """As flags, before the others, or alone; no other comparison is lost."""
    others = [str(tmp_path / name) for name in ("scratch", "other")]
    monkeypatch.chdir(tmp_path)
    rows = _Page(_report(others[0], f"--model_dir={runs.path}", others[1])).rows
    assert ["", "pre", "scratch", "other"] in rows
    assert ["accuracy", "-", "37.50%", "99.00%"] in rows
    page = tmp_path / "comparison.html"
    there = page.read_bytes()
    with pytest.raises(ValueError, match="must name .*comparison.html"):
        _report(*others)
    assert page.read_bytes() == there
    _report(*others, "--output=comparison.html")
    assert page.read_bytes() != there
    with pytest.raises(ValueError, match="each run once"):
        _report(others[0], others[0], "--output=comparison.html")


def test_a_run_of_the_first_release_is_compared(tmp_path):
    """Flags that it did not have make no difference to the defaults."""
    fixtures = pathlib.Path(__file__).resolve().parents[1] / "fixtures"
    old = fixtures / "run_keras3/pretrain"
    flags = command_line.parse(
        pretrain.define_flags, [f"--flagfile={old / 'flags.txt'}"]
    )
    new = _run(tmp_path / "new", {})
    new.flags.write_text(flags.flags_text.replace("ture=0.1", "ture=0.2"))
    page = tmp_path / "page.html"
    rows = _Page(_report(str(old), str(new.path), f"--output={page}")).rows
    different = rows[rows.index(["", "pretrain", "new"]) :]
    assert different == [
        ["", "pretrain", "new"],
        ["temperature", "0.1", "0.2"],
    ]


def test_what_is_no_run_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"has no flags.txt"):
        _report(str(tmp_path))
    with pytest.raises(ValueError, match="must name a run directory"):
        _report()


@pytest.mark.skipif(not shutil.which("chromium"), reason="needs Chromium")
@pytest.mark.parametrize("width", [1000, 500])
def test_a_browser_shows_it(runs, tmp_path, width):
    """Without a word on the console; no wider than the window."""
    _report(str(runs.path))
    page = runs.path / "report.html"
    probe = tmp_path / "probe.html"
    script = (
        "<script>document.title = document.documentElement.scrollWidth"
        "</script></body>"
    )
    probe.write_text(page.read_text().replace("</body>", script))
    done = subprocess.run(
        ["chromium", "--headless", "--no-sandbox", "--disable-gpu"]
        + ["--disable-background-networking", "--disable-sync"]
        + ["--enable-logging=stderr", f"--window-size={width},2000"]
        + [f"--user-data-dir={tmp_path / 'user'}", "--dump-dom"]
        + [probe.as_uri()],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0
    assert "CONSOLE" not in done.stderr
    title = done.stdout.split("<title>")[1].split("</title>")[0]
    assert int(title) <= width
