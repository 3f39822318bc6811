"""Which faces of a photograph to edit: the largest, all, one by its number or by a point on it; and which are refused."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from visagist.errors import NoFaceError, VisagistError

if TYPE_CHECKING:
    from visagist.faces.detection import Face

# largest, all, the number of one from 0 for the largest, or a point of the photograph on it, as 120,80.
FaceChoice = str | int
CHOICES = "it is largest, all, or the number of one, from 0 for the largest, or a point on one as x,y"
_POINT = re.compile(r"\s*(\d+(?:\.\d+)?)\s*,\s*(\d+(?:\.\d+)?)\s*")


def read_choice(text: str, option: str = "--face") -> FaceChoice:
    """The choice that a text names; else a VisagistError that names the option."""
    if text in ("largest", "all") or _POINT.fullmatch(text):
        return text
    if not text.isdecimal():
        raise VisagistError(f"{option} {text}: {CHOICES}")
    return int(text)


def choose_faces(faces: Sequence[Face], which: FaceChoice, force: bool = False) -> list[Face]:
    """Choose from faces, the largest first: largest, all, the number of one from 0, or the one at a point, as `120,80`.

    Those that an edit would fail on are left out unless `force` is set. VisagistError where none is left, or none is there.
    """
    if not faces:
        raise NoFaceError("no face was found in the photograph: give one that shows a face from the front, large enough")
    chosen = _named(faces, which)
    fit = chosen if force else [face for face in chosen if not face.unfit]
    if not fit:
        reasons = "; ".join(f"face {_number(faces, face)} is {', '.join(face.unfit)}" for face in chosen)
        raise VisagistError(f"{reasons}: an edit of such a face fails, force=True or --force edits it all the same")
    return fit


def refused_faces(faces: Sequence[Face], which: FaceChoice, force: bool) -> list[str]:
    """Why chosen faces are left alone, each with its number among all that were found."""
    if force or not faces:
        return []
    return [f"face {_number(faces, f)} is left alone, {', '.join(f.unfit)}" for f in _named(faces, which) if f.unfit]


def _number(faces: Sequence[Face], face: Face) -> int:
    return next(number for number, other in enumerate(faces) if other is face)


def _named(faces: Sequence[Face], which: FaceChoice) -> list[Face]:
    if which == "largest":
        return [faces[0]]
    if which == "all":
        return list(faces)
    if isinstance(which, str) and (point := _POINT.fullmatch(which)):
        return [_face_at(faces, float(point[1]), float(point[2]))]
    if not isinstance(which, int) or isinstance(which, bool):
        raise VisagistError(f"face is {which!r}: {CHOICES}")
    if not 0 <= which < len(faces):
        raise VisagistError(f"there is no face {which}: {len(faces)} found, counted from 0, the largest first")
    return [faces[which]]


def _face_at(faces: Sequence[Face], x: float, y: float) -> Face:
    """The face whose box holds the point; of several that whose middle is nearest."""
    holding = [f for f in faces if f.box[0] <= x <= f.box[2] and f.box[1] <= y <= f.box[3]]
    if not holding:
        boxes = ", ".join(f"{number} at {face.box}" for number, face in enumerate(faces[:8]))
        raise VisagistError(f"no face is at {x:g},{y:g}: {len(faces)} found, {boxes}")
    return min(holding, key=lambda face: math.dist(face.landmarks.mean(0), (x, y)))
