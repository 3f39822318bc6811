"""Several processes through torch.distributed, started by torchrun or by `--devices N`."""

from __future__ import annotations

import os
import signal
import subprocess
import time
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from types import FrameType
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from visagist.boundary.forks import check_fork
from visagist.boundary.python_path import child_environment, python_command
from visagist.errors import VisagistError

MEETING_SECONDS = 1800


@dataclass(frozen=True)
class World:
    """This process among `size`; the device it trains on, and the group in which the processors of all talk."""

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

        One small message between processors; none waits for what its device still computes.
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
        found: list[float] = shared.tolist()
        return found

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
    there = {
        "cpu": True,
        "cuda": torch.cuda.is_available() and (chosen.index or 0) < torch.cuda.device_count(),
        "mps": torch.backends.mps.is_available(),
    }
    if not there.get(chosen.type, False):
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
        _meet("nccl" if chosen.type == "cuda" else "gloo")
    processors = dist.new_group(backend="gloo") if chosen.type == "cuda" else None
    return World(dist.get_rank(), size, chosen, processors)


def _meet(backend: str) -> None:
    """Join the other processes under a name that no earlier attempt or group has used.

    The store in which they find each other may outlive them, as torchrun's does when it starts processes anew: under a used
    name they would call on processes that are gone, and wait.
    """
    from torch.distributed import PrefixStore  # type: ignore[attr-defined]
    from torch.distributed.rendezvous import rendezvous

    store, rank, size = next(rendezvous("env://"))
    name = _fresh_name(store, rank, size)
    dist.init_process_group(backend, store=PrefixStore(name, store), rank=rank, world_size=size)


def _fresh_name(store: Any, rank: int, size: int) -> str:
    """A name that the first process offers, once all others have answered to it; answers of earlier attempts do not count.

    How often torchrun has restarted would be simpler, but over several machines it is not the same number for all.
    """
    own, deadline = uuid.uuid4().hex, time.monotonic() + MEETING_SECONDS
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
    raise VisagistError(f"process {rank} of {size} has not met the others in {MEETING_SECONDS} s: do all of them run?")


def leave_world(world: World) -> None:
    if world.size > 1 and dist.is_initialized():
        dist.destroy_process_group()


def begun_again() -> bool:
    """Whether torchrun has started this job's processes anew after one of them failed."""
    return int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")) > 0


def launch(devices: int, arguments: list[str], max_restarts: int = 0) -> int:
    """Run `visagist ARGUMENTS` in `devices` processes by torchrun; returns its exit status.

    A process that fails ends the others, and all are started again with the same arguments, at most `max_restarts` times.
    SIGINT and SIGTERM are passed on and the workers waited for, so that they can save themselves.
    """
    command = python_command("-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={devices}")
    command.append(f"--max-restarts={max_restarts}")
    environment = child_environment({"OMP_NUM_THREADS": str(max(1, (os.cpu_count() or 1) // devices)), **os.environ})
    process = subprocess.Popen([*command, "-m", "visagist", *arguments], env=environment)
    came: list[int] = []

    def pass_on(number: int, frame: FrameType | None) -> None:
        came.append(number)
        process.send_signal(number)

    before = {number: signal.signal(number, pass_on) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        status = process.wait()
        return 128 + came[0] if came and status else status
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
