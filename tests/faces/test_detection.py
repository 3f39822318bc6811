"""Faces in photographs: at several sizes and tilts, many at once, none at all, and what is said of doubtful ones."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from face_finding import distance
from PIL import Image
from portraits import drawn, lay, photograph, portrait, portrait_photo

import visagist
from visagist.errors import VisagistError
from visagist.faces import detection
from visagist.faces.detection import detect, face_at
from visagist.faces.finder_decoding import Detections
from visagist.faces.geometry import Reductions, transform_points
from visagist.faces.landmarks import refine_either_way_steps
from visagist.faces.points import roll
from visagist.passes import run

UPRIGHT = np.array([[69.1, 111.1], [107.9, 111.1], [88.5, 134.9], [71.5, 152.5], [105.5, 152.5]], np.float32)


@pytest.mark.parametrize(
    ("scale", "degrees"), [(0.7, 0), (1.4, 0), (1.2, 30), (1.2, -30), (2.4, 12), (1.2, -60), (1.2, 180)]
)
def test_the_portrait_is_found_at_every_size_and_tilt(scale: float, degrees: float) -> None:
    side = round(340 * max(scale, 1))
    photo, points = portrait_photo((side, side), scale, degrees)
    (face,) = detect(photo)
    assert distance(face.landmarks, points) < 0.1
    assert (face.angle - degrees + 180) % 360 - 180 == pytest.approx(2, abs=8)
    assert face.score > 0.5
    assert face.inter_ocular == pytest.approx(41 * scale, rel=0.12)
    left, top, right, bottom = face.box
    assert (points > [left, top]).all()
    assert (points < [right, bottom]).all()
    assert abs(face.yaw) < 20


def test_all_of_many_faces_are_found_drawn_ones_too_the_largest_first() -> None:
    photo, truth = photograph((880, 560)), []
    for place in range(8):
        picture, points = drawn(place) if place % 2 else (portrait(), None)
        scale = (1.1 if points is None else 0.9) * (1.25 if place == 2 else 1)
        photo, matrix = lay(photo, picture, (130 + place % 4 * 205, 140 + place // 4 * 280), scale, 8 * (place - 4))
        truth.append(transform_points(points if points is not None else np.array([[73.4, 98.6]]), matrix).mean(0))
    faces = visagist.find_faces(photo)
    assert len(faces) == 8
    middles = np.array([face.landmarks.mean(0) for face in faces])
    far = np.linalg.norm(middles[:, None] - np.array(truth), axis=-1)
    assert sorted(far.argmin(1).tolist()) == list(range(8))
    assert far.min(1).max() < 15
    assert far[0].argmin() == 2
    widths = [face.box[2] - face.box[0] for face in faces]
    assert widths == pytest.approx(sorted(widths, reverse=True), abs=2)


def test_drawn_faces_get_their_true_points() -> None:
    errors = []
    for index in range(6):
        picture, points = drawn(10 + index)
        photo, matrix = lay(photograph((300, 300)), picture, (150, 150), 1.2, 10 * index - 25)
        (face,) = detect(photo)
        errors.append(distance(face.landmarks, transform_points(points, matrix)))
    assert np.mean(errors) < 0.08


def test_where_there_is_no_face_none_is_found() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (200, 260, 3), dtype=np.uint8)
    stripes = np.broadcast_to((np.arange(300) // 9 % 2 * 255).astype(np.uint8)[:, None, None], (300, 300, 3))
    for photo in (photograph((300, 200)), noise, stripes, np.zeros((1, 1, 3), np.uint8), np.zeros((3, 500, 3), np.uint8)):
        assert visagist.find_faces(photo) == []


def test_a_path_a_picture_and_an_array_are_the_same_photograph(tmp_path: Path) -> None:
    photo, _ = portrait_photo()
    Image.fromarray(photo).save(tmp_path / "photo.png")
    found = [visagist.find_faces(form) for form in (photo, Image.fromarray(photo), tmp_path / "photo.png")]
    assert [faces[0].box for faces in found] == [found[0][0].box] * 3
    for strange in (3, np.zeros((2, 4, 4, 3), np.uint8), [photo]):
        with pytest.raises(VisagistError, match="a photograph is a path, bytes, an open file, a PIL image"):
            visagist.find_faces(strange)
    with pytest.raises(VisagistError, match="no picture nowhere"):
        visagist.find_faces("nowhere.jpg")


def test_smaller_faces_are_found_where_they_are_asked_for() -> None:
    photo, _ = lay(photograph((900, 600)), portrait(), (600, 300), 0.45)
    assert len(visagist.find_faces(photo, smallest=30)) == 1
    with pytest.raises(VisagistError, match="smallest is 0"):
        visagist.find_faces(photo, smallest=0)


def test_faces_are_found_from_several_threads() -> None:
    photo, _ = portrait_photo()
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(detect, [photo] * 2))
    assert len({faces[0].box for faces in found}) == 1


@pytest.mark.parametrize(
    ("points", "score", "words"),
    [
        (UPRIGHT, 0.99, None),
        (UPRIGHT / 5, 0.99, "small: its eyes are 8 pixels apart, fewer than 12"),
        (UPRIGHT, 0.6, "not surely a face: 0.60, less than 0.9"),
        (UPRIGHT - np.float32([60, 0]), 0.99, "partly outside the photograph: "),
        ((UPRIGHT - 100) @ np.float32([[0.5, 0.866], [-0.866, 0.5]]) + 120, 0.99, "tilted: by 60 degrees, more than 45"),
        (UPRIGHT + np.float32([[16, 0], [-2, 0], [22, 0], [10, 0], [-4, 0]]), 0.99, "turned to the side: by "),
    ],
)  # fmt: skip
def test_doubts_are_said_with_the_number_that_raises_them(points: np.ndarray, score: float, words: str | None) -> None:
    face = face_at(points, score, (240, 300))
    assert len(face.warnings) == (words is not None)
    assert words is None or face.warnings[0].startswith(words)


def test_a_thread_opens_its_detector_once(monkeypatch: pytest.MonkeyPatch) -> None:
    detect(np.zeros((32, 32, 3), np.uint8))
    monkeypatch.setattr(detection, "load_detector", lambda: pytest.fail("the detector is opened again"))
    detect(np.zeros((32, 32, 3), np.uint8))


def test_the_detector_is_the_one_that_dlib_builds(tmp_path: Path) -> None:
    dlib = detection.load_dlib()
    dlib.get_frontal_face_detector().save(str(tmp_path / "built.svm"))
    detection.load_detector().save(str(tmp_path / "read.svm"))
    assert (tmp_path / "read.svm").read_bytes() == (tmp_path / "built.svm").read_bytes()


def test_a_crowd_is_no_face_and_what_is_inside_one_face_is_a_part_of_it() -> None:
    def face(x: float, y: float, width: float, score: float) -> detection.Face:
        unit = np.array([[-0.5, -0.45], [0.5, -0.45], [0.0, 0.1], [-0.4, 0.5], [0.4, 0.5]])
        return face_at((unit * width / 2.4 + (x, y)).astype(np.float32), score, (400, 400))

    small = [face(170, 170, 40, 0.98), face(230, 240, 40, 0.97)]
    crowd = face(200, 200, 200, 0.99)
    assert detection._without_crowds([crowd, *small]) == small
    assert detection._without_crowds([crowd, small[0]]) == [crowd]
    beside = face(330, 200, 60, 0.9)
    assert detection._without_crowds([crowd, beside]) == [crowd, beside]


def test_a_doubtful_proposal_at_a_sure_one_is_not_read() -> None:
    unit = np.array([[-0.5, -0.45], [0.5, -0.45], [0.0, 0.1], [-0.4, 0.5], [0.4, 0.5]])
    points = np.array([unit * 40 + (x, 200) for x in (100, 120, 110, 400, 410)], np.float32)
    scores = np.array([0.97, 0.6, 0.95, 0.8, 0.7], np.float32)
    kept = detection._without_doubles(Detections(scores, points, np.zeros(5, np.float32)))
    assert kept.scores.tolist() == scores[[0, 2, 3, 4]].tolist()


class Reader:
    """Sure of squares that are bright and of little else; what it read is kept."""

    side, network = 64, None

    def __init__(self) -> None:
        self.seen: list[int] = []

    def read(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        self.seen.append(len(images) // 2)
        upright = np.array([[0.4, 0.4], [0.6, 0.4], [0.5, 0.5], [0.42, 0.6], [0.58, 0.6]], np.float32)
        brighter_above = images[:, :, :32].mean((1, 2, 3)) - images[:, :, 32:].mean((1, 2, 3))
        return np.tile(upright, (len(images), 1, 1)), 20 * brighter_above


def test_a_face_is_read_the_other_way_up_only_where_the_first_reading_is_not_sure_of_it() -> None:
    photo = np.zeros((200, 400, 3), np.uint8)
    photo[:100, :200] = photo[100:, 200:] = 255
    unit = np.array([[-0.5, -0.45], [0.5, -0.45], [0.0, 0.1], [-0.4, 0.5], [0.4, 0.5]])
    points = np.array([unit * 40 + (x, 100) for x in (100, 300)], np.float32)
    reader = Reader()
    read, sureness = run(refine_either_way_steps(Reductions(photo), points, reader))
    assert reader.seen == [2, 1, 3]
    assert np.abs(roll(read)) == pytest.approx([0, 180], abs=1)
    assert sureness.min() > 0.9
