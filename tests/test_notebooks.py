"""The notebooks run from the first cell to the last, at a small scale on drawn faces, and show what they make."""

from __future__ import annotations

from pathlib import Path

import pytest

nbformat = pytest.importorskip("nbformat", reason="needs nbformat: pip install visagist[dev]")
nbclient = pytest.importorskip("nbclient", reason="needs nbclient: pip install visagist[dev]")
FOLDER = Path(__file__).parents[1] / "docs" / "notebooks"
TINY = '{"image_size": 16, "width": 4, "batch_size": 8, "latent": 8}'
# What the cell of parameters is at a small scale.
SMALL = {
    "edit": None,
    "train": f'DATA, ALIGN, ATTRIBUTES = "synthetic:60", False, ["Smiling"]\nBUDGET, SETTINGS = {{"images": 32}}, {TINY}',
    "compare": 'MODELS = ["ifcvae-gan-factored-64", "cvae-gan-smiling-64"]\nDATA, LIMIT = "synthetic:120", 12',
    "factor": f'DATA = "synthetic:120"\nBUDGET, SETTINGS = {{"images": 32}}, {TINY}',
}
PICTURES = {"edit": 4, "train": 2, "compare": 0, "factor": 0}


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.filterwarnings("ignore")  # of Jupyter's own
def test_every_notebook_runs_and_shows_its_pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert {path.stem for path in FOLDER.glob("*.ipynb")} == SMALL.keys()
    monkeypatch.setenv("VISAGIST_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    whole = nbformat.v4.new_notebook()  # of all, as each kernel would import torch anew
    ends = {}
    for name, small in SMALL.items():
        notebook = nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)
        nbformat.validate(notebook)
        assert not [cell for cell in notebook.cells if cell.get("outputs")], f"{name} is stored without outputs"
        parameters = [cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", ())]
        assert len(parameters) == (small is not None)
        for cell in parameters:
            cell.source = small
        whole.cells += notebook.cells
        ends[name] = len(whole.cells)
    nbclient.NotebookClient(whole, timeout=600, resources={"metadata": {"path": str(tmp_path)}}).execute()
    start = 0
    for name, end in ends.items():
        outputs = [output for cell in whole.cells[start:end] for output in cell.get("outputs", ())]
        assert sum("image/png" in output.get("data", {}) for output in outputs) == PICTURES[name], name
        start = end
    assert (tmp_path / "edited.png").is_file()
