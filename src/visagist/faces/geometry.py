"""Similarity transforms of the plane, and images warped by them.

Points are [..., 2], x before y, whole numbers are pixel centers. A transform is [2, 3]: q = M[:, :2] p + M[:, 2]. Other
libraries count from the corners of pixels: that half pixel is added here and nowhere else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from visagist.runtime.arrays import Floats
from visagist.runtime.sampling import sample_bicubic

if TYPE_CHECKING:
    from torch import Tensor

Matrix = NDArray[np.float64]
STRIP = 1 << 18  # pixels of a photograph that are reduced at a time
READ = 2  # pixels on every side of a sample that the bicubic filter reads
GAP = 1.5  # times the size that is wanted, down to which means of whole pixels stand for a better reduction


def estimate_similarity(points: NDArray[np.floating], target: NDArray[np.floating]) -> Matrix:
    """The rotation, scale and shift [2, 3] that takes points [P, 2] nearest to `target` [P, 2], without mirroring.

    By least squares (Umeyama, 1991, "Least-squares estimation of transformation parameters between two point patterns");
    in the plane the rotation and the scale are one complex number. Points that all coincide have no scale: zeros.
    """
    p, q = np.asarray(points, np.float64), np.asarray(target, np.float64)
    center_p, center_q = p.mean(0), q.mean(0)
    a, b = p - center_p, q - center_q
    spread = (a**2).sum()
    along, across = (a * b).sum(), (a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]).sum()
    c, s = (along / spread, across / spread) if spread > 0 else (0.0, 0.0)
    turn = np.array([[c, -s], [s, c]])
    return np.concatenate([turn, (center_q - turn @ center_p)[:, None]], 1)


def scale_of(matrix: Matrix) -> float:
    """The scale factor of a similarity."""
    return float(np.hypot(matrix[0, 0], matrix[1, 0]))


def transform_points(points: NDArray[np.floating], matrix: Matrix) -> NDArray[np.float64]:
    """Apply a transform to points [..., 2]."""
    return np.asarray(points, np.float64) @ matrix[:, :2].T + matrix[:, 2]


def invert(matrix: Matrix) -> Matrix:
    """The inverse of a transform."""
    back = np.linalg.inv(matrix[:, :2])
    return np.concatenate([back, (-back @ matrix[:, 2])[:, None]], 1)


def compose(first: Matrix, second: Matrix) -> Matrix:
    """The transform that applies `first`, then `second`."""
    return np.concatenate([second[:, :2] @ first[:, :2], transform_points(first[:, 2], second)[:, None]], 1)


def unscale(ratio: float) -> Matrix:
    """The transform from the pixels of an image scaled by `ratio` to those of the image itself."""
    return np.array([[1 / ratio, 0, 0.5 / ratio - 0.5], [0, 1 / ratio, 0.5 / ratio - 0.5]])


def warp(pixels: NDArray[np.uint8], matrix: Matrix, side: int) -> NDArray[np.uint8]:
    """The square [side, side, 3] whose pixel p shows the photograph [H, W, 3] at `matrix` p, antialiased.

    Where the photograph is finer than the square, it is first reduced to twice the square's resolution, and the square is
    sampled at twice its side. Beyond the photograph its edge is repeated.
    """
    fine = _fineness(matrix)
    finer = compose(unscale(fine), matrix)
    low, part = _part_under(pixels, finer, fine * side, READ)
    shrink = max(scale_of(finer), 1.0)
    if shrink == 1:
        return _brought_to(side, _sample(part, compose(finer, _into(low, np.ones(2))), fine * side))
    whole = max(int(shrink / GAP), 1)
    size = np.array(part.shape[1::-1])
    smaller = np.maximum(np.round(size / shrink), 1).astype(int)
    reduced = Image.fromarray(reduce_by(part, whole)).resize(
        (int(smaller[0]), int(smaller[1])), Image.Resampling.LANCZOS, (0, 0, size[0] / whole, size[1] / whole)
    )
    return _brought_to(side, _sample(np.asarray(reduced), compose(finer, _into(low, smaller / size)), fine * side))


def warp_roughly(pixels: NDArray[np.uint8], matrix: Matrix, side: int, finest: int = 2) -> NDArray[np.uint8]:
    """As `warp`, reduced by means of whole pixels and sampled linearly: much quicker, for networks that only read.

    With `finest` 1 pixels of the square are samples and not means of four: it takes half of the time and aliases a little.
    """
    fine = min(_fineness(matrix), finest)
    finer = compose(unscale(fine), matrix)
    whole = max(int(scale_of(finer)), 1)
    low, part = _part_under(pixels, finer, fine * side, READ * whole)
    part, inside = reduce_by(part, whole), compose(finer, _into(low, np.full(2, 1 / whole)))
    if _fineness(matrix) == 1:
        return _sample(part, inside, side)
    return reduce_by(_sample_linearly(part, inside, fine * side), fine)


def _fineness(matrix: Matrix) -> int:
    """How many times as fine as a square the samples for it are."""
    return 2 if scale_of(matrix) > 1 else 1


def _part_under(
    pixels: NDArray[np.uint8], matrix: Matrix, side: int, margin: int
) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
    """What of a photograph a square shows, with a margin in its pixels, and where that begins."""
    edge, ends = side - 1, np.array(pixels.shape[1::-1])
    corners = transform_points(np.array([[0, 0], [edge, 0], [0, edge], [edge, edge]]), matrix)
    low = np.clip(np.floor(corners.min(0)) - margin, 0, ends - 1).astype(int)
    high = np.maximum(np.clip(np.ceil(corners.max(0)) + 1 + margin, 1, ends), low + 1).astype(int)
    return low, pixels[low[1] : high[1], low[0] : high[0]]


def _into(low: NDArray[np.int64], ratio: NDArray[np.float64]) -> Matrix:
    """From the pixels of a photograph to those of its part that begins at `low`, scaled across and down by a ratio."""
    return np.concatenate([np.diag(ratio), ((0.5 - low) * ratio - 0.5)[:, None]], 1)


def _sample(part: NDArray[np.uint8], matrix: Matrix, side: int) -> NDArray[np.uint8]:
    """The square [side, side, 3] whose pixel p shows the part at `matrix` p."""
    image = np.ascontiguousarray(part.transpose(2, 0, 1), np.float32)
    warped = warp_array(image, matrix, (side, side))
    return np.ascontiguousarray(np.clip(np.rint(warped), 0, 255).astype(np.uint8).transpose(1, 2, 0))


def _sample_linearly(part: NDArray[np.uint8], matrix: Matrix, side: int) -> NDArray[np.uint8]:
    """As `_sample`, bilinear; values are cut off, not rounded."""
    edge, ends = side - 1, np.array(part.shape[1::-1])
    corners = transform_points(np.array([[0, 0], [edge, 0], [0, edge], [edge, edge]]), matrix)
    before = np.maximum(1 - np.floor(corners.min(0)), 0).astype(int)
    after = np.maximum(np.ceil(corners.max(0)) + 2 - ends, 0).astype(int)
    if before.any() or after.any():
        part = np.pad(part, ((before[1], after[1]), (before[0], after[0]), (0, 0)), "edge")
        matrix = compose(matrix, np.array([[1.0, 0, before[0]], [0, 1, before[1]]]))
    return np.asarray(warp_image(Image.fromarray(part), matrix, (side, side), fill=0))


def _brought_to(side: int, square: NDArray[np.uint8]) -> NDArray[np.uint8]:
    if len(square) == side:
        return square
    return np.asarray(Image.fromarray(square).resize((side, side), Image.Resampling.LANCZOS))


def reduce_by(pixels: NDArray[np.uint8], factor: int) -> NDArray[np.uint8]:
    """The means of squares of `factor` pixels of a photograph [H, W, 3], at its right and lower edges of what there is."""
    height, width = pixels.shape[:2]
    if factor == 1:
        return pixels
    reduced = np.empty((-(-height // factor), -(-width // factor), 3), np.uint8)
    # In strips that a processor's cache holds: a copy of a large photograph costs more than its means.
    rows = factor * max(STRIP // (width * factor), 1)
    for top in range(0, height, rows):
        strip = Image.fromarray(pixels[top : top + rows]).reduce(factor)
        reduced[top // factor :][: strip.height] = np.asarray(strip)
    return reduced


class Reductions:
    """A photograph [H, W, 3] and reductions of it, from which squares much coarser than it are warped more quickly."""

    def __init__(self, pixels: NDArray[np.uint8]) -> None:
        self.sizes = [pixels]

    def add(self, reduced: NDArray[np.uint8]) -> None:
        """Add a reduction, smaller than those before it."""
        if len(reduced) < len(self.sizes[-1]):
            self.sizes.append(reduced)

    def warp(self, matrix: Matrix, side: int) -> NDArray[np.uint8]:
        """As `warp_roughly`, from the smallest picture that is still twice as fine as the square."""
        whole, step = self.sizes[0], scale_of(matrix)
        pixels = [size for size in self.sizes if step * len(size) >= 2 * len(whole) or size is whole][-1]
        x, y = (reduced / own for reduced, own in zip(pixels.shape[1::-1], whole.shape[1::-1]))
        return warp_roughly(pixels, compose(matrix, np.array([[x, 0, (x - 1) / 2], [0, y, (y - 1) / 2]])), side, 1)


def warp_tensor(image: Tensor, matrix: Matrix, size: tuple[int, int], origin: tuple[int, int] = (0, 0)) -> Tensor:
    """As `warp_array`, of a tensor."""
    import torch

    return torch.from_numpy(warp_array(image.contiguous().numpy(), matrix, size, origin))


def warp_array(image: Floats, matrix: Matrix, size: tuple[int, int], origin: tuple[int, int] = (0, 0)) -> Floats:
    """The box [C, *size] with upper left corner `origin` whose pixel p shows the float image [C, H, W] at `matrix` p.

    Bicubic; beyond the image its edge is repeated.
    """
    height, width = image.shape[1:]
    across = np.arange(origin[0], origin[0] + size[1], dtype=np.float32)
    down = np.arange(origin[1], origin[1] + size[0], dtype=np.float32)[:, None]
    grid = np.empty((*size, 2), np.float32)
    for axis, end in enumerate((width, height)):
        a, b, start = (matrix[axis] * (2 / end)).tolist()
        np.add(a * across + (start + 1 / end - 1), b * down, out=grid[..., axis])
    return sample_bicubic(image, grid)


def warp_image(picture: Image.Image, matrix: Matrix, size: tuple[int, int], fill: int) -> Image.Image:
    """The picture of this width and height whose pixel p shows `picture` at `matrix` p; bilinear, `fill` beyond it."""
    shift = matrix[:, 2] + 0.5 - matrix[:, :2] @ np.array([0.5, 0.5])
    data = (matrix[0, 0], matrix[0, 1], shift[0], matrix[1, 0], matrix[1, 1], shift[1])
    return picture.transform(size, Image.Transform.AFFINE, data, Image.Resampling.BILINEAR, fillcolor=fill)


def sample_points(images: Tensor, points: Tensor) -> Tensor:
    """Square images [B, C, S, S] at points [B, h, w, 2] in pixels, [B, C, h, w]; bilinear, edges are repeated."""
    import torch.nn.functional as F

    grid = ((2 * points + 1) / images.shape[-1] - 1).to(images)
    return F.grid_sample(images, grid, padding_mode="border", align_corners=False)
