"""The tutorial runs from its first cell to its last, with small settings."""

import pathlib
import re

import pytest

nbformat = pytest.importorskip("nbformat")
nbclient = pytest.importorskip("nbclient")
pytest.importorskip("ipykernel")

pytestmark = pytest.mark.newest
ROOT = pathlib.Path(__file__).resolve().parents[2]
NOTEBOOK = ROOT / "tools" / "tutorial.ipynb"
SHORTER = {
    r"^NUM_PICTURES = \d+": "NUM_PICTURES = 1000",
    r"^EPOCHS = \d+": "EPOCHS = 1",
    r"^PROBE_EPOCHS = \d+": "PROBE_EPOCHS = 2",
}


def _read():
    return nbformat.read(NOTEBOOK, as_version=4)


def test_no_outputs_are_kept_in_the_repository():
    notebook = _read()
    nbformat.validate(notebook)
    for cell in notebook.cells:
        assert not cell.get("outputs") and cell.get("execution_count") is None


@pytest.mark.long
def test_every_cell_runs(tmp_path, monkeypatch):
    notebook = _read()
    settings = notebook.cells[1]
    for pattern, shorter in SHORTER.items():
        settings.source, found = re.subn(
            pattern, shorter, settings.source, flags=re.MULTILINE
        )
        assert found, pattern
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    for name in ("JUPYTER_RUNTIME_DIR", "IPYTHONDIR"):
        monkeypatch.setenv(name, str(tmp_path / name.lower()))
    nbclient.NotebookClient(
        notebook,
        timeout=600,
        kernel_name="python3",
        resources={"metadata": {"path": str(tmp_path)}},
    ).execute()
    outputs = [o for c in notebook.cells for o in c.get("outputs", [])]
    pictures = [o for o in outputs if "image/png" in o.get("data", {})]
    assert len(pictures) == 5
    printed = "".join(o.get("text", "") for o in outputs)
    for line in ("10 classes", "kNN, pretrained encoder", "Accuracy on the"):
        assert line in printed
    assert (tmp_path / "tutorial_files/export/1/saved_model.pb").exists()
