"""The order of the data as a pure function of (seed, images seen), so that a resumed run continues it exactly."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from visagist.data.faces import Faces
from visagist.errors import VisagistError
from visagist.methods.base import Batch


class Batches:
    """Shuffled epochs of the faces in `rows`, concatenated without end; each process takes its part of every batch.

    With `paired` a face without the only attribute is at every even place, and one with it at the place after: both classes
    are equally many.
    """

    def __init__(self, faces: Faces, rows: NDArray[np.int64], seed: int, flip: bool, *, paired: bool = False) -> None:
        if len(rows) < 2:
            raise VisagistError(f"training needs at least 2 faces, got {len(rows)}")
        self.faces, self.rows, self.seed, self.flip = faces, rows, seed, flip
        self.halves = [rows[faces.labels[rows, 0] == side] for side in (0, 1)] if paired else []
        if paired and len(self.halves[0]) != len(self.halves[1]):
            counts = " and ".join(str(len(half)) for half in self.halves)
            raise VisagistError(f"pairs need both classes equally often, got {counts}")
        self._epochs: dict[int, tuple[NDArray[np.int64], NDArray[np.bool_]]] = {}

    def _epoch(self, epoch: int) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """The rows of an epoch in their order, and which of them are mirrored."""
        if epoch not in self._epochs:
            self._epochs = {e: order for e, order in self._epochs.items() if e == epoch - 1}
            draw = np.random.default_rng([self.seed, epoch])
            if self.halves:
                order = np.stack([half[draw.permutation(len(half))] for half in self.halves], axis=1).ravel()
            else:
                order = self.rows[draw.permutation(len(self.rows))]
            self._epochs[epoch] = order, draw.random(len(self.rows)) < 0.5
        return self._epochs[epoch]

    def take(self, start: int, count: int, device: torch.device) -> Batch:
        """The faces at positions start … start + count of the endless order; uint8 travels, floats are made there."""
        positions = np.arange(start, start + count)
        epochs, places = positions // len(self.rows), positions % len(self.rows)
        rows = np.array([self._epoch(int(e))[0][p] for e, p in zip(epochs, places)])
        images = self.faces.images[rows]
        if self.flip:
            turned = np.array([self._epoch(int(e))[1][p] for e, p in zip(epochs, places)])
            images = np.where(turned[:, None, None, None], images[:, :, ::-1], images)
        return Batch(
            to_float(torch.from_numpy(np.ascontiguousarray(images)), device),
            torch.from_numpy(self.faces.labels[rows]).to(device).float(),
        )


def to_float(images: torch.Tensor, device: torch.device) -> torch.Tensor:
    """uint8 [B, S, S, 3] to float [B, 3, S, S] in [0, 1], channels_last in memory, on `device`."""
    return images.to(device, non_blocking=True).permute(0, 3, 1, 2).float().div_(255)
