"""One simultaneous update: each network gets the gradient of its own loss, and of nothing else.

Limits. Graphs are kept until the step ends, so memory grows with the phases of a step and with gradient accumulation.
Every process must build the same graph: where batch norm is global, backward passes exchange messages in its order.
Precision is bf16 or fp32; there is no gradient scaler. A method must not yield inside a `with`: the engine's own autocast
context is entered only while the method's code runs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager

import torch
from torch import Tensor
from torch.profiler import record_function

from visagist.errors import VisagistError
from visagist.methods.base import Accumulated, Batch, Losses, Trainable

FORWARD, OPTIMIZER = "visagist forward", "visagist optimizer of "  # ranges for a profiler

AFTER_NON_FINITE = (
    "continue from it with --resume and --set precision=fp32 or a smaller learning rate, such as --set learning_rate=1e-5; "
    "where that ends so too, begin anew in another --out with a smaller learning rate"
)


class NonFiniteLoss(VisagistError):
    """A loss became infinite or not a number."""


class Updater:
    """Turns the losses that a method yields into steps of its optimizers.

    A loss that is not finite stops its step. With `check_later` losses are only collected, because reading a number makes
    the CPU wait for a GPU; `check_losses` then reports the first one, and must be called before anything is saved.
    """

    def __init__(
        self,
        trainable: Trainable,
        autocast: Callable[[], AbstractContextManager[object]],
        average: Callable[[list[Tensor]], None],
        *,
        check_later: bool = False,
    ) -> None:
        self.trainable, self.autocast, self.average, self.check_later = trainable, autocast, average, check_later
        self.optimizers = trainable.optimizers()
        self.parameters = {
            name: [p for p in network.parameters() if p.requires_grad] for name, network in trainable.networks().items()
        }
        for name, parameters in self.parameters.items():
            if parameters and name not in self.optimizers:
                raise VisagistError(f"{trainable.name}: optimizers() returns none for the network {name!r}")
        self._accumulated: dict[str, list[Tensor]] = {}
        self._unchecked: list[tuple[int, str, Tensor]] = []

    def check_losses(self) -> None:
        """Raise NonFiniteLoss for the first loss since the last check that is not finite."""
        unchecked, self._unchecked = self._unchecked, []
        if not unchecked:
            return
        values = torch.stack([loss.float().reshape(()) for *_, loss in unchecked]).tolist()
        for (number, name, _), value in zip(unchecked, values):
            if not math.isfinite(value):
                raise NonFiniteLoss(
                    f"step {number}: the loss of network {name!r} is {value}; the last checkpoint is kept: "
                    f"{AFTER_NON_FINITE}"
                )

    def step(self, parts: Sequence[Batch], number: int) -> None:
        """Run `training_step` over the parts of one batch in lockstep; gradients are the mean over the parts."""
        running = [self.trainable.training_step(part) for part in parts]
        while True:
            phase = [self._advance(steps) for steps in running]
            yielded = [losses for losses in phase if losses is not None]
            if not yielded:
                break
            self._update(yielded, number)
        if self._accumulated:
            names = ", ".join(sorted(self._accumulated))
            raise VisagistError(f"{self.trainable.name}: the step ended with accumulated gradients unused on {names}")

    def _advance(self, steps: Iterator[Losses]) -> Losses | None:
        with record_function(FORWARD), self.autocast():
            return next(steps, None)

    def _update(self, phase: list[Losses], number: int) -> None:
        gradients: dict[str, list[Tensor]] = {}
        for losses in phase:
            for name, parts in self.gradients(losses, number).items():
                mean = [g / len(phase) for g in parts] if len(phase) > 1 else parts
                gradients[name] = [a + b for a, b in zip(gradients[name], mean)] if name in gradients else mean
        for name, parts in gradients.items():
            if name in self._accumulated:
                parts = [a + b for a, b in zip(parts, self._accumulated.pop(name))]
            if isinstance(phase[0][name], Accumulated):
                self._accumulated[name] = parts
                continue
            self.average(parts)
            for parameter, gradient in zip(self.parameters[name], parts):
                parameter.grad = gradient
            with record_function(OPTIMIZER + name):
                self.optimizers[name].step()
            self.optimizers[name].zero_grad(set_to_none=True)

    def gradients(self, losses: Losses, number: int = 0) -> dict[str, list[Tensor]]:
        """The gradient of each loss with respect to its own network; networks that name one tensor share one pass."""
        shared: dict[int, tuple[Tensor, list[str]]] = {}
        for name, value in losses.items():
            loss = value.loss if isinstance(value, Accumulated) else value
            self._check(name, loss)
            shared.setdefault(id(loss), (loss, []))[1].append(name)
        self._unchecked += [(number, names[0], loss.detach()) for loss, names in shared.values()]
        if not self.check_later:
            self.check_losses()
        result: dict[str, list[Tensor]] = {}
        for loss, names in shared.values():
            inputs = [p for name in names for p in self.parameters[name]]
            gradients = iter(torch.autograd.grad(loss, inputs, retain_graph=True, allow_unused=True))
            for name in names:
                own = [next(gradients) for _ in self.parameters[name]]
                if all(g is None for g in own):
                    raise VisagistError(
                        f"{self.trainable.name}: the loss of network {name!r} does not depend on it; "
                        "yield a loss that its output reaches"
                    )
                result[name] = [torch.zeros_like(p) if g is None else g for g, p in zip(own, self.parameters[name])]
        return {name: result[name] for name in losses}

    def _check(self, name: str, loss: Tensor) -> None:
        if name not in self.parameters:
            known = ", ".join(self.parameters)
            raise VisagistError(f"{self.trainable.name} yields a loss for {name!r}; its networks are {known}")
        if not self.parameters[name]:
            raise VisagistError(f"{self.trainable.name} yields a loss for {name!r}, which has nothing to train")
        if not loss.requires_grad:
            raise VisagistError(f"{self.trainable.name}: the loss of network {name!r} depends on no network at all")
