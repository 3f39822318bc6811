"""How often samples with an attribute are accepted, of classifiers whose law is known."""

from __future__ import annotations

from math import erf, log, sqrt

import numpy as np
from doubles import BrightnessJudge, DoNothing, editor_of, plain_faces
from latent_toys import SIZE, LinearToy, linear_toy

from visagist.evaluation.context import EvaluationContext, JudgeScores
from visagist.evaluation.metrics.sampling import CHAINS, measure_acceptance
from visagist.latent.conditional_sampling import SamplingConfig

QUICK = SamplingConfig(step_size=0.05, steps=60)


def study_of(model: LinearToy | DoNothing) -> EvaluationContext:
    faces = plain_faces(20, size=model.image_size)
    return EvaluationContext(editor_of(model, None), JudgeScores(BrightnessJudge()), faces, ("Smiling",), 0)


def test_plain_draws_are_accepted_as_often_as_the_classifier_says_and_chains_oftener() -> None:
    steepness = 4.0
    context = study_of(linear_toy(("Smiling",), steepness=steepness))
    measure_acceptance(context, "Smiling", QUICK)
    found = context.results
    # A draw's logit is normal with this deviation; accepted above the logit of .9.
    expected = (1 - erf(log(9) / steepness / sqrt(2))) / 2
    for value in (0, 1):
        prior, chains = (found[f"sampling.Smiling.{name}_{value}"] for name in ("prior", "acceptance"))
        assert prior["low"] - 0.005 <= expected <= prior["high"] + 0.005
        assert chains["value"] > prior["high"] + 0.2
        assert chains["n"] == CHAINS
        assert found[f"sampling.Smiling.judged_{value}"]["n"] == round(chains["value"] * CHAINS)


def test_what_the_judge_sees_is_measured_on_the_accepted_samples() -> None:
    model = linear_toy(("Smiling",), steepness=6.0)
    direction = model.classifier.weight.data[0] / 6.0
    lower = np.repeat(np.arange(SIZE) >= SIZE // 2, SIZE)
    # The lower half, which is the judge's smile, is bright where the code lies along the classifier's weight.
    model.decoder.weight.data.zero_()
    model.decoder.bias.data.zero_()
    for channel in range(3):
        rows = channel * SIZE * SIZE + np.flatnonzero(lower)
        model.decoder.weight.data[rows] = 4 * direction
    context = study_of(model)
    measure_acceptance(context, "Smiling", QUICK)
    assert context.results["sampling.Smiling.judged_1"]["value"] > 0.95
    assert context.results["sampling.Smiling.judged_0"]["value"] > 0.95
    model.decoder.weight.data *= -1
    turned = study_of(model)
    measure_acceptance(turned, "Smiling", QUICK)
    assert turned.results["sampling.Smiling.judged_1"]["value"] < 0.05


def test_a_class_that_is_never_reached_and_a_model_without_classifier_say_why() -> None:
    context = study_of(linear_toy(("Smiling",), steepness=0.01))
    measure_acceptance(context, "Smiling", SamplingConfig(steps=2))
    assert context.results["sampling.Smiling.acceptance_1"]["value"] == 0
    assert context.results.not_computed["sampling.Smiling.judged_1"] == "no chain was accepted"
    without = study_of(DoNothing())
    measure_acceptance(without, "Smiling", QUICK)
    assert without.results.not_computed["sampling.*"] == "do-nothing does not classify its codes"


def test_the_same_seed_gives_the_same_figures() -> None:
    first, second = (study_of(linear_toy(("Smiling",), steepness=4.0)) for _ in range(2))
    for context in (first, second):
        measure_acceptance(context, "Smiling", QUICK)
    assert first.results.values == second.results.values
