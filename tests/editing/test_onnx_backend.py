"""Graphs in place of torch: an editor over them edits as one over torch does, at any batch, setting and mode."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from visagist.checkpoints.folders import read_description
from visagist.editing.backend import open_ahead
from visagist.editing.editor import Editor
from visagist.errors import VisagistError
from visagist.pretrained import ZOO, zoo

FACES = np.random.default_rng(0).integers(0, 256, (5, 64, 64, 3), np.uint8)
EDITS = {
    "ifcvae-gan-factored-64": "Smiling", "introvac-eyefacial-64": "Eyeglasses", "residual-smiling-64": "Smiling",
    "vae-wgan-celeba-64": "Bald",
}  # fmt: skip


@pytest.mark.parametrize("name", EDITS)
def test_shipped_models_edit_alike_by_torch_and_by_their_graphs(name: str) -> None:
    by_torch, by_graphs = (Editor.from_pretrained(name, backend=backend) for backend in ("torch", "onnx"))
    assert (by_torch.runner, by_graphs.runner) == ("torch", "onnxruntime, fp32")
    assert by_torch.attributes == by_graphs.attributes
    for strength in (-0.4, 1.0):
        pictures = [editor.edit(FACES, aligned=True, **{EDITS[name]: strength}) for editor in (by_torch, by_graphs)]
        assert np.abs(np.subtract(*pictures, dtype=int)).max() <= 1


def test_every_shipped_model_has_graphs() -> None:
    for name in zoo():
        assert "move" in Editor.from_pretrained(name, backend="onnx").backend.graphs  # type: ignore[attr-defined]
    for kind, graph in (("refiner", "repaint"), ("landmarks", "landmarks"), ("finder", "find")):
        for name in zoo(kind):
            assert graph in read_description(ZOO / name)["export"]["graphs"], f"run scripts/graphs {name}"


def test_an_editor_over_graphs_says_so_and_refuses_what_needs_torch(tmp_path: Path) -> None:
    editor = Editor.from_pretrained("ifcvae-gan-smiling-64", backend="onnx")
    assert "onnxruntime" in repr(editor)
    with pytest.raises(VisagistError, match="saving needs"):
        editor.save(tmp_path)
    with pytest.raises(VisagistError, match="cannot generate"):
        editor.sample(2)
    with pytest.raises(VisagistError, match="no backend 'tensorflow'"):
        Editor.from_pretrained("ifcvae-gan-smiling-64", backend="tensorflow")


def test_auto_takes_the_graphs_on_a_processor_and_torch_where_there_are_none(model_folder: Path) -> None:
    assert Editor.from_pretrained("ifcvae-gan-smiling-64", "cpu", backend="auto").runner.startswith("onnxruntime")
    assert Editor.from_pretrained(model_folder, "cpu", backend="auto").runner == "torch"
    with pytest.raises(VisagistError, match="visagist export"):
        Editor.from_pretrained(model_folder, "cpu", backend="onnx")


@pytest.mark.filterwarnings("error")  # an exception of a thread is one
def test_a_graph_that_was_changed_is_refused_also_where_it_was_opened_ahead(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    for file in (ZOO / "residual-smiling-64").iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    (folder / "move.onnx").write_bytes((folder / "move.onnx").read_bytes() + b" ")
    editor = Editor.from_pretrained(folder, backend="onnx")
    open_ahead([editor.backend, editor.refiner])
    with pytest.raises(VisagistError, match="does not match its SHA-256"):
        editor.edit(FACES, aligned=True, Smiling=1)
