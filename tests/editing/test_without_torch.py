"""A lean install: `edit`, `bulk` and `serve` without torch make the pixels that torch makes, in every process they start."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from portraits import portrait_photo
from servers import MODEL, decoded, encoded, running

from visagist.boundary.python_path import child_environment, python_command
from visagist.editing.editor import Editor
from visagist.photos.provenance_reading import read_provenance

PHOTO = portrait_photo((300, 260), 1.2, 5)[0]
LEFT_OUT = ("torch", "scipy", "sklearn", "skia", "jinja2", "joblib", "huggingface_hub", "safetensors")
BY_GRAPHS = "onnxruntime, fp32"
SITE = """
import sys
from importlib.machinery import PathFinder
class Without(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return None if name.partition(".")[0] in {left_out} else super().find_spec(name, path, target)
sys.meta_path[:] = [Without if finder is PathFinder else finder for finder in sys.meta_path]
"""


@pytest.fixture
def lean(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """An environment in whose processes, and theirs, a lean install's missing packages cannot be imported."""
    (folder := tmp_path / "lean").mkdir()
    (folder / "sitecustomize.py").write_text(SITE.format(left_out=LEFT_OUT))
    monkeypatch.syspath_prepend(folder)
    paths = os.pathsep.join(path for path in sys.path if path)
    return child_environment({**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": paths})


@pytest.fixture(scope="module")
def by_torch() -> NDArray[np.int64]:
    editor = Editor.from_pretrained(MODEL, "cpu", backend="torch")
    return np.asarray(editor.edit_photo(Image.fromarray(PHOTO), mode="photo", Smiling=-1.0).image, int)


def visagist(lean: dict[str, str], *words: object) -> None:
    command = python_command("-m", "visagist", *map(str, words))
    subprocess.run(command, env=lean, check=True, timeout=250)


def read(path: Path) -> NDArray[np.int64]:
    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB"), int)


@pytest.mark.slow
def test_photographs_are_edited_by_edit_and_in_processes_of_bulk(
    lean: dict[str, str], by_torch: NDArray[np.int64], tmp_path: Path
) -> None:
    (given := tmp_path / "in").mkdir()
    Image.fromarray(PHOTO).save(given / "photo.png")
    assert subprocess.run(python_command("-c", "import torch"), env=lean, capture_output=True).returncode
    visagist(lean, "edit", given / "photo.png", "--set", "Smiling=-1", "--out", tmp_path / "edited.png")
    visagist(lean, "bulk", given, "--set", "Smiling=-1", "--model", MODEL, "--devices", 2, "--out", tmp_path / "out")
    for path in (tmp_path / "edited.png", tmp_path / "out" / "photo.png"):
        assert np.abs(read(path) - by_torch).max() <= 1
        assert [step.backend for step in read_provenance(path).steps] == [BY_GRAPHS]
    (account,) = (tmp_path / "out").glob("*.edits.jsonl")
    assert json.loads(account.read_text())["backend"] == BY_GRAPHS


@pytest.mark.slow
@pytest.mark.usefixtures("lean")
def test_a_server_finds_faces_and_edits(by_torch: NDArray[np.int64]) -> None:
    with running("--workers", "1") as server:
        edited = server.post("/v1/edit", files={"picture": encoded(PHOTO)}, data={"set": "Smiling=-1"})
        assert np.abs(decoded(edited.content).astype(int) - by_torch).max() <= 1
        found = server.post("/v1/faces", files={"picture": encoded(PHOTO)}).json()
        assert len(found["faces"]) == 1
        read = server.post("/v1/classify", files={"picture": encoded(PHOTO)}).json()
        assert read["by"] == "judge-64-b"


def test_the_command_leaves_torch_alone_where_it_is_installed(tmp_path: Path) -> None:
    Image.fromarray(PHOTO).save(tmp_path / "photo.png")
    command = "from visagist.cli import make_app; make_app()(sys.argv[1:], standalone_mode=False)"
    script = f"import sys; {command}; print(*sys.modules)"
    arguments = ["edit", str(tmp_path / "photo.png"), "--set", "Smiling=-1", "--out", str(tmp_path / "edited.png"), "--json"]
    run = subprocess.run([sys.executable, "-c", script, *arguments], check=True, timeout=250, capture_output=True, text=True)
    assert '"mode": "photo"' in run.stdout
    assert f'"backend": "{BY_GRAPHS}"' in run.stdout
    assert f"computed by {BY_GRAPHS}" in run.stderr
    assert "onnxruntime" in run.stdout.split()
    assert "torch" not in run.stdout.split()
