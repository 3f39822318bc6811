"""`encode_sampled`: draws from the posterior of each face, of every method that has a code."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from tiny_models import tiny_model

from visagist import methods

ATTRIBUTES = ("Smiling", "Eyeglasses", "Young")
CODED = [name for name, cls in sorted(methods.available().items()) if "autoencode" in cls.capabilities]
TIMES = 64


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("name", CODED)
def test_draws_from_the_posterior_lie_about_the_code_of_a_face_and_follow_the_seed(name: str, count: int) -> None:
    model: Any = tiny_model(methods.get(name), ATTRIBUTES[:count]).eval().requires_grad_(False)
    images = torch.rand(8, 3, model.image_size, model.image_size)
    code, draws = model.encode(images), []
    for _ in range(2):
        torch.manual_seed(3)
        draws.append(model.encode_sampled(images.repeat_interleave(TIMES, 0)))
    drawn = draws[0]
    assert torch.equal(drawn.z, draws[1].z)
    assert (drawn.y is None) == (code.y is None)
    if code.y is not None:
        torch.testing.assert_close(drawn.y[::TIMES], code.y, rtol=1e-4, atol=1e-5)
    spread, middle = torch.std_mean(drawn.z.unflatten(0, (-1, TIMES)), dim=1)
    assert (spread > 0).all()
    assert ((middle - code.z).abs() < 6 * spread / TIMES**0.5).all()
