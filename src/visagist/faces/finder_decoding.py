"""From the finder's cells to faces: points in pixels, doubles left out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from visagist.faces.points import face_scale
from visagist.networks.finder_levels import LEVELS, cell_middles
from visagist.runtime.arrays import Floats, to_floats

BOX_WIDTH = 2.4  # of a face's box, in distances of the eyes
SAME = 0.4  # of two boxes, the overlap over the union from which on they are of one face


class Detections(NamedTuple):
    """Faces by falling score: scores [F] in [0, 1], points [F, 5, 2] in pixels, the hidden share [F] of each box."""

    scores: NDArray[np.float32]
    points: NDArray[np.float32]
    hidden: NDArray[np.float32]

    def take(self, rows: NDArray[np.integer] | NDArray[np.bool_]) -> Detections:
        """These rows."""
        return Detections(*(values[rows] for values in self))

    def moved(self, ratio: float, left: float, top: float) -> Detections:
        """The same in a picture of which this one is a part, reduced by `ratio`, that begins at these pixels."""
        points = (self.points + 0.5) / ratio - 0.5 + np.array([left, top])
        return self._replace(points=points.astype(np.float32))


def join(parts: Sequence[Detections]) -> Detections:
    """All detections of several parts of a picture."""
    empty = Detections(np.zeros(0, np.float32), np.zeros((0, 5, 2), np.float32), np.zeros(0, np.float32))
    return Detections(*(np.concatenate(values) for values in zip(empty, *parts)))


def read_cells(cells: Sequence[Any], threshold: float) -> list[Detections]:
    """The cells above a threshold in [0, 1], of each picture: `cells` are [B, 12, h, w] of each level, arrays or tensors."""
    parts: list[list[Detections]] = [[] for _ in range(len(cells[0]))]
    limit = float(np.log(threshold / (1 - threshold)))
    for values, level in zip(map(to_floats, cells), LEVELS):
        batch, y, x = np.nonzero(values[:, 0] > limit)
        chosen = values[batch, :, y, x]
        points = cell_middles(y, x, level.stride)[:, None] + np.float32(level.unit) * chosen[:, 2:].reshape(-1, 5, 2)
        scores, hidden = _sigmoid(chosen[:, :2]).T
        for row, part in enumerate(parts):
            part.append(Detections(scores, points, hidden).take(batch == row))
    return [join(part) for part in parts]


def _sigmoid(logits: Floats) -> Floats:
    shares: Floats = 1 / (1 + np.exp(-logits.clip(-80, 80)))
    return shares


def merge(detections: Detections, same: float = SAME) -> Detections:
    """Each face once, by falling score; its points are the means of its detections, weighted by their scores."""
    order = np.argsort(-detections.scores, kind="stable")
    scores, points, hidden = detections.take(order)
    middles, half = points.mean(1), BOX_WIDTH / 2 * face_scale(points)
    low, high, area = middles - half[:, None], middles + half[:, None], (2 * half) ** 2
    free, merged = np.ones(len(scores), bool), []
    for row in range(len(scores)):
        if not free[row]:
            continue
        sides = np.minimum(high, high[row]) - np.maximum(low, low[row])
        shared = np.clip(sides, 0, None).prod(-1)
        group = free & (shared > same * (area + area[row] - shared))
        group[row] = True
        # What lies inside a surer face and is half as wide or less is a part of it.
        part = free & (shared > 0.8 * area) & (area < 0.3 * area[row]) & (scores < scores[row])
        weights = scores[group] ** 2 / (scores[group] ** 2).sum()
        merged.append((scores[row], np.tensordot(weights, points[group], 1), weights @ hidden[group]))
        free &= ~(group | part)
    return Detections(*(np.array(values, np.float32).reshape(-1, *shape) for values, shape in zip(
        zip(*merged) if merged else ((), (), ()), ((), (5, 2), ()))))  # fmt: skip
