"""Faces in a photograph of any size: dlib's finder upright and turned, five points each, doubles left out."""

from __future__ import annotations

import importlib
import math
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from visagist.boundary.forks import check_fork
from visagist.errors import VisagistError
from visagist.faces.geometry import Matrix, composed, inverted, moved
from visagist.faces.landmarks import BOX_WIDTH, Candidate, place_points
from visagist.faces.points import face_scale, inter_ocular, roll
from visagist.faces.pose import yaw

Box = tuple[int, int, int, int]

# dlib's finder sees faces of so many pixels and more.
SEEN = 80
# The longer side at which a photograph is scanned upright, that of large ones, and how far small ones are enlarged to it.
SCAN_SIDE, LARGE_SIDE, ENLARGED = 1024, 2048, 2.0
# Turned scans are coarser. Where nothing else is found, the photograph may lie on its side.
TURNED_SIDE, TURNS, SIDEWAYS = 512, (-35.0, 35.0), (-90.0, 90.0, 180.0)
THRESHOLD, SURE = -0.4, 0.5
# From here on a face is warned of.
TOO_SMALL, TOO_TURNED, TOO_TILTED, TOO_FAR_OUT, UNSURE = 12, 40, 45, 0.1, 0.9
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


def detect(pixels: NDArray[np.uint8], smallest: int | None = None) -> list[Face]:
    """The faces of an upright RGB photograph [H, W, 3], the largest first; none is an empty list.

    `smallest` is the width in pixels of the smallest faces that are looked for.
    """
    check_fork()
    side = _side(max(pixels.shape[:2]), smallest)
    found = _placed(pixels, _scan(pixels, side, 0.0) + [c for turn in TURNS for c in _scan(pixels, TURNED_SIDE, turn)])
    if not found:
        found = _placed(pixels, [c for turn in SIDEWAYS for c in _scan(pixels, TURNED_SIDE, turn)])
    if not found and smallest is None:
        found = _placed(pixels, _scan(pixels, min(2 * side, LARGE_SIDE), 0.0))
    return sorted(found, key=lambda face: -face_scale(face.landmarks))


def _side(longer: int, smallest: int | None) -> int:
    """The longer side at which a photograph with this longer side is scanned."""
    if smallest is not None:
        return max(round(longer * SEEN / smallest), 1)
    return LARGE_SIDE if longer > 1.5 * SCAN_SIDE else min(round(ENLARGED * longer), SCAN_SIDE)


def _placed(pixels: NDArray[np.uint8], candidates: Sequence[Candidate]) -> list[Face]:
    """The faces among candidates, each once, with the points where the landmark network puts them."""
    best: list[Candidate] = []
    for one in sorted(candidates, key=lambda c: -c.score):
        if all(math.dist(one.middle, other.middle) > 0.3 * max(one.width, other.width) for other in best):
            best.append(one)
    points, scores = place_points(pixels, best)
    found: list[Face] = []
    for row in np.argsort(-scores):
        face = face_at(points[row], float(scores[row]), pixels.shape[1::-1])
        if face.score >= SURE and all(_apart(face, other) for other in found):
            found.append(face)
    return found


def _scan(pixels: NDArray[np.uint8], side: int, turn: float) -> list[Candidate]:
    """Candidates in the photograph at another size, turned clockwise by `turn` degrees about its middle."""
    height, width = pixels.shape[:2]
    ratio = side / max(height, width)
    if turn:
        ratio = min(ratio, ENLARGED)
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
        _own.finder = load_dlib().get_frontal_face_detector()
    return _own.finder


def load_dlib() -> Any:
    """The module dlib; VisagistError that says how to install it."""
    try:
        return importlib.import_module("dlib")
    except ImportError as error:
        raise VisagistError("dlib is not installed: pip install dlib-bin") from error


def face_at(points: NDArray[np.float32], score: float, size: tuple[int, int]) -> Face:
    """The face with these landmarks [5, 2] in a photograph of this width and height."""
    between, tilt, turn = float(inter_ocular(points)), float(roll(points)), float(yaw(points))
    half = 0.5 * BOX_WIDTH * float(face_scale(points))
    x, y = points.mean(0).tolist()
    box = (round(x - half), round(y - half), round(x + half), round(y + half))
    return Face(box, score, points, tilt, turn, between, doubts(box, score, tilt, turn, between, size))


def doubts(
    box: Box, score: float, tilt: float, turn: float, between: float, size: tuple[int, int]
) -> tuple[str, ...]:
    """Why an edit of a face in a photograph of this width and height may fail, whatever the model."""
    inside = [min(high, end) - max(low, 0) for low, high, end in zip(box[:2], box[2:], size)]
    whole = max(box[2] - box[0], 1) * max(box[3] - box[1], 1)
    outside = 1 - max(inside[0], 0) * max(inside[1], 0) / whole
    said = [
        (between < TOO_SMALL, f"small: its eyes are {between:.0f} pixels apart, fewer than {TOO_SMALL}"),
        (abs(turn) > TOO_TURNED, f"turned to the side: by {abs(turn):.0f} degrees, more than {TOO_TURNED}"),
        (abs(tilt) > TOO_TILTED, f"tilted: by {abs(tilt):.0f} degrees, more than {TOO_TILTED}"),
        (outside > TOO_FAR_OUT, f"partly outside the photograph: {outside:.0%} of it, more than {TOO_FAR_OUT:.0%}"),
        (score < UNSURE, f"not surely a face: {score:.2f}, less than {UNSURE}"),
    ]
    return tuple(why for so, why in said if so)


def _apart(one: Face, other: Face) -> bool:
    a, b = one.landmarks.mean(0), other.landmarks.mean(0)
    size = min(one.box[2] - one.box[0], other.box[2] - other.box[0])
    return bool(np.linalg.norm(a - b) > 0.5 * size)
