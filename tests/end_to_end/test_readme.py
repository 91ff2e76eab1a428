"""The Python of the README runs, shortened to few images and epochs."""

import pathlib
import re

import pytest

README = pathlib.Path(__file__).resolve().parents[2] / "README.md"


def _blocks():
    text = README.read_text(encoding="utf-8")
    return re.findall(r"```python\n(.*?)```", text, re.DOTALL)


def _shortened(code):
    code = re.sub(r"epochs=\d+", "epochs=1", code)
    code = code.replace('load("shapes", split="test"', 'load("shapes", TEST')
    code = code.replace('load("shapes", image', 'load("shapes", TRAIN, image')
    code = code.replace("TEST", 'split="test[:200]"')
    return code.replace("TRAIN", 'split="train[:1280]"')


@pytest.mark.long
def test_python_of_the_readme_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = {}
    for block in _blocks():
        exec(_shortened(block), names)
    assert (tmp_path / "runs" / "python" / "metrics.csv").exists()
    assert names["outputs"]["embedding"].shape == (1, 128)
    assert names["outputs"]["probabilities"].shape == (1, 10)
    assert names["model"].encoder.count_params() > 23_000_000
