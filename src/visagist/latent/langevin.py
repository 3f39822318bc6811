"""Langevin chains in the latent space (Maggipinto, Terzi and Susto, 2020, "IntroVAC", §4.3, eq. 8).

    z <- z - alpha grad U(z) + sqrt(2 alpha) epsilon,   epsilon ~ N(0, I)
    U(z) = -log p(y|z) - log p(z),                      p(z) = N(0, I)

alpha is the step size, K the number of steps; what counts is the time alpha K: a Gaussian forgets where it began as
exp(-alpha K). The step biases the law that the chain settles in: for the prior alone its variance is 1 / (1 - alpha/2).

Where the paper is silent: energies are one number a chain, *summed* over dimensions, and the gradient is fresh each step.

Shape letters: B chains, Z latent dimensions, A attributes.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from visagist.errors import VisagistError

Energy = Callable[[Tensor], Tensor]  # z [B, Z] -> U [B]
StepCallback = Callable[[int], None]  # the number of steps done
Chain = Callable[[Energy, Tensor, float, int, torch.Generator, StepCallback | None], Tensor]


def prior_energy(z: Tensor) -> Tensor:
    """-log N(z; 0, I) up to a constant, [B] of z [B, Z]."""
    return 0.5 * z.square().sum(dim=1)


def log_likelihood(logits: Tensor, value: Tensor) -> Tensor:
    """log p(y|z) [B] of attribute logits [B, A]; `value` [A] is 1 or 0 where an attribute is asked for, else nan."""
    asked = ~value.isnan()
    sign = 2 * value[asked] - 1
    return torch.nn.functional.logsigmoid(sign * logits[:, asked]).sum(dim=1)


def posterior_energy(
    latent_logits: Callable[[Tensor], Tensor], value: Tensor, weight: float = 1.0, temperature: float = 1.0
) -> Energy:
    """U of eq. 8 for a classifier z [B, Z] -> logits [B, A] whose attributes are independent given z; `value` as above.

    `weight` multiplies log p(y|z), and all is divided by the temperature.
    """
    return lambda z: (prior_energy(z) - weight * log_likelihood(latent_logits(z), value)) / temperature


def langevin(
    energy: Energy, z: Tensor, step_size: float, steps: int, noise: torch.Generator, after_step: StepCallback | None = None
) -> Tensor:
    """The chains z [B, Z] after `steps` steps of eq. 8; `noise` is a generator on their device.

    Any differentiable energy serves. VisagistError where it is not one number a chain, or where the chains run away
    because the step is too large for it.
    """
    alpha = step_size
    for k in range(steps):
        _, gradient = _value_and_gradient(energy, z)
        z = z - alpha * gradient + math.sqrt(2 * alpha) * _epsilon(z, noise)
        if after_step is not None:
            after_step(k + 1)
    return _finite(z, step_size)


def adjusted_langevin(
    energy: Energy, z: Tensor, step_size: float, steps: int, noise: torch.Generator, after_step: StepCallback | None = None
) -> Tensor:
    """The same chains with a Metropolis correction: a step that the energy does not bear out is not taken.

    They settle in exp(-U) itself, whatever the step; too large a one makes them stand still. Source: Roberts and
    Tweedie (1996), "Exponential convergence of Langevin distributions and their discrete approximations".
    """
    alpha = step_size
    U, gradient = _value_and_gradient(energy, z)
    for k in range(steps):
        epsilon = _epsilon(z, noise)
        z_new = z - alpha * gradient + math.sqrt(2 * alpha) * epsilon
        U_new, gradient_new = _value_and_gradient(energy, z_new)
        log_there = -0.5 * epsilon.square().sum(dim=1)
        log_back = -(z - z_new + alpha * gradient_new).square().sum(dim=1) / (4 * alpha)
        log_ratio = U - U_new + log_back - log_there
        taken = torch.rand(len(z), generator=noise, device=z.device).log() < log_ratio
        z = torch.where(taken[:, None], z_new, z)
        U = torch.where(taken, U_new, U)
        gradient = torch.where(taken[:, None], gradient_new, gradient)
        if after_step is not None:
            after_step(k + 1)
    return _finite(z, step_size)


CHAINS: dict[str, Chain] = {"langevin": langevin, "adjusted": adjusted_langevin}


def _value_and_gradient(energy: Energy, z: Tensor) -> tuple[Tensor, Tensor]:
    """U [B] and its gradient [B, Z]; the sum over chains leaves each its own gradient, a mean would shrink it."""
    with torch.enable_grad():
        z = z.detach().requires_grad_()
        U = energy(z)
        if U.shape != (len(z),):
            raise VisagistError(f"an energy is one number a chain, [{len(z)}], got {list(U.shape)}: sum over dimensions")
        (gradient,) = torch.autograd.grad(U.sum(), z)
    return U.detach(), gradient


def _epsilon(z: Tensor, noise: torch.Generator) -> Tensor:
    return torch.randn(z.shape, generator=noise, device=z.device, dtype=z.dtype)


def _finite(z: Tensor, step_size: float) -> Tensor:
    if not z.isfinite().all():
        raise VisagistError(f"the chains ran away with a step size of {step_size:g}: take a smaller one")
    return z
