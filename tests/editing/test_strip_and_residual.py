from __future__ import annotations

import numpy as np
import pytest
from edited_toys import SIZE, painter
from portraits import portrait_photo

from visagist.editing import contact_sheets
from visagist.editing.contact_sheets import heat_picture, photo_strip, residual_picture, row, sheet, strip
from visagist.editing.editor import Editor
from visagist.editing.modes import Mode
from visagist.editing.photo_edit import compute_changes
from visagist.errors import VisagistError
from visagist.faces.detection import detect


def test_a_strip_shows_the_face_its_reconstruction_and_every_strength() -> None:
    face = np.full((SIZE, SIZE, 3), 100, np.uint8)
    picture = np.asarray(strip(painter(), face, "Smiling", (-1, 0, 1)))
    side = 128
    middles = [picture[20 + side // 2, 4 + i * (side + 4) + side // 2, 0] for i in range(5)]
    assert middles == [100, 100, 0, 100, 255]
    assert picture.shape == (side + 24, 5 * (side + 4) + 4, 3)
    assert (picture[:18] < 128).any(axis=(0, 2)).sum() > 40  # labels


def test_a_strip_is_of_one_face(editor: Editor, pixels: np.ndarray) -> None:
    assert strip(editor, pixels[:1], "Eyeglasses", mode="detail").width > 128 * 7
    with pytest.raises(VisagistError, match="one face, got 7"):
        strip(editor, pixels, "Smiling")


def test_large_faces_are_not_shrunk() -> None:
    assert row([("a", np.zeros((200, 200, 3), np.uint8))]).size == (208, 224)


def test_a_residual_is_drawn_around_middle_grey() -> None:
    residual = np.zeros((4, 4, 3), np.float32)
    residual[0, 0], residual[1, 1] = 0.5, -0.25
    drawn = np.asarray(residual_picture(residual))
    assert drawn[0, 0].tolist() == [255, 255, 255]
    assert abs(int(drawn[1, 1, 0]) - 64) <= 1
    assert drawn[2, 2, 0] in (127, 128)
    assert np.asarray(residual_picture(residual, span=1.0))[0, 0, 0] == 191


def test_heat_shows_how_much_changed_whichever_way() -> None:
    residual = np.zeros((4, 4, 3), np.float32)
    residual[0, 0], residual[1, 1] = 0.5, -0.5
    drawn = np.asarray(heat_picture(residual))
    assert drawn[0, 0].tolist() == drawn[1, 1].tolist() == [255, 255, 255]
    assert drawn[2, 2].tolist() == [0, 0, 0]
    assert np.asarray(heat_picture(residual, span=1.5))[0, 0].tolist() == [255, 0, 0]


def test_no_residual_is_plain_and_a_broken_one_is_refused() -> None:
    assert set(np.asarray(residual_picture(np.zeros((4, 4, 3), np.float32))).flat) <= {127, 128}
    assert not np.asarray(heat_picture(np.zeros((4, 4, 3), np.float32))).any()
    with pytest.raises(VisagistError, match="one face at a time"):
        residual_picture(np.zeros((2, 4, 4, 3), np.float32))
    with pytest.raises(VisagistError, match="finite"):
        heat_picture(np.full((4, 4, 3), np.nan, np.float32))


def test_a_sheet_shows_every_face_in_order_from_left_to_right_and_down() -> None:
    shades = [10, 60, 110, 160, 210]
    faces = np.stack([np.full((SIZE, SIZE, 3), shade, np.uint8) for shade in shades])
    drawn = np.asarray(sheet(faces))
    step = (drawn.shape[1] - 4) // 3
    assert drawn.shape == (2 * step + 4, 3 * step + 4, 3)
    middles = [drawn[4 + i // 3 * step + step // 2, 4 + i % 3 * step + step // 2, 0] for i in range(6)]
    assert middles == [*shades, 255]
    assert min(sheet(np.zeros((1, 256, 256, 3), np.uint8)).size) > 256


def test_a_strip_of_a_photograph_has_its_resolution(monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = np.asarray(portrait_photo()[0])
    (face,) = detect(pixels)
    drawn = np.asarray(photo_strip(painter(), pixels, face, "Smiling", Mode.DETAIL))
    (change,) = compute_changes(painter(), pixels, [face], {"Smiling": 0})
    left, top, right, bottom = change.surroundings
    assert right - left > 128
    first = drawn[20 : 20 + bottom - top, 4 : 4 + right - left]
    assert np.array_equal(first, pixels[top:bottom, left:right])
    assert drawn.shape == (bottom - top + 24, 6 * (right - left + 4) + 4, 3)
    monkeypatch.setattr(contact_sheets, "LARGEST_PART", 140)
    width, height = photo_strip(painter(), pixels, face, "Smiling", Mode.DETAIL).size
    assert max((width - 4) // 6 - 4, height - 24) == 140
