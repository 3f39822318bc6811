"""Editing until the model is sure: what the Editor takes, gives back, and refuses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from edited_toys import SIZE, tiny_method
from PIL import Image

from visagist.editing.editor import Editor
from visagist.errors import VisagistError

PAIR = ("Smiling", "Eyeglasses")


@pytest.fixture
def searching() -> Editor:
    """A tiny IntroVAC whose classifier is far from sure of anything, so that faces have to move."""
    return Editor(tiny_method(PAIR, name="introvac"), name="searching")


@pytest.mark.parametrize(("direction", "reached"), [(-1, True), (1, False)])
def test_each_face_is_as_sure_as_asked_or_at_the_end_of_the_range(
    searching: Editor, pixels: np.ndarray, direction: int, reached: bool
) -> None:
    edited, amounts = searching.edit_until(pixels, 0.8, Smiling=direction)
    assert edited.shape == pixels.shape
    assert list(amounts) == ["Smiling"]
    taken = amounts["Smiling"]
    assert (taken.shape, taken.dtype) == ((7,), np.float32)
    assert (taken < 1).all() if reached else (taken == 1).all()
    present = searching.classify(edited)["Smiling"]
    toward = present if direction > 0 else 1 - present
    assert (toward >= 0.8 - 0.01).all() if reached else (toward < 0.8).all()  # pixels are rounded in between
    again = searching.edit_arrays(pixels, [direction > 0, 0], np.stack([taken, np.zeros(7, np.float32)], axis=1))
    assert np.abs(again.astype(int) - edited).max() <= 1


def test_directions_and_several_attributes_are_told_apart(searching: Editor, pixels: np.ndarray) -> None:
    both, amounts = searching.edit_until(pixels, 0.9, Eyeglasses=-1, Smiling=1)
    assert list(amounts) == ["Eyeglasses", "Smiling"]
    other, opposite = searching.edit_until(pixels, 0.9, Smiling=-1)
    assert (both != other).any()
    assert (amounts["Smiling"] != opposite["Smiling"]).any()


@pytest.mark.parametrize("batch_size", [1, 3])
def test_a_face_stops_alike_alone_and_among_others(searching: Editor, pixels: np.ndarray, batch_size: int) -> None:
    whole, parts = (searching.edit_until(pixels, 0.8, batch_size=size, Smiling=-1) for size in (64, batch_size))
    assert len(set(whole[1]["Smiling"].tolist())) > 1
    np.testing.assert_allclose(whole[1]["Smiling"], parts[1]["Smiling"], atol=1e-6)
    assert np.abs(whole[0].astype(int) - parts[0]).max() <= 1


def test_what_goes_in_comes_out_and_detail_keeps_the_photo(searching: Editor, pixels: np.ndarray, tmp_path: Path) -> None:
    Image.fromarray(pixels[0]).resize((40, 40)).save(tmp_path / "a.png")
    picture, amounts = searching.edit_until(tmp_path / "a.png", Smiling=1)
    assert picture.size == (SIZE, SIZE)
    assert amounts["Smiling"].shape == (1,)
    assert searching.edit_until(tmp_path / "a.png", mode="detail", Smiling=1)[0].size == (40, 40)
    tensor, _ = searching.edit_until(torch.from_numpy(pixels).permute(0, 3, 1, 2) / 255, Smiling=1)
    assert tensor.shape == (7, 3, SIZE, SIZE)
    nothing, amounts = searching.edit_until([], Smiling=1)
    assert nothing == []
    assert amounts["Smiling"].shape == (0,)


@pytest.mark.parametrize("confidence", [0.5, 1.0, -1, float("nan")])
def test_a_confidence_that_means_nothing_is_refused(searching: Editor, pixels: np.ndarray, confidence: float) -> None:
    with pytest.raises(VisagistError, match=r"give a probability above 0.5 and below 1"):
        searching.edit_until(pixels, confidence, Smiling=1)


@pytest.mark.parametrize(
    ("directions", "said"),
    [
        ({"Smiling": 0.5}, "Smiling=0.5: the strength is found, so give only the direction, 1 or -1"),
        ({"Smiling": 0}, "give only the direction"),
        ({"Smilling": 1}, "did you mean Smiling"),
        ({}, "name what to edit"),
        ({"Smiling": 1, "mode": "vivid"}, "no mode 'vivid'"),
    ],
)
def test_what_cannot_be_searched_for_is_refused(
    searching: Editor, pixels: np.ndarray, directions: dict[str, Any], said: str
) -> None:
    with pytest.raises(VisagistError, match=said):
        searching.edit_until(pixels, **directions)


def test_a_model_that_cannot_says_so(editor: Editor, pixels: np.ndarray) -> None:
    with pytest.raises(VisagistError, match=r"\(ifcvae-gan\) cannot edit_until: it can autoencode, classify, edit"):
        editor.edit_until(pixels, Smiling=1)
