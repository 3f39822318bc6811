"""Batches in an order that is a pure function of (seed, images seen), so that a resumed run continues it exactly."""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from visagist.data.faces import Faces
from visagist.errors import VisagistError
from visagist.methods.base import Batch
from visagist.pixels import to_float


class Batches:
    """Endless shuffled epochs of the faces in `rows`; each process takes its part of every batch.

    With `paired` the only attribute alternates: absent at even positions, present at odd ones. Both classes must be equally
    many.
    """

    def __init__(
        self,
        faces: Faces,
        rows: NDArray[np.int64],
        seed: int,
        flip: bool,
        *,
        paired: bool = False,
        resident_on: torch.device | None = None,
    ) -> None:
        if len(rows) < 2:
            raise VisagistError(f"training needs at least 2 faces, got {len(rows)}")
        self.faces, self.rows, self.seed, self.flip = faces, rows, seed, flip
        self.halves = [rows[faces.labels[rows, 0] == side] for side in (0, 1)] if paired else []
        if paired and len(self.halves[0]) != len(self.halves[1]):
            counts = " and ".join(str(len(half)) for half in self.halves)
            raise VisagistError(f"pairs need both classes equally often, got {counts}")
        self._epochs: dict[int, tuple[NDArray[np.int64], NDArray[np.bool_]]] = {}
        self._resident = ResidentFaces(faces, rows, resident_on) if resident_on is not None else None

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

    def _rows_at(self, start: int, count: int) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """The rows at positions start … start + count of the endless order, and which of them are mirrored."""
        pieces = []
        while count:
            epoch, position = divmod(start, len(self.rows))
            order, mirrored = self._epoch(epoch)
            pieces.append((order[position : position + count], mirrored[position : position + count]))
            start, count = start + len(pieces[-1][0]), count - len(pieces[-1][0])
        return np.concatenate([rows for rows, _ in pieces]), np.concatenate([mirrored for _, mirrored in pieces])

    def take(self, start: int, count: int, device: torch.device) -> Batch:
        """The faces at positions start … start + count of the endless order; pixels travel as uint8."""
        rows, mirrored = self._rows_at(start, count)
        if self._resident is not None:
            return self._resident.take(rows, mirrored & self.flip)
        images = self.faces.images[rows]
        if self.flip:
            images[mirrored] = images[mirrored, :, ::-1]
        labels = torch.from_numpy(self.faces.labels[rows])
        return Batch(to_float(torch.from_numpy(images), device), labels.to(device, non_blocking=True).float())


class ResidentFaces:
    """The faces of `rows` kept on a device as uint8, where batches are selected and mirrored: only row numbers travel."""

    def __init__(self, faces: Faces, rows: NDArray[np.int64], device: torch.device) -> None:
        self.positions = np.full(len(faces), -1)
        self.positions[rows] = np.arange(len(rows))
        self.images = torch.empty((len(rows), *faces.images.shape[1:]), dtype=torch.uint8, device=device)
        for start in range(0, len(rows), 4096):
            self.images[start : start + 4096] = torch.from_numpy(faces.images[rows[start : start + 4096]]).to(device)
        self.labels = torch.from_numpy(faces.labels[rows]).to(device).float()

    def take(self, rows: NDArray[np.int64], mirrored: NDArray[np.bool_]) -> Batch:
        """The faces of these rows, mirrored where `mirrored` [B]."""
        device = self.images.device
        positions, flips = (torch.from_numpy(a).to(device, non_blocking=True) for a in (self.positions[rows], mirrored))
        images = self.images[positions]
        images = torch.where(flips[:, None, None, None], images.flip(2), images)
        return Batch(to_float(images, device), self.labels[positions])


def resident_device(
    choice: Literal["auto", "always", "never"], faces: Faces, rows: NDArray[np.int64], device: torch.device
) -> torch.device | None:
    """The device to keep these faces on; `auto` is CUDA, where they take at most a quarter of the free memory."""
    if choice not in ("auto", "always", "never"):
        raise VisagistError(f"data_on_device is {choice!r}: use auto, always or never")
    if choice != "auto":
        return device if choice == "always" else None
    if device.type != "cuda":
        return None
    free, _ = torch.cuda.mem_get_info(device)
    return device if 4 * len(rows) * faces.images[0].nbytes <= free else None
