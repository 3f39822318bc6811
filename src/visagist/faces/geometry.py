"""Similarity transforms of the plane, and pictures sampled through them without jags.

Points are [..., 2], x before y, whole numbers being pixel centres. A transform is [2, 3]: q = M[:, :2] p + M[:, 2].
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image

Matrix = NDArray[np.float64]


def similarity(points: NDArray[np.floating], target: NDArray[np.floating]) -> Matrix:
    """The rotation, scale and shift [2, 3] that takes points [P, 2] nearest to `target` [P, 2], without mirroring.

    By least squares (Umeyama, 1991, "Least-squares estimation of transformation parameters between two point patterns");
    in the plane the rotation and the scale are one complex number. Points that all fall together give no scale: zeros.
    """
    p, q = np.asarray(points, np.float64), np.asarray(target, np.float64)
    middle_p, middle_q = p.mean(0), q.mean(0)
    a, b = p - middle_p, q - middle_q
    spread = (a**2).sum()
    along, across = (a * b).sum(), (a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]).sum()
    c, s = (along / spread, across / spread) if spread > 0 else (0.0, 0.0)
    turn = np.array([[c, -s], [s, c]])
    return np.concatenate([turn, (middle_q - turn @ middle_p)[:, None]], 1)


def scale_of(matrix: Matrix) -> float:
    """By what a similarity enlarges."""
    return float(np.hypot(matrix[0, 0], matrix[1, 0]))


def moved(points: NDArray[np.floating], matrix: Matrix) -> NDArray[np.float64]:
    """Points [..., 2] through a transform."""
    return np.asarray(points, np.float64) @ matrix[:, :2].T + matrix[:, 2]


def inverted(matrix: Matrix) -> Matrix:
    """The transform that goes back."""
    back = np.linalg.inv(matrix[:, :2])
    return np.concatenate([back, (-back @ matrix[:, 2])[:, None]], 1)


def composed(first: Matrix, second: Matrix) -> Matrix:
    """The transform that does `first`, then `second`."""
    return np.concatenate([second[:, :2] @ first[:, :2], moved(first[:, 2], second)[:, None]], 1)


def sampled(pixels: NDArray[np.uint8], matrix: Matrix, side: int) -> NDArray[np.uint8]:
    """The square [side, side, 3] of a photograph [H, W, 3] whose pixel p shows the photograph at `matrix` p.

    Where the photograph is finer than the square, it is first reduced to twice the square's resolution and the square is
    sampled at twice its side, so that no detail turns to jags. Beyond the photograph its edge goes on.
    """
    step = scale_of(matrix)
    fine = 2 if step > 1 else 1
    # Pixel i of the finer square lies at (i + 1/2) / fine - 1/2 of the wanted one.
    finer = composed(np.array([[1 / fine, 0, 0.5 / fine - 0.5], [0, 1 / fine, 0.5 / fine - 0.5]]), matrix)
    edge = fine * side - 1
    corners = moved(np.array([[0, 0], [edge, 0], [0, edge], [edge, edge]]), finer)
    height, width = pixels.shape[:2]
    # Two more pixels on every side, which the bicubic filter reads.
    low = np.clip(np.floor(corners.min(0)) - 2, 0, [width - 1, height - 1]).astype(int)
    high = np.maximum(np.clip(np.ceil(corners.max(0)) + 3, 1, [width, height]).astype(int), low + 1)
    part = pixels[low[1] : high[1], low[0] : high[0]]
    shrink = max(step / fine, 1.0)
    if shrink > 1:
        smaller = np.maximum(np.round((high - low) / shrink), 1).astype(int)
        part = np.asarray(Image.fromarray(part).resize((int(smaller[0]), int(smaller[1])), Image.Resampling.LANCZOS))
    ratio = np.array(part.shape[1::-1]) / (high - low)
    into = np.array([[ratio[0], 0, (0.5 - low[0]) * ratio[0] - 0.5], [0, ratio[1], (0.5 - low[1]) * ratio[1] - 0.5]])
    image = torch.from_numpy(np.array(part, order="C")).permute(2, 0, 1).float()
    found = sampled_at(image, composed(finer, into), (edge + 1, edge + 1)).round_().clamp_(0, 255).byte()
    square = found.permute(1, 2, 0).numpy()
    if fine == 1:
        return square
    return np.asarray(Image.fromarray(square).resize((side, side), Image.Resampling.LANCZOS))


def sampled_at(image: torch.Tensor, matrix: Matrix, size: tuple[int, int], origin: tuple[int, int] = (0, 0)) -> torch.Tensor:
    """A float picture [C, H, W] at `matrix` p for the pixels p of a box of this size (height, width) and upper left corner.

    Bicubic; beyond the picture its edge goes on.
    """
    height, width = image.shape[1:]
    across = np.arange(origin[0], origin[0] + size[1], dtype=np.float32)
    down = np.arange(origin[1], origin[1] + size[0], dtype=np.float32)[:, None]
    grid = np.empty((*size, 2), np.float32)
    for axis, end in enumerate((width, height)):
        a, b, start = (matrix[axis] * (2 / end)).tolist()
        np.add(a * across + (start + 1 / end - 1), b * down, out=grid[..., axis])
    return F.grid_sample(image[None], torch.from_numpy(grid)[None], "bicubic", "border", align_corners=False)[0]
