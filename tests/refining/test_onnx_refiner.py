"""A refiner by its graph paints what it paints by torch, of any attribute, decode and batch."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from portraits import portrait

from visagist.checkpoints import checkpoint
from visagist.data import load_data
from visagist.editing.editor import Editor
from visagist.errors import VisagistError
from visagist.exporting.folder import export_onnx
from visagist.faces.alignment import align
from visagist.pixels import to_floats_of
from visagist.refining.load import load_graphs, load_refiner
from visagist.refining.onnx_refiner import OnnxRefiner
from visagist.refining.refiner import Refiner, RefinerConfig

RANDOM = np.random.default_rng(0)
NAMES = ("Smiling", "Eyeglasses", "Rosy_Cheeks", "Blond_Hair")


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> tuple[Refiner, OnnxRefiner]:
    """A tiny refiner, and its graph."""
    folder = tmp_path_factory.mktemp("refiner")
    torch.manual_seed(0)
    refiner = Refiner(RefinerConfig(widths=(8, 8, 8, 8), discriminator_widths=(8, 8, 8, 8)), NAMES, 128)
    torch.nn.init.normal_(refiner.refiner.last.weight, 0, 0.2)  # so that it paints something
    checkpoint.save_model(folder / "model", checkpoint.describe(refiner), refiner.state_dict())
    export_onnx(folder / "model", folder / "graphs", faces=load_data("synthetic:6", image_size=128))
    by_graph = load_graphs(folder / "graphs")
    assert by_graph is not None
    return load_refiner(folder / "graphs"), by_graph


@pytest.mark.parametrize("name", NAMES)
def test_any_attribute_is_painted_alike_after_any_decode(both: tuple[Refiner, OnnxRefiner], name: str) -> None:
    by_torch, by_graph = both
    for batch, side, class_ in ((1, 64, 0.0), (3, 128, 1.0), (2, 160, 1.0)):
        faces = RANDOM.random((batch, 3, 128, 128), np.float32)
        edited, rebuilt = 0.2 * RANDOM.random((2, batch, 3, side, side), np.float32) + 0.3
        expected = by_torch.repaint(*(torch.from_numpy(faces), name, class_), *map(torch.from_numpy, (edited, rebuilt)))
        painted = by_graph.repaint(faces, name, class_, edited, rebuilt)
        assert painted == pytest.approx(expected.numpy(), abs=1e-4)
        assert np.abs(painted - faces).max() > 0.01


def test_the_shipped_refiner_brings_the_same_by_either_library() -> None:
    points = np.array([[53.6, 78.0], [94.5, 78.8], [73.4, 98.6], [52.6, 115.6], [92.6, 117.0]])
    face = to_floats_of(align(points, "centre148", 128).face(portrait())[None])
    for strengths in ({"Smiling": -0.3}, {"Eyeglasses": 1.0, "Smiling": 1.0}):
        brought = [
            Editor.from_pretrained("ifcvae-gan-factored-64", "cpu", backend=backend).contribute(face, "photo", **strengths)
            for backend in ("torch", "onnx")
        ]
        assert brought[0][0] == pytest.approx(brought[1][0], abs=1e-4)
        assert brought[0][1] == pytest.approx(brought[1][1], rel=1e-3)


def test_a_refiner_that_is_none_is_refused() -> None:
    with pytest.raises(VisagistError, match="a refiner is needed here"):
        Editor.from_pretrained("ifcvae-gan-factored-64", "cpu", backend="onnx", refiner="judge-64")
