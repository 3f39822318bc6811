"""Faces in a photograph of any size: dlib's finder upright and turned, five points each, doubles left out."""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from visagist.finding.points import inter_ocular, roll
from visagist.finding.pose import yaw
from visagist.finding.warping import Matrix, composed, inverted, moved

Box = tuple[int, int, int, int]

# dlib's finder sees faces of 80 pixels and more; its box is so many distances of the eyes wide.
SMALLEST_SEEN, BOX_WIDTH = 80, 2.4
SCAN_SIDE, ENLARGED = 1024, 2.0  # the longer side that is scanned, and how far smaller photographs are enlarged to it
TURNED_SIDE, TURNS = 512, (-35.0, 35.0)
THRESHOLD = -0.3
_own = threading.local()


@dataclass(frozen=True)
class Face:
    """A face in a photograph.

    box             left, top, right, bottom in pixels of the photograph, which it may overlap
    score           how sure the finder is that it is a face, in [0, 1]
    landmarks       [5, 2] float32 in pixels of the photograph, x before y, whole numbers being pixel centres, as in `POINTS`
    angle           degrees by which it is tilted, positive clockwise
    yaw             degrees by which it is turned, positive where the nose points to the right of the photograph
    inter_ocular    distance of the eyes in pixels of the photograph
    warnings        why an edit of it may fail, in words with the number that says so
    """

    box: Box
    score: float
    landmarks: NDArray[np.float32]
    angle: float
    yaw: float
    inter_ocular: float
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Candidate:
    """Where a face may be: its middle and width in pixels of the photograph, its tilt in degrees, the finder's score."""

    middle: tuple[float, float]
    width: float
    angle: float
    score: float


def detect(pixels: NDArray[np.uint8]) -> list[Face]:
    """The faces of an upright RGB photograph [H, W, 3], the largest first; none is an empty list."""
    found = candidates(pixels)
    kept: list[Face] = []
    for one in sorted(found, key=lambda c: -c.score):
        face = _face_of(one)
        if all(_apart(face, other) for other in kept):
            kept.append(face)
    return sorted(kept, key=lambda face: -(face.box[2] - face.box[0]))


def candidates(pixels: NDArray[np.uint8]) -> list[Candidate]:
    """What dlib's finder takes for faces, upright and turned."""
    found = _scan(pixels, SCAN_SIDE, 0.0)
    for turn in TURNS:
        found += _scan(pixels, TURNED_SIDE, turn)
    return found


def _scan(pixels: NDArray[np.uint8], side: int, turn: float) -> list[Candidate]:
    """Candidates in the photograph at another size, turned clockwise by `turn` degrees about its middle."""
    height, width = pixels.shape[:2]
    ratio = min(side / max(height, width), ENLARGED)
    small = Image.fromarray(pixels).convert("L")
    if ratio != 1:
        small = small.resize((max(round(width * ratio), 1), max(round(height * ratio), 1)), Image.Resampling.BILINEAR)
    back: Matrix = np.array([[1 / ratio, 0, 0.5 / ratio - 0.5], [0, 1 / ratio, 0.5 / ratio - 0.5]])
    if turn:
        small, unturned = _turned(small, turn)
        back = composed(unturned, back)
    boxes, scores, _ = _finder().run(np.asarray(small), 0, THRESHOLD)
    found = []
    for box, score in zip(boxes, scores):
        middle = moved(np.array([(box.left() + box.right()) / 2, (box.top() + box.bottom()) / 2]), back)
        found.append(Candidate((float(middle[0]), float(middle[1])), box.width() / ratio, -turn, float(score)))
    return found


def _turned(picture: Image.Image, degrees: float) -> tuple[Image.Image, Matrix]:
    """The picture turned clockwise on a canvas that holds it whole, and the transform back from that canvas."""
    c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    width, height = picture.size
    wide, high = math.ceil(abs(c) * width + abs(s) * height), math.ceil(abs(s) * width + abs(c) * height)
    middle, centre = np.array([width - 1, height - 1]) / 2, np.array([wide - 1, high - 1]) / 2
    turn = np.array([[c, -s], [s, c]])
    back = inverted(np.concatenate([turn, (centre - turn @ middle)[:, None]], 1))
    # Pillow counts from the corners of pixels, we from their centres.
    shift = back[:, 2] + 0.5 - back[:, :2] @ np.array([0.5, 0.5])
    data = (back[0, 0], back[0, 1], shift[0], back[1, 0], back[1, 1], shift[1])
    return picture.transform((wide, high), Image.Transform.AFFINE, data, Image.Resampling.BILINEAR, fillcolor=128), back


def _finder() -> Any:
    """dlib's finder of faces, one for each thread."""
    if not hasattr(_own, "finder"):
        import dlib

        _own.finder = dlib.get_frontal_face_detector()
    return _own.finder


# PROVISIONAL until the landmark network is there: where the points of an upright face lie in dlib's box.
_USUAL = np.array([[-0.5, -0.55], [0.5, -0.55], [0, 0.06], [-0.43, 0.51], [0.43, 0.51]])


def _face_of(candidate: Candidate) -> Face:
    eyes = candidate.width / BOX_WIDTH
    c, s = math.cos(math.radians(candidate.angle)), math.sin(math.radians(candidate.angle))
    points = _USUAL * eyes @ np.array([[c, s], [-s, c]]) + np.array(candidate.middle)
    return face_at(points.astype(np.float32), float(1 / (1 + math.exp(-4 * candidate.score))))


def face_at(points: NDArray[np.float32], score: float) -> Face:
    """The face with these landmarks [5, 2]."""
    between = float(inter_ocular(points))
    half = 0.5 * BOX_WIDTH * face_scale(points)
    x, y = points.mean(0).tolist()
    box = (round(x - half), round(y - half), round(x + half), round(y + half))
    return Face(box, score, points, float(roll(points)), float(yaw(points)), between)


def face_scale(points: NDArray[np.floating]) -> float:
    """The distance that the eyes would have if the face were not turned, in the points' units, from all five."""
    spread = np.sqrt(((points - points.mean(0)) ** 2).sum(-1).mean())
    usual = np.sqrt(((_USUAL - _USUAL.mean(0)) ** 2).sum(-1).mean())
    return float(spread / usual)


def _apart(one: Face, other: Face) -> bool:
    a, b = one.landmarks.mean(0), other.landmarks.mean(0)
    size = min(one.box[2] - one.box[0], other.box[2] - other.box[0])
    return bool(np.linalg.norm(a - b) > 0.5 * size)
