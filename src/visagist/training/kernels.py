"""The convolutions and matrix products of a step: how many operations they are, and how long they take alone."""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map_only
from torch.utils.flop_counter import flop_registry

from visagist.training.profiler import synchronise


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
