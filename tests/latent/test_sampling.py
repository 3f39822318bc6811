from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch
from edited_toys import painter, tiny_method
from latent_toys import SIZE, LinearToy, Slopes, linear_toy
from torch import Tensor

from visagist.editing.editor import Editor
from visagist.errors import VisagistError
from visagist.latent.conditional_sampling import DEFAULT, PAPER, POSTERIOR, RECIPES, SamplingConfig, rate, sample_latents
from visagist.methods.base import Code

QUICK = SamplingConfig(step_size=0.02, steps=400)
TOY_1D = Slopes([2.0])  # p(y=1|z) = sigmoid(2 z)


class Rare(Slopes):
    """A classifier that finds its attribute in a few of a million draws from the prior."""

    def latent_logits(self, z: Tensor) -> Tensor:
        return super().latent_logits(z) - 45


class Unconditioned(LinearToy):
    """A model that generates and knows nothing of its codes."""

    capabilities = frozenset({"generate", "autoencode"})


def unconditioned() -> Editor:
    toy = linear_toy()
    toy.__class__ = Unconditioned
    return Editor(toy)


def test_accepted_codes_are_read_as_asked_and_more_chains_than_prior_draws_are_accepted() -> None:
    toy = linear_toy()
    z, probability, found = sample_latents(toy, {"Eyeglasses": 1, "Smiling": 0}, 600, QUICK)
    p = torch.sigmoid(toy.latent_logits(z))
    assert z.shape == (600, toy.latent)
    assert (p[:, 0] > 0.9).all()
    assert (p[:, 1] < 0.1).all()
    assert probability["Eyeglasses"] == pytest.approx(p[:, 0].mean().item())
    assert probability["Smiling"] == pytest.approx(1 - p[:, 1].mean().item())
    assert min(probability.values()) >= 0.9
    assert found.acceptance.value >= found.prior.value
    assert found.acceptance.low > found.prior.high
    assert 0 <= found.acceptance.low < found.acceptance.value < found.acceptance.high <= 1


def test_classified_as_asked_alone_is_enough_for_a_steep_classifier() -> None:
    _, probability, _ = sample_latents(linear_toy(), {"Smiling": 1}, 200, dataclasses.replace(QUICK, confidence=0.5))
    assert probability["Smiling"] >= 0.9


def test_the_rates_count_chains_and_draws_before_any_is_rejected() -> None:
    even = Slopes([2.0, 0.0])
    _, _, found = sample_latents(even, {"Eyeglasses": 1}, 10, dataclasses.replace(QUICK, confidence=0.5))
    assert found.acceptance.n == 512
    assert found.prior.value == pytest.approx(0.5, abs=0.01)
    # Of the posterior's density 2 sigmoid(2 z) N(z), the part above 0.
    z = np.linspace(-9, 9, 20_001)
    density = np.exp(-(z**2) / 2) / (1 + np.exp(-2 * z))
    expected = density[z > 0].sum() / density.sum()
    assert found.acceptance.low < expected < found.acceptance.high


def test_an_attribute_that_is_not_asked_for_stays_as_the_prior_has_it() -> None:
    crossed = Slopes([4.0, 0.0], [0.0, 4.0])
    z, probability, found = sample_latents(crossed, {"Eyeglasses": 1}, 1500, QUICK)
    assert list(probability) == list(found.bias) == ["Eyeglasses"]
    assert z[:, 1].mean().item() == pytest.approx(0, abs=0.1)
    assert z[:, 1].var().item() == pytest.approx(1, abs=0.15)


def test_the_papers_chains_are_reported_short_of_the_posterior_and_ours_are_not() -> None:
    """Of eq. 8 as published the exact law's mean is .488 where the posterior's is .606: a bias of -.118."""
    many = dataclasses.replace(PAPER, step_size=4e-3, steps=250)  # the same alpha K, in less of a test's time
    assert many.step_size * many.steps == pytest.approx(PAPER.step_size * PAPER.steps)
    short = sample_latents(TOY_1D, {"Eyeglasses": 1}, 4000, many)[2].bias["Eyeglasses"]
    assert short.posterior == pytest.approx(0.606, abs=0.015)
    assert short.chains == pytest.approx(0.488, abs=0.04)
    assert short.low < -0.118 < short.high < 0
    long = sample_latents(TOY_1D, {"Eyeglasses": 1}, 2000, dataclasses.replace(QUICK, confidence=0.5))[2]
    assert long.bias["Eyeglasses"].low < 0 < long.bias["Eyeglasses"].high


def test_the_recipes_are_the_papers_and_one_whose_chains_have_time() -> None:
    assert RECIPES == {"default": DEFAULT, "posterior": POSTERIOR, "paper": PAPER}
    assert (PAPER.weight, PAPER.temperature) == (POSTERIOR.weight, POSTERIOR.temperature) == (1, 1)
    assert (PAPER.chain, PAPER.step_size, PAPER.steps, PAPER.confidence) == ("langevin", 2e-4, 5000, 0.5)
    assert DEFAULT.step_size * DEFAULT.steps >= 8
    assert 1 / (1 - DEFAULT.step_size / 2) < 1.005


def test_a_weight_and_a_temperature_settle_in_the_powered_and_narrowed_posterior() -> None:
    hard = dataclasses.replace(QUICK, confidence=0, weight=3.0, temperature=0.5)
    z, _, findings = sample_latents(TOY_1D, {"Eyeglasses": 1}, 4096, hard)
    grid = torch.linspace(-6, 6, 4001, dtype=torch.float64)
    log_density = (3 * torch.nn.functional.logsigmoid(2 * grid) - grid**2 / 2) / 0.5
    p = torch.softmax(log_density, 0)
    mean, spread = float(p @ grid), float((p @ grid**2 - (p @ grid) ** 2).sqrt())
    assert z.mean().item() == pytest.approx(mean, abs=4 * spread / 64)
    assert z.std().item() == pytest.approx(spread, rel=0.06)
    assert findings.bias["Eyeglasses"].low < 0 < findings.bias["Eyeglasses"].high


def test_codes_are_a_function_of_the_seed_whatever_their_number() -> None:
    toy, brief = linear_toy(), dataclasses.replace(QUICK, steps=20, confidence=0.5)
    few, many, other = (
        sample_latents(toy, {"Smiling": 1}, number, brief, seed=seed)[0] for number, seed in ((5, 3), (700, 3), (5, 4))
    )
    assert torch.equal(many[:5], few)
    assert not torch.equal(few, other)


def test_progress_counts_the_steps_of_all_rounds() -> None:
    told: list[tuple[int, int]] = []
    brief = dataclasses.replace(QUICK, steps=30, confidence=0)
    sample_latents(TOY_1D, {"Eyeglasses": 1}, 600, brief, progress=lambda *now: told.append(now))
    assert told == [(20, 30), (30, 30), (50, 60), (60, 60)]


def test_giving_up_says_what_was_had_and_what_to_do() -> None:
    flat = Slopes([0.1])
    with pytest.raises(VisagistError, match=r"0 of 1024 chains .* 0.9 sure of Eyeglasses=1, 4 are asked for: lower"):
        sample_latents(flat, {"Eyeglasses": 1}, 4, dataclasses.replace(QUICK, steps=5, give_up_after=2))


def test_what_the_prior_hardly_holds_has_no_measured_bias() -> None:
    rare = Rare([10.0])
    settings = dataclasses.replace(QUICK, steps=10, confidence=0)
    assert sample_latents(rare, {"Eyeglasses": 0}, 4, settings)[2].bias
    assert sample_latents(rare, {"Eyeglasses": 1}, 4, settings)[2].bias == {}


def test_a_rate_keeps_an_interval_at_its_ends_and_is_that_of_wilson() -> None:
    none, some = rate(torch.zeros(20, dtype=torch.bool)), rate(torch.arange(100) < 30)
    assert none.low == pytest.approx(0, abs=1e-12)
    assert none.high == pytest.approx(0.1611, abs=1e-4)
    assert some == (0.3, pytest.approx(0.2189, abs=1e-4), pytest.approx(0.3958, abs=1e-4), 100)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"step_size": 0.0}, "step size of 0 does not settle"),
        ({"step_size": 2.0}, "step size of 2 does not settle"),
        ({"step_size": float("nan")}, "step size of nan"),
        ({"steps": 0}, "chains of 0 steps"),
        ({"confidence": 1.0}, "1 confident"),
        ({"chain": "langevim"}, "did you mean langevin"),
        ({"give_up_after": 0}, "giving up after 0"),
        ({"weight": 0.0}, "a weight of 0 asks for nothing"),
        ({"temperature": 0.0}, "a temperature of 0"),
        ({"temperature": 1.5}, "at most 1"),
    ],
)
def test_settings_that_draw_nothing_are_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(VisagistError, match=words):
        Editor(linear_toy()).sample(4, settings=dataclasses.replace(QUICK, **changes), Smiling=1)


def test_an_editor_draws_faces_by_chains_and_the_codes_are_decoded() -> None:
    toy, brief = linear_toy(), dataclasses.replace(QUICK, steps=50)
    samples = Editor(toy).sample(70, seed=3, settings=brief, batch_size=32, Eyeglasses=1)
    assert samples.how == "chain"
    assert samples.images.shape == (70, SIZE, SIZE, 3)
    assert samples.images.dtype == np.uint8
    z, probability, findings = sample_latents(toy, {"Eyeglasses": 1}, 70, brief, seed=3)
    with torch.inference_mode():
        faces = toy.decoder(z).sigmoid().unflatten(1, (3, SIZE, SIZE)).permute(0, 2, 3, 1)
    assert np.abs(faces.numpy() * 255 - samples.images).max() <= 0.51
    assert samples.probability == pytest.approx(probability)
    assert samples.findings == findings


def test_without_names_faces_come_from_the_prior_and_from_the_seed_alone() -> None:
    editor = Editor(linear_toy())
    state = torch.get_rng_state()
    samples = editor.sample(5, seed=1)
    assert torch.equal(torch.get_rng_state(), state)
    assert (samples.how, samples.probability, samples.findings) == ("prior", {}, None)
    assert np.array_equal(editor.sample(5, seed=1).images, samples.images)
    assert not np.array_equal(editor.sample(5, seed=2).images, samples.images)


def test_a_model_that_decodes_labels_is_asked_by_its_labels() -> None:
    editor = Editor(tiny_method(("Smiling", "Eyeglasses")))
    with_smile, without = editor.sample(6, Smiling=1), editor.sample(6, Smiling=0)
    assert with_smile.how == "label"
    assert with_smile.findings is None
    assert not np.array_equal(with_smile.images, without.images)
    read = editor.classify(without.images)["Smiling"].mean()
    assert without.probability["Smiling"] == pytest.approx(1 - float(read), abs=0.02)


def test_labels_that_are_not_named_are_even_and_have_nothing_to_do_with_the_code(monkeypatch: pytest.MonkeyPatch) -> None:
    method = tiny_method(("Smiling", "Eyeglasses"))
    drawn: list[Code] = []
    decoded = type(method)._decode
    monkeypatch.setattr(method, "_decode", lambda z, y: drawn.append(Code(z, y)) or decoded(method, z, y))
    Editor(method).sample(2000, batch_size=2000, Smiling=1)
    z, y = drawn[-1].z, drawn[-1].y
    assert y is not None
    assert (y[:, 0] == 1).all()
    assert y[:, 1].mean().item() == pytest.approx(0.5, abs=0.05)
    assert np.abs(np.corrcoef(torch.cat([y[:, 1:], z], dim=1).T.numpy())[0, 1:]).max() < 0.1


def test_a_model_that_cannot_be_asked_is_refused() -> None:
    assert unconditioned().sample(2).how == "prior"
    with pytest.raises(VisagistError, match="does not heed Smiling when it generates"):
        unconditioned().sample(2, Smiling=1)
    with pytest.raises(VisagistError, match="cannot generate: it can autoencode, classify, edit"):
        painter().sample(2)


def test_what_cannot_be_asked_for_is_refused() -> None:
    editor = Editor(linear_toy())
    with pytest.raises(VisagistError, match=r"no attribute 'Smilling'.*did you mean Smiling"):
        editor.sample(2, Smilling=1)
    with pytest.raises(VisagistError, match=r"Smiling=0.5 cannot be asked for: give Smiling=1"):
        editor.sample(2, Smiling=0.5)
    with pytest.raises(VisagistError, match="0 faces cannot be drawn"):
        editor.sample(0)
    with pytest.raises(VisagistError, match="batch_size is 0"):
        editor.sample(2, batch_size=0)
    with pytest.raises(VisagistError, match="name what the faces should have"):
        sample_latents(TOY_1D, {}, 2, QUICK)
