"""What a model scores on the validation faces, which the processes of a run share among them."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from visagist.data.faces import Faces
from visagist.methods.base import Batch, Trainable
from visagist.pixels import to_float
from visagist.training.batch_norm import settle_statistics
from visagist.training.distributed import World

BATCH = 200


def plain_batches(faces: Faces, rows: NDArray[np.int64], device: torch.device) -> Iterator[Batch]:
    """The faces of these rows as they are, in batches of 200."""
    for start in range(0, len(rows), BATCH):
        part = rows[start : start + BATCH]
        images = to_float(torch.from_numpy(faces.images[part]), device)
        yield Batch(images, torch.from_numpy(faces.labels[part]).to(device).float())


def validation_means(trainable: Trainable, faces: Faces, count: int, world: World) -> dict[str, float]:
    """Means of `validation` over the first `count` validation faces, the same in every process.

    Each process scores every so many batches of those that one process would score: what a method measures of a batch, and
    the mean weighted by faces, are the same for any number of processes, but for the order in which they are added up.
    """
    rows = faces.indices("val")[:count]
    own = _own_batches(rows, world)
    # A process without a batch scores the first one, with no weight, to know what is measured.
    scored, weight = (own, 1.0) if own else ([rows[:BATCH]], 0.0)
    totals: dict[str, float] = {}
    for part in scored:
        for batch in plain_batches(faces, part, world.device):
            for key, value in trainable.validation(batch).items():
                totals[key] = totals.get(key, 0.0) + weight * float(value) * len(batch.images) / len(rows)
    return dict(zip(totals, world.total(list(totals.values()))))


def settle(trainable: Trainable, use: Callable[[Batch], object], faces: Faces, count: int, seed: int, world: World) -> None:
    """Take batch-norm statistics anew from `count` training faces drawn by the seed, shared among the processes.

    Then what else the method takes from its faces (`refit`), and the batch norms behind it once more.
    """
    drawn = np.random.default_rng(seed).permutation(faces.indices("train"))
    own = _own_batches(np.sort(drawn[:count]), world)
    total = world.total if world.size > 1 else None

    def batches() -> Iterator[Batch]:
        return (batch for part in own for batch in plain_batches(faces, part, world.device))

    settle_statistics(trainable, use, batches(), total)
    if trainable.refit(batches(), total):
        settle_statistics(trainable, use, batches(), total)


def validation_images(faces: Faces, count: int, device: torch.device) -> Tensor:
    """The first validation faces [n, 3, S, S], for the sheets."""
    return to_float(torch.from_numpy(faces.images[faces.indices("val")[:count]]), device)


def _own_batches(rows: NDArray[np.int64], world: World) -> list[NDArray[np.int64]]:
    """Of the rows in batches of 200, those of this process: every `size`-th."""
    return [rows[start : start + BATCH] for start in range(0, len(rows), BATCH)][world.rank :: world.size]
