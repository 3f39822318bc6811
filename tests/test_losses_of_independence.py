"""Measures of dependence against sums written out, and against distributions whose answer is known."""

from __future__ import annotations

from itertools import permutations
from math import exp, log, pi, sqrt
from statistics import median

import pytest
import torch
from torch import Tensor

from visagist.errors import VisagistError
from visagist.losses import club, gaussian_log_likelihood, hsic


def drawn(count: int, apart: float, seed: int = 0, latent: int = 4) -> tuple[Tensor, Tensor]:
    """Codes that are normal around 0 or, in one dimension, around `apart`, and the labels that say around which."""
    draw = torch.Generator().manual_seed(seed)
    labels = (torch.arange(count) % 2).float()[:, None]
    z = torch.randn(count, latent, generator=draw)
    z[:, 0] += apart * labels[:, 0]
    return z, labels


def test_hsic_is_the_sums_over_distinct_faces_written_out() -> None:
    z, labels = drawn(6, 1.0)
    labels = torch.cat([labels, 1 - labels.roll(1, 0) * labels.flip(0)], dim=1)
    m, rows, signs = 6, z.tolist(), (2 * labels - 1).tolist()
    squares = {(i, j): sum((a - b) ** 2 for a, b in zip(rows[i], rows[j])) for i, j in permutations(range(m), 2)}
    width = sorted(squares.values())[(len(squares) - 1) // 2]
    K = {pair: exp(-value / (2 * width)) for pair, value in squares.items()}
    L = {(i, j): sum(a * b for a, b in zip(signs[i], signs[j])) / 2 for i, j in squares}
    together = sum(K[p] * L[p] for p in squares) / (6 * 5)
    apart = sum(K[i, j] * L[q, r] for i, j, q, r in permutations(range(m), 4)) / (6 * 5 * 4 * 3)
    crossed = sum(K[i, j] * L[i, q] for i, j, q in permutations(range(m), 3)) / (6 * 5 * 4)
    assert hsic(z, labels).item() == pytest.approx(together + apart - 2 * crossed, abs=1e-6)


def test_hsic_of_few_independent_faces_is_nothing_on_average_and_of_dependent_ones_is_not() -> None:
    independent, dependent = (torch.stack([hsic(*drawn(16, apart, seed)) for seed in range(300)]) for apart in (0.0, 2.0))
    assert abs(independent.mean()) < 3 * independent.std() / sqrt(300)
    assert dependent.mean() > 10 * abs(independent.mean())
    assert median((dependent - independent).tolist()) > 0


def test_hsic_does_not_change_with_the_scale_of_codes() -> None:
    z, labels = drawn(12, 1.0)
    torch.testing.assert_close(hsic(100 * z, labels), hsic(z, labels))


def test_hsic_refuses_a_part_of_a_batch_that_is_too_small() -> None:
    with pytest.raises(VisagistError, match="HSIC needs 4 faces in each part of a batch, got 3"):
        hsic(*drawn(3, 1.0))


@pytest.mark.parametrize("latent", [1, 3])
def test_club_is_the_mean_over_all_pairs_written_out(latent: int) -> None:
    z, labels = drawn(8, 1.0, latent=latent)
    mean, log_var = labels * torch.arange(1.0, latent + 1), 0.3 * labels - torch.arange(latent) / 4
    q = torch.distributions.Normal(mean, (0.5 * log_var).exp())
    own = q.log_prob(z).sum(1).mean()
    others = torch.stack([q.log_prob(z[j]).sum(1) for j in range(8)]).mean()
    torch.testing.assert_close(club(z, mean, log_var), own - others)


@pytest.mark.parametrize("correlation", [0.0, 0.3, 0.8])
def test_club_of_correlated_gaussians_is_at_least_their_mutual_information(correlation: float) -> None:
    torch.manual_seed(0)
    y, rest = torch.randn(2, 200_000, 1)
    left = 1 - correlation**2
    bound = club(correlation * y + sqrt(left) * rest, correlation * y, torch.full_like(y, log(left))).item()
    assert bound == pytest.approx(correlation**2 / left, abs=0.02)
    assert bound >= -0.5 * log(left) - 0.005


def test_club_of_two_classes_is_at_least_their_mutual_information() -> None:
    z, labels = drawn(100_000, 1.5, latent=1)
    bound = club(z, 1.5 * labels, torch.zeros_like(labels)).item()
    grid = torch.linspace(-8, 10, 20_001, dtype=torch.float64)
    each = torch.stack([torch.exp(-0.5 * (grid - at) ** 2) / sqrt(2 * pi) for at in (0.0, 1.5)])
    density = torch.xlogy(each, each / each.mean(0)).mean(0)
    information = torch.trapezoid(density, grid).item()
    assert 0.2 < information < log(2)
    assert information <= bound
    assert bound == pytest.approx(1.5**2 / 4, abs=0.02)


def test_the_likelihood_is_that_of_torch_without_its_constant() -> None:
    z, labels = drawn(8, 1.0)
    mean, log_var = labels.expand(8, 4), 0.5 * labels.expand(8, 4) - 0.2
    full = torch.distributions.Normal(mean, (0.5 * log_var).exp()).log_prob(z).sum(1).mean()
    torch.testing.assert_close(gaussian_log_likelihood(z, mean, log_var), full + 4 * 0.5 * log(2 * pi))


@pytest.mark.parametrize("measure", ["hsic", "club"])
def test_who_descends_a_measure_brings_the_classes_together(measure: str) -> None:
    start, labels = drawn(128, 3.0)
    shift = torch.zeros(4)
    for _ in range(20):
        shift.requires_grad_()
        z = start + shift * labels
        # The best q there is for these codes, as an estimator that keeps up would have it.
        each = torch.stack([z[label::2].mean(0) for label in (0, 1)]).detach()
        loss = hsic(z, labels) if measure == "hsic" else club(z, each[labels[:, 0].long()], torch.zeros_like(z))
        (slope,) = torch.autograd.grad(loss, shift)
        shift = shift.detach() - 0.2 * slope / slope.norm()
    gap = (start[1::2].mean(0) - start[::2].mean(0)).norm()
    assert (start[1::2].mean(0) + shift - start[::2].mean(0)).norm() < gap / 5
