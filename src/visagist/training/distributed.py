"""Several processes through torch.distributed, started by torchrun or by `--devices N`."""

from __future__ import annotations

import os
import signal
import time
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from visagist.boundary.forks import check_fork
from visagist.errors import VisagistError
from visagist.processes import handle_signals, start_python

RENDEZVOUS_SECONDS = 1800


@dataclass(frozen=True)
class World:
    """This process among `size`: its device, and the process group of the CPUs."""

    rank: int
    size: int
    device: torch.device
    processors: dist.ProcessGroup | None = None

    @property
    def first(self) -> bool:
        return self.rank == 0

    def average(self, tensors: list[Tensor]) -> None:
        """Replace tensors by their mean over all processes, in one message between the devices."""
        if self.size == 1 or not tensors:
            return
        flat = torch.cat([t.reshape(-1) for t in tensors])
        dist.all_reduce(flat)
        flat /= self.size
        for tensor, part in zip(tensors, flat.split([t.numel() for t in tensors])):
            tensor.copy_(part.view_as(tensor))

    def share(self, tensors: Iterable[Tensor]) -> None:
        """Replace tensors by those of the first process."""
        if self.size == 1:
            return
        for tensor in tensors:
            sent = tensor.contiguous()
            dist.broadcast(sent, 0)
            tensor.copy_(sent)

    def agree(self, *values: float) -> list[float]:
        """The largest of every process's values, so that all stop, save and validate together.

        One small message between CPUs; it does not wait for the device.
        """
        return self._reduced(values, dist.ReduceOp.MAX)

    def total(self, values: Sequence[float]) -> list[float]:
        """The sum of every process's values, as many in each."""
        return self._reduced(values, dist.ReduceOp.SUM)

    def _reduced(self, values: Sequence[float], how: dist.ReduceOp.RedOpType) -> list[float]:
        if self.size == 1:
            return list(values)
        shared = torch.tensor(values, dtype=torch.float64)
        dist.all_reduce(shared, op=how, group=self.processors)
        reduced: list[float] = shared.tolist()
        return reduced

    def wait(self) -> None:
        if self.size > 1:
            dist.barrier()


def pick_device(device: str) -> torch.device:
    """`auto` is CUDA, then MPS, then the CPU; a device that is not there is a VisagistError."""
    check_fork()
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        chosen = torch.device(device)
    except RuntimeError as error:
        raise VisagistError(f"no device {device!r}: use auto, cpu, cuda, cuda:N or mps") from error
    available = {
        "cpu": True,
        "cuda": torch.cuda.is_available() and (chosen.index or 0) < torch.cuda.device_count(),
        "mps": torch.backends.mps.is_available(),
    }
    if not available.get(chosen.type, False):
        raise VisagistError(f"device {device!r} was asked for and is not there: use --device cpu, or auto")
    return chosen


def join_world(device: str) -> World:
    """The world that torchrun describes in the environment, or a world of one."""
    size = int(os.environ.get("WORLD_SIZE", "1"))
    chosen = pick_device(device)
    if size == 1:
        return World(0, 1, chosen)
    if chosen.type == "cuda":
        chosen = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
        torch.cuda.set_device(chosen)
    if not dist.is_initialized():
        _rendezvous("nccl" if chosen.type == "cuda" else "gloo")
    processors = dist.new_group(backend="gloo") if chosen.type == "cuda" else None
    return World(dist.get_rank(), size, chosen, processors)


def _rendezvous(backend: str) -> None:
    """Join the other processes under a name that no earlier attempt or group has used.

    The store may outlive the processes, as torchrun's does when it restarts them: under a used name they would wait for
    processes that have ended.
    """
    from torch.distributed import PrefixStore  # type: ignore[attr-defined]
    from torch.distributed.rendezvous import rendezvous

    store, rank, size = next(rendezvous("env://"))
    name = _fresh_name(store, rank, size)
    dist.init_process_group(backend, store=PrefixStore(name, store), rank=rank, world_size=size)


def _fresh_name(store: Any, rank: int, size: int) -> str:
    """A name that the first process offers and all others have answered; answers of earlier attempts do not count.

    The number of restarts would be simpler, but it differs between machines.
    """
    own, deadline = uuid.uuid4().hex, time.monotonic() + RENDEZVOUS_SECONDS
    if rank == 0:
        store.set("offer", own)
    while time.monotonic() < deadline:
        if rank == 0:
            keys = [f"answer {other}" for other in range(1, size)]
            answers = [store.get(key).decode().split() for key in keys if store.check([key])]
            if sum(offer == own for offer, _ in answers) == size - 1:
                store.set(f"met {own}", " ".join(answer for _, answer in answers))
                return own
        elif store.check(["offer"]):
            offer = store.get("offer").decode()
            store.set(f"answer {rank}", f"{offer} {own}")
            if store.check([f"met {offer}"]) and own in store.get(f"met {offer}").decode().split():
                return offer
        time.sleep(0.02)
    raise VisagistError(f"process {rank} of {size} has not met the others in {RENDEZVOUS_SECONDS} s: do all of them run?")


def leave_world(world: World) -> None:
    if world.size > 1 and dist.is_initialized():
        dist.destroy_process_group()


def is_restart() -> bool:
    """Whether torchrun has restarted the processes of this job after a failure."""
    return int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")) > 0


def launch(devices: int, arguments: list[str], max_restarts: int = 0) -> int:
    """Run `visagist ARGUMENTS` in `devices` processes by torchrun; returns its exit status.

    A process that fails ends the others, and all are started again with the same arguments, at most `max_restarts` times.
    SIGINT and SIGTERM are passed on and the workers waited for, so that they can save themselves.
    """
    torchrun = ["torch.distributed.run", "--standalone", f"--nproc-per-node={devices}", f"--max-restarts={max_restarts}"]
    process = start_python(["-m", *torchrun, "-m", "visagist", *arguments], processes=devices)
    received: list[int] = []

    def forward(number: int) -> None:
        received.append(number)
        process.send_signal(number)

    with handle_signals(forward, signal.SIGINT, signal.SIGTERM):
        status = process.wait()
    return 128 + received[0] if received and status else status
