"""What every method keeps that declares `classify_latent`: chains and directions are built on it."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from latent_toys import LinearToy, linear_toy
from tiny_models import tiny_model
from torch import Tensor

from visagist import methods
from visagist.methods.base import Code

NAMES = ("Smiling", "Eyeglasses", "Young")
DECLARED = [name for name, cls in methods.available().items() if "classify_latent" in cls.capabilities]


def assert_keeps_the_contract(model: Any) -> None:
    """Raises AssertionError where `latent`, `latent_logits`, `decode`, `encode` and `classify` do not fit together."""
    assert isinstance(model.latent, int)
    assert "autoencode" in model.capabilities
    model = model.eval().requires_grad_(False)
    z = torch.randn(5, model.latent, generator=torch.Generator().manual_seed(0))
    before = z.clone()
    logits = model.latent_logits(z)
    assert logits.shape == (5, len(model.attributes))
    assert logits.isfinite().all()
    assert logits.min() < 0, "logits, not probabilities"
    assert torch.equal(z, before)
    assert torch.equal(logits, model.latent_logits(z))
    torch.testing.assert_close(torch.cat([model.latent_logits(row[None]) for row in z]), logits, rtol=1e-4, atol=1e-5)
    for attribute in range(len(model.attributes)):
        free = z.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(model.latent_logits(free)[:, attribute].sum(), free)
        assert (gradient.abs().sum(dim=1) > 0).all(), "each logit depends on its own code"
    images = model.decode(Code(z))
    assert images.shape == (5, 3, model.image_size, model.image_size)
    assert images.min() >= 0
    assert images.max() <= 1
    code = model.encode(images)
    assert code.z.shape == z.shape
    if "classify" in model.capabilities:
        torch.testing.assert_close(torch.sigmoid(model.latent_logits(code.z)), model.classify(images), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", DECLARED)
def test_a_method_that_classifies_codes_keeps_the_contract(name: str) -> None:
    assert_keeps_the_contract(tiny_model(methods.get(name), NAMES))


def test_a_linear_method_keeps_the_contract() -> None:
    assert_keeps_the_contract(linear_toy(NAMES))


class Certain(LinearToy):
    def latent_logits(self, z: Tensor) -> Tensor:
        return torch.sigmoid(super().latent_logits(z))


class Detached(LinearToy):
    def latent_logits(self, z: Tensor) -> Tensor:
        return super().latent_logits(z.detach())


class Mixed(LinearToy):
    def latent_logits(self, z: Tensor) -> Tensor:
        return super().latent_logits(z - z.mean(dim=0))


class Contrary(LinearToy):
    def classify(self, images: Tensor) -> Tensor:
        return 1 - super().classify(images)


@pytest.mark.parametrize("wrong", [Certain, Detached, Mixed, Contrary])
def test_the_contract_catches_what_would_mislead_a_chain(wrong: type[LinearToy]) -> None:
    model = linear_toy(NAMES)
    model.__class__ = wrong
    with pytest.raises((AssertionError, RuntimeError)):
        assert_keeps_the_contract(model)
