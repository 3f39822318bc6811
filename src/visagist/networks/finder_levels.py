"""The grids of cells that the finder's network makes of a picture, without torch."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Level(NamedTuple):
    """One output grid: pixels between its cells, the widths of faces that it finds, the unit of its points' offsets."""

    stride: int
    narrowest: float
    widest: float
    unit: float


# Faces are as wide as 2.4 distances of the eyes. The ranges overlap, so that a face between them is found by both.
LEVELS = (Level(8, 10, 30, 16), Level(16, 24, 80, 32))
STRIDE = LEVELS[-1].stride
OUTPUTS = 12  # of a cell: a face or not, how much of it is hidden, x and y of five points


def cell_middles(y: NDArray[np.integer], x: NDArray[np.integer], stride: int) -> NDArray[np.float32]:
    """The middles [C, 2] of the cells in these rows and columns in pixels of the picture, x before y."""
    return (stride * (np.stack([x, y], -1) + 0.5) - 0.5).astype(np.float32)
