"""Faces for a model that takes aligned ones: found in photographs, or refused where a picture shows one elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from visagist.data.crops import ALIGNED_SIZE, template
from visagist.errors import NoFaceError, VisagistError
from visagist.faces.alignment import align
from visagist.faces.detection import Box, detect
from visagist.faces.points import face_scale
from visagist.photos.photo import PhotoFile

# How far a face may lie from where aligned ones do, in distances of the eyes, and how much larger or smaller it may be.
_AWAY, _LARGER = 0.6, 1.6
# The same for a model whose own crop of unknown pictures says less of where its faces lie.
_FAR_AWAY, _FAR_LARGER = 1.2, 2.4
_LEAST_SIDE = 80  # pixels of the shorter side, below which no face is looked for
CHECKED = 3  # pictures of one call


class FaceSquares(Protocol):
    """What is asked of an `Editor` here."""

    @property
    def image_size(self) -> int: ...
    @property
    def crop(self) -> str | None: ...
    def see(self, faces: Any, *, aligned: bool = False) -> NDArray[np.uint8]: ...


def find_squares(editor: FaceSquares, photos: Sequence[PhotoFile], aligned: bool = False) -> NDArray[np.uint8]:
    """The largest face of each photo [N, S, S, 3], as the model sees it.

    One of CelebA's aligned size or the model's own is taken as one aligned face, and so are all where `aligned`.
    NoFaceError where a photo shows no face.
    """
    squares = []
    for photo in photos:
        pixels = photo.view()
        if aligned or photo.size in (ALIGNED_SIZE, (editor.image_size, editor.image_size)):
            squares.append(editor.see(pixels, aligned=True)[0])
            continue
        faces = detect(pixels)
        if not faces:
            raise NoFaceError(
                f"{photo.name}: no face was found: give one that shows a face from the front, large enough, or say that it "
                "is one aligned face (--aligned)"
            )
        squares.append(align(faces[0].landmarks, editor.crop, editor.image_size).face(pixels))
    return np.stack(squares)


def refuse_unaligned(pixels: NDArray[np.uint8], box: Box, crop: str | None, image_size: int) -> None:
    """VisagistError where a picture [H, W, 3] of an unusual size shows a face elsewhere than aligned ones do.

    `box` is what of it is taken as the face, by a model of this crop and size.
    """
    height, width = pixels.shape[:2]
    if (width, height) in (ALIGNED_SIZE, (image_size, image_size)) or min(width, height) < _LEAST_SIDE:
        return
    faces = detect(pixels)
    if not faces:
        return
    usual = template(crop, box[2] - box[0]) + np.array(box[:2])
    scale, landmarks = float(face_scale(usual)), faces[0].landmarks
    away = float(np.linalg.norm(landmarks.mean(0) - usual.mean(0))) / scale
    larger = float(face_scale(landmarks)) / scale
    most, ratio = (_FAR_AWAY, _FAR_LARGER) if crop in (None, "square") else (_AWAY, _LARGER)
    if away > most or not 1 / ratio < larger < ratio:
        raise VisagistError(
            f"the picture of {width}×{height} pixels is not one aligned face: its face is {larger:.2f} of the usual size "
            f"and {away:.1f} of the eyes' distance away; edit it in place with edit_photo, align it with `visagist align`, "
            "or say aligned=True"
        )
