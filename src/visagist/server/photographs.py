"""Photographs that are open in the studio: in memory, for as long as somebody works on them, and on no disk."""

from __future__ import annotations

import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from visagist.data.crops import ALIGNED_SIZE, TEMPLATE, template
from visagist.errors import VisagistError
from visagist.faces.alignment import align
from visagist.faces.detection import Box, Face, detect, face_at
from visagist.photos.photo import PhotoFile, read_photo

PREVIEW_SIDE = 1280  # of the preview's longer side
SQUARE_SIDE = 440  # of the largest face's square in it: what a slider moves must be drawn within milliseconds
IDLE_SECONDS = 900.0
MOST_OPEN, MOST_BYTES = 64, 1 << 30
_MARGIN = 4  # pixels around a face's square that the sampling reads


class PhotographGoneError(VisagistError):
    """An open photograph has been closed, or was let go because of its age or for want of memory."""


@dataclass(frozen=True)
class OpenPhotograph:
    """A photograph with its faces, the largest first, and a smaller preview of it.

    preview   uint8 [h, w, 3], sRGB; `scale` is how many of its pixels one of the photograph's is
    """

    photo: PhotoFile
    faces: tuple[Face, ...]
    preview: NDArray[np.uint8]
    scale: float
    preview_faces: tuple[Face, ...]
    preview_photo: PhotoFile = field(repr=False)
    _squares: dict[tuple[int, str | None, int], NDArray[np.uint8]] = field(default_factory=dict, repr=False)

    def square(self, number: int, crop: str | None, side: int) -> NDArray[np.uint8]:
        """A face of the unedited preview as a model of this crop and side sees it; sampled once."""
        key = number, crop, side
        if key not in self._squares:
            self._squares[key] = align(self.preview_faces[number].landmarks, crop, side).face(self.preview)
        return self._squares[key]

    @property
    def size_bytes(self) -> int:
        return sum(frame.nbytes for frame in self.photo.frames) + 2 * self.preview.nbytes + len(self.photo.original or b"")


def find_all_faces(photo: PhotoFile, pixels: NDArray[np.uint8], sides: Collection[int]) -> list[Face]:
    """The faces of a photograph, the largest first.

    Where none is found, a picture of the size of an aligned face, CelebA's or one of these sides of models, is one.
    """
    faces = detect(pixels)
    if faces:
        return faces
    width, height = photo.size
    if (width, height) == ALIGNED_SIZE:
        return [face_at(TEMPLATE.astype(np.float32), 1.0, photo.size)]
    if width == height and width in sides:
        return [face_at(template("centre148", width).astype(np.float32), 1.0, photo.size)]
    return []


def open_photograph(data: bytes, most_faces: int, sides: Collection[int]) -> OpenPhotograph:
    """Read a photograph and find its faces. VisagistError for what is none, and for more faces than are edited."""
    photo = read_photo(data, "the picture")
    pixels = photo.view()
    faces = find_all_faces(photo, pixels, sides)
    check_faces(len(faces), most_faces)
    scale = min(1.0, PREVIEW_SIDE / max(photo.size), *(_fitting_scale(face) for face in faces))
    preview = pixels if scale == 1 else _reduced(pixels, scale)
    scale = preview.shape[1] / pixels.shape[1]
    size = (preview.shape[1], preview.shape[0])
    shown = tuple(_scaled(face, scale, size) for face in faces)
    preview_photo = read_photo(Image.fromarray(preview), "the preview")
    return OpenPhotograph(photo, tuple(faces), preview, scale, shown, preview_photo)


def check_faces(number: int, most: int) -> None:
    """VisagistError for more faces than one request may have edited."""
    if number > most:
        raise VisagistError(f"the picture shows {number} faces, more than the {most} edited here: give a part of it")


def square_box(face: Face, crop: str | None, side: int, size: tuple[int, int]) -> Box:
    """What of a photograph of this size a model's square around a face covers, with a margin for sampling."""
    alignment = align(face.landmarks, crop, side)
    corners = alignment.corners()
    margin = _MARGIN + 4 * alignment.enlargement
    low = np.floor(corners.min(0) - margin).astype(int)
    high = np.ceil(corners.max(0) + margin).astype(int)
    left, top = (int(np.clip(v, 0, end - 1)) for v, end in zip(low, size))
    right, bottom = (int(np.clip(v, start + 1, end)) for v, start, end in zip(high, (left, top), size))
    return left, top, right, bottom


def overlap(first: Box, second: Box) -> bool:
    """Whether two boxes share a pixel."""
    return first[0] < second[2] and second[0] < first[2] and first[1] < second[3] and second[1] < first[3]


def shifted(face: Face, left: int, top: int) -> Face:
    """The face in a part of its photograph that begins at this pixel."""
    return replace(face, landmarks=face.landmarks - np.array([left, top], np.float32))


def _fitting_scale(face: Face) -> float:
    left, top, right, bottom = square_box(face, "centre148", 64, (1 << 20, 1 << 20))
    return SQUARE_SIDE / max(right - left, bottom - top)


def _reduced(pixels: NDArray[np.uint8], scale: float) -> NDArray[np.uint8]:
    size = (max(round(pixels.shape[1] * scale), 1), max(round(pixels.shape[0] * scale), 1))
    return np.array(Image.fromarray(pixels).resize(size, Image.Resampling.LANCZOS))


def _scaled(face: Face, scale: float, size: tuple[int, int]) -> Face:
    points = ((face.landmarks + 0.5) * scale - 0.5).astype(np.float32)
    return replace(face_at(points, face.score, size), warnings=face.warnings)


class Photographs:
    """The open photographs by their names, which cannot be guessed; the longest unused are let go first."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._open: OrderedDict[str, tuple[OpenPhotograph, float]] = OrderedDict()
        self._lock, self._now = threading.Lock(), now

    def add(self, photograph: OpenPhotograph) -> str:
        """Keep a photograph; returns its name."""
        name = secrets.token_urlsafe(16)
        with self._lock:
            self._open[name] = photograph, self._now()
            self._let_go()
        return name

    def __getitem__(self, name: str) -> OpenPhotograph:
        with self._lock:
            self._let_go()
            if name not in self._open:
                raise PhotographGoneError("this photograph is not open any more: open it again")
            photograph, _ = self._open[name]
            self._open[name] = photograph, self._now()
            self._open.move_to_end(name)
            return photograph

    def close(self, name: str) -> None:
        """Let a photograph go, if it is open."""
        with self._lock:
            self._open.pop(name, None)

    def __len__(self) -> int:
        return len(self._open)

    def _let_go(self) -> None:
        oldest = self._now() - IDLE_SECONDS
        for name in [name for name, (_, used) in self._open.items() if used < oldest]:
            del self._open[name]
        sizes = [photograph.size_bytes for photograph, _ in self._open.values()]
        while len(self._open) > 1 and (len(self._open) > MOST_OPEN or sum(sizes) > MOST_BYTES):
            self._open.popitem(last=False)
            sizes.pop(0)


def pick_faces(faces: Sequence[Face], which: int | str) -> list[int]:
    """The numbers of the faces that a step of the studio names: one, or all. VisagistError for one that is not there."""
    if which == "all":
        return list(range(len(faces)))
    if not isinstance(which, int) or not 0 <= which < len(faces):
        raise VisagistError(f"there is no face {which}: {len(faces)} found, counted from 0, the largest first")
    return [which]
