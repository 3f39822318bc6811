"""From a face found in a photograph to the square that a model was trained on, and the way back."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from visagist.data.crops import ALIGNED_SIZE, CROPS
from visagist.faces.geometry import Matrix, composed, inverted, moved, sampled, scale_of, similarity

# Means of MTCNN's readings of aligned pictures of CelebA, 178×218 pixels, made symmetric: how its faces lie.
TEMPLATE = np.array([[69.1, 111.1], [107.9, 111.1], [88.5, 134.9], [71.5, 152.5], [105.5, 152.5]])
# The same of drawn faces, in shares of the picture.
DRAWN_TEMPLATE = np.array([[0.361, 0.466], [0.639, 0.466], [0.5, 0.602], [0.38, 0.735], [0.62, 0.735]])
OTHERWISE = "centre178"  # models of other crops: the largest square of an aligned picture


@dataclass(frozen=True)
class Alignment:
    """Where a face of a photograph lies in the square of a model.

    to_model    [2, 3], from pixels of the photograph to pixels of the model's square
    side        of that square, in pixels
    misfit      root mean square of what is left between the five points and the template, in distances of the eyes
    """

    to_model: Matrix
    side: int
    misfit: float

    @property
    def to_photo(self) -> Matrix:
        """The way back."""
        return inverted(self.to_model)

    @property
    def enlargement(self) -> float:
        """Pixels of the photograph for one pixel of the model."""
        return 1 / scale_of(self.to_model)

    def face(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The photograph [H, W, 3] as the model sees this face: [S, S, 3], antialiased; beyond the photograph its edge."""
        return sampled(pixels, self.to_photo, self.side)

    def corners(self) -> NDArray[np.float64]:
        """The four outer corners [4, 2] of the model's square in the photograph."""
        low, high = -0.5, self.side - 0.5
        return moved(np.array([[low, low], [high, low], [high, high], [low, high]]), self.to_photo)


def template(crop: str | None, side: int) -> NDArray[np.float64]:
    """The five points [5, 2] of a usual face in the square of models trained on this crop, in its pixels.

    Models of other crops than CelebA's and of drawn faces are taken to have seen what `square` makes of aligned pictures.
    """
    if crop == "drawn":
        return DRAWN_TEMPLATE * side - 0.5
    box = CROPS[crop if crop in CROPS else OTHERWISE](*ALIGNED_SIZE)
    return (TEMPLATE + 0.5 - np.array(box[:2])) * (side / (box[2] - box[0])) - 0.5


def align(landmarks: NDArray[np.floating], crop: str | None, side: int) -> Alignment:
    """The alignment of a face with these landmarks [5, 2], in pixels of its photograph, to a model's square."""
    wanted = template(crop, side)
    to_model = similarity(landmarks, wanted)
    left = moved(landmarks, to_model) - wanted
    between = np.linalg.norm(wanted[1] - wanted[0])
    return Alignment(to_model, side, float(np.sqrt((left**2).sum(-1).mean()) / between))


def between(one: Alignment, other: Alignment) -> Matrix:
    """The transform from the square of one alignment to that of another of the same face."""
    return composed(one.to_photo, other.to_model)
