"""A grey photograph stays grey, however its file stores it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from portraits import portrait_photo

from visagist.editing.aligned import edit_aligned_photos
from visagist.editing.editor import Editor
from visagist.photos.colour import is_grey
from visagist.photos.photo import read_photo


@pytest.fixture(scope="module")
def editor() -> Editor:
    return Editor.from_pretrained("ifcvae-gan-smiling-64", "cpu")


@pytest.mark.parametrize("mode", ["detail", "render"])
def test_a_grey_photograph_that_is_stored_as_rgb_gets_no_colour(editor: Editor, tmp_path: Path, mode: str) -> None:
    grey = Image.fromarray(portrait_photo()[0]).convert("L").convert("RGB")
    grey.save(tmp_path / "grey.png")
    result = editor.edit_photo(tmp_path / "grey.png", mode=mode, Smiling=-1)
    result.save(tmp_path / "out.png")
    for pixels in (np.asarray(result.image), read_photo(tmp_path / "out.png").view()):
        assert (pixels.max(2) == pixels.min(2)).all()
        assert (pixels != np.asarray(grey)).any()


def test_an_aligned_grey_face_gets_no_colour_from_a_change(editor: Editor) -> None:
    face = Image.fromarray(portrait_photo((178, 218))[0]).convert("L").convert("RGB")
    (edited,) = edit_aligned_photos(editor, [read_photo(face)], {"Smiling": -1.0}, "detail").photos
    pixels = edited.view()
    assert (pixels.max(2) == pixels.min(2)).all()


def test_a_tint_of_a_scan_is_grey_and_a_colour_photograph_is_not() -> None:
    photo = portrait_photo()[0]
    grey = np.asarray(Image.fromarray(photo).convert("L").convert("RGB")).copy()
    grey[..., 2] = np.minimum(grey[..., 2], 250) + 5
    assert is_grey(grey)
    assert not is_grey(photo)
