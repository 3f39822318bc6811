"""Chains against laws that are known: the prior, and posteriors drawn by rejection or integrated."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from latent_toys import Slopes
from scipy import stats
from torch import Tensor

from visagist.errors import VisagistError
from visagist.latent.langevin import (
    CHAINS,
    Energy,
    adjusted_langevin,
    langevin,
    log_likelihood,
    posterior_energy,
    prior_energy,
)

TOY = Slopes([2.0, -1.0], [0.5, 1.5])
ASKED = torch.tensor([1.0, 0.0])
LEVEL = 0.001  # of a test of all dimensions together


def noise(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def normal(*shape: int, seed: int = 1) -> Tensor:
    return torch.randn(*shape, generator=noise(seed))


def by_rejection(count: int, seed: int = 9) -> Tensor:
    """Exact draws [n, 2] from the toy's posterior: of the prior, each kept with probability p(y|z)."""
    z = normal(count, 2, seed=seed)
    p = log_likelihood(TOY.latent_logits(z), ASKED).exp()
    return z[torch.rand(count, generator=noise(seed + 1)) < p]


def same_law(found: Tensor, known: Tensor) -> bool:
    """Means, covariances and the Kolmogorov–Smirnov test of each dimension, with Bonferroni's correction."""
    a, b = found.double().numpy(), known.double().numpy()
    means = np.abs(a.mean(0) - b.mean(0)).max() < 0.05
    covariances = np.abs(np.cov(a.T) - np.cov(b.T)).max() < 0.05
    tests = [stats.ks_2samp(a[:, i], b[:, i]).pvalue for i in range(a.shape[1])]
    return bool(means and covariances and min(tests) > LEVEL / len(tests))


def averaged(energy: Energy) -> Energy:
    """The mistake to be caught: as if the energy were a mean over chains and dimensions, so that chains only diffuse."""
    return lambda z: energy(z) / z.numel()


@pytest.mark.parametrize("chain", sorted(CHAINS))
def test_chains_forget_a_wrong_start_and_settle_in_the_prior(chain: str) -> None:
    start = 3 + 2 * normal(16_000, 3)
    step_size, steps = 0.01, 800
    z = CHAINS[chain](prior_energy, start, step_size, steps, noise(), lambda done: None).double().numpy()
    assert step_size * steps >= 8
    assert np.abs(z.var(axis=0, ddof=1) - 1).max() < 0.05
    assert min(stats.kstest(column, "norm").pvalue for column in z.T) > LEVEL / z.shape[1]


def test_a_short_time_leaves_of_the_start_what_the_theory_says() -> None:
    z = langevin(prior_energy, torch.full((20_000, 2), 3.0), 0.01, 100, noise())
    torch.testing.assert_close(z.mean(), torch.tensor(3 * 0.99**100), atol=0.02, rtol=0)


def test_a_large_step_widens_the_law_by_as_much_as_is_said_and_the_correction_takes_it_back() -> None:
    start, alpha = normal(20_000, 2), 0.5
    plain = langevin(prior_energy, start, alpha, 40, noise())
    torch.testing.assert_close(plain.var(), torch.tensor(1 / (1 - alpha / 2)), atol=0.03, rtol=0)
    adjusted = adjusted_langevin(prior_energy, start, alpha, 40, noise())
    torch.testing.assert_close(adjusted.var(), torch.tensor(1.0), atol=0.03, rtol=0)


@pytest.mark.parametrize("chain", sorted(CHAINS))
def test_chains_draw_what_rejection_draws(chain: str) -> None:
    energy = posterior_energy(TOY.latent_logits, ASKED)
    z = CHAINS[chain](energy, normal(5000, 2), 0.01, 600, noise(), lambda done: None)
    assert same_law(z, by_rejection(20_000))


def test_energies_that_are_averaged_and_chains_that_are_short_are_told_from_the_posterior() -> None:
    energy = posterior_energy(TOY.latent_logits, ASKED)
    known = by_rejection(20_000)
    assert not same_law(langevin(averaged(energy), normal(5000, 2), 0.01, 600, noise()), known)
    assert not same_law(langevin(energy, normal(5000, 2), 0.01, 100, noise()), known)
    assert not same_law(normal(5000, 2), known)


def test_an_averaged_energy_lets_chains_diffuse_without_end() -> None:
    z = langevin(averaged(prior_energy), normal(5000, 2), 0.01, 100, noise())
    torch.testing.assert_close(z.var(), torch.tensor(3.0), atol=0.15, rtol=0)


def test_the_time_of_the_paper_falls_short_of_the_posterior_and_five_times_it_does_not() -> None:
    """The toy is p(y=1|z) = sigmoid(2 z), whose posterior mean is .606; after alpha K = 1 the exact law's mean is .488."""
    x = np.linspace(-9, 9, 20_001)
    density = np.exp(-(x**2) / 2) / (1 + np.exp(-2 * x))
    truth = float((x * density).sum() / density.sum())
    energy = posterior_energy(Slopes([2.0]).latent_logits, torch.tensor([1.0]))
    start = normal(20_000, 1)
    short = langevin(energy, start, 2e-3, 500, noise()).mean().item()
    long = langevin(energy, start, 1e-2, 500, noise()).mean().item()
    assert truth == pytest.approx(0.606, abs=0.001)
    assert short == pytest.approx(0.488, abs=0.02)
    assert long == pytest.approx(truth, abs=0.02)


def test_each_chain_descends_its_own_energy() -> None:
    energy = posterior_energy(TOY.latent_logits, ASKED)
    start = normal(4, 2).double()
    moved = langevin(energy, start, 0.1, 1, noise())
    epsilon = torch.randn(4, 2, generator=noise(), dtype=torch.float64)
    p = torch.sigmoid(TOY.latent_logits(start))
    gradient = start - (ASKED - p) @ TOY.weight.double()
    torch.testing.assert_close(moved, start - 0.1 * gradient + math.sqrt(0.2) * epsilon)


def test_an_energy_need_not_be_linear() -> None:
    def quartic(z: Tensor) -> Tensor:
        return z.pow(4).sum(dim=1)

    z = langevin(quartic, normal(10_000, 1), 0.005, 800, noise())
    # E z^2 of exp(-z^4) is Gamma(3/4) / Gamma(1/4).
    assert z.square().mean().item() == pytest.approx(math.gamma(0.75) / math.gamma(0.25), abs=0.015)


def test_chains_are_a_function_of_the_seed() -> None:
    for chain in CHAINS.values():
        first, again, other = (
            chain(prior_energy, torch.zeros(3, 2), 0.1, 5, noise(seed), lambda done: None) for seed in (4, 4, 5)
        )
        assert torch.equal(first, again)
        assert not torch.equal(first, other)


def test_progress_is_told_after_each_step() -> None:
    told: list[int] = []
    langevin(prior_energy, torch.zeros(1, 1), 0.1, 3, noise(), told.append)
    assert told == [1, 2, 3]


def test_one_energy_for_all_chains_is_refused() -> None:
    with pytest.raises(VisagistError, match=r"one number a chain, \[3\], got \[\]"):
        langevin(lambda z: z.square().mean(), torch.zeros(3, 2), 0.1, 1, noise())


def test_chains_that_run_away_are_refused() -> None:
    with pytest.raises(VisagistError, match="ran away with a step size of 1: take a smaller one"):
        langevin(lambda z: 10 * prior_energy(z), normal(3, 2), 1.0, 200, noise())
