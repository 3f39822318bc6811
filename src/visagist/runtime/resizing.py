"""Pictures brought to another side as a refiner's training brings them, without torch."""

from __future__ import annotations

from functools import cache

import numpy as np

from visagist.runtime.arrays import Floats

CUBIC = -0.75  # the coefficient of torch's bicubic interpolation


def resize_arrays(images: Floats, side: int) -> Floats:
    """Images [B, 3, S, S] at another side, smaller ones antialiased, larger ones bicubic, in [0, 1]."""
    own = images.shape[-1]
    if own == side:
        return images
    weights = resizing_matrix(own, side)
    resized: Floats = np.matmul(np.matmul(weights, images), weights.T)
    return resized if own > side else np.clip(resized, 0, 1)


@cache
def resizing_matrix(own: int, side: int) -> Floats:
    """What each of `side` pixels takes of each of `own`, [side, own]."""
    return _triangles(own, side) if own > side else _cubics(own, side)


def _triangles(own: int, side: int) -> Floats:
    """A triangle as wide as two new pixels, of what lies inside the picture."""
    scale = own / side
    middles = scale * (np.arange(side)[:, None] + 0.5)
    weights = np.clip(1 - np.abs(np.arange(own) + 0.5 - middles) / scale, 0, None)
    return (weights / weights.sum(1, keepdims=True)).astype(np.float32)


def _cubics(own: int, side: int) -> Floats:
    """Cubic convolution (Keys, 1981) of the four nearest pixels; the picture's edge is repeated."""
    at = (np.arange(side) + 0.5) * own / side - 0.5
    weights = np.zeros((side, own))
    for tap in range(-1, 3):
        pixel = np.floor(at) + tap
        x = np.abs(at - pixel)
        near = ((CUBIC + 2) * x - (CUBIC + 3)) * x * x + 1
        far = ((CUBIC * x - 5 * CUBIC) * x + 8 * CUBIC) * x - 4 * CUBIC
        np.add.at(weights, (np.arange(side), np.clip(pixel, 0, own - 1).astype(int)), np.where(x <= 1, near, far))
    return weights.astype(np.float32)
