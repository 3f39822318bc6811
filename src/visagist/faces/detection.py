"""Detect the faces of a photograph of any size, with five points each, without duplicates.

Two finders: `network`, ours, in one pass (`finder.scan`), and `dlib`, upright and rotated. The landmark network reads the
points of what either has found once more.
"""

from __future__ import annotations

import importlib
import math
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from visagist.boundary.forks import check_fork
from visagist.errors import VisagistError, nearest
from visagist.faces.geometry import Matrix, Reductions, compose, invert, transform_points, unscale, warp_image
from visagist.faces.landmarks import (
    BOX_WIDTH,
    Candidate,
    look_wider_steps,
    point_reader,
    predict_steps,
    refine_either_way_steps,
)
from visagist.faces.points import face_scale, inter_ocular, roll
from visagist.faces.pose import yaw
from visagist.passes import Steps, run

if TYPE_CHECKING:
    from visagist.faces.finder import CellReader
    from visagist.faces.finder_decoding import Detections

Box = tuple[int, int, int, int]
FINDERS = ("dlib", "network")
DEFAULT_FINDER = "network"
# What dlib's `get_frontal_face_detector` unpacks in most of a second, as it saves it: read in milliseconds.
_DETECTOR_FILE = Path(__file__).with_name("frontal_faces.svm")

# The width in pixels of the smallest face that dlib's detector finds.
SMALLEST_SEEN = 80
# The longer side at which photographs and large photographs are scanned, and the most that small ones are enlarged to it.
SCAN_SIDE, LARGE_SIDE, MAX_ENLARGEMENT = 1024, 2048, 2.0
# Rotated scans are coarser. Where nothing else is found, the photograph may lie on its side.
TURNED_SIDE, TURNS, SIDEWAYS = 512, (-35.0, 35.0), (-90.0, 90.0, 180.0)
DETECTOR_THRESHOLD, FACE_THRESHOLD = -0.4, 0.5
# Limits beyond which a face carries a warning.
TOO_SMALL, TOO_TURNED, TOO_TILTED, TOO_FAR_OUT, UNSURE, TOO_HIDDEN = 12, 40, 45, 0.1, 0.9, 0.3
UPSIDE_DOWN = 135  # degrees of tilt
APART = 0.65  # of the smaller box's width: what is nearer to a surer face than this is that face
# Limits beyond which an edit fails: no model was trained on such faces.
IN_PROFILE, MOSTLY_HIDDEN = 60, 0.45
# Of the finder network; what it proposes is a face where the landmark network agrees.
NETWORK_THRESHOLD, SURE_PROPOSAL = 0.45, 0.9
# A face's log odds are those of the landmark network, plus the finder's times a weight, less what both overrate: fitted on
# composed photographs of validation faces. What scores less than SURE is looked at in a wider square, whose odds count.
FINDER_WEIGHT, OVERRATED, LEAST_ODDS, SURE = 3.0, 6.5, 1e-5, 0.97
# What holds so many faces, each at most this share of its width, is a crowd; of what holds fewer, they are parts.
CROWD, SMALL_IN_FACE = 2, 0.4
_thread = threading.local()


@dataclass(frozen=True)
class Face:
    """A face in a photograph.

    box             left, top, right, bottom in pixels of the photograph, which it may overlap
    score           confidence that it is a face, in [0, 1]
    landmarks       [5, 2] float32 in pixels of the photograph, x before y, whole numbers being pixel centres, as in `POINTS`
    angle           degrees by which it is tilted, positive clockwise
    yaw             degrees by which it turns sideways, positive where the nose points to the right of the photograph
    inter_ocular    distance of the eyes in pixels of the photograph
    warnings        why an edit of it may fail, in words with the number that says so
    hidden          share of its box that something covers; 0 where the finder does not say
    unfit           why an edit of it would fail: it is refused unless it is forced
    """

    box: Box
    score: float
    landmarks: NDArray[np.float32]
    angle: float
    yaw: float
    inter_ocular: float
    warnings: tuple[str, ...] = ()
    hidden: float = 0.0
    unfit: tuple[str, ...] = ()


def open_finder() -> None:
    """Open what `detect` needs, so that the first photograph does not wait for it; VisagistError where it is not there."""
    if DEFAULT_FINDER == "dlib":
        load_dlib()
    else:
        _finder(DEFAULT_FINDER)


def detect(pixels: NDArray[np.uint8], smallest: int | None = None, by: str | None = None) -> list[Face]:
    """The faces of an upright RGB photograph [H, W, 3], the largest first; none is an empty list.

    `smallest` is the width in pixels of the smallest faces to detect, `by` one of `FINDERS` or a folder of a finder.
    """
    return run(detect_steps(pixels, smallest, by))


def detect_steps(pixels: NDArray[np.uint8], smallest: int | None = None, by: str | None = None) -> Steps[list[Face]]:
    """The steps of `detect`."""
    check_fork()
    by = DEFAULT_FINDER if by is None else by
    by_dlib = by == "dlib"
    faces = yield from (
        _detect_by_dlib(pixels, smallest) if by_dlib else _detect_by_network(pixels, smallest, _finder(by))
    )
    return sorted(faces, key=lambda face: -face_scale(face.landmarks))


def _finder(name: str) -> CellReader:
    """The finder network of this name, or in this model folder."""
    from visagist.faces.finder import cell_reader

    if name in FINDERS:
        return cell_reader()
    folder = Path(name).expanduser()
    if not folder.is_dir():
        raise VisagistError(f"no finder {name!r}: {nearest(name, FINDERS)}; or give the folder of a trained one")
    return cell_reader(folder)


def _detect_by_network(pixels: NDArray[np.uint8], smallest: int | None, reader: CellReader) -> Steps[list[Face]]:
    from visagist.faces import finder

    photo = Reductions(pixels)
    detections = yield from finder.scan_steps(photo, smallest or finder.SMALLEST, NETWORK_THRESHOLD, reader)
    detections = _without_doubles(detections)
    points, sureness = yield from refine_either_way_steps(photo, detections.points, point_reader())
    proposed = FINDER_WEIGHT * _log_odds(detections.scores) - OVERRATED
    scores = _sigmoid(_log_odds(sureness) + proposed)
    unsure = scores < SURE
    wider = yield from look_wider_steps(photo, points[unsure], point_reader())
    scores[unsure] = _sigmoid(_log_odds(wider) + proposed[unsure])
    faces: list[Face] = []
    for row in np.argsort(-scores):
        face = face_at(points[row], float(scores[row]), pixels.shape[1::-1], float(detections.hidden[row]))
        if face.score >= FACE_THRESHOLD and all(_apart(face, other) for other in faces):
            faces.append(face)
    return _without_crowds(faces)


def _without_doubles(detections: Detections) -> Detections:
    """What the finder proposes without what lies at a proposal that it is sure of, and is less sure of: it is not read."""
    scores, middles, width = detections.scores, detections.points.mean(1), BOX_WIDTH * face_scale(detections.points)
    at = np.linalg.norm(middles[:, None] - middles, axis=-1) < APART * np.minimum(width[:, None], width)
    return detections.take(~(at & (scores >= SURE_PROPOSAL) & (scores < SURE_PROPOSAL)[:, None]).any(1))


def _without_crowds(faces: Sequence[Face]) -> list[Face]:
    """Faces by falling score without those that hold several others and those that are a part of one.

    A photograph of a crowd, much reduced, looks like a face; a face's eye or ear, by itself, now and then too.
    """
    width = np.array([face.box[2] - face.box[0] for face in faces])
    middles = np.array([face.landmarks.mean(0) for face in faces]).reshape(-1, 2)
    holds = (np.abs(middles[:, None] - middles).max(-1) < width[:, None] / 2) & (width < SMALL_IN_FACE * width[:, None])
    crowds = holds.sum(1) >= CROWD
    parts = (holds & ~crowds[:, None]).any(0)
    return [face for face, is_no_face in zip(faces, crowds | parts) if not is_no_face]


def _log_odds(p: NDArray[np.floating]) -> NDArray[np.floating]:
    bounded = np.clip(p, LEAST_ODDS, 1 - LEAST_ODDS)
    odds: NDArray[np.floating] = np.log(bounded / (1 - bounded))
    return odds


def _sigmoid(x: NDArray[np.floating]) -> NDArray[np.floating]:
    share: NDArray[np.floating] = 1 / (1 + np.exp(-x))
    return share


def _detect_by_dlib(pixels: NDArray[np.uint8], smallest: int | None) -> Steps[list[Face]]:
    side = _side(max(pixels.shape[:2]), smallest)
    upright = _scan(pixels, side, 0.0)
    faces = yield from _locate_faces(pixels, upright + [c for turn in TURNS for c in _scan(pixels, TURNED_SIDE, turn)])
    if not faces:
        faces = yield from _locate_faces(pixels, [c for turn in SIDEWAYS for c in _scan(pixels, TURNED_SIDE, turn)])
    if not faces and smallest is None:
        faces = yield from _locate_faces(pixels, _scan(pixels, min(2 * side, LARGE_SIDE), 0.0))
    return faces


def _side(longer: int, smallest: int | None) -> int:
    """The longer side at which a photograph with this longer side is scanned."""
    if smallest is not None:
        return max(round(longer * SMALLEST_SEEN / smallest), 1)
    return LARGE_SIDE if longer > 1.5 * SCAN_SIDE else min(round(MAX_ENLARGEMENT * longer), SCAN_SIDE)


def _locate_faces(pixels: NDArray[np.uint8], candidates: Sequence[Candidate]) -> Steps[list[Face]]:
    """Predict the points of candidates and keep the faces among them, each once."""
    best: list[Candidate] = []
    for candidate in sorted(candidates, key=lambda c: -c.score):
        if all(math.dist(candidate.center, other.center) > 0.3 * max(candidate.width, other.width) for other in best):
            best.append(candidate)
    points, scores = yield from predict_steps(pixels, best, point_reader())
    faces: list[Face] = []
    for row in np.argsort(-scores):
        face = face_at(points[row], float(scores[row]), pixels.shape[1::-1])
        if face.score >= FACE_THRESHOLD and all(_apart(face, other) for other in faces):
            faces.append(face)
    return faces


def _scan(pixels: NDArray[np.uint8], side: int, turn: float) -> list[Candidate]:
    """Detect candidates in the photograph resized to a longer side and rotated clockwise by `turn` degrees."""
    height, width = pixels.shape[:2]
    ratio = side / max(height, width)
    if turn:
        ratio = min(ratio, MAX_ENLARGEMENT)
    small = Image.fromarray(pixels).convert("L")
    if ratio != 1:
        small = small.resize((max(round(width * ratio), 1), max(round(height * ratio), 1)), Image.Resampling.BILINEAR)
    to_photo = unscale(ratio)
    if turn:
        small, unrotate = _rotate(small, turn)
        to_photo = compose(unrotate, to_photo)
    boxes, scores, _ = _detector().run(np.asarray(small), 0, DETECTOR_THRESHOLD)
    candidates = []
    for box, score in zip(boxes, scores):
        x, y = transform_points(np.array([(box.left() + box.right()) / 2, (box.top() + box.bottom()) / 2]), to_photo)
        candidates.append(Candidate((float(x), float(y)), box.width() / ratio, -turn, float(score)))
    return candidates


def _rotate(picture: Image.Image, degrees: float) -> tuple[Image.Image, Matrix]:
    """Rotate a picture clockwise on a canvas that holds all of it; also the transform from the canvas to the picture."""
    c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    width, height = picture.size
    wide, high = math.ceil(abs(c) * width + abs(s) * height), math.ceil(abs(s) * width + abs(c) * height)
    center, canvas_center = np.array([width - 1, height - 1]) / 2, np.array([wide - 1, high - 1]) / 2
    turn = np.array([[c, -s], [s, c]])
    to_picture = invert(np.concatenate([turn, (canvas_center - turn @ center)[:, None]], 1))
    return warp_image(picture, to_picture, (wide, high), fill=128), to_picture


def _detector() -> Any:
    """The face detector of dlib, one a thread."""
    if not hasattr(_thread, "detector"):
        _thread.detector = load_detector()
    return _thread.detector


def load_detector() -> Any:
    """A detector of upright faces of dlib's, the one of `dlib.get_frontal_face_detector`."""
    return load_dlib().fhog_object_detector(str(_DETECTOR_FILE))


def load_dlib() -> Any:
    """The module dlib; VisagistError that says how to install it."""
    try:
        return importlib.import_module("dlib")
    except ImportError as error:
        raise VisagistError("dlib is not installed: pip install dlib-bin") from error


def face_at(points: NDArray[np.float32], score: float, size: tuple[int, int], hidden: float = 0.0) -> Face:
    """The face with these landmarks [5, 2] in a photograph of this width and height, a share of whose box is hidden."""
    between, tilt, turn = float(inter_ocular(points)), float(roll(points)), float(yaw(points))
    half = 0.5 * BOX_WIDTH * float(face_scale(points))
    x, y = points.mean(0).tolist()
    box = (round(x - half), round(y - half), round(x + half), round(y + half))
    unfit = [
        (abs(turn) > IN_PROFILE, f"in profile: turned by {abs(turn):.0f} degrees, more than {IN_PROFILE}"),
        (hidden > MOSTLY_HIDDEN, f"half covered: {hidden:.0%} of it, more than {MOSTLY_HIDDEN:.0%}"),
    ]
    warnings = face_warnings(box, score, tilt, turn, between, size, hidden)
    return Face(box, score, points, tilt, turn, between, warnings, hidden, tuple(why for applies, why in unfit if applies))


def face_warnings(
    box: Box, score: float, tilt: float, turn: float, between: float, size: tuple[int, int], hidden: float = 0.0
) -> tuple[str, ...]:
    """Reasons why an edit of a face in a photograph of this width and height may fail with any model."""
    inside = [min(high, end) - max(low, 0) for low, high, end in zip(box[:2], box[2:], size)]
    whole = max(box[2] - box[0], 1) * max(box[3] - box[1], 1)
    outside = 1 - max(inside[0], 0) * max(inside[1], 0) / whole
    warnings = [
        (between < TOO_SMALL, f"small: its eyes are {between:.0f} pixels apart, fewer than {TOO_SMALL}"),
        (abs(turn) > TOO_TURNED, f"turned to the side: by {abs(turn):.0f} degrees, more than {TOO_TURNED}"),
        (abs(tilt) > UPSIDE_DOWN, f"upside down: tilted by {abs(tilt):.0f} degrees, more than {UPSIDE_DOWN}"),
        (TOO_TILTED < abs(tilt) <= UPSIDE_DOWN, f"tilted: by {abs(tilt):.0f} degrees, more than {TOO_TILTED}"),
        (outside > TOO_FAR_OUT, f"partly outside the photograph: {outside:.0%} of it, more than {TOO_FAR_OUT:.0%}"),
        (hidden > TOO_HIDDEN, f"partly covered: {hidden:.0%} of it, more than {TOO_HIDDEN:.0%}"),
        (score < UNSURE, f"not surely a face: {score:.2f}, less than {UNSURE}"),
    ]
    return tuple(why for applies, why in warnings if applies)


def _apart(face: Face, other: Face) -> bool:
    a, b = face.landmarks.mean(0), other.landmarks.mean(0)
    size = min(face.box[2] - face.box[0], other.box[2] - other.box[0])
    return bool(np.linalg.norm(a - b) > APART * size)
