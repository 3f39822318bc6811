"""Align a detected face with the square that a model was trained on, and map it back."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from visagist.data.crops import ALIGNED_SIZE, CROPS
from visagist.faces.geometry import Matrix, compose, estimate_similarity, invert, scale_of, transform_points, warp

# Mean points of MTCNN over aligned pictures of CelebA, 178×218 pixels, made symmetric.
TEMPLATE = np.array([[69.1, 111.1], [107.9, 111.1], [88.5, 134.9], [71.5, 152.5], [105.5, 152.5]])
# The same for drawn faces, in shares of the picture.
DRAWN_TEMPLATE = np.array([[0.361, 0.466], [0.639, 0.466], [0.5, 0.602], [0.38, 0.735], [0.62, 0.735]])
DEFAULT_CROP = "centre178"  # for models of other crops: the largest square of an aligned picture


@dataclass(frozen=True)
class Alignment:
    """Where a face of a photograph lies in the square of a model.

    to_model    [2, 3], from pixels of the photograph to pixels of the model's square
    side        of that square, in pixels
    misfit      root mean square error of the five points against the template, in distances of the eyes
    """

    to_model: Matrix
    side: int
    misfit: float

    @property
    def to_photo(self) -> Matrix:
        """The inverse of `to_model`."""
        return invert(self.to_model)

    @property
    def enlargement(self) -> float:
        """Pixels of the photograph per pixel of the model."""
        return 1 / scale_of(self.to_model)

    def face(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """This face of the photograph [H, W, 3] in the square of the model [S, S, 3], antialiased; edges are repeated."""
        return warp(pixels, self.to_photo, self.side)

    def corners(self) -> NDArray[np.float64]:
        """The four outer corners [4, 2] of the model's square in the photograph."""
        low, high = -0.5, self.side - 0.5
        return transform_points(np.array([[low, low], [high, low], [high, high], [low, high]]), self.to_photo)


def template(crop: str | None, side: int) -> NDArray[np.float64]:
    """The five points [5, 2] of a usual face in the square of models trained on this crop, in its pixels.

    Models of crops other than CelebA's and of drawn faces are taken to be trained on the largest square of aligned faces.
    """
    if crop == "drawn":
        return DRAWN_TEMPLATE * side - 0.5
    box = CROPS[crop if crop in CROPS else DEFAULT_CROP](*ALIGNED_SIZE)
    return (TEMPLATE + 0.5 - np.array(box[:2])) * (side / (box[2] - box[0])) - 0.5


def align(landmarks: NDArray[np.floating], crop: str | None, side: int) -> Alignment:
    """The alignment of a face with these landmarks [5, 2], in pixels of its photograph, to a model's square."""
    target = template(crop, side)
    to_model = estimate_similarity(landmarks, target)
    residual = transform_points(landmarks, to_model) - target
    eye_distance = np.linalg.norm(target[1] - target[0])
    return Alignment(to_model, side, float(np.sqrt((residual**2).sum(-1).mean()) / eye_distance))


def between(source: Alignment, target: Alignment) -> Matrix:
    """The transform from the square of one alignment of a face to that of another."""
    return compose(source.to_photo, target.to_model)
