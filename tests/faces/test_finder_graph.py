"""The finder by its graph: the cells that torch reads, of pictures of any size, without torch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from visagist.checkpoints import checkpoint
from visagist.errors import VisagistError
from visagist.exporting.folder import export_onnx
from visagist.faces import finder
from visagist.faces.finder_training import FaceFinder, FaceFinderConfig
from visagist.faces.geometry import Reductions
from visagist.passes import run

RANDOM = np.random.default_rng(0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny finder with its graph, of weights and statistics that are not those of the start."""
    folder = tmp_path_factory.mktemp("finder")
    torch.manual_seed(0)
    model = FaceFinder(FaceFinderConfig(widths=(4, 8, 8)), (), 64)
    for cells in (model.network.fine_cells, model.network.coarse_cells):
        torch.nn.init.normal_(cells.weight, 0, 0.5)  # type: ignore[union-attr,arg-type]
        torch.nn.init.zeros_(cells.bias)  # type: ignore[union-attr,arg-type]
    model(torch.rand(4, 3, 64, 64))
    checkpoint.save_model(folder / "model", checkpoint.describe(model), model.state_dict())
    export_onnx(folder / "model", folder / "graphs")
    return folder / "graphs"


def test_cells_are_those_of_torch_for_pictures_of_any_size(folder: Path) -> None:
    readers = finder.TorchCells(finder.load_finder(folder)), finder._graph_cells(folder)
    for shape in ((1, 64, 48, 3), (3, 16, 16, 3), (2, 160, 272, 3)):
        tiles = RANDOM.integers(0, 256, shape, np.uint8)
        by_torch, by_graph = (reader.read(tiles) for reader in readers if reader is not None)
        for expected, cells in zip(by_torch, by_graph, strict=True):
            assert cells == pytest.approx(expected.numpy(), abs=1e-4)


def test_a_photograph_is_scanned_alike(folder: Path) -> None:
    photo = RANDOM.integers(0, 256, (150, 210, 3), np.uint8)
    graph = finder._graph_cells(folder)
    assert graph is not None
    by_torch = finder.scan(photo, 24, 0.5, finder.load_finder(folder))
    by_graph = run(finder.scan_steps(Reductions(photo), 24, 0.5, graph))
    assert len(by_torch.scores) > 0
    assert by_graph.scores == pytest.approx(by_torch.scores, abs=1e-4)
    assert by_graph.points == pytest.approx(by_torch.points, abs=1e-2)


def test_small_tiles_are_read_by_the_graph_and_large_ones_by_torch_alike(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    graph, by_bytes = finder._graph_cells(folder), finder.ByteCells(finder.load_finder(folder))
    assert graph is not None
    monkeypatch.setattr(finder, "LARGE_TILE", 64 * 64)
    mixed = finder.MixedCells(graph, by_bytes)
    for side, is_array in ((48, True), (64, False)):
        tiles = RANDOM.integers(0, 256, (1, side, side, 3), np.uint8)
        cells = mixed.read(tiles)
        assert isinstance(cells[0], np.ndarray) is is_array
        for a, b in zip(cells, graph.read(tiles), strict=True):
            assert np.abs(np.asarray(torch.as_tensor(a).float()) - b).mean() < 0.02 * np.abs(b).mean()


def test_without_torch_a_finder_needs_its_graph(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(finder, "has_torch", lambda: False)
    with pytest.raises(VisagistError, match="has no graph of a finder"):
        finder._graph_cells(folder.parent / "model")
