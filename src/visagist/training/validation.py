"""Score a model on validation faces and recompute its statistics, shared among the processes of a run."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from visagist.data.faces import Faces
from visagist.methods.base import Batch, Trainable
from visagist.pixels import to_float
from visagist.training.batch_norm import recompute_batch_norm
from visagist.training.distributed import World

BATCH = 200


def plain_batches(faces: Faces, rows: NDArray[np.int64], device: torch.device) -> Iterator[Batch]:
    """The plain faces of these rows in batches of 200."""
    for start in range(0, len(rows), BATCH):
        part = rows[start : start + BATCH]
        images = to_float(torch.from_numpy(faces.images[part]), device)
        yield Batch(images, torch.from_numpy(faces.labels[part]).to(device).float())


def validation_means(trainable: Trainable, faces: Faces, count: int, world: World) -> dict[str, float]:
    """Means of `validation` over the first `count` validation faces, the same in every process.

    Process r of n scores every n-th batch of those that one process would score. So the batches and the mean weighted by
    faces do not depend on the number of processes, but for the order of summation.
    """
    rows = faces.indices("val")[:count]
    own = _own_batches(rows, world)
    # A process without a batch scores the first one with weight 0 to learn the keys.
    scored, weight = (own, 1.0) if own else ([rows[:BATCH]], 0.0)
    totals: dict[str, float] = {}
    for part in scored:
        for batch in plain_batches(faces, part, world.device):
            for key, value in trainable.validation(batch).items():
                totals[key] = totals.get(key, 0.0) + weight * float(value) * len(batch.images) / len(rows)
    return dict(zip(totals, world.total(list(totals.values()))))


def recompute_statistics(trainable: Trainable, faces: Faces, count: int, seed: int, world: World) -> None:
    """Recompute batch-norm statistics from `count` random training faces, shared among the processes.

    Then refit what else the method takes from its faces (`refit`), and the batch norms behind it once more.
    """
    drawn = np.random.default_rng(seed).permutation(faces.indices("train"))
    own = _own_batches(np.sort(drawn[:count]), world)
    total = world.total if world.size > 1 else None

    def batches() -> Iterator[Batch]:
        return (batch for part in own for batch in plain_batches(faces, part, world.device))

    recompute_batch_norm(trainable, trainable.validation, batches(), total)
    if trainable.refit(batches(), total):
        recompute_batch_norm(trainable, trainable.validation, batches(), total)


def validation_images(faces: Faces, count: int, device: torch.device) -> Tensor:
    """The first validation faces [n, 3, S, S], for the sheets."""
    return to_float(torch.from_numpy(faces.images[faces.indices("val")[:count]]), device)


def _own_batches(rows: NDArray[np.int64], world: World) -> list[NDArray[np.int64]]:
    """Of the rows in batches of 200, those of this process: every `size`-th."""
    return [rows[start : start + BATCH] for start in range(0, len(rows), BATCH)][world.rank :: world.size]
