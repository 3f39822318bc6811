"""Walks: their ends, their steps, and what they refuse."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cli_runs import Command
from PIL import Image
from tiny_models import tiny_model

from visagist import Editor, VisagistError
from visagist.checkpoints.checkpoint import describe, read_description, save_model
from visagist.latent.attribute_vectors import read_vectors, write_vectors
from visagist.latent.direction_types import Direction
from visagist.latent.traversal import walk_attribute
from visagist.methods.base import Code
from visagist.methods.vae import VAE
from visagist.pixels import to_float


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    model = tiny_model(VAE, ())
    save_model(tmp_path / "vae", describe(model, crop=None), model.state_dict())
    ways = (("Bald", 2.0), ("Male", 3.0))
    vectors = [Direction(name, "mean", np.eye(4)[i], unit=1.0, length=length) for i, (name, length) in enumerate(ways)]
    write_vectors(tmp_path / "vae", vectors)
    return tmp_path / "vae"


@pytest.mark.parametrize("away", [False, True])
def test_a_walk_along_vectors_is_z_plus_alpha_v(folder: Path, away: bool) -> None:
    import torch

    editor = Editor.from_pretrained(folder, "cpu")
    face = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    rows = walk_attribute(editor, face, ("Male", "Bald"), steps=3, away=away)
    assert rows.shape == (2, 3, 16, 16, 3)
    vectors = {v.attribute: v.vector * float(v.length or 0) for v in read_vectors(read_description(folder))}
    z = editor.backend.trained_method.encode(to_float(torch.from_numpy(face[None]), torch.device("cpu"))).z
    for row, name in zip(rows, ("Male", "Bald")):
        for shown, alpha in zip(row, (0, 0.5, 1)):
            moved = z + (-alpha if away else alpha) * torch.from_numpy(vectors[name]).float()
            expected = editor.backend.trained_method.decode(Code(moved))[0].permute(1, 2, 0).detach().numpy() * 255
            np.testing.assert_allclose(shown, expected, atol=0.51)


def test_a_walk_needs_two_steps_and_attributes_that_the_model_edits(folder: Path) -> None:
    editor: Any = Editor.from_pretrained(folder, "cpu")
    face = np.zeros((16, 16, 3), np.uint8)
    with pytest.raises(VisagistError, match="at least 2 steps, its ends, got 1"):
        walk_attribute(editor, face, ("Male",), steps=1)
    with pytest.raises(VisagistError, match="Smiling"):
        walk_attribute(editor, face, ("Smiling",))


def test_the_command_draws_a_row_for_each_attribute(command: Command, folder: Path, tmp_path: Path) -> None:
    Image.new("RGB", (16, 16), "gray").save(tmp_path / "face.png")
    heights = []
    for options in ((), ("--attributes", "Bald")):
        done = command("walk", folder, tmp_path / "face.png", "--steps", 3, *options, "--out", tmp_path / "walk.png")
        assert done.status == 0, done.err
        with Image.open(tmp_path / "walk.png") as drawn:
            heights.append(drawn.height)
    assert heights[0] > 1.5 * heights[1]
