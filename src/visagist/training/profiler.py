"""Where the time of training steps goes: ranges around what a trainer does, and the operators that ran within them.

The profiler's events of one step form a tree. What an event does itself, without what it calls, belongs to the phase and
the network of the range that it lies in, so the parts of a step are disjoint and add up to it. A backward operator belongs
to the network whose layer ran the forward operator with the same sequence number.
"""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
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
from visagist.methods.base import Batch, Losses, Trainable
from visagist.training.trainer import Trainer

STEP, DATA, FORWARD = "visagist step", "visagist data", "visagist forward"
LAYERS, OPTIMIZER = "visagist layers of ", "visagist optimizer of "
ENGINE = "autograd::engine::evaluate_function"
LOSSES, BORROWED = "losses", "borrowed"  # code of the method outside all layers; layers that are of no network of its own
PHASES = ("forward", "backward", "optimizer")

Place = tuple[str, str]  # phase, network


@dataclass(frozen=True)
class Timeline:
    """Seconds of one step, mean over the steps that were profiled.

    clock      by the clock around the steps, the profiler's own work included
    parts      by phase and network, where `data` and `other` have none; their sum is the step as the profiler saw it
    operators  by operator: calls, seconds
    """

    clock: float
    parts: dict[Place, float]
    operators: dict[str, tuple[float, float]]


def record_timeline(trainer: Trainer, steps: int, trace: Path | None = None) -> Timeline:
    """Profile so many steps of a trainer; `trace` is a file for chrome://tracing or Perfetto."""
    device = trainer.world.device
    cuda = device.type == "cuda"
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if cuda else [])]
    with marked(trainer), profile(activities=activities, acc_events=True) as profiler:
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
    parts = {place: seconds / steps for place, seconds in reading.parts.items()}
    if cuda:  # kernels run beside the code that launches them: what no kernel fills is time between them
        parts["other", ""] = parts.get(("other", ""), 0.0) + max(0.0, clock - sum(parts.values()))
    operators = {name: (calls / steps, seconds / steps) for name, (calls, seconds) in reading.operators.items()}
    return Timeline(clock, parts, operators)


def synchronise(device: torch.device) -> None:
    """Wait until a device has done what it was given; a CPU has."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


@contextmanager
def marked(trainer: Trainer) -> Iterator[None]:
    """Within, data, the method's code, layers and optimizers of a trainer carry ranges that the profiler records."""
    with ExitStack() as stack:
        _replace(stack, trainer.batches, "take", _in_range(trainer.batches.take, DATA))
        _replace(stack, trainer.trainable, "training_step", _advancing(trainer.trainable.training_step))
        layers = _OutermostLayers(trainer.trainable)
        stack.callback(register_module_forward_pre_hook(layers.enter).remove)
        stack.callback(register_module_forward_hook(layers.leave, always_call=True).remove)
        for name, optimizer in trainer.updater.optimizers.items():
            moving = _Range(OPTIMIZER + name)
            stack.callback(optimizer.register_step_pre_hook(lambda *given, of=moving: of.open()).remove)
            stack.callback(optimizer.register_step_post_hook(lambda *given, of=moving: of.close()).remove)
        yield


def _replace(stack: ExitStack, owner: object, name: str, function: Callable[..., Any]) -> None:
    """Give one object another function until the stack is left."""
    if name in vars(owner):
        stack.callback(setattr, owner, name, vars(owner)[name])
    else:
        stack.callback(delattr, owner, name)
    setattr(owner, name, function)


def _in_range(function: Callable[..., Any], name: str) -> Callable[..., Any]:
    def within(*given: Any, **named: Any) -> Any:
        with record_function(name):
            return function(*given, **named)

    return within


def _advancing(training_step: Callable[[Batch], Iterator[Losses]]) -> Callable[[Batch], Iterator[Losses]]:
    """The same steps; what a method does between its yields is the forward pass."""

    def advanced(batch: Batch) -> Iterator[Losses]:
        steps = training_step(batch)
        while True:
            with record_function(FORWARD):
                losses = next(steps, None)
            if losses is None:
                return
            yield losses

    return advanced


class _Range:
    """A range that is opened in one hook and closed in another."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._running: Any = None

    def open(self) -> None:
        self._running = record_function(self.name)
        self._running.__enter__()

    def close(self) -> None:
        self._running.__exit__(None, None, None)


class _OutermostLayers:
    """A range for each layer that is called by no other layer, named by its network.

    Methods may call parts of a network, as a discriminator up to its last hidden layer, so the network's own call is not
    enough to go by.
    """

    def __init__(self, trainable: Trainable) -> None:
        networks = trainable.networks().items()
        self.ranges = {id(m): _Range(LAYERS + name) for name, network in networks for m in network.modules()}
        self.others = _Range(LAYERS + BORROWED)
        self._calls: list[_Range] = []

    def enter(self, module: nn.Module, given: Any) -> None:
        self._calls.append(self.ranges.get(id(module), self.others))
        if len(self._calls) == 1:
            self._calls[0].open()

    def leave(self, module: nn.Module, given: Any, made: Any) -> None:
        last = self._calls.pop()
        if not self._calls:
            last.close()


class _Reading:
    """What the profiler's events say, summed over steps."""

    def __init__(self, events: list[Any], cuda: bool) -> None:
        self.cuda = cuda
        self.parts: dict[Place, float] = {}
        self.operators: dict[str, tuple[int, float]] = {}
        self._networks: dict[int, str] = {}  # by sequence number of the forward operator
        # A kernel is an event of its own and also the time of the operator that launched it: it counts once.
        roots = [event for event in events if event.cpu_parent is None and event.device_type.name == "CPU"]
        for event in roots:
            self._learn(event, None)
        for event in roots:
            if cuda or event.name == STEP:
                self._add(event, ("other", ""))

    def _learn(self, event: Any, network: str | None) -> None:
        """Operators that make no node of the graph have the number of the next that does, so the last one counts."""
        if event.name.startswith((FORWARD, LAYERS)):
            network = _network_of(event.name)
        elif network is not None and event.sequence_nr >= 0:
            self._networks[event.sequence_nr] = network
        for child in _in_order(event):
            self._learn(child, network)

    def _add(self, event: Any, place: Place) -> None:
        place = self._place(event, place)
        seconds = (event.self_device_time_total if self.cuda else event.self_cpu_time_total) / 1e6
        self.parts[place] = self.parts.get(place, 0.0) + seconds
        if event.name.startswith("aten::"):
            calls, spent = self.operators.get(event.name, (0, 0.0))
            self.operators[event.name] = calls + 1, spent + seconds
        for child in event.cpu_children:
            self._add(child, place)

    def _place(self, event: Any, place: Place) -> Place:
        name: str = event.name
        if name == DATA:
            return "data", ""
        if name.startswith(OPTIMIZER):
            return "optimizer", name.removeprefix(OPTIMIZER)
        if name.startswith(ENGINE):
            numbers = [child.sequence_nr for child in event.cpu_children if child.sequence_nr >= 0]
            return "backward", self._networks.get(numbers[0], LOSSES) if numbers else LOSSES
        if name == FORWARD or (name.startswith(LAYERS) and place[0] == "forward"):
            return "forward", _network_of(name)
        return place


def _network_of(name: str) -> str:
    return LOSSES if name == FORWARD else name.removeprefix(LAYERS)


def _in_order(event: Any) -> list[Any]:
    return sorted(event.cpu_children, key=lambda child: child.time_range.start)


class Form(NamedTuple):
    """A tensor without its values."""

    shape: tuple[int, ...]
    stride: tuple[int, ...]
    dtype: torch.dtype
    device: torch.device

    def filled(self) -> Tensor:
        """A tensor of this form, of ones: kernels take as long for them as for other ordinary numbers."""
        extent = 1 + sum((size - 1) * step for size, step in zip(self.shape, self.stride)) if 0 not in self.shape else 0
        return torch.ones(extent, dtype=self.dtype, device=self.device).as_strided(self.shape, self.stride)


@dataclass(frozen=True)
class Kernel:
    """One operator on tensors of one form: its floating-point operations, and how often a step calls it."""

    operator: Any
    arguments: tuple[Any, ...]
    named: dict[str, Any]
    flops: int
    calls: int

    def seconds(self) -> float:
        """How long one call takes with nothing else of the step around it."""
        given, named = _filled(self.arguments), _filled(self.named)
        device = next(form.device for form in self.arguments if isinstance(form, Form))
        synchronise(device)
        began = time.perf_counter()
        self.operator(*given, **named)
        synchronise(device)
        return time.perf_counter() - began


class Kernels(TorchDispatchMode):
    """Within, remembers every operator whose operations torch can count: convolutions and matrix products, both ways."""

    def __init__(self) -> None:
        super().__init__()
        self._calls: Counter[str] = Counter()
        self._kernels: dict[str, tuple[Any, tuple[Any, ...], dict[str, Any], int]] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        named = kwargs or {}
        made = func(*args, **named)
        count = flop_registry.get(func._overloadpacket)
        if count is not None:
            forms = _forms(args), _forms(named)
            key = f"{func} {forms}"
            self._calls[key] += 1
            if key not in self._kernels:
                self._kernels[key] = func, *forms, int(count(*args, **named, out_val=made))
        return made

    def found(self) -> list[Kernel]:
        """The kernels in the order in which they were first called."""
        return [Kernel(*parts, calls=self._calls[key]) for key, parts in self._kernels.items()]


def _forms(values: Any) -> Any:
    return tree_map_only(Tensor, lambda t: Form(tuple(t.shape), tuple(t.stride()), t.dtype, t.device), values)


def _filled(values: Any) -> Any:
    """Tensors again in place of their forms, which may stand in lists."""
    if isinstance(values, Form):
        return values.filled()
    if isinstance(values, dict):
        return {name: _filled(value) for name, value in values.items()}
    return type(values)(map(_filled, values)) if isinstance(values, list | tuple) else values
