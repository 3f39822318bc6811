"""Faces are chosen by size, number or a point; unfit ones are refused; overlapping ones are edited in any order alike."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest
from edited_toys import Painter, PainterConfig
from portraits import POINTS, lay, photograph, portrait

from visagist.editing.editor import Editor
from visagist.editing.photo_edit import apply_changes, compute_changes, edit_photo
from visagist.editing.selection.face_choice import choose_faces, read_choice, refused_faces
from visagist.editing.selection.face_list import draw_faces, face_facts
from visagist.errors import NoFaceError, VisagistError
from visagist.faces.detection import Face, face_at
from visagist.faces.geometry import transform_points
from visagist.faces.tracking import FADE_SECONDS, FaceSelector, Tracker

SIZE = (500, 300)


@pytest.fixture
def painter() -> Editor:
    return Editor(Painter(PainterConfig(), ("Smiling", "Bald", "Bangs"), 16), {"crop": "centre148", "strength": None})


def face_near(x: float, y: float, scale: float = 1.0, hidden: float = 0.0) -> Face:
    points = (POINTS - POINTS.mean(0)) * scale + [x, y]
    return face_at(points.astype(np.float32), 0.99, SIZE, hidden)


LARGE, SMALL, COVERED = face_near(120, 150, 1.5), face_near(320, 150), face_near(420, 150, 0.9, hidden=0.5)


def test_a_face_is_chosen_by_size_number_or_a_point_on_it() -> None:
    faces = [LARGE, SMALL]
    for which, chosen in (("largest", [0]), ("all", [0, 1]), (1, [1]), ("330,140", [1]), (" 120.5 , 150 ", [0])):
        assert [id(face) for face in choose_faces(faces, which)] == [id(faces[number]) for number in chosen]
    assert [read_choice(text) for text in ("all", "2", "30,40")] == ["all", 2, "30,40"]
    for text in ("left", "-1", "1,2,3", "3,-4", ""):
        with pytest.raises(VisagistError, match="largest, all, or the number of one"):
            read_choice(text)
    with pytest.raises(VisagistError, match=r"no face is at 250,20: 2 found, 0 at \("):
        choose_faces(faces, "250,20")
    with pytest.raises(NoFaceError):
        choose_faces([], "330,140")


def test_of_two_faces_at_a_point_the_nearer_is_meant() -> None:
    faces = [LARGE, face_near(190, 150)]
    assert choose_faces(faces, "185,150")[0] is faces[1]
    assert choose_faces(faces, "125,150")[0] is faces[0]


def test_a_face_that_an_edit_fails_on_is_refused_unless_it_is_forced() -> None:
    faces = [LARGE, SMALL, COVERED]
    assert COVERED.unfit == ("half covered: 50% of it, more than 45%",)
    with pytest.raises(VisagistError, match=r"face 2 is half covered: 50% of it.*--force"):
        choose_faces(faces, 2)
    assert choose_faces(faces, 2, force=True)[0] is COVERED
    assert [f is g for f, g in zip(choose_faces(faces, "all"), [LARGE, SMALL])] == [True, True]
    assert refused_faces(faces, "all", False) == ["face 2 is left alone, half covered: 50% of it, more than 45%"]
    assert refused_faces(faces, "all", True) == refused_faces(faces, "largest", False) == []


def test_a_profile_is_unfit_and_a_face_upside_down_is_not() -> None:
    turned = LARGE.landmarks + np.float32([[30, 0], [-12, 0], [50, 0], [26, 0], [-16, 0]])
    profile = face_at(turned, 0.99, SIZE)
    assert abs(profile.yaw) > 60
    assert profile.unfit[0].startswith("in profile: turned by ")
    middle = LARGE.landmarks.mean(0)
    upside_down = face_at(2 * middle - LARGE.landmarks, 0.99, SIZE)
    assert upside_down.unfit == ()
    assert upside_down.warnings[0].startswith("upside down: tilted by 1")


def test_left_alone_faces_are_said_in_the_warnings_of_an_edit(painter: Editor) -> None:
    photo, _ = lay(photograph(SIZE), portrait(), (120, 150), 1.5)
    result = edit_photo(painter, photo, {"Smiling": 1.0}, face="all", faces=[LARGE, COVERED])
    assert result.boxes == [LARGE.box]
    assert any(line.startswith("face 1 is left alone, half covered") for line in result.warnings)
    forced = edit_photo(painter, photo, {"Smiling": 1.0}, face="all", faces=[LARGE, COVERED], force=True)
    assert len(forced.boxes) == 2


@pytest.mark.parametrize("mode", ["detail", "render"])
def test_overlapping_faces_are_edited_alike_at_once_and_one_after_the_other(painter: Editor, mode: str) -> None:
    photo, faces = photograph(SIZE), []
    for x, scale in ((150, 1.3), (225, 1.0), (290, 1.1)):
        photo, matrix = lay(photo, portrait(), (x, 150), scale)
        faces.append(face_at(transform_points(POINTS, matrix).astype(np.float32), 0.99, SIZE))
    changes = compute_changes(painter, photo, faces, {"Smiling": 1.0}, mode)
    boxes = [change.box for change in changes]
    assert boxes[0][2] > boxes[1][0] + 20  # they do overlap
    together = apply_changes(photo, changes)
    for order in permutations(range(3)):
        one_by_one = photo
        for number in order:
            others = [face for face in faces if face is not faces[number]]
            (change,) = compute_changes(painter, photo, [faces[number]], {"Smiling": 1.0}, mode, others)
            one_by_one = apply_changes(one_by_one, [change])
        assert (one_by_one == together).all()
    for face in faces:  # each is edited in its middle
        x, y = face.landmarks.mean(0).round().astype(int)
        assert (together[y, x] != photo[y, x]).any()


def test_the_edit_of_one_face_leaves_its_neighbour_alone(painter: Editor) -> None:
    photo, matrix = lay(photograph(SIZE), portrait(), (150, 150), 1.3)
    photo, other = lay(photo, portrait(), (235, 150), 1.0)
    faces = [face_at(transform_points(POINTS, m).astype(np.float32), 0.99, SIZE) for m in (matrix, other)]
    edited = np.asarray(edit_photo(painter, photo, {"Smiling": 1.0}, "render", 0, faces).image)
    x, y = faces[1].landmarks.mean(0).round().astype(int)
    assert (edited[y - 10 : y + 10, x - 10 : x + 10] == photo[y - 10 : y + 10, x - 10 : x + 10]).all()


def test_faces_are_listed_and_drawn_with_their_numbers() -> None:
    photo = photograph(SIZE)
    facts = face_facts(2, COVERED)
    assert (facts["number"], facts["hidden"], len(facts["landmarks"])) == (2, 0.5, 5)
    picture = np.asarray(draw_faces(photo, [LARGE, COVERED]))
    assert picture.shape == photo.shape
    left, _, _, bottom = LARGE.box
    assert picture[bottom - 1, left + 30].tolist() == [60, 220, 90]  # nothing is doubted
    assert picture[COVERED.box[3] - 1, COVERED.box[0] + 30].tolist() == [255, 70, 60]  # refused


def unit(*values: float) -> np.ndarray:
    return np.array([values], np.float32) / np.float32(np.linalg.norm(values))


A, B = unit(1, 0.1, 0), unit(0, 0.2, 1)


def test_at_a_cut_the_edit_does_not_jump_to_another_person_and_comes_back_with_the_first() -> None:
    tracker, select = Tracker(), FaceSelector("largest")
    shots = [(A, 3), (B, 4), (A, 3)]  # both at the same place
    shown, time = [], 0.0
    for person, frames in shots:
        for _ in range(frames):
            tracks = select(tracker.update([LARGE], time, person, lambda _, person=person: person))
            shown.append([track.fade for track in tracks])
            time += 0.04
    assert shown == [[1.0]] * 3 + [[]] * 4 + [[1.0]] * 3


def test_two_people_who_change_places_keep_their_numbers() -> None:
    tracker = Tracker()
    first, second = LARGE, replace(LARGE, landmarks=LARGE.landmarks + np.float32([200, 0]))
    both = np.concatenate([A, B])
    before = tracker.update([first, second], 0.0, both, lambda rows: both[rows])
    assert [track.number for track in before] == [0, 1]
    swapped = both[::-1].copy()
    after = {
        t.number: t.face.landmarks.mean(0)[0]
        for t in tracker.update([first, second], 0.04, swapped, lambda rows: swapped[rows])
    }
    assert after[0] > after[1]


def test_a_person_is_chosen_by_a_point_in_a_film() -> None:
    other = replace(SMALL, landmarks=SMALL.landmarks)
    tracks = Tracker().update([LARGE, other], 0.0)
    assert [track.face.box for track in FaceSelector("320,150")(tracks)] == [SMALL.box]
    assert FaceSelector("5,5")(tracks) == []


def test_the_edit_of_a_face_that_turns_away_fades_and_is_not_forced() -> None:
    unfit = replace(LARGE, unfit=("in profile: turned by 70 degrees, more than 60",))
    gentle, forced = Tracker(force=False), Tracker()
    for tracker, fade in ((gentle, 0.0), (forced, 1.0)):
        tracker.update([LARGE], 0.0)
        assert tracker.update([unfit], 2 * FADE_SECONDS)[0].fade == fade
