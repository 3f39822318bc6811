"""What two processes do, for the tests that torchrun starts once for all: trainings, and global batch norm by itself.

python -m torch.distributed.run --standalone --nproc-per-node 2 tests/support/two_processes.py OUT
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from tiny_run import prepared, settings, stillness
from torch import Tensor, nn

from visagist.training.batch_norm import global_batch_norm
from visagist.training.distributed import World, join_world, leave_world
from visagist.training.trainer import Interrupted, Trainer

# By name: the model, and the fields of TrainingConfig that are not the usual ones.
JOBS: dict[str, tuple[str, dict[str, Any]]] = {
    "alternating": ("alternating", {}),
    "half": ("alternating", {"images": 48, "ema_decay": 0.9}),
    "resumed": ("alternating", {"ema_decay": 0.9}),
    "averaged": ("alternating", {"ema_decay": 0.9, "accumulate": 2, "settle_faces": 16}),
    "ifcvae-gan": ("ifcvae-gan", {}),
    "introvac": ("introvac", {}),
    "own-statistics": ("alternating", {"sync_batch_norm": False, "ema_decay": 0.9}),
}
MANY = {"count": 800, "val": 450}  # three batches of validation faces, which two processes cannot halve
FEW = {"images": 8, "validation_faces": 1000, "settle_faces": 250}


def train(name: str, out: Path, world: World, resume: bool = False) -> Trainer:
    """One of the jobs, in this world; of methods that draw noise the noise is none."""
    model, changes = JOBS[name]
    net, faces = prepared(model)
    with stillness(True):
        trainer = Trainer(net, faces, settings(**changes), out / name, world=world)
        if resume:
            trainer.resume()
        trainer.run()
        world.wait()
    return trainer


def validated(out: Path, world: World) -> None:
    net, faces = prepared("alternating", MANY)
    Trainer(net, faces, settings(**FEW), out / "validated", world=world).run()
    world.wait()


def stopped(out: Path, world: World) -> int:
    """The step at which this process stops when a signal reaches the other one, before its sixth step."""

    def receive(number: int) -> None:
        if number == 5 and world.rank == 1:
            trainer.signal = 15

    net, faces = prepared("two-networks", before_step=receive)
    trainer = Trainer(net, faces, settings(images=10**6), out / "stopped", world=world)
    try:
        trainer.run()
    except Interrupted:
        world.wait()
        return trainer.progress.step
    raise AssertionError("no process was interrupted")


def strangers(world: World) -> bool:
    """Whether processes that made different weights begin with the same."""
    net, faces = prepared("alternating")
    first = {name: value.clone() for name, value in net.state_dict().items()}
    with torch.no_grad():
        for value in net.state_dict().values():
            value.add_(world.rank)
    Trainer(net, faces, settings(), Path("unused"), world=world)
    return all(torch.equal(value, first[name]) for name, value in net.state_dict().items())


def normalised(norm: nn.Module, x: Tensor, weights: Tensor) -> tuple[Tensor, list[Tensor]]:
    """What a norm in training makes of x, and the gradients of a loss of it: of x, weight and bias."""
    x = x.clone().requires_grad_(True)
    y = norm(x)
    return y, list(torch.autograd.grad((weights * y.square()).sum(), [x, *norm.parameters()]))


def differences(
    kind: type[nn.Module], *places: int, momentum: float | None = 0.1, dtype: Any = torch.float32
) -> list[float]:
    """How far norms of 5 and 3 faces in two processes are from one norm of all 8: output, gradients, statistics."""
    torch.manual_seed(3)
    x, weights = (20 + torch.randn(8, 4, *places)).to(dtype), torch.randn(8, 4, *places)
    norms = [kind(4, momentum=momentum) for _ in range(2)]
    for norm in norms:
        nn.init.normal_(norm.weight, generator=torch.Generator().manual_seed(1))
    own = slice(0, 5) if dist.get_rank() == 0 else slice(5, 8)
    for _ in range(2):
        whole, of_whole = normalised(norms[0], x, weights)
        with global_batch_norm([norms[1]]):
            part, of_part = normalised(norms[1], x[own], weights[own])
    for gradient in of_part[1:]:
        dist.all_reduce(gradient)
    pairs = [(part, whole[own]), (of_part[0], of_whole[0][own]), *zip(of_part[1:], of_whole[1:])]
    pairs += list(zip(norms[1].buffers(), norms[0].buffers()))
    return [(a.detach().double() - b.detach().double()).abs().max().item() for a, b in pairs]


def main() -> None:
    out, world = Path(sys.argv[1]), join_world("cpu")
    found: dict[str, Any] = {"states": {}}
    for name in JOBS:
        trainer = train(name, out, world, resume=name == "resumed")
        found["states"][name] = {k: v.double().sum().item() for k, v in trainer.trainable.state_dict().items()}
    validated(out, world)
    found["stopped"], found["alike"] = stopped(out, world), strangers(world)
    found["norms"] = {
        "images": differences(nn.BatchNorm2d, 3, 2),
        "codes": differences(nn.BatchNorm1d),
        "frozen": differences(nn.BatchNorm2d, 3, 2, momentum=0.0),
        "cumulative": differences(nn.BatchNorm2d, 3, 2, momentum=None),
        "bf16": differences(nn.BatchNorm2d, 3, 2, dtype=torch.bfloat16),
    }
    (out / f"found-{world.rank}.json").write_text(json.dumps(found))
    leave_world(world)


if __name__ == "__main__":
    main()
