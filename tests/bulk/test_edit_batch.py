"""Rows of a Ray dataset, edited: bytes or pixels in, bytes and an account out. Ray itself is not needed for it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from bulk_runs import BROKEN
from edited_toys import Painter, PainterConfig
from PIL import Image
from shards import decoded, encoded, face

from visagist.bulk.workers import choose_precision
from visagist.editing.editor import Editor
from visagist.editing.request import EditRequest
from visagist.errors import VisagistError
from visagist.methods.base import Code
from visagist.ray import EditBatch
from visagist.runtime.sampling import resize_lanczos


@pytest.fixture
def edit(model_folder: Path) -> EditBatch:
    return EditBatch({"Smiling": 1.0}, str(model_folder), device="cpu", aligned=True)


def objects(values: list[object]) -> np.ndarray:
    column = np.empty(len(values), object)
    column[:] = values
    return column


def test_bytes_pixels_and_structs_come_back_as_bytes_with_the_account_and_the_other_columns(
    edit: EditBatch, model_folder: Path
) -> None:
    editor = Editor.from_pretrained(str(model_folder), "cpu")
    faces = [face(number) for number in range(3)]
    wanted = np.stack([editor.edit(pixels, Smiling=1.0) for pixels in faces])
    given = {
        "bytes": objects([encoded(pixels) for pixels in faces]),
        "image": np.stack(faces),
        "jpg": objects([{"bytes": encoded(pixels), "path": f"{i}.png"} for i, pixels in enumerate(faces)]),
    }
    for column, values in given.items():
        made = edit({column: values, "label": np.arange(3)})
        assert made["label"].tolist() == [0, 1, 2]
        assert np.abs(np.stack([decoded(data) for data in made[column]]).astype(int) - wanted).max() <= 1
        assert [json.loads(account)["outcome"] for account in made["edit"]] == ["edited"] * 3


def test_a_row_that_cannot_be_edited_stays_and_says_why(edit: EditBatch) -> None:
    made = edit({"bytes": objects([BROKEN, None, encoded(face(1))]), "path": objects(["/x/a.png", "b.png", "c.png"])})
    assert made["bytes"][0] == BROKEN
    assert made["bytes"][1] is None
    told = [json.loads(account) for account in made["edit"]]
    assert [account["outcome"] for account in told] == ["unreadable", "unreadable", "edited"]
    assert told[0]["reason"].startswith("unreadable: a.png is not a picture")


def test_a_column_without_pictures_is_refused_in_one_line(edit: EditBatch, model_folder: Path) -> None:
    with pytest.raises(VisagistError, match="no column of pictures among text: name it by column="):
        edit({"text": objects(["a"])})
    with pytest.raises(VisagistError, match="row 0 holds a str"):
        edit({"image": objects(["a"])})
    with pytest.raises(VisagistError, match="Bald"):
        EditBatch({"Bald": 1.0}, str(model_folder), device="cpu")


class Steep(Painter):
    """Multiplies what rounding to bf16 leaves of its pixels."""

    def decode(self, code: Code) -> torch.Tensor:
        return (16 * (code.z @ torch.eye(16)).float() - 7.5).clamp(0, 1)


def test_aligned_faces_are_edited_in_bf16_where_that_moves_no_pixel_by_more_than_a_level(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("visagist.training.precision.has_bf16", lambda device: True)
    request = EditRequest({"Smiling": 1.0}, aligned=True)
    near, far = (Editor(kind(PainterConfig(), ("Smiling",), 16), name="painter") for kind in (Painter, Steep))
    assert choose_precision(near, request, "auto") == "bf16"
    assert choose_precision(near, replace(request, aligned=False), "auto") == "fp32"
    assert choose_precision(near, request, "fp32") == "fp32"
    assert choose_precision(far, request, "auto") == "fp32"
    assert choose_precision(far, request, "bf16") == "bf16"
    with pytest.raises(VisagistError, match="no precision 'half'"):
        choose_precision(far, request, "half")


@pytest.mark.parametrize("side", [178, 16, 9])
def test_a_face_becomes_smaller_by_torch_as_by_pillow_and_larger_by_pillow(side: int) -> None:
    pixels = np.random.default_rng(side).integers(0, 256, (side, side, 3), np.uint8)
    pixels.flags.writeable = False  # as pictures give their pixels, of which torch would warn
    by_pillow = np.asarray(Image.fromarray(pixels).resize((16, 16), Image.Resampling.LANCZOS)).astype(int)
    differences = np.abs(resize_lanczos(pixels, 16) - by_pillow)
    assert differences.max() <= (1 if side >= 16 else 0)
    assert (differences > 0).mean() < 0.02
