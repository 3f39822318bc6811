"""Photographs edited together: what each gives is what it gives alone, also where one of them cannot be edited."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from edited_toys import tiny_method
from portraits import photograph, portrait_photo

from visagist.editing.editor import Editor
from visagist.editing.request import Edited, EditRequest, edit_photographs, edit_picture
from visagist.errors import NoFaceError, VisagistError
from visagist.passes import Pass, Steps, run, run_together
from visagist.photos.in_memory import picture_of_array
from visagist.photos.photo import PhotoFile, read_photo


def photo_of(pixels: Any) -> PhotoFile:
    return read_photo(picture_of_array(pixels), "a photograph")


def test_photographs_edited_together_come_out_as_alone() -> None:
    editor, request = Editor(tiny_method(), name="tiny"), EditRequest({"Smiling": 1.0}, face="all")
    pixels, _ = portrait_photo()
    photos = [photo_of(p) for p in (pixels, photograph((200, 150)), pixels[:, ::-1].copy(), np.tile(pixels, (1, 2, 1)))]
    passes = list[int]()
    model = editor.contribute
    editor.contribute = lambda x, *words, **more: passes.append(len(x)) or model(x, *words, **more)  # type: ignore
    together = edit_photographs(editor, photos, request)
    faces = sum(end.record.faces for end in together if isinstance(end, Edited))
    assert sum(passes) == faces
    assert max(passes) > 1, "faces of several photographs pass together, of those whose faces are found in as many passes"
    assert isinstance(together[1], NoFaceError)
    for photo, end in zip(photos, together):
        if isinstance(end, Edited):
            alone = edit_picture(editor, photo, request)
            assert end.record.boxes == alone.record.boxes
            assert end.record.warnings == alone.record.warnings
            difference = end.photo.view().astype(int) - alone.photo.view()
            assert np.abs(difference).max() <= 1
            assert end.record.after["Smiling"] == pytest.approx(alone.record.after["Smiling"], abs=1e-4)
    assert sum(isinstance(end, Edited) for end in together) == 3


def work(items: Sequence[int], calls: list[list[int]]) -> Steps[int]:
    def halve(given: Sequence[int]) -> list[int]:
        calls.append(list(given))
        if any(item % 2 for item in given):
            raise VisagistError("an odd one")
        return [item // 2 for item in given]

    first = yield Pass("halve", items, halve, 3)
    second = yield Pass("halve", first, halve, 3)
    return sum(second)


def test_passes_of_one_kind_are_made_together_and_one_that_fails_fails_alone() -> None:
    calls = list[list[int]]()
    assert run(work([4, 8], calls)) == 3
    assert calls == [[4, 8], [2, 4]]
    calls.clear()
    assert run_together([work([4], calls), work([8, 12], calls), work([16], calls)], (VisagistError,)) == [1, 5, 4]
    assert calls == [[4, 8, 12], [16], [2, 4, 6], [8]]
    ends = run_together([work([4], []), work([2], []), work([3], [])], (VisagistError,))
    assert [str(end) for end in ends] == ["1", "an odd one", "an odd one"]
    with pytest.raises(VisagistError):
        run_together([work([3], [])], (NoFaceError,))
