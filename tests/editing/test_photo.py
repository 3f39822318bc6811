"""Photographs edited in place: what changes, what must not, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from edited_toys import Painter, PainterConfig
from PIL import Image
from portraits import drawn, lay, photograph, portrait, portrait_photo

from visagist.editing.editor import Editor
from visagist.editing.photo_edit import Change, apply_changes, choose_faces, compute_changes, find_faces
from visagist.errors import VisagistError


@pytest.fixture(scope="module")
def editor() -> Editor:
    return Editor.from_pretrained("ifcvae-gan-smiling-64", device="cpu")


@pytest.fixture
def painter() -> Editor:
    """Channel i is brightness i: Smiling paints red, Bald green, Bangs blue."""
    return Editor(Painter(PainterConfig(), ("Smiling", "Bald", "Bangs"), 16), {"crop": "centre148", "strength": None})


def test_an_edit_changes_the_face_and_not_one_pixel_outside_its_mask(editor: Editor) -> None:
    photo, points = portrait_photo((420, 360), 1.5, 10)
    result = editor.edit_photo(photo, Smiling=-1)
    edited = np.asarray(result.image)
    assert edited.shape == photo.shape
    (change,) = result.changes
    left, top, right, bottom = change.box
    touched = np.zeros(photo.shape, bool)
    touched[top:bottom, left:right] = change.detail != 0
    assert (edited[~touched] == photo[~touched]).all()
    assert touched.any(-1).mean() < 0.6
    x, y = points[3:].mean(0).round().astype(int)
    assert np.abs(edited[y - 8 : y + 8, x - 20 : x + 20].astype(int) - photo[y - 8 : y + 8, x - 20 : x + 20]).max() > 25
    assert np.abs(np.clip(np.rint(photo + 255 * result.residual), 0, 255) - edited).max() == 0
    assert len(result.boxes) == len(result.landmarks) == 1


def test_attributes_are_read_before_and_after_and_an_edit_that_did_not_take_is_warned_of(editor: Editor) -> None:
    photo, _ = portrait_photo()
    detail, render = (editor.edit_photo(photo, mode=mode, Smiling=-1) for mode in ("detail", "render"))
    assert detail.scores_by == "judge-64-b"
    assert detail.scores_before == render.scores_before
    assert detail.scores_before["Smiling"][0] > 0.9 > 0.5 > render.scores_after["Smiling"][0]
    assert set(render.scores_after) > {"Eyeglasses", "Blond_Hair"}
    assert [line for line in render.warnings if " read: " in line] == []
    # Teeth that the model paints away in its own picture shine through where its change is added to the photograph.
    stays = detail.scores_after["Smiling"][0] > 0.5
    told = [line for line in detail.warnings if " read: " in line]
    assert told == (["face 0: Smiling is still read: 1.00 by judge-64-b, 1.00 before"] if stays else [])


def test_the_mask_ends_inside_the_box_and_detail_is_zero_there(painter: Editor) -> None:
    photo, _ = portrait_photo((420, 360), 1.0, 25)
    (change,) = compute_changes(painter, photo, find_faces(photo), {"Smiling": 1.0}, "render")
    detail = change.detail
    for edge in (detail[0], detail[-1], detail[:, 0], detail[:, -1]):
        assert (edge == 0).all()
    assert np.abs(detail).max() > 0.1


def test_a_change_that_is_computed_and_added_in_strips_is_the_same(
    painter: Editor, monkeypatch: pytest.MonkeyPatch
) -> None:
    photo, _ = portrait_photo((420, 360), 1.0, 25)
    faces = find_faces(photo)
    whole = [compute_changes(painter, photo, faces, {"Smiling": 1.0}, mode)[0] for mode in ("render", "detail")]
    edited = apply_changes(photo, whole)
    monkeypatch.setattr("visagist.editing.changes.change.AT_ONCE", 700)
    monkeypatch.setattr("visagist.photos.colour.AT_ONCE", 500)
    strips = [compute_changes(painter, photo, faces, {"Smiling": 1.0}, mode)[0] for mode in ("render", "detail")]
    assert all(np.array_equal(a.detail, b.detail) for a, b in zip(whole, strips))
    assert np.array_equal(edited, apply_changes(photo, strips))


def test_strength_0_in_detail_leaves_the_photograph_as_it_is(editor: Editor) -> None:
    photo, _ = portrait_photo()
    assert (np.asarray(editor.edit_photo(photo, Smiling=0).image) == photo).all()


def test_the_edit_of_a_tilted_photograph_is_the_tilted_edit(editor: Editor) -> None:
    straight, _ = lay(photograph((400, 400)), portrait(), (200, 200), 1.5)
    tilted = np.rot90(straight)  # a quarter to the left, so that no pixel is resampled
    residuals = [editor.edit_photo(np.ascontiguousarray(photo), Smiling=-1).residual for photo in (straight, tilted)]
    assert np.abs(residuals[0]).max() > 0.1
    difference = np.abs(np.rot90(residuals[0]) - residuals[1])
    assert difference.mean() < 0.25 * np.abs(residuals[0]).mean()


def test_detail_keeps_the_photographs_grain_and_render_does_not(editor: Editor) -> None:
    photo, points = portrait_photo((500, 460), 2.6)
    grain = np.random.default_rng(0).integers(-12, 13, photo.shape)
    photo = np.clip(photo + grain, 0, 255).astype(np.uint8)
    x, y = points[2].round().astype(int)

    def roughness(pixels: np.ndarray) -> float:
        part = pixels[y - 30 : y + 30, x - 40 : x + 40].astype(float)
        return float(np.abs(np.diff(part, axis=1)).mean())

    detail, render = (np.asarray(editor.edit_photo(photo, mode=mode, Smiling=-1).image) for mode in ("detail", "render"))
    assert roughness(detail) > 0.9 * roughness(photo) > 3 * roughness(render)


def test_all_faces_the_largest_or_one_by_its_number(painter: Editor) -> None:
    photo, _ = lay(photograph((640, 300)), portrait(), (160, 150), 1.2)
    photo, _ = lay(photo, drawn(1)[0], (480, 150), 1.6)
    faces = find_faces(photo)
    assert len(faces) == 2
    everyone = painter.edit_photo(photo, face="all", Smiling=1)
    assert everyone.boxes == [face.box for face in faces]
    assert painter.edit_photo(photo, Smiling=1).boxes == [faces[0].box]
    second = painter.edit_photo(photo, face=1, Smiling=1)
    assert second.boxes == [faces[1].box]
    assert len(second.scores_before["Smiling"]) == 1
    left, _, right, _ = faces[0].box
    assert (np.asarray(second.image)[:, left:right] == photo[:, left:right]).all()
    with pytest.raises(VisagistError, match="there is no face 2: 2 found, counted from 0"):
        painter.edit_photo(photo, face=2, Smiling=1)
    for strange in ("biggest", True, 1.0):
        with pytest.raises(VisagistError, match="largest, all, or the number of one"):
            choose_faces(faces, strange)  # type: ignore[arg-type]


def test_no_face_is_an_error_that_says_what_to_give(painter: Editor) -> None:
    with pytest.raises(VisagistError, match="no face was found in the photograph: give one that"):
        painter.edit_photo(photograph((200, 200)), Smiling=1)


def test_what_excludes_each_other_is_refused_and_the_opposite_is_not(painter: Editor) -> None:
    photo, _ = portrait_photo()
    with pytest.raises(VisagistError, match="Bald and Bangs exclude each other"):
        painter.edit_photo(photo, Bald=1, Bangs=0.5)
    with pytest.raises(VisagistError, match="Bald and Bangs exclude each other"):
        compute_changes(painter, photo, [], {"Bald": 1, "Bangs": 0.5})
    assert painter.edit_photo(photo, Bald=1, Bangs=-1).image.size == (360, 300)
    with pytest.raises(VisagistError, match="no mode 'rendered'"):
        painter.edit_photo(photo, mode="rendered", Smiling=1)
    with pytest.raises(VisagistError, match="no attribute 'Smilling'"):
        painter.edit_photo(photo, Smilling=1)
    assert compute_changes(painter, photo, [], {"Smiling": 1}) == []


def test_warnings_say_which_face_why_and_how_much(painter: Editor) -> None:
    photo, _ = lay(photograph((300, 300)), portrait(), (150, 150), 1.0, 60)
    result = painter.edit_photo(photo, Smiling=1)
    assert any(line.startswith("face 0: tilted: by 6") for line in result.warnings)
    # Three flat channels are rebuilt badly enough to be warned of, one is not.
    plain = Editor(Painter(PainterConfig(), ("Smiling",), 16), {"crop": "centre148", "strength": None})
    side_effects = ("changes too", "its skin becomes")  # of three flat channels, which are no skin
    told = plain.edit_photo(portrait_photo()[0], Smiling=1).warnings
    assert [line for line in told if not any(words in line for words in side_effects)] == []
    large = Editor(Painter(PainterConfig(), ("Smiling",), 256), {"crop": "centre148", "strength": None})
    told = large.edit_photo(portrait_photo((300, 300), 0.8)[0], Smiling=1).warnings
    (line,) = [line for line in told if not any(words in line for words in side_effects)]
    assert line.startswith("face 0: smaller than the model paints: at 0.4")


def test_a_model_of_attributes_that_no_judge_knows_reads_them_itself() -> None:
    own = Editor(Painter(PainterConfig(), ("Green_Hat",), 16), {"crop": "drawn", "strength": None})
    result = own.edit_photo(portrait_photo()[0], Green_Hat=1)
    assert result.scores_by == "model"
    assert result.scores_after["Green_Hat"][0] > result.scores_before["Green_Hat"][0]


def test_changes_are_added_where_they_belong_rounded_and_clipped() -> None:
    photo = np.full((4, 5, 3), 100, np.uint8)
    one = Change((1, 0, 3, 2), np.full((2, 2, 3), 0.1, np.float32))
    other = Change((2, 1, 5, 4), np.full((3, 3, 3), -2, np.float32))
    edited = apply_changes(photo, [one, other])
    assert (edited[:2, 1:3] == [[[126], [126]], [[126], [0]]]).all()
    assert (edited[1:, 2:] == 0).all()
    assert (edited[2:, :2] == 100).all()
    assert (photo == 100).all()


def test_the_result_is_saved_as_the_name_says(painter: Editor, tmp_path: Path) -> None:
    photo, _ = portrait_photo()
    Image.fromarray(photo).save(tmp_path / "in.png")
    result = painter.edit_photo(tmp_path / "in.png", Smiling=1)
    assert result.save(tmp_path / "out.png") == tmp_path / "out.png"
    assert (np.asarray(Image.open(tmp_path / "out.png")) == np.asarray(result.image)).all()
