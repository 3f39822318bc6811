"""Faces made of numpy and models of a few hundred weights: what most tests need."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from cli_runs import Command, train_arguments
from edited_toys import SIZE, tiny_method
from numpy.typing import NDArray
from tiny_faces import make_faces

from visagist.checkpoints import checkpoint
from visagist.cli import main
from visagist.data.faces import Faces
from visagist.editing.editor import Editor


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--write-golden", action="store_true", help="record the golden losses anew instead of comparing")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with slow tests first: a process that meets one at the end would leave the others idle."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.fixture(autouse=True)
def _one_thread_and_fixed_noise() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)


@pytest.fixture
def command(capfd: pytest.CaptureFixture[str]) -> Command:
    """`command("edit", ...)` runs `visagist edit ...` in this process."""
    return Command(capfd)


@pytest.fixture(scope="session")
def trained_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two steps, 16 pixels, Smiling, by the command; trained once for all, so copy it to change it."""
    out = tmp_path_factory.mktemp("trained") / "run"
    with pytest.raises(SystemExit) as ended:
        main(train_arguments(out))
    assert not ended.value.code
    return out


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache folder of the test's own: what a command remembers of a person is not remembered from another test."""
    monkeypatch.setenv("VISAGIST_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def faces() -> Faces:
    """48 faces of 16 pixels with one attribute: 32 to train, 8 to validate, 8 to test."""
    return make_faces()


@pytest.fixture
def faces_of() -> Callable[..., Faces]:
    """`make_faces`, for other numbers, sizes and attributes."""
    return make_faces


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium, started once a file; what needs it is left out where it or playwright is not there."""
    playwright_api = pytest.importorskip("playwright.sync_api", reason="needs playwright: pip install visagist[dev]")
    chromium = os.environ.get("VISAGIST_CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("needs Chromium: apt-get install chromium, or set VISAGIST_CHROMIUM")
    with playwright_api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture(scope="session")
def fixtures() -> Path:
    """The folder of stored fixtures."""
    return Path(__file__).parent / "fixtures"


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder that $VISAGIST_DATA names, which holds celeba/ and weights/."""
    folder = os.environ.get("VISAGIST_DATA")
    if not folder or not (Path(folder) / "celeba").is_dir():
        pytest.skip("needs real faces: set VISAGIST_DATA to a folder that holds celeba/")
    return Path(folder)


@pytest.fixture
def model_folder(tmp_path: Path) -> Path:
    """A model folder of a tiny IFcVAE-GAN with two attributes."""
    method = tiny_method(("Smiling", "Eyeglasses"))
    folder = tmp_path / "models" / "tiny"
    checkpoint.save_model(folder, checkpoint.describe(method, strength=None, crop=None), method.state_dict())
    return folder


@pytest.fixture
def editor(model_folder: Path) -> Editor:
    return Editor.from_pretrained(model_folder, device="cpu")


@pytest.fixture
def pixels() -> NDArray[np.uint8]:
    """Seven random faces [7, 16, 16, 3]."""
    return np.random.default_rng(5).integers(0, 256, (7, SIZE, SIZE, 3), dtype=np.uint8)
