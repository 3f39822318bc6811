"""Faces with attributes that are asked for: Langevin chains, then rejection (Maggipinto, Terzi and Susto, 2020, §4.3).

The law that the chains settle in is p(y|z)^(weight / temperature) N(z; 0, temperature I): the posterior at 1 and 1. A
classifier that is .9 sure of codes of the prior need not draw what it is sure of, so the default asks it harder, of codes
that are nearer to the middle.

What the chains reached is measured beside that law without any chain: draws from the narrowed prior, weighted by the
powered p(y|z), as far as their number goes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol

import torch
from torch import Tensor

from visagist.attributes import check_attributes
from visagist.errors import VisagistError, nearest
from visagist.latent.langevin import CHAINS, log_likelihood, posterior_energy
from visagist.progress import Progress, ProgressLike, progress_of

CHAINS_AT_ONCE = 512
PRIOR_DRAWS = 65_536
_DRAWS_AT_ONCE = 4096
_REPORTED_EVERY = 20  # steps: drawing a bar at each would cost as much as the step
_ENOUGH = 100  # draws' worth of weight, below which a weighted mean says little
_QUANTILE = 1.959964  # of the normal law, for 95 %


@dataclass(frozen=True)
class SamplingConfig:
    """How chains are run, and which of their ends are kept.

    alpha K is 10, so that e^-10 of the start is left; the step alone would make the prior's variance 1.0025. The weight and
    the temperature of `DEFAULT` were chosen with `introvac-eyefacial-64`, by the calibrating judge and the eye.
    """

    chain: Literal["langevin", "adjusted"] = "langevin"
    step_size: float = 5e-3  # alpha
    steps: int = 2000  # K
    confidence: float = 0.9  # the least probability of each value that is asked for
    give_up_after: int = 20  # chains for each face asked for, or for each of 512 where fewer are
    weight: float = 1.0  # of log p(y|z)
    temperature: float = 1.0  # of the noise, and the variance of the prior


POSTERIOR = SamplingConfig()
DEFAULT = SamplingConfig(weight=500.0, temperature=0.5)
PAPER = SamplingConfig(step_size=2e-4, steps=5000, confidence=0.5)  # eq. 8 and Figure 8; confidence: "classified"
RECIPES = {"default": DEFAULT, "posterior": POSTERIOR, "paper": PAPER}


class CodeClassifier(Protocol):
    """What the chains ask of a method: Z in `latent`, names of the attributes, and their logits [B, A] of z [B, Z]."""

    latent: int
    attributes: tuple[str, ...]

    def latent_logits(self, z: Tensor) -> Tensor: ...


class Rate(NamedTuple):
    """A share of n cases and the ends of its 95 % interval (Wilson, 1927)."""

    value: float
    low: float
    high: float
    n: int


class Bias(NamedTuple):
    """Where an attribute's logit stands, in standard deviations of the prior from its mean there.

    For a linear classifier that is the position along its normal. `difference` is chains − posterior, with the ends of
    its 95 % interval.
    """

    chains: float
    posterior: float
    difference: float
    low: float
    high: float


@dataclass(frozen=True)
class Findings:
    """What was measured of the chains before rejection, beside draws from the prior; bias is empty if these are too few."""

    acceptance: Rate
    prior: Rate
    bias: dict[str, Bias]


def check_given(given: Mapping[str, float], attributes: tuple[str, ...], where: str) -> Tensor:
    """The values asked for [A], nan where none is; VisagistError for unknown attributes and values other than 0 and 1."""
    check_attributes(list(given), attributes, where)
    value = torch.full((len(attributes),), math.nan)
    for name, presence in given.items():
        if presence not in (0, 1):
            raise VisagistError(f"{name}={presence!r} cannot be asked for: give {name}=1 for with and {name}=0 for without")
        value[attributes.index(name)] = float(presence)
    return value


def check_settings(settings: SamplingConfig, number: int, batch_size: int = 64) -> None:
    """VisagistError for settings under which nothing can be drawn."""
    if number < 1:
        raise VisagistError(f"{number} faces cannot be drawn: ask for 1 or more")
    if batch_size < 1:
        raise VisagistError(f"batch_size is {batch_size}: give at least 1")
    if settings.chain not in CHAINS:
        raise VisagistError(f"no chain {settings.chain!r}: {nearest(settings.chain, CHAINS)}")
    if settings.steps < 1:
        raise VisagistError(f"chains of {settings.steps} steps go nowhere: give 1 or more, such as {DEFAULT.steps}")
    if not 0 < settings.step_size < 2:
        raise VisagistError(
            f"a step size of {settings.step_size:g} does not settle: give one between 0 and 2, such as {DEFAULT.step_size:g}"
        )
    if not 0 <= settings.confidence < 1:
        raise VisagistError(f"no classifier is {settings.confidence:g} confident: give a probability from 0 to below 1")
    if not 0 < settings.temperature <= 1:
        raise VisagistError(f"a temperature of {settings.temperature:g} draws nothing of use: give one above 0, at most 1")
    if not settings.weight > 0:
        raise VisagistError(f"a weight of {settings.weight:g} asks for nothing: give one above 0, as {DEFAULT.weight:g}")
    if settings.give_up_after < 1:
        raise VisagistError(f"giving up after {settings.give_up_after} chains draws nothing: give 1 or more")


def sample_latents(
    model: CodeClassifier,
    given: Mapping[str, float],
    number: int,
    settings: SamplingConfig = DEFAULT,
    *,
    seed: int = 0,
    device: torch.device | str = "cpu",
    progress: ProgressLike = None,
) -> tuple[Tensor, dict[str, float], Findings]:
    """Codes [N, Z] that the model's classifier reads as asked; the mean probability of each value; what was measured.

    Chains start from the prior, 512 at once, until `number` of their ends are accepted: those at which each value has
    more than the probability `confidence`. VisagistError where too few are before `give_up_after` is reached.
    """
    value = check_given(given, model.attributes, "the model").to(device)
    if not given:
        raise VisagistError(f"name what the faces should have, such as {model.attributes[0]}=1")
    asked = ~value.isnan()
    noise = torch.Generator(device).manual_seed(seed)
    prior = _prior_logits(model, noise, device)
    narrow = prior if settings.temperature == 1 else _prior_logits(model, noise, device, settings.temperature)
    power = settings.weight / settings.temperature
    limit = settings.give_up_after * max(number, CHAINS_AT_ONCE)
    kept: list[Tensor] = []
    ends: list[Tensor] = []
    with progress_of(progress) as bar:
        while sum(map(len, kept)) < number:
            drawn = len(ends) * CHAINS_AT_ONCE
            if drawn >= limit:
                raise VisagistError(_too_few(given, sum(map(len, kept)), drawn, number, settings))
            z = _run(model, value, settings, noise, device, len(ends), bar)
            with torch.no_grad():
                ends.append(model.latent_logits(z))
            kept.append(z[_certainty(ends[-1], value) > settings.confidence])
    z = torch.cat(kept)[:number]
    with torch.no_grad():
        probability = _probability(model.latent_logits(z), value)[:, asked].mean(dim=0)
    names = [name for name, is_asked in zip(model.attributes, asked.tolist()) if is_asked]
    logits = torch.cat(ends)
    findings = Findings(
        rate(_certainty(logits, value) > settings.confidence),
        rate(_certainty(prior, value) > settings.confidence),
        dict(zip(names, _bias(logits[:, asked], narrow[:, asked], power * log_likelihood(narrow, value)))),
    )
    return z, dict(zip(names, probability.tolist())), findings


def chain_ends(
    model: CodeClassifier,
    given: Mapping[str, float],
    chains: int,
    settings: SamplingConfig = DEFAULT,
    *,
    seed: int = 0,
    device: torch.device | str = "cpu",
) -> tuple[Tensor, Tensor, Tensor]:
    """The ends [N, Z] of so many chains, which of them [N] are accepted, and which of draws from the prior [M] would be."""
    value = check_given(given, model.attributes, "the model").to(device)
    noise = torch.Generator(device).manual_seed(seed)
    prior = _prior_logits(model, noise, device)
    z = _run(model, value, settings, noise, device, 0, Progress(), chains)
    with torch.no_grad():
        reached = _certainty(model.latent_logits(z), value)
    return z, reached > settings.confidence, _certainty(prior, value) > settings.confidence


def rate(hits: Tensor) -> Rate:
    """The share of truths [n] that are true; the interval keeps its width at 0 and at 1."""
    from scipy.stats import binomtest

    n = len(hits)
    low, high = binomtest(int(hits.sum()), n).proportion_ci(confidence_level=0.95, method="wilson")
    return Rate(float(hits.double().mean()), float(low), float(high), n)


def _run(
    model: CodeClassifier,
    value: Tensor,
    settings: SamplingConfig,
    noise: torch.Generator,
    device: torch.device | str,
    rounds: int,
    progress: Progress,
    chains: int = CHAINS_AT_ONCE,
) -> Tensor:
    """The ends [B, Z] of chains that start from the prior, after `rounds` rounds of chains before."""
    T = settings.temperature
    start = math.sqrt(T) * torch.randn(chains, model.latent, generator=noise, device=device)
    before, of = rounds * settings.steps, (rounds + 1) * settings.steps

    def report(done: int) -> None:
        if done % _REPORTED_EVERY == 0 or done == settings.steps:
            progress.report(before + done, of)

    energy = posterior_energy(model.latent_logits, value, settings.weight, T)
    return CHAINS[settings.chain](energy, start, T * settings.step_size, settings.steps, noise, report)


def _prior_logits(
    model: CodeClassifier, noise: torch.Generator, device: torch.device | str, variance: float = 1.0
) -> Tensor:
    """Logits [n, A] of draws from the prior, at another variance where one is given."""
    parts = []
    for _ in range(PRIOR_DRAWS // _DRAWS_AT_ONCE):
        with torch.no_grad():
            z = torch.randn(_DRAWS_AT_ONCE, model.latent, generator=noise, device=device)
            parts.append(model.latent_logits(math.sqrt(variance) * z))
    return torch.cat(parts)


def _probability(logits: Tensor, value: Tensor) -> Tensor:
    """Probabilities [n, A] of the values asked for; nan where none is."""
    return torch.sigmoid((2 * value - 1) * logits)


def _certainty(logits: Tensor, value: Tensor) -> Tensor:
    """The least [n] of the probabilities of the values asked for."""
    return _probability(logits, value)[:, ~value.isnan()].amin(dim=1)


def _bias(chains: Tensor, prior: Tensor, log_weight: Tensor) -> list[Bias]:
    """For each attribute asked for, from logits of chains [n, A] and of the prior [m, A] with log p(y|z) [m]."""
    weight = torch.softmax(log_weight.double(), dim=0)
    if 1 / float(weight.square().sum()) < _ENOUGH:
        return []
    prior, chains = prior.double(), chains.double()
    centre, spread = prior.mean(dim=0), prior.std(dim=0).clamp_min(torch.finfo(torch.float32).tiny)
    there, here = (prior - centre) / spread, (chains - centre) / spread
    posterior, reached = weight @ there, here.mean(dim=0)
    variance = weight.square() @ (there - posterior).square() + here.var(dim=0) / len(here)
    biases = []
    for at, goal, margin in zip(reached.tolist(), posterior.tolist(), (_QUANTILE * variance.sqrt()).tolist()):
        biases.append(Bias(at, goal, at - goal, at - goal - margin, at - goal + margin))
    return biases


def _too_few(given: Mapping[str, float], had: int, drawn: int, number: int, settings: SamplingConfig) -> str:
    asked = ", ".join(f"{name}={value:g}" for name, value in given.items())
    return (
        f"{had} of {drawn} chains end where the classifier is {settings.confidence:g} sure of {asked}, {number} are asked "
        "for: lower the confidence, ask for fewer, or take more steps"
    )
