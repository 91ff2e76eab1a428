"""The Python of the READMEs runs, shortened to few images and epochs."""

import pathlib
import re

import numpy as np
import pytest

pytestmark = pytest.mark.newest
ROOT = pathlib.Path(__file__).resolve().parents[2]
# Each goes on with the names and files of those before it.
IN_TURN = (
    "README.md",
    "simclr_keras/README.md",
    "simclr_keras/serving/README.md",
)
# A block that begins so is not run, for the reason that follows.
NOT_RUN = "# compiled by the tests, not run: "


def _blocks(path):
    text = (ROOT / path).read_text(encoding="utf-8")
    return re.findall(r"```python\n(.*?)```", text, re.DOTALL)


SHORTER = {
    r"epochs=\d+": "epochs=1",
    r"sk\.TinyResNet\(\)": "sk.TinyResNet((4, 8, 16))",
    r'load\(\s*"shapes", (?=image)': 'load("shapes", split="train[:1280]", ',
    r"sk\.ResNet\(50\)": "sk.ResNet(18)",
}


def test_python_of_the_readmes_runs(tmp_path, monkeypatch, compiled_views):
    """Every block, in turn; each way to shorten it still finds its place."""
    monkeypatch.chdir(tmp_path)
    blocks = [block for path in IN_TURN for block in _blocks(path)]
    code = "\n".join(b for b in blocks if not b.startswith(NOT_RUN))
    assert len(blocks) >= 10
    for pattern, shorter in SHORTER.items():
        code, found = re.subn(pattern, shorter, code)
        assert found, pattern
    names = {}
    exec(code, names)
    assert (tmp_path / "runs" / "python" / "metrics.csv").exists()
    assert names["view_a"].shape == (8, 32, 32, 3)
    assert names["large"].encoder.count_params() > 11_000_000
    assert names["h"].shape == (64, 32)
    assert names["outputs"]["embedding"].shape == (1, 16)
    assert names["outputs"]["probabilities"].shape == (1, 10)
    assert names["answers"]["class_names"].shape == (1, 10)
    # Means of 0, deviations of 1 and no correlations: nothing is left to gain.
    z = np.array([[1, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]], "float32")
    for loss in ("vicreg", "barlow_twins"):
        assert float(names[loss](z, z)) == pytest.approx(0.0, abs=1e-5)
        assert float(names[loss](z, z[::-1])) > 1.0
        assert float(names[loss](z[:, [0, 1, 1]], z[:, [0, 1, 1]])) > 0.005


def test_the_rest_compiles():
    """What is not run, and blocks of the READMEs that are not named above."""
    others = [
        str(path.relative_to(ROOT))
        for folder in ("flags", "simclr_keras", "tests", "tools")
        for path in (ROOT / folder).rglob("README.md")
    ]
    for path in {*IN_TURN, *others}:
        for block in _blocks(path):
            compile(block, path, "exec")
            assert not block.startswith(NOT_RUN) or len(block) > len(NOT_RUN)


def test_the_front_page_is_short():
    assert len((ROOT / "README.md").read_text().splitlines()) <= 250
