"""Faces on a square grid, so that those with similar codes lie near each other: t-SNE, then an assignment to cells.

    codes z [N, Z] -> t-SNE -> places [N, 2] -> the unit square -> the assignment to an n by n grid, N = n², of least
    total squared distance: each face gets a cell of its own, and each cell a face

t-SNE is by van der Maaten and Hinton (2008); Hou, Sun, Shen and Qiu (2019, §4.3.3) show such a map of 25 by 25 faces.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist
from sklearn.manifold import TSNE, trustworthiness

from visagist.errors import VisagistError

LEAST, MOST = 9, 4096  # faces: fewer have no neighbourhoods, and an assignment costs the cube of their number
PERPLEXITY = 30.0
NEIGHBOURS = 8  # those around a cell
LONGEST_SIDE = 4096  # of the picture, in pixels


@dataclass(frozen=True)
class Map:
    """Where N faces lie on a grid of n by n cells.

    cells       [N, 2] row and column, from 0 at the top and at the left; no two faces have the same
    places      [N, 2] x and y that t-SNE gave; x grows with columns, y with rows
    perplexity  of t-SNE
    neighbours  k of the trustworthiness
    trust       of the grid ("grid"), of t-SNE's places ("tsne"), and of the same cells given to the faces by lot ("by_lot"):
                1 where all k neighbours of each face are near it by code too, about 1/2 by lot
    """

    cells: NDArray[np.int64]
    places: NDArray[np.float64]
    perplexity: float
    neighbours: int
    trust: dict[str, float]

    @property
    def side(self) -> int:
        """n, the number of rows and of columns."""
        return math.isqrt(len(self.cells))

    @property
    def row_by_row(self) -> NDArray[np.int64]:
        """Which face [N] lies in each cell, from left to right and from the top down."""
        return np.lexsort((self.cells[:, 1], self.cells[:, 0]))


def check_number(number: int) -> None:
    """VisagistError unless so many faces fill a square that can be laid out."""
    root = math.isqrt(max(number, 0))
    if not LEAST <= number <= MOST or root**2 != number:
        near = {min(max(side, math.isqrt(LEAST)), math.isqrt(MOST)) ** 2 for side in (root, root + 1)}
        raise VisagistError(
            f"{number} faces do not fill a square of 3 by 3 to 64 by 64: give {' or '.join(map(str, sorted(near)))}"
        )


def lay_out(z: ArrayLike, seed: int = 0, perplexity: float | None = None) -> Map:
    """The map of codes z [N, Z]; a function of them and the seed.

    Perplexity is 30, or (N - 1) / 3 where that is less, unless it is given. VisagistError for a number that is no square,
    codes that are all the same or not finite, and a perplexity outside 1 … N - 1.
    """
    z = np.asarray(z, np.float64)
    number = len(z)
    check_number(number)
    chosen = min(PERPLEXITY, (number - 1) / 3) if perplexity is None else perplexity
    if not 1 <= chosen < number:
        raise VisagistError(f"perplexity is {chosen:g}, about how many neighbours count: give 1 or more, below {number}")
    if not np.isfinite(z).all() or not np.ptp(z, axis=0).any():
        raise VisagistError(f"the codes of these {number} faces are all the same or not finite: the model tells none apart")
    start = "pca" if z.shape[1] > 1 else "random"  # one dimension has no second component
    tsne = TSNE(2, perplexity=chosen, init=start, learning_rate="auto", random_state=seed)
    places = tsne.fit_transform(z).astype(np.float64)
    cells = grid_cells(places)
    k = min(NEIGHBOURS, (number - 1) // 2)
    by_lot = np.random.default_rng(seed).permutation(cells)
    compared = {"grid": cells, "tsne": places, "by_lot": by_lot}
    trust = {name: float(trustworthiness(z, where, n_neighbors=k)) for name, where in compared.items()}
    return Map(cells, places, chosen, k, trust)


def grid_cells(places: NDArray[np.float64]) -> NDArray[np.int64]:
    """Row and column [N, 2] for places x, y [N, 2], N = n²: the assignment of least total squared distance.

    Places are scaled to the unit square, and cells lie evenly from edge to edge of it; y grows with rows, x with columns.
    """
    side = math.isqrt(len(places))
    span = np.ptp(places, axis=0)
    unit = (places - places.min(0)) / np.where(span > 0, span, 1)
    rows, columns = np.divmod(np.arange(side * side), side)
    grid = np.stack([columns, rows], axis=1) / max(side - 1, 1)
    _, cell = linear_sum_assignment(cdist(unit, grid, "sqeuclidean"))
    return np.stack([rows[cell], columns[cell]], axis=1)


def map_picture(images: NDArray[np.uint8], layout: Map) -> Image.Image:
    """The faces [N, S, S, 3] in their cells, side by side; smaller than S where the picture would exceed 4096 pixels."""
    side = layout.side
    cell = min(images.shape[1], LONGEST_SIDE // side)
    whole = Image.new("RGB", (side * cell, side * cell))
    for image, (row, column) in zip(images, layout.cells.tolist()):
        face = Image.fromarray(np.ascontiguousarray(image))
        if cell != images.shape[1]:
            face = face.resize((cell, cell), Image.Resampling.LANCZOS)
        whole.paste(face, (column * cell, row * cell))
    return whole
