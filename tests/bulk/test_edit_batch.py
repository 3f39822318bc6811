"""Rows of a Ray dataset, edited: bytes or pixels in, bytes and an account out. Ray itself is not needed for it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from bulk_runs import BROKEN
from shards import decoded, encoded, face

from visagist.editing.editor import Editor
from visagist.errors import VisagistError
from visagist.ray import EditBatch


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
