"""The mask of an edit in a photograph: 1 well inside the model's square, 0 at its edge, shared with the faces beside it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from visagist.faces.alignment import Alignment
from visagist.faces.detection import Box

# The mask is a superellipse in the model's square: 1 inside, fading to 0 at the square's edge over this share of the way.
CORNERS, FEATHER = 4.0, 0.3  # fourth powers are squares of squares
RECOLOURED = 0.1  # in place of FEATHER where only colours change: hair lies at the edge of the square
# Between two faces an edit fades over this share of the difference of the ways to their squares' edges.
BORDER = 0.3


def box_of(alignment: Alignment, pixels: NDArray[np.uint8]) -> Box:
    """What of the photograph the model's square covers; at least one pixel, as a face's middle lies inside."""
    corners = alignment.corners()
    height, width = pixels.shape[:2]
    left, top = (max(int(np.floor(v)), 0) for v in corners.min(0))
    right, bottom = (min(int(np.ceil(v)) + 1, end) for v, end in zip(corners.max(0), (width, height)))
    return min(left, width - 1), min(top, height - 1), max(right, left + 1), max(bottom, top + 1)


def mask_of(
    alignment: Alignment, box: Box, beside: Sequence[Alignment], feather: float = FEATHER
) -> NDArray[np.float32]:
    """Weights [h, w] of a box's pixels: 1 well inside the model's square, 0 at its edge and where another is nearer."""
    far = _way_out(alignment, box)
    mask = _fade((1 - far) / feather)
    for other in beside:
        mask *= _fade((_way_out(other, box) - far) / BORDER)
    return mask


def those_beside(box: Box, others: Sequence[Alignment], pixels: NDArray[np.uint8]) -> list[Alignment]:
    """The others whose squares overlap a box of the photograph."""
    return [other for other in others if _overlap(box, box_of(other, pixels))]


def _way_out(alignment: Alignment, box: Box) -> NDArray[np.float32]:
    """How far [h, w] a box's pixels lie on the way from the middle of the model's square, 0, to its edge, 1, and beyond."""
    left, top, right, bottom = box
    matrix = (alignment.to_model * (2 / alignment.side)).astype(np.float32)
    matrix[:, 2] += np.float32(1 / alignment.side - 1)
    across = np.arange(left, right, dtype=np.float32)
    down = np.arange(top, bottom, dtype=np.float32)[:, None]
    x, y = (row[0] * across + row[1] * down + row[2] for row in matrix)
    x, y = np.square(np.square(x)), np.square(np.square(y))
    return np.sqrt(np.sqrt(x + y))


def _fade(way: NDArray[np.float32]) -> NDArray[np.float32]:
    """Weights that rise smoothly from 0 at `way` 0 to 1 at 1."""
    near = np.clip(way, 0, 1)
    weights: NDArray[np.float32] = near * near * (3 - 2 * near)
    return weights


def _overlap(box: Box, other: Box) -> bool:
    return box[0] < other[2] and other[0] < box[2] and box[1] < other[3] and other[1] < box[3]
