"""Attribute the time of training steps to phases, networks and operators.

Trainer and updater mark data, forward passes and optimizers by ranges; layers are marked here. The profiler's events of one
step form a tree. The time of an event itself, without what it calls, counts for the phase and the network of the range
around it, so the parts of a step are disjoint and add up to it. A backward operator counts for the network whose layer ran
the forward operator with the same sequence number.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook
from torch.profiler import ProfilerActivity, profile, record_function
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map_only
from torch.utils.flop_counter import flop_registry

from visagist.files import rename_into_place
from visagist.methods.base import Trainable
from visagist.training.trainer import DATA, Trainer
from visagist.training.updater import FORWARD, OPTIMIZER

STEP, LAYERS = "visagist step", "visagist layers of "
ENGINE = "autograd::engine::evaluate_function"
LOSSES, BORROWED = "losses", "borrowed"  # code of the method outside all layers; layers that are of no network of its own
PHASES = ("forward", "backward", "optimizer")

Part = tuple[str, str]  # phase, network


@dataclass(frozen=True)
class Timeline:
    """Seconds of one step, mean over the steps that were profiled.

    clock      wall clock around the steps, with the overhead of the profiler
    parts      by phase and network, where `data` and `other` have none; they add up to the profiled step
    operators  by operator: calls, seconds
    """

    clock: float
    parts: dict[Part, float]
    operators: dict[str, tuple[float, float]]


def record_timeline(trainer: Trainer, steps: int, trace: Path | None = None) -> Timeline:
    """Profile `steps` steps of a trainer; `trace` is a file for chrome://tracing or Perfetto."""
    device = trainer.world.device
    cuda = device.type == "cuda"
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if cuda else [])]
    with LayerRanges(trainer.trainable), profile(activities=activities, acc_events=True) as profiler:
        began = time.perf_counter()
        for _ in range(steps):
            with record_function(STEP):
                trainer.step()
        synchronise(device)
        clock = (time.perf_counter() - began) / steps
    events = list(profiler.events() or [])
    if trace is not None:
        fresh = trace.with_name(f".writing-{os.getpid()}-{trace.name}")  # its ending says whether it is compressed
        try:
            profiler.export_chrome_trace(str(fresh))
            rename_into_place(fresh, trace, "choose another, or add --overwrite")
        finally:
            fresh.unlink(missing_ok=True)
    reading = _Reading(events, cuda)
    parts = {part: seconds / steps for part, seconds in reading.parts.items()}
    if cuda:  # kernels run beside the code that launches them: what no kernel fills is time between them
        parts["other", ""] = parts.get(("other", ""), 0.0) + max(0.0, clock - sum(parts.values()))
    operators = {name: (calls / steps, seconds / steps) for name, (calls, seconds) in reading.operators.items()}
    return Timeline(clock, parts, operators)


def synchronise(device: torch.device) -> None:
    """Wait until a CUDA device is idle; do nothing for others."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


class LayerRanges:
    """Within, each layer that no other layer calls carries a range, named by its network, that the profiler records.

    Methods may call parts of a network, as a discriminator up to its last hidden layer, so a range around the network's own
    call is not enough.
    """

    def __init__(self, trainable: Trainable) -> None:
        networks = trainable.networks().items()
        self._names = {id(m): LAYERS + name for name, network in networks for m in network.modules()}
        self._depth = 0
        self._range: Any = None
        self._hooks = ExitStack()

    def __enter__(self) -> None:
        self._hooks.callback(register_module_forward_pre_hook(self._open).remove)
        self._hooks.callback(register_module_forward_hook(self._close, always_call=True).remove)

    def __exit__(self, *error: object) -> None:
        self._hooks.close()

    def _open(self, module: nn.Module, args: Any) -> None:
        self._depth += 1
        if self._depth == 1:
            self._range = record_function(self._names.get(id(module), LAYERS + BORROWED))
            self._range.__enter__()

    def _close(self, module: nn.Module, args: Any, output: Any) -> None:
        self._depth -= 1
        if not self._depth:
            self._range.__exit__(None, None, None)


class _Reading:
    """Seconds by part and operator, summed over the events of a profile."""

    def __init__(self, events: list[Any], cuda: bool) -> None:
        self.cuda = cuda
        self.parts: dict[Part, float] = {}
        self.operators: dict[str, tuple[int, float]] = {}
        self._networks: dict[int, str] = {}  # by sequence number of the forward operator
        # A kernel is an event of its own and also the time of the operator that launched it: it counts once.
        roots = [event for event in events if event.cpu_parent is None and event.device_type.name == "CPU"]
        for event in roots:
            self._map_networks(event, None)
        for event in roots:
            if cuda or event.name == STEP:
                self._add(event, ("other", ""))

    def _map_networks(self, event: Any, network: str | None) -> None:
        """Map sequence numbers to networks; an operator without a graph node has the number of the next with one."""
        if event.name.startswith((FORWARD, LAYERS)):
            network = _network_of(event.name)
        elif network is not None and event.sequence_nr >= 0:
            self._networks[event.sequence_nr] = network
        for child in _in_order(event):
            self._map_networks(child, network)

    def _add(self, event: Any, part: Part) -> None:
        part = self._part_of(event, part)
        seconds = (event.self_device_time_total if self.cuda else event.self_cpu_time_total) / 1e6
        self.parts[part] = self.parts.get(part, 0.0) + seconds
        if event.name.startswith("aten::"):
            calls, spent = self.operators.get(event.name, (0, 0.0))
            self.operators[event.name] = calls + 1, spent + seconds
        for child in event.cpu_children:
            self._add(child, part)

    def _part_of(self, event: Any, part: Part) -> Part:
        name: str = event.name
        if name == DATA:
            return "data", ""
        if name.startswith(OPTIMIZER):
            return "optimizer", name.removeprefix(OPTIMIZER)
        if name.startswith(ENGINE):
            numbers = [child.sequence_nr for child in event.cpu_children if child.sequence_nr >= 0]
            return "backward", self._networks.get(numbers[0], LOSSES) if numbers else LOSSES
        if name == FORWARD or (name.startswith(LAYERS) and part[0] == "forward"):
            return "forward", _network_of(name)
        return part


def _network_of(name: str) -> str:
    return LOSSES if name == FORWARD else name.removeprefix(LAYERS)


def _in_order(event: Any) -> list[Any]:
    return sorted(event.cpu_children, key=lambda child: child.time_range.start)


class TensorSpec(NamedTuple):
    """Shape, stride, type and device of a tensor."""

    shape: tuple[int, ...]
    stride: tuple[int, ...]
    dtype: torch.dtype
    device: torch.device

    def filled(self) -> Tensor:
        """A tensor of ones; the time of a kernel does not depend on ordinary values."""
        extent = 1 + sum((size - 1) * step for size, step in zip(self.shape, self.stride)) if 0 not in self.shape else 0
        return torch.ones(extent, dtype=self.dtype, device=self.device).as_strided(self.shape, self.stride)


@dataclass(frozen=True)
class Kernel:
    """One operator on tensors of one specification: its floating-point operations, and its calls in a step."""

    operator: Any
    arguments: tuple[Any, ...]
    named: dict[str, Any]
    flops: int
    calls: int

    def seconds(self) -> float:
        """The time of one call alone."""
        args, named = _fill(self.arguments), _fill(self.named)
        device = next(spec.device for spec in self.arguments if isinstance(spec, TensorSpec))
        synchronise(device)
        began = time.perf_counter()
        self.operator(*args, **named)
        synchronise(device)
        return time.perf_counter() - began


class Kernels(TorchDispatchMode):
    """Records each operator whose operations torch counts: convolutions and matrix products, forward and backward."""

    def __init__(self) -> None:
        super().__init__()
        self._calls: Counter[str] = Counter()
        self._kernels: dict[str, tuple[Any, tuple[Any, ...], dict[str, Any], int]] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        named = kwargs or {}
        output = func(*args, **named)
        count = flop_registry.get(func._overloadpacket)
        if count is not None:
            specs = _specs(args), _specs(named)
            key = f"{func} {specs}"
            self._calls[key] += 1
            if key not in self._kernels:
                self._kernels[key] = func, *specs, int(count(*args, **named, out_val=output))
        return output

    def kernels(self) -> list[Kernel]:
        """The recorded kernels in the order of their first calls."""
        return [Kernel(*parts, calls=self._calls[key]) for key, parts in self._kernels.items()]


def _specs(values: Any) -> Any:
    return tree_map_only(Tensor, lambda t: TensorSpec(tuple(t.shape), tuple(t.stride()), t.dtype, t.device), values)


def _fill(values: Any) -> Any:
    """Replace specifications, also those in lists, by tensors."""
    if isinstance(values, TensorSpec):
        return values.filled()
    if isinstance(values, dict):
        return {name: _fill(value) for name, value in values.items()}
    return type(values)(map(_fill, values)) if isinstance(values, list | tuple) else values
