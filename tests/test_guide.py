"""What the guides say where to find is there."""

import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).parents[1]
# `images/random_crops.sample_crops`, `views/view.py`, `data/test_folder`.
PATH = re.compile(r"`((?:[a-z_]+/)+)(\w+)(?:\.py|((?:\.\w+)*))`")


@pytest.mark.parametrize(
    "guide, folder, least",
    [("simclr_keras/README.md", "simclr_keras", 60), ("tests", "tests", 30)],
)
def test_modules_and_their_names_exist(guide, folder, least):
    """Those with a folder in tables: a name alone is not looked up."""
    path = ROOT / guide
    path = path / "README.md" if path.is_dir() else path
    rows = [
        line
        for line in path.read_text(encoding="utf-8").splitlines()
        if line.startswith("|") and "/" in line
    ]
    found = 0
    for within, module, names in PATH.findall("\n".join(rows)):
        file = ROOT / folder / within / f"{module}.py"
        if not (ROOT / folder / within).is_dir():
            continue  # no folder of ours, such as `image/encoded`
        if (ROOT / within / module).is_file():
            continue  # a tool
        assert file.is_file(), file
        for name in filter(None, names.split(".")):
            assert re.search(rf"\b{name}\b", file.read_text(encoding="utf-8"))
        found += 1
    assert found >= least
