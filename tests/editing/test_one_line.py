"""`visagist.edit`: one line, a photograph of any form, the best models."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any, get_overloads

import numpy as np
import pytest
import torch
from PIL import Image
from portraits import portrait_photo

import visagist
from visagist.editing.editor import Editor
from visagist.errors import VisagistError
from visagist.photos.in_memory import picture_of_array
from visagist.photos.photo import read_photo

PHOTO = portrait_photo()[0]


@pytest.fixture(scope="module")
def by_path(tmp_path_factory: pytest.TempPathFactory) -> Any:
    path = tmp_path_factory.mktemp("one") / "me.png"
    Image.fromarray(PHOTO).save(path)
    return visagist.edit(path, smile=-1)


def test_one_line_edits_by_the_best_model(by_path: Any) -> None:
    assert by_path.step.model == "ifcvae-gan-factored-64"
    assert by_path.step.settings == "Smiling=-1"
    assert (np.asarray(by_path.image) != PHOTO).any()


FORMS = {
    "bytes": lambda png: png,
    "an open file": io.BytesIO,
    "an array": lambda _: PHOTO,
    "floats": lambda _: PHOTO / 255,
    "a tensor of bytes": lambda _: torch.from_numpy(PHOTO.copy()).permute(2, 0, 1),
    "a tensor of floats": lambda _: torch.from_numpy(PHOTO.copy()).permute(2, 0, 1) / 255,
    "an opaque array": lambda _: np.dstack([PHOTO, np.full(PHOTO.shape[:2], 255, np.uint8)]),
}


@pytest.mark.parametrize("form", FORMS)
def test_a_photograph_of_any_form_is_the_same_photograph(form: str) -> None:
    file = io.BytesIO()
    Image.fromarray(PHOTO).save(file, "PNG")
    given = FORMS[form](file.getvalue())
    from visagist.editing.photo_edit import open_photo

    assert np.array_equal(open_photo(given).view(), PHOTO)


def test_grey_arrays_are_grey_photographs() -> None:
    grey = PHOTO[..., 0]
    for form in (grey, grey[..., None], grey / 255, torch.from_numpy(grey.copy())[None]):
        assert picture_of_array(form).mode == "L"


@pytest.mark.parametrize(
    ("bad", "told"),
    [
        (PHOTO.astype(int), "no known range"), (PHOTO.astype(float), "divide by 255"), (PHOTO[:0], "got an array"),
        (3, "got a int"), (io.StringIO("text"), "mode 'rb'"), (np.zeros((4, 4, 2), np.uint8), "got an array"),
    ],
)  # fmt: skip
def test_what_is_no_photograph_is_refused_with_what_is_one(bad: Any, told: str) -> None:
    with pytest.raises(VisagistError, match=told):
        visagist.edit(bad, smile=1)


def test_slips_are_told_in_words_of_arguments() -> None:
    with pytest.raises(VisagistError, match="did you mean smile"):
        visagist.edit(PHOTO, smyle=1)
    with pytest.raises(VisagistError, match="smile=1"):
        visagist.edit(PHOTO)


def test_each_face_has_its_own_settings(tmp_path: Path) -> None:
    both = np.concatenate([PHOTO, PHOTO[:, ::-1]], axis=1)
    result = visagist.edit_faces(both, {0: {"smile": -1}, 1: {"glasses": 1}})
    result.save(tmp_path / "both.png")
    from visagist.photos.provenance_reading import read_provenance

    assert [step.settings for step in read_provenance(tmp_path / "both.png").steps] == ["Smiling=-1", "Eyeglasses=1"]
    changed = (np.asarray(result.image) != both).any(2)
    assert changed[:, : PHOTO.shape[1]].any()
    assert changed[:, PHOTO.shape[1] :].any()


def test_reprs_are_short_and_results_show_in_notebooks(by_path: Any) -> None:
    editor = Editor.from_pretrained("vae-wgan-celeba-64", "cpu")
    for thing in (by_path, editor, read_photo(Image.fromarray(PHOTO))):
        assert len(repr(thing)) < 160
    assert "16 in all" in repr(editor)
    assert by_path._repr_png_().startswith(b"\x89PNG")


def test_a_type_checker_knows_what_comes_out() -> None:
    assert len(get_overloads(Editor.edit)) == 2
