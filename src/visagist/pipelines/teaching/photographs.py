"""The photographs that an attribute is taught from: two folders, the faces in them found and aligned."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from visagist.boundary.untrusted import list_files
from visagist.data.crops import ALIGNED_SIZE, CROPS, Box, is_picture
from visagist.editing.editor import Editor
from visagist.editing.inputs import Photo
from visagist.errors import VisagistError
from visagist.faces.alignment import align
from visagist.faces.detection import Face, detect
from visagist.judges.judge import Judge
from visagist.photos.colour import is_grey
from visagist.photos.photo import read_photo
from visagist.pixels import to_pixels
from visagist.progress import Progress

LEAST = 8  # of each folder: halves of halves, one face left out, are of at least one
LARGEST_FOLDER = 2000


@dataclass(frozen=True)
class TaughtFaces:
    """N faces, those with the attribute first.

    squares     [N, S, S, 3] uint8, as the model sees them
    judged      [N, J, J, 3] uint8, as the judges do
    present     [N], whether the face is of the folder with the attribute
    files       N paths
    lightness   [N] means of the pixels, 0 to 255
    width       [N] pixels of the photograph that the face's square has
    grey        [N], whether the photograph is grey
    notes       what a person is told of pictures that are left out
    """

    squares: NDArray[np.uint8]
    judged: NDArray[np.uint8]
    present: NDArray[np.bool_]
    files: tuple[str, ...]
    lightness: NDArray[np.float64]
    width: NDArray[np.float64]
    grey: NDArray[np.bool_]
    notes: tuple[str, ...] = ()

    def counts(self) -> tuple[int, int]:
        """How many faces have the attribute, and how many lack it."""
        return int(self.present.sum()), int((~self.present).sum())


@dataclass(frozen=True)
class _FoundFace:
    """One face of one photograph; `face` is None where the whole picture is one aligned face."""

    pixels: NDArray[np.uint8]
    face: Face | None
    file: str
    others: int = 0

    def square(self, crop: str | None, side: int) -> NDArray[np.uint8]:
        if self.face is not None:
            return align(self.face.landmarks, crop, side).face(self.pixels)
        height, width = self.pixels.shape[:2]
        usual = crop if crop in CROPS and (width, height) == ALIGNED_SIZE else "square"
        box: Box = CROPS[usual or "square"](width, height)
        return to_pixels(Photo(self.pixels, box).face(side))

    def width(self, crop: str | None, side: int) -> float:
        if self.face is not None:
            return align(self.face.landmarks, crop, side).enlargement * side
        return float(min(self.pixels.shape[:2]))


def read_faces(present: Path, absent: Path, editor: Editor, judge: Judge, progress: Progress) -> TaughtFaces:
    """Read the largest face of each photograph of two folders.

    A picture of CelebA's aligned size, or the model's own, is one aligned face. Photographs without a face, unreadable ones
    and copies are left out and noted. VisagistError for folders with fewer than `LEAST` faces, and for a picture in both.
    """
    listed = [_list_pictures(folder, option) for folder, option in ((present, "--with"), (absent, "--without"))]
    progress.stage("finding faces", sum(map(len, listed)), "photos")
    notes: list[str] = []
    sides = [_find_all(files, editor, progress, notes) for files in listed]
    seen = [_unique(found, notes) for found in sides]
    for digest in seen[0].keys() & seen[1].keys():
        raise VisagistError(f"{seen[0][digest].file} and {seen[1][digest].file} are one picture: take it out of one folder")
    faces = [face for found in seen for face in found.values()]
    for folder, found in zip((present, absent), seen):
        if len(found) < LEAST:
            raise VisagistError(
                f"{folder} has {len(found)} photographs that show a face: an attribute is taught from at least {LEAST} with "
                f"and {LEAST} without it, better 20 of each"
            )
    several = sum(face.others > 0 for face in faces)
    if several:
        notes.append(f"{several} of the photographs show several faces: the largest of each is taken")
    crop, side = editor.crop, editor.image_size
    squares = np.stack([face.square(crop, side) for face in faces])
    judged = squares
    if (judge.description.get("crop"), judge.image_size) != (crop, side) and not _own_size_only(faces, side):
        judged = np.stack([face.square(judge.description.get("crop"), judge.image_size) for face in faces])
    return TaughtFaces(
        squares, judged, np.arange(len(faces)) < len(seen[0]), tuple(face.file for face in faces),
        squares.mean((1, 2, 3)), np.array([face.width(crop, side) for face in faces]),
        np.array([is_grey(face.pixels) for face in faces]), tuple(notes),
    )  # fmt: skip


def _own_size_only(faces: Sequence[_FoundFace], side: int) -> bool:
    """Whether all pictures are as large as the model sees them, so that nothing more of the faces is known."""
    return all(found.face is None and found.pixels.shape[:2] == (side, side) for found in faces)


def _list_pictures(folder: Path, option: str) -> list[Path]:
    if not folder.is_dir():
        raise VisagistError(f"no folder {folder}: give {option} a folder of photographs")
    files = [path for path in list_files(folder) if is_picture(path.name)]
    if not files:
        raise VisagistError(f"{folder} holds no picture: give {option} a folder of photographs")
    if len(files) > LARGEST_FOLDER:
        raise VisagistError(
            f"{folder} holds {len(files):,} pictures, and teaching takes at most {LARGEST_FOLDER:,}: label them in a table "
            "and use visagist train, or visagist vectors"
        )
    return files


def _find_all(files: Sequence[Path], editor: Editor, progress: Progress, notes: list[str]) -> list[_FoundFace]:
    faces = []
    for path in files:
        try:
            found = _find(path, editor)
        except VisagistError as error:
            notes.append(f"left out: {error}")
        else:
            if found is None:
                notes.append(f"left out: no face was found in {path}")
            else:
                faces.append(found)
        progress.advance()
    return faces


def _find(path: Path, editor: Editor) -> _FoundFace | None:
    photo = read_photo(path)
    pixels = photo.view()
    if photo.size in (ALIGNED_SIZE, (editor.image_size, editor.image_size)):
        return _FoundFace(pixels, None, str(path))
    faces = detect(pixels)
    return _FoundFace(pixels, faces[0], str(path), len(faces) - 1) if faces else None


def _unique(faces: Sequence[_FoundFace], notes: list[str]) -> dict[str, _FoundFace]:
    """Faces by a hash of their photograph's pixels; copies are noted."""
    unique: dict[str, _FoundFace] = {}
    for found in faces:
        digest = hashlib.sha256(np.ascontiguousarray(found.pixels).data).hexdigest()
        if digest in unique:
            notes.append(f"left out: {found.file} is a copy of {unique[digest].file}")
        unique.setdefault(digest, found)
    return unique
