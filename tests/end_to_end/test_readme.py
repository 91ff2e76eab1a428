"""The Python of the README runs, shortened to few images and epochs."""

import pathlib
import re

import pytest

pytestmark = pytest.mark.newest
README = pathlib.Path(__file__).resolve().parents[2] / "README.md"


def _blocks():
    text = README.read_text(encoding="utf-8")
    return re.findall(r"```python\n(.*?)```", text, re.DOTALL)


SHORTER = {
    r"epochs=\d+": "epochs=1",
    r"sk\.TinyResNet\(\)": "sk.TinyResNet((4, 8, 16))",
    r'load\(\s*"shapes", (?=image)': 'load("shapes", split="train[:1280]", ',
    r'split="test"': 'split="test[:200]"',
    r"sk\.ResNet\(50\)": "sk.ResNet(18)",
}


def test_python_of_the_readme_runs(tmp_path, monkeypatch, compiled_views):
    """Every block, in turn; each way to shorten it still finds its place."""
    monkeypatch.chdir(tmp_path)
    code = "\n".join(_blocks())
    for pattern, shorter in SHORTER.items():
        code, found = re.subn(pattern, shorter, code)
        assert found, pattern
    names = {}
    exec(code, names)
    assert (tmp_path / "runs" / "python" / "metrics.csv").exists()
    assert names["outputs"]["embedding"].shape == (1, 16)
    assert names["outputs"]["probabilities"].shape == (1, 10)
    assert names["model"].encoder.count_params() > 11_000_000
