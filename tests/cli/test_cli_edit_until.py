"""`visagist edit --until`: the amounts are found and reported, and what cannot be done is one line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from cli_runs import Command
from PIL import Image
from tiny_models import tiny_model

from visagist.checkpoints import checkpoint
from visagist.methods.ifcvae_gan import IFcVAEGAN
from visagist.methods.introvac import IntroVAC


@pytest.fixture
def models(tmp_path: Path) -> dict[str, Path]:
    """Folders of a tiny IntroVAC whose edits go nowhere near certainty, and of a method without the capability."""
    folders = {}
    for cls in (IntroVAC, IFcVAEGAN):
        model = tiny_model(cls)
        folders[cls.name] = tmp_path / cls.name
        checkpoint.save_model(folders[cls.name], checkpoint.describe(model, strength=None), model.state_dict())
    return folders


@pytest.fixture
def face(tmp_path: Path) -> Path:
    torch.manual_seed(1)
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)).save(tmp_path / "face.png")
    return tmp_path / "face.png"


def test_the_amounts_that_were_found_are_reported(
    command: Command, models: dict[str, Path], face: Path, tmp_path: Path
) -> None:
    out, asked = tmp_path / "out.png", ["--set", "Smiling=1", "--until", "0.99", "--json"]
    done = command("edit", models["introvac"], face, *asked, "--out", out)
    report = json.loads(done.out)
    assert report["until"] == 0.99
    (file,) = report["files"]
    assert 0 <= file["amounts"]["Smiling"] <= 1
    assert ("Smiling went to the end of the model's range" in done.err) is (file["amounts"]["Smiling"] == 1)
    assert file["amounts"]["Smiling"] == 1, "an untrained model never gets this sure"
    with Image.open(out) as edited:
        assert edited.size == (16, 16)
        assert "introvac: Smiling=1 until 0.99" in str(edited.getexif()[0x0131])


@pytest.mark.parametrize(
    ("name", "options", "said"),
    [
        ("ifcvae-gan", ["--set", "Smiling=1", "--until", "0.9"], "cannot edit_until"),
        ("introvac", ["--set", "Smiling=0.5", "--until", "0.9"], "give only the direction, 1 or -1"),
        ("introvac", ["--set", "Smiling=1", "--until", "1.5"], "confidence is 1.5: give a probability above 0.5"),
        ("introvac", ["--set", "Smiling=1", "--until", "0.9", "--residual"], "leave one out"),
    ],
)
def test_what_cannot_be_done_is_one_line_and_nothing_is_written(
    name: str, options: list[str], said: str, command: Command, models: dict[str, Path], face: Path, tmp_path: Path
) -> None:
    assert said in command("edit", models[name], face, *options, "--out", tmp_path / "out").error
    assert not (tmp_path / "out").exists()
