"""Several processes against one: a training step of IFcVAE-GAN with the same global batch, and what sharing it costs.

    python benchmarks/processes.py [--processes 2] [--width 64] [--batch-size 64] [--steps 8] [--rounds 5] [--device cpu]

On the CPU, N processes of one thread against one process of N threads; on CUDA, N processes with a GPU each against one
with one. Every round starts both, in an order that turns, so that another load on the machine slows both; a ratio is that
of two neighbours. A step is the time from the beginning of one to the beginning of the next in the real loop, data,
messages and all; of a run the median without the first two. `--quiet-norms` has each process use its own batch
statistics. Prints JSON.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import statistics
import subprocess
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


def noise_faces(size: int, count: int = 512) -> Faces:
    images = np.random.default_rng(0).integers(0, 256, (count, size, size, 3), dtype=np.uint8)
    labels = (np.arange(count) % 2).astype(np.uint8)[:, None]
    names = tuple(f"{i}.png" for i in range(count))
    return Faces(images, labels, ("Smiling",), np.zeros(count, np.uint8), names, manifest={"source": "noise"})


def work(given: argparse.Namespace) -> None:
    """One process of a run: the first writes down the median time of a step."""
    torch.set_num_threads(given.threads)
    torch.manual_seed(0)
    config = IFcVAEGAN.Config(width=given.width, discriminator_width=given.width)
    model: Any = IFcVAEGAN(config, ("Smiling",), given.image_size)
    original, began = model.training_step, []

    def watched(batch: Batch) -> Iterator[Any]:
        began.append(time.perf_counter())
        return original(batch)

    model.training_step = watched
    told: dict[str, Any] = {"images": (given.steps + 3) * given.batch_size, "batch_size": given.batch_size}
    if given.quiet_norms and "sync_batch_norm" in {field.name for field in dataclasses.fields(TrainingConfig)}:
        told["sync_batch_norm"] = False
    out = Path(given.out)
    train_model(model, noise_faces(given.image_size), TrainingConfig(**told), out / "run", device=given.device)
    if os.environ.get("RANK", "0") == "0":
        (out / "seconds.json").write_text(json.dumps(statistics.median(np.diff(began)[2:].tolist())))


def run(processes: int, threads: int, given: argparse.Namespace) -> float:
    """Seconds of a step with so many processes of so many threads."""
    with tempfile.TemporaryDirectory() as out:
        command = [sys.executable, "-P", "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
        command = [*command, __file__] if processes > 1 else [sys.executable, __file__]
        command += ["--work", "--out", out, "--threads", str(threads)]
        for key in ("width", "image_size", "batch_size", "steps", "device"):
            command += [f"--{key.replace('_', '-')}", str(getattr(given, key))]
        command += ["--quiet-norms"] if given.quiet_norms else []
        done = subprocess.run(command, env={**os.environ, "OMP_NUM_THREADS": str(threads)}, capture_output=True, text=True)
        if done.returncode:
            sys.exit(done.stderr)
        return float((Path(out) / "seconds.json").read_text())


def spread(values: list[float]) -> dict[str, float]:
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--image-size", type=int, default=64)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--quiet-norms", action="store_true")
    parser.add_argument("--work", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--out", help=argparse.SUPPRESS)
    parser.add_argument("--threads", type=int, default=1, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.work:
        work(given)
        return 0
    threads_of_one = given.processes if given.device == "cpu" else 1
    contestants = {"one": (1, threads_of_one), "several": (given.processes, 1)}
    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    for turn in range(given.rounds):
        for name in list(contestants)[:: 1 if turn % 2 else -1]:
            seconds[name].append(run(*contestants[name], given))
    ratios = [one / several for one, several in zip(seconds["one"], seconds["several"])]
    report = {
        "settings": {key: value for key, value in vars(given).items() if key not in ("work", "out", "threads")},
        "torch": torch.__version__,
        "one": f"1 process, {threads_of_one} threads",
        "several": f"{given.processes} processes, 1 thread each",
        "seconds_of_a_step": {name: spread(values) for name, values in seconds.items()},
        "images_per_second": {name: round(given.batch_size / statistics.median(v), 1) for name, v in seconds.items()},
        "several_is_faster_by": spread(ratios),
    }
    print(json.dumps(report, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
