"""From the finder's cells to faces: points in pixels, doubles left out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from visagist.faces.points import face_scale
from visagist.networks.finder_levels import LEVELS, Level, cell_middles
from visagist.runtime.arrays import Floats, to_floats

BOX_WIDTH = 2.4  # of a face's box, in distances of the eyes
# Five points of a face that looks straight ahead, about their middle.
UPRIGHT = np.array([[-0.5, -0.45], [0.5, -0.45], [0.0, 0.0], [-0.4, 0.45], [0.4, 0.45]], np.float32)
FOLDED = 0.6  # of the narrowest face that a level finds: points of less width fall together
AGREEING = 0.5  # of the distance of the eyes: cells whose points are nearer show the same face the same way up
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
    for values, level in zip(cells, LEVELS):
        batch, y, x = np.nonzero(to_floats(values[:, 0]) > limit)
        if not len(batch):
            continue
        chosen = to_floats(values[batch, :, y, x])
        points = cell_middles(y, x, level.stride)[:, None] + np.float32(level.unit) * chosen[:, 2:].reshape(-1, 5, 2)
        points = _unfold(points, level)
        scores, hidden = _sigmoid(chosen[:, :2]).T
        for row, part in enumerate(parts):
            part.append(Detections(scores, points, hidden).take(batch == row))
    return [join(part) for part in parts]


def _unfold(points: NDArray[np.float32], level: Level) -> NDArray[np.float32]:
    """Points [N, 5, 2], those that fall together laid out as of an upright face of the level's middle width.

    They do where the network cannot tell which way up a face is: it gives the mean of both.
    """
    usual = UPRIGHT * np.float32(math.sqrt(level.narrowest * level.widest) / BOX_WIDTH / face_scale(UPRIGHT))
    folded = face_scale(points) < FOLDED * level.narrowest / BOX_WIDTH
    return np.where(folded[:, None, None], points.mean(1, keepdims=True) + usual, points)


def _sigmoid(logits: Floats) -> Floats:
    shares: Floats = 1 / (1 + np.exp(-logits.clip(-80, 80)))
    return shares


def merge(detections: Detections, same: float = SAME) -> Detections:
    """Each face once, by falling score; its points are the means of its detections, weighted by their scores.

    What is hardly a face, lies inside a surer one and is half as wide or less is a part of it.
    """
    order = np.argsort(-detections.scores, kind="stable")
    scores, points, hidden = detections.take(order)
    low, high = _boxes(points)
    area = (high - low).prod(-1)
    free, firsts, merged = np.ones(len(scores), bool), list[int](), []
    for row in range(len(scores)):
        if not free[row]:
            continue
        shared = _shared(low, high, low[row], high[row])
        group = free & (shared > same * (area + area[row] - shared))
        group[row] = True
        # Cells that take a face for upright and others that do not have no mean.
        agree = np.linalg.norm(points[group] - points[row], axis=-1).mean(-1) < AGREEING * face_scale(points[row])
        weights = scores[group] ** 2 * agree
        weights /= weights.sum()
        merged.append((np.tensordot(weights, points[group], 1), weights @ hidden[group]))
        firsts.append(row)
        free &= ~group
    if not firsts:
        return detections.take(order)
    scores, low, high, area = scores[firsts], low[firsts], high[firsts], area[firsts]
    inside = _shared(low, high, low[:, None], high[:, None]) > 0.8 * area  # [holder, held]
    part = (inside & (area < 0.3 * area[:, None]) & (scores < scores[:, None])).any(0) & (scores < 0.5)
    kept = ~part
    points, hidden = (np.array(values, np.float32)[kept] for values in zip(*merged))
    return Detections(scores[kept], points, hidden)


def _boxes(points: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The upper left and lower right corners [F, 2] of the boxes of faces with these points [F, 5, 2]."""
    middles, half = points.mean(1), (BOX_WIDTH / 2 * face_scale(points))[:, None]
    return middles - half, middles + half


def _shared(low: Floats, high: Floats, other_low: Floats, other_high: Floats) -> NDArray[np.float32]:
    """The pixels that boxes share."""
    return np.clip(np.minimum(high, other_high) - np.maximum(low, other_low), 0, None).prod(-1)
