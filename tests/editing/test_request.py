"""One function edits a picture, whoever asks: a command, a batch, a bulk job, a server."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from edited_toys import painter
from PIL import Image
from portraits import drawn, lay, photograph, portrait, portrait_photo

from visagist.editing.modes import Mode
from visagist.editing.photo_edit import find_faces
from visagist.editing.request import EditRequest, Outcome, edit_file, edit_picture
from visagist.errors import NoFaceError, VisagistError
from visagist.photos.photo import read_photo
from visagist.photos.provenance_reading import read_provenance

SMILE = EditRequest({"Smiling": 1.0})


def test_a_file_is_edited_into_bytes_and_a_record(tmp_path: Path) -> None:
    pixels, _ = portrait_photo()
    Image.fromarray(pixels).save(tmp_path / "in.png")
    data, record = edit_file(painter(), tmp_path / "in.png", ".png", SMILE)
    (tmp_path / "out.png").write_bytes(data)
    assert (record.outcome, record.aligned, record.faces, record.others) == (Outcome.EDITED, False, 1, 0)
    assert record.after["Smiling"] != record.before["Smiling"]
    (step,) = read_provenance(tmp_path / "out.png").steps
    assert (step.model, step.mode) == ("painter", "detail")


def test_faces_that_are_handed_in_are_not_looked_for() -> None:
    pixels, _ = lay(photograph((640, 300)), portrait(), (160, 150), 1.2)
    pixels, _ = lay(pixels, drawn(1)[0], (480, 150), 1.6)
    photo, faces = read_photo(Image.fromarray(pixels)), find_faces(pixels)
    moved = replace(faces[0], landmarks=faces[0].landmarks + np.float32(6))
    whole, given = edit_picture(painter(), photo, SMILE), edit_picture(painter(), photo, SMILE, [moved])
    assert (whole.record.others, given.record.others) == (1, 0)
    assert whole.result is not None
    assert given.result is not None
    assert whole.result.changes[0].box != given.result.changes[0].box
    same = edit_picture(painter(), photo, SMILE, faces)
    assert (same.photo.view() == whole.photo.view()).all()
    with pytest.raises(NoFaceError):
        edit_picture(painter(), photo, SMILE, [])


def test_the_size_decides_what_is_one_face_unless_the_request_does() -> None:
    editor = painter()
    square = read_photo(Image.fromarray(np.full((editor.image_size, editor.image_size, 3), 90, np.uint8)))
    by_size = edit_picture(editor, square, SMILE)
    assert by_size.record.aligned
    assert by_size.mode is Mode.RENDER
    assert edit_picture(editor, square, replace(SMILE, mode=Mode.DETAIL)).mode is Mode.DETAIL
    with pytest.raises(NoFaceError):
        edit_picture(editor, square, replace(SMILE, aligned=False))
    photo = read_photo(Image.fromarray(portrait_photo()[0]))
    whole = edit_picture(editor, photo, replace(SMILE, aligned=True))
    assert whole.photo.size == (editor.image_size, editor.image_size)


def test_one_definition_of_detail_adds_the_change_and_clips() -> None:
    images, edited, rebuilt = (np.full((1, 2, 2, 3), value, np.uint8) for value in (250, 120, 100))
    assert (Mode.DETAIL.show(images, edited, rebuilt) == 255).all()
    assert (Mode.DETAIL.show(images, rebuilt, edited) == 230).all()
    assert Mode.RENDER.show(images, edited, rebuilt) is edited
    assert Mode.DETAIL.origin(images, rebuilt) is images
    assert Mode.RENDER.origin(images, rebuilt) is rebuilt
    with pytest.raises(VisagistError, match="no mode 'details': did you mean detail"):
        Mode("details")
