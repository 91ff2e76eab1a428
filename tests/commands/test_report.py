"""simclr-report: one page whose figures are those of the run's files."""

import html.parser
import json
import shutil
import subprocess

import pytest

from simclr_keras import training
from simclr_keras.commands import cli
from simclr_keras.commands import report
from simclr_keras.evaluation import html as pieces

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
    _run(tmp_path / "linear", {"checkpoint": run.path}, results)
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
    settings = cli.parse(report.define_flags, arguments, "model_dir")
    return report.run(settings).read_text(encoding="utf-8")


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
    assert ["seconds", "12.5"] in rows
    assert ["train_epochs", "3"] in rows
    assert "99.00%" not in text
    assert "<b>" not in text.replace("<b>C", "").replace("<b>k", "").replace(
        "<b>S", ""
    )
    charts = [a["aria-label"] for t, a in page.tags if t == "svg"]
    assert charts == [
        "Contrastive loss",
        "kNN accuracy",
        "Standard deviation of z",
    ]


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


def test_chart_by_hand():
    """Two points: the lower left and the upper right corner of the plane."""
    text = pieces.chart("t", {"a": [(0, 1.0), (10, 3.0)]}, "step", 182, 148)
    (line,) = [a for t, a in _Page(text).tags if t == "polyline"]
    assert line["points"] == "56.0,108.0 156.0,8.0"
    assert ">2<" in text and ">2.5<" in text and ">step<" in text


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
