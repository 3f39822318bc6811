"""The five landmarks of a face, and its eye distance, roll and scale."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

POINTS = ("left eye", "right eye", "tip of the nose", "left corner of the mouth", "right corner of the mouth")
MIRRORED = (1, 0, 2, 4, 3)  # the points of a mirror image, in this order

# The spread of the five points about their mean, in distances of the eyes, of a frontal face.
SPREAD = 0.637
CROP_SCALE = 3.8  # side of what the landmark network sees, in distances of the eyes


def inter_ocular(points: NDArray[np.floating]) -> NDArray[np.float64]:
    """Distances [...] of the eyes of landmarks [..., 5, 2], in their units."""
    return np.linalg.norm(np.asarray(points[..., 1, :] - points[..., 0, :], np.float64), axis=-1)


def roll(points: NDArray[np.floating]) -> NDArray[np.float64]:
    """Degrees [...] by which faces are tilted in the picture: positive where the head leans clockwise.

    From the line of the eyes and the line from their center to that of the mouth, so that it depends on neither alone.
    Landmarks [..., 5, 2].
    """
    p = np.asarray(points, np.float64)
    across = p[..., 1, :] - p[..., 0, :]
    down = p[..., 3:, :].mean(-2) - p[..., :2, :].mean(-2)
    along = across + np.stack([down[..., 1], -down[..., 0]], -1)
    return np.degrees(np.arctan2(along[..., 1], along[..., 0]))


def face_scale(points: NDArray[np.floating]) -> NDArray[np.float64]:
    """The distance [...] of the eyes of faces [..., 5, 2] if they were frontal, from all five points."""
    p = np.asarray(points, np.float64)
    return np.sqrt(((p - p.mean(-2, keepdims=True)) ** 2).sum(-1).mean(-1)) / SPREAD
