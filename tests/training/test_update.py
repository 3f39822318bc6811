"""Each network gets the gradient of its own loss, once, and of nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from visagist.errors import VisagistError
from visagist.methods.base import Accumulated, Batch, Losses, Trainable
from visagist.training.updater import NonFiniteLoss, Updater

RATE = 0.1
Step = Callable[["Pair", Batch], Iterator[Losses]]


@dataclass(frozen=True)
class PairConfig:
    pass


class Pair(Trainable):
    """Networks `a` and `b`, whose training step a test supplies."""

    name = "pair"
    Config = PairConfig

    def __init__(self, step: Step) -> None:
        super().__init__(PairConfig(), ("Smiling",), 2)
        self.a, self.b = nn.Linear(3, 3), nn.Linear(3, 1)
        self.step = step

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        return {n: torch.optim.SGD(m.parameters(), lr=RATE) for n, m in self.networks().items()}

    def training_step(self, batch: Batch) -> Iterator[Losses]:
        return self.step(self, batch)


def updater(step: Step) -> Updater:
    torch.manual_seed(1)
    return Updater(Pair(step), nullcontext, lambda tensors: None)


def batch(count: int = 8) -> Batch:
    draw = torch.Generator().manual_seed(2)
    return Batch(torch.rand(count, 3, generator=draw), torch.rand(count, 1, generator=draw).round())


def weights(network: nn.Module) -> list[Tensor]:
    return [p.detach().clone() for p in network.parameters()]


def descended(before: list[Tensor], gradients: tuple[Tensor, ...]) -> list[Tensor]:
    return [w - RATE * g for w, g in zip(before, gradients)]


def assert_same(found: list[Tensor], expected: list[Tensor], **tolerance: float) -> None:
    for f, e in zip(found, expected, strict=True):
        torch.testing.assert_close(f, e, **(tolerance or {"rtol": 0.0, "atol": 0.0}))


def of_a(net: Pair, given: Batch) -> Tensor:
    return net.b(net.a(given.images)).square().mean()


def of_b(net: Pair, given: Batch) -> Tensor:
    return (net.b(net.a(given.images)) - given.labels).abs().mean() + net.a.weight.square().sum()


def simultaneous(net: Pair, given: Batch) -> Iterator[Losses]:
    yield {"a": of_a(net, given), "b": of_b(net, given)}


def test_each_network_gets_the_gradient_of_its_own_loss_and_of_nothing_else() -> None:
    engine = updater(simultaneous)
    net: Any = engine.trainable
    before_a, before_b = weights(net.a), weights(net.b)
    gradient_a = torch.autograd.grad(of_a(net, batch()), list(net.a.parameters()))
    gradient_b = torch.autograd.grad(of_b(net, batch()), list(net.b.parameters()))
    engine.step([batch()], 0)
    assert_same(weights(net.a), descended(before_a, gradient_a))
    assert_same(weights(net.b), descended(before_b, gradient_b))


def test_opposed_losses_do_not_leak_into_each_other() -> None:
    def adversaries(net: Pair, given: Batch) -> Iterator[Losses]:
        loss = of_a(net, given)
        yield {"a": -loss, "b": loss}

    engine = updater(adversaries)
    net: Any = engine.trainable
    before = weights(net.a) + weights(net.b)
    gradients = torch.autograd.grad(of_a(net, batch()), [*net.a.parameters(), *net.b.parameters()])
    engine.step([batch()], 0)
    signs = [-1, -1, 1, 1]
    expected = descended(before, tuple(s * g for s, g in zip(signs, gradients)))
    assert_same(weights(net.a) + weights(net.b), expected, rtol=1e-6, atol=1e-7)


def test_networks_that_name_one_tensor_share_one_backward_pass() -> None:
    passes = []

    def shared(net: Pair, given: Batch) -> Iterator[Losses]:
        loss = of_a(net, given)
        loss.register_hook(lambda gradient: passes.append("shared"))
        yield {"a": loss, "b": loss}

    def separate(net: Pair, given: Batch) -> Iterator[Losses]:
        loss = of_a(net, given)
        loss.register_hook(lambda gradient: passes.append("separate"))
        yield {"a": loss * 1, "b": loss * 1}

    one, two = updater(shared), updater(separate)
    one.step([batch()], 0)
    two.step([batch()], 0)
    assert passes == ["shared", "separate", "separate"]
    assert_same(weights(one.trainable), weights(two.trainable))


def test_no_gradient_is_left_behind_by_a_step() -> None:
    engine = updater(simultaneous)
    engine.step([batch()], 0)
    assert all(p.grad is None for p in engine.trainable.parameters())


@pytest.mark.parametrize("wrap", [lambda loss: loss, Accumulated])
def test_a_loss_that_does_not_depend_on_its_network_is_an_error_that_names_it(wrap: Callable[[Tensor], Any]) -> None:
    def lost(net: Pair, given: Batch) -> Iterator[Losses]:
        yield {"a": net.a(given.images).mean(), "b": wrap(net.a(given.images).mean())}

    with pytest.raises(VisagistError, match="pair: the loss of network 'b' does not depend on it"):
        updater(lost).step([batch()], 0)


def test_a_loss_that_depends_on_no_network_is_an_error_that_names_it() -> None:
    def constant(net: Pair, given: Batch) -> Iterator[Losses]:
        yield {"a": net.a(given.images).mean().detach()}

    with pytest.raises(VisagistError, match="the loss of network 'a' depends on no network"):
        updater(constant).step([batch()], 0)


def test_a_loss_for_an_unknown_network_is_an_error_that_names_the_known_ones() -> None:
    def misnamed(net: Pair, given: Batch) -> Iterator[Losses]:
        yield {"encoder": of_a(net, given)}

    with pytest.raises(VisagistError, match="'encoder'; its networks are a, b"):
        updater(misnamed).step([batch()], 0)


def test_a_loss_for_a_frozen_network_is_an_error_that_names_it() -> None:
    torch.manual_seed(1)
    net = Pair(simultaneous)
    net.b.requires_grad_(False)
    with pytest.raises(VisagistError, match="'b'"):
        Updater(net, nullcontext, lambda tensors: None).step([batch()], 0)


def test_an_error_in_one_loss_moves_no_network() -> None:
    def half_wrong(net: Pair, given: Batch) -> Iterator[Losses]:
        yield {"a": of_a(net, given), "b": of_b(net, given) * float("inf")}

    engine = updater(half_wrong)
    before = weights(engine.trainable)
    with pytest.raises(NonFiniteLoss, match=r"step 7: the loss of network 'b' is inf; .*precision=fp32.*learning rate"):
        engine.step([batch()], 7)
    assert_same(weights(engine.trainable), before)


def test_a_loss_that_is_looked_at_later_is_named_by_the_step_that_it_belongs_to() -> None:
    def half_wrong(net: Pair, given: Batch) -> Iterator[Losses]:
        bad = float("nan") if given.images.sum() > 100 else 1.0
        yield {"a": of_a(net, given), "b": of_b(net, given) * bad}

    torch.manual_seed(1)
    engine = Updater(Pair(half_wrong), nullcontext, lambda tensors: None, check_later=True)
    engine.step([batch()], 0)
    engine.check_losses()
    engine.step([batch()], 1)
    for number in (2, 3):
        engine.step([batch(100)], number)
    with pytest.raises(NonFiniteLoss, match="step 2: the loss of network 'b' is nan"):
        engine.check_losses()
    engine.check_losses()


def test_a_network_without_an_optimizer_is_an_error_that_names_it() -> None:
    class Forgetful(Pair):
        def optimizers(self) -> dict[str, torch.optim.Optimizer]:
            return {"a": torch.optim.SGD(self.a.parameters(), lr=RATE)}

    with pytest.raises(VisagistError, match="none for the network 'b'"):
        Updater(Forgetful(simultaneous), nullcontext, lambda tensors: None)


def test_accumulated_gradients_add_across_phases_and_move_once() -> None:
    seen: list[list[Tensor]] = []

    def two_phases(net: Pair, given: Batch) -> Iterator[Losses]:
        yield {"a": of_a(net, given), "b": Accumulated(of_a(net, given))}
        seen.append(weights(net.b))
        yield {"b": of_b(net, given)}

    engine = updater(two_phases)
    net: Any = engine.trainable
    before_a, before_b = weights(net.a), weights(net.b)
    gradient_a = torch.autograd.grad(of_a(net, batch()), list(net.a.parameters()))
    first = torch.autograd.grad(of_a(net, batch()), list(net.b.parameters()))
    engine.step([batch()], 0)
    assert_same(seen[0], before_b)
    moved_a = weights(net.a)
    assert_same(moved_a, descended(before_a, gradient_a))
    with torch.no_grad():
        for parameter, value in zip(net.b.parameters(), before_b):
            after = parameter.clone()
            parameter.copy_(value)
            value.copy_(after)
    second = torch.autograd.grad(of_b(net, batch()), list(net.b.parameters()))
    expected = descended(weights(net.b), tuple(f + s for f, s in zip(first, second)))
    assert_same(before_b, expected, rtol=1e-6, atol=1e-7)


def test_accumulated_gradients_that_no_step_uses_are_an_error_that_names_the_network() -> None:
    def leftover(net: Pair, given: Batch) -> Iterator[Losses]:
        yield {"a": of_a(net, given), "b": Accumulated(of_a(net, given))}

    with pytest.raises(VisagistError, match="accumulated gradients unused on b"):
        updater(leftover).step([batch()], 0)


def test_code_after_a_yield_sees_moved_networks() -> None:
    seen: list[Tensor] = []

    def alternating(net: Pair, given: Batch) -> Iterator[Losses]:
        for _ in range(3):
            loss = of_a(net, given)
            seen.append(loss.detach())
            yield {"b": loss}
        seen.append(of_a(net, given).detach())

    engine = updater(alternating)
    before = weights(engine.trainable.a)
    engine.step([batch()], 0)
    assert seen[0] > seen[1] > seen[2] > seen[3]
    assert_same(weights(engine.trainable.a), before)


@pytest.mark.parametrize("parts", [2, 4])
def test_gradient_accumulation_equals_the_full_batch(parts: int) -> None:
    def phases(net: Pair, given: Batch) -> Iterator[Losses]:
        yield {"a": of_a(net, given), "b": Accumulated(of_a(net, given))}
        yield {"b": of_b(net, given)}

    whole, split = updater(phases), updater(phases)
    given = batch(8)
    for number in range(3):
        whole.step([given], number)
        split.step([Batch(*piece) for piece in zip(*(t.chunk(parts) for t in given))], number)
    assert_same(weights(split.trainable), weights(whole.trainable), rtol=1e-5, atol=1e-6)


def test_the_gradients_that_are_averaged_over_processes_are_those_that_move_the_network() -> None:
    def halve(tensors: list[Tensor]) -> None:
        for tensor in tensors:
            tensor.mul_(0.5)

    torch.manual_seed(1)
    engine = Updater(Pair(simultaneous), nullcontext, halve)
    net: Any = engine.trainable
    before = weights(net.a)
    gradient = torch.autograd.grad(of_a(net, batch()), list(net.a.parameters()))
    engine.step([batch()], 0)
    assert_same(weights(net.a), descended(before, tuple(g / 2 for g in gradient)))


def test_methods_run_inside_the_precision_of_the_engine_and_gradients_outside() -> None:
    depth: list[str] = []

    class Marked(nullcontext):
        def __enter__(self) -> None:
            depth.append("in")

        def __exit__(self, *details: object) -> None:
            depth.append("out")

    def watched(net: Pair, given: Batch) -> Iterator[Losses]:
        depth.append("forward")
        loss = of_a(net, given)
        loss.register_hook(lambda gradient: depth.append("backward"))
        yield {"a": loss}
        depth.append("after")

    torch.manual_seed(1)
    Updater(Pair(watched), Marked, lambda tensors: None).step([batch()], 0)
    assert depth == ["in", "forward", "out", "backward", "in", "after", "out"]
