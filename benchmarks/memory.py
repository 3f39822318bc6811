"""Whether the memory of a training process stays flat: resident size over 10 000 steps of a tiny IFcVAE-GAN.

    python benchmarks/memory.py [--steps 10000] [--every 500] [--allowed 4]

It trains as `visagist train` does, with logs, validation, sheets, averages and checkpoints. The first fifth is for caches
to fill; from then on the median of the last quarter may lie above that of the first by `--allowed` MiB. Prints JSON, with
a verdict, and ends with status 1 where memory grows.
"""

from __future__ import annotations

import argparse
import itertools
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from visagist.data.faces import Faces
from visagist.methods.base import Batch
from visagist.methods.ifcvae_gan import IFcVAEGAN
from visagist.training.config import TrainingConfig
from visagist.training.trainer import train_model

BATCH = 8


def resident() -> float:
    """MiB of memory that this process holds, as Linux counts it."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:")) / 1024


def noise_faces(count: int = 256, size: int = 16) -> Faces:
    draw = np.random.default_rng(0)
    images = draw.integers(0, 256, (count, size, size, 3), dtype=np.uint8)
    split = np.where(np.arange(count) < count - 32, 0, 1).astype(np.uint8)
    labels = (np.arange(count) % 2).astype(np.uint8)[:, None]
    return Faces(images, labels, ("Smiling",), split, tuple(f"{i}.png" for i in range(count)), manifest={"source": "noise"})


def trained(steps: int, every: int, out: Path) -> list[tuple[int, float]]:
    """(step, MiB) at every so many steps of a run."""
    torch.manual_seed(0)
    model: Any = IFcVAEGAN(IFcVAEGAN.Config(width=2, discriminator_width=2, latent=4, auxiliary_hidden=8), ("Smiling",), 16)
    original, number, found = model.training_step, itertools.count(), []

    def watched(batch: Batch) -> Iterator[Any]:
        step = next(number)
        if step % every == 0:
            found.append((step, round(resident(), 2)))
        return original(batch)

    model.training_step = watched
    config = TrainingConfig(images=steps * BATCH, batch_size=BATCH, ema_decay=0.99, precision="fp32", checkpoint_seconds=5.0)
    train_model(model, noise_faces(), config, out, device="cpu")
    return [*found, (steps, round(resident(), 2))]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=10_000)
    parser.add_argument("--every", type=int, default=500)
    parser.add_argument("--allowed", type=float, default=4.0, help="MiB")
    given = parser.parse_args()
    torch.set_num_threads(1)
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        found = trained(given.steps, given.every, Path(folder) / "run")
    settled = [size for step, size in found if step >= given.steps / 5]
    quarter = max(1, len(settled) // 4)
    growth = statistics.median(settled[-quarter:]) - statistics.median(settled[:quarter])
    flat = growth <= given.allowed
    report = {
        "steps": given.steps,
        "seconds": round(time.monotonic() - began, 1),
        "mib_by_step": dict(found),
        "growth_mib": round(growth, 2),
        "allowed_mib": given.allowed,
        "verdict": "flat" if flat else "grows",
    }
    print(json.dumps(report, indent=1))
    return 0 if flat else 1


if __name__ == "__main__":
    sys.exit(main())
