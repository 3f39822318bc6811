"""`visagist export`: graphs equal torch at any batch, latent and strength, and nothing that is not ours is replaced."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from cli_runs import Command
from edited_toys import tiny_method
from numpy.typing import NDArray
from PIL import Image

from visagist.checkpoints import checkpoint
from visagist.data.crops import template
from visagist.editing.editor import Editor
from visagist.editing.strength import write_strength
from visagist.errors import VisagistError
from visagist.exporting import quantising
from visagist.exporting.folder import export_onnx, refuse_difference
from visagist.exporting.web_runtime import find_runtime
from visagist.methods.base import Code
from visagist.progress import Messages

RANDOM = np.random.default_rng(0)


@pytest.fixture(scope="module")
def graphs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A tiny model with strength maps, and the folder of its graphs."""
    folder = tmp_path_factory.mktemp("exports")
    method = tiny_method(("Smiling", "Eyeglasses"))
    maps = {"Smiling": {"+1": {"knots": [[0, 0], [0.5, 0.2], [1, 0.9]]}, "-1": {"knots": [[0, 0], [1, 0.4]]}}}
    description = checkpoint.describe(method, strength=maps, crop="centre148")
    checkpoint.save_model(folder / "model", description, method.state_dict())
    exported = export_onnx(folder / "model", folder / "graphs")
    assert max(exported.differences.values()) <= 1e-4
    return folder / "model", folder / "graphs"


def test_the_whole_edit_takes_any_strengths_and_any_batch(graphs: tuple[Path, Path]) -> None:
    editor = Editor.from_pretrained(graphs[0])
    session = onnxruntime.InferenceSession(graphs[1] / "edit.onnx")
    for batch in (1, 4, 7):
        images = RANDOM.random((batch, 3, 16, 16), np.float32)
        for smile, glasses in ((0.3, 0.0), (-1.0, 0.7), (1.0, -0.2), (0.0, 0.0)):
            strength = np.tile(np.float32([smile, glasses]), (batch, 1))
            edited, rebuilt = session.run(["edited", "reconstructed"], {"images": images, "strength": strength})
            expected = editor.edit_and_reconstruct(images, Smiling=smile, Eyeglasses=glasses)
            assert edited == pytest.approx(expected[0], abs=1e-4)
            assert rebuilt == pytest.approx(expected[1], abs=1e-4)


def test_another_latent_decodes_as_torch_does(graphs: tuple[Path, Path]) -> None:
    method = Editor.from_pretrained(graphs[0]).backend
    z, y = RANDOM.standard_normal((5, 8), np.float32), RANDOM.random((5, 2), np.float32)
    (images,) = onnxruntime.InferenceSession(graphs[1] / "decode.onnx").run(None, {"z": z, "y": y})
    expected = method.decode(Code(torch.from_numpy(z), torch.from_numpy(y)))
    assert images == pytest.approx(expected.detach().numpy(), abs=1e-4)


def test_config_says_what_an_outside_program_needs(graphs: tuple[Path, Path]) -> None:
    config = json.loads((graphs[1] / "config.json").read_text())
    assert config["strength"]["Smiling"]["+1"]["knots"][1] == [0.5, 0.2]
    assert config["export"]["faces"]["template"] == pytest.approx(template("centre148", 16), abs=1e-3)
    assert set(config["export"]["graphs"]) == {"encode", "decode", "classify", "move", "edit"}
    assert "largest difference to torch" in (graphs[1] / "README.md").read_text()


def test_the_folder_is_a_model_for_either_library(graphs: tuple[Path, Path]) -> None:
    faces: NDArray[np.uint8] = RANDOM.integers(0, 256, (3, 16, 16, 3), np.uint8)
    edited = [
        Editor.from_pretrained(graphs[1], backend=backend).edit(faces, aligned=True, Smiling=0.8)
        for backend in ("torch", "onnx")
    ]
    assert np.abs(np.subtract(*edited, dtype=int)).max() <= 1


def test_halves_are_half_as_large(graphs: tuple[Path, Path], tmp_path: Path) -> None:
    exported = export_onnx(graphs[0], tmp_path / "halves", "fp16")
    whole, half = ((folder / "model.safetensors").stat().st_size for folder in (graphs[1], tmp_path / "halves"))
    assert half < 0.7 * whole
    for name in ("encode.onnx", "move.onnx"):  # refer to the halves, and do not hold whole ones
        assert (tmp_path / "halves" / name).stat().st_size < 1.5 * (graphs[1] / name).stat().st_size
    assert max(exported.differences.values()) <= 2e-3
    assert Editor.from_pretrained(tmp_path / "halves", backend="onnx").runner == "onnxruntime, fp16"


def test_a_folder_with_other_files_is_left_alone(graphs: tuple[Path, Path], tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(VisagistError, match=r"notes\.txt"):
        export_onnx(graphs[0], tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_a_graph_that_differs_is_not_written() -> None:
    with pytest.raises(VisagistError, match=r"decode and torch differ by 0\.002"):
        refuse_difference({"encode": 1e-6, "decode": 2e-3}, 1e-4)
    with pytest.raises(VisagistError, match="differ by nan"):
        refuse_difference({"encode": float("nan")}, 1e-4)


def test_new_maps_make_the_old_graphs_void(graphs: tuple[Path, Path], tmp_path: Path) -> None:
    folder = Path(shutil.copytree(graphs[1], tmp_path / "model"))
    write_strength(folder, {"Smiling": {"+1": {"knots": [[0, 0], [1, 1]]}}})
    with pytest.raises(VisagistError, match="visagist export"):
        Editor.from_pretrained(folder, backend="onnx")


def test_the_command_says_what_differs(command: Command, graphs: tuple[Path, Path], tmp_path: Path) -> None:
    facts = json.loads(command("export", graphs[0], "--out", tmp_path / "out", "--json").out)
    assert facts["difference_to_torch"]["edit"] <= 1e-4
    assert "no --precision 'fp8'" in command("export", graphs[0], "--out", tmp_path / "x", "--precision", "fp8").error


def test_the_program_of_the_documentation_edits_with_onnxruntime_alone(
    graphs: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    document = (Path(__file__).parents[2] / "docs/export.md").read_text(encoding="utf-8")
    program = document.split("```python\n")[1].split("```")[0]
    face: NDArray[np.uint8] = RANDOM.integers(0, 256, (16, 16, 3), np.uint8)
    Image.fromarray(face).save(tmp_path / "face.png")
    paths = [graphs[1], tmp_path / "face.png", tmp_path / "out.png"]
    monkeypatch.setattr("sys.argv", ["program.py", *map(str, paths)])
    exec(compile(program, "program.py", "exec"), {"__name__": "__main__"})
    expected = Editor.from_pretrained(graphs[0]).edit(face, aligned=True, Smiling=1)
    assert np.abs(np.asarray(Image.open(tmp_path / "out.png"), int) - expected).max() <= 1


# The build for browsers, which is what is kept, as the package's own build for Node sets itself up.
FOR_NODE = """
import { readFileSync } from "node:fs";
import { env } from "./ort.wasm.min.mjs";
env.wasm.numThreads = 1;
env.wasm.wasmBinary = readFileSync(new URL("ort-wasm-simd-threaded.wasm", import.meta.url)).buffer;
export * from "./ort.wasm.min.mjs";
"""


def test_the_javascript_of_the_documentation_edits_as_the_package_does(graphs: tuple[Path, Path], tmp_path: Path) -> None:
    try:
        runtime = find_runtime(None, Messages())
    except VisagistError as error:
        pytest.skip(f"needs onnxruntime-web, which scripts/install dev gets where npm is: {error}")
    package = tmp_path / "node_modules" / "onnxruntime-web"
    shutil.copytree(runtime, package)
    (package / "package.json").write_text('{"type": "module", "exports": "./node.js"}')
    (package / "node.js").write_text(FOR_NODE)
    document = (Path(__file__).parents[2] / "docs/export.md").read_text(encoding="utf-8")
    (tmp_path / "program.mjs").write_text(document.split("```js\n")[1].split("```")[0])
    face: NDArray[np.uint8] = RANDOM.integers(0, 256, (16, 16, 3), np.uint8)
    (tmp_path / "face.rgb").write_bytes(face.tobytes())
    words = ["node", str(tmp_path / "program.mjs"), str(graphs[1]), str(tmp_path / "face.rgb")]
    run = subprocess.run(words, capture_output=True, timeout=200, check=True)
    edited = np.frombuffer(run.stdout, np.uint8).reshape(16, 16, 3)
    expected = Editor.from_pretrained(graphs[0]).edit(face, aligned=True, Smiling=1)
    assert np.abs(edited.astype(int) - expected).max() <= 1


def test_eight_bits_edit_nearly_as_torch_does_and_what_they_lose_is_named(
    graphs: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr(quantising, "MOST_LOST", -101.0)  # whatever it loses is too much, with two layers whole too
    monkeypatch.setattr(quantising, "ENDS", ((0, 0), (1, 1)))
    exported = export_onnx(graphs[0], tmp_path / "small", "int8", progress=Messages())
    assert exported.facts["more_than_a_point_lost_at"] == ["Smiling=+1", "Smiling=-1", "Eyeglasses=+1", "Eyeglasses=-1"]
    assert capsys.readouterr().err.count("take fp16") == len(quantising.ENDS)
    assert {"success_lost_points", "pixels_mean_levels"} <= exported.facts.keys()
    assert exported.facts["pixels_mean_levels"] <= 2
    editor = Editor.from_pretrained(tmp_path / "small", backend="onnx")
    assert editor.runner == "onnxruntime, int8"
    assert not (tmp_path / "small" / "model.safetensors").exists()
    card = (tmp_path / "small" / "README.md").read_text()
    assert "success_lost_points" in card
    assert "Smiling=+1, Smiling=-1" in card
