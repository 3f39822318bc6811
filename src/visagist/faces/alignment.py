"""Align a detected face with the square that a model was trained on, and map it back."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from visagist.data.crops import template
from visagist.faces.geometry import Matrix, compose, estimate_similarity, invert, scale_of, transform_points, warp


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
