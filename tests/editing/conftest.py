from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from edited_toys import SIZE, tiny_method
from numpy.typing import NDArray

from visagist.checkpoints import checkpoint
from visagist.editing.editor import Editor


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
