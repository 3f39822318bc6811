"""Attributes in single dimensions of a code, where the answer is known."""

from __future__ import annotations

from math import erf

import numpy as np
import pytest
from doubles import BrightnessJudge, DoNothing, editor_of, plain_faces
from sklearn.metrics import roc_auc_score

from visagist.evaluation.context import EvaluationContext, JudgeScores
from visagist.evaluation.metrics.leakage import areas, measure_entanglement, total_auroc_difference


def study_of(number: int = 1200) -> EvaluationContext:
    faces = plain_faces(number, size=2)
    return EvaluationContext(editor_of(DoNothing()), JudgeScores(BrightnessJudge()), faces, ("Smiling",), 0)


def noise(number: int, dimensions: int = 6) -> np.ndarray:
    return np.random.default_rng(3).normal(size=(number, dimensions))


def test_areas_are_those_of_scikit_learn_read_in_either_direction() -> None:
    codes, labels = noise(300, 4), np.random.default_rng(1).integers(0, 2, (300, 3))
    codes[:, 2] = np.round(codes[:, 2])  # ties
    codes[:, 1] -= 2 * labels[:, 0]
    found = areas(codes, labels)
    for z in range(4):
        for a in range(3):
            one_way = roc_auc_score(labels[:, a], codes[:, z])
            assert found[z, a] == pytest.approx(max(one_way, 1 - one_way))


def test_an_attribute_in_one_dimension_counts_by_how_far_the_others_are_behind() -> None:
    context, apart = study_of(), 2.0
    codes = noise(1200)
    codes[:, 4] += apart * context.faces.labels[:, 0]
    context.codes = codes.astype(np.float32)
    measure_entanglement(context)
    found = context.results
    best = (1 + erf(apart / 2)) / 2  # of two normal laws `apart` deviations apart
    assert found["entanglement.captured"]["value"] == 1
    assert found["entanglement.tad"]["value"] == pytest.approx(best - 0.515, abs=0.03)
    tad = found["entanglement.tad"]
    assert tad["low"] == tad["value"] == tad["high"], "the best of many has no interval that would hold"
    assert tad["n"] == 1200
    table = found.matrices["entanglement"]
    assert table["rows"] == ["Smiling", "Young", "Wearing_Hat"]
    assert table["values"][0][0] == pytest.approx(best, abs=0.02)
    assert table["values"][1][0] < 0.6


def test_an_attribute_that_two_dimensions_tell_alike_is_captured_and_counts_nothing() -> None:
    context = study_of(400)
    codes = noise(400)
    codes[:, 0] += 4 * context.faces.labels[:, 1]
    codes[:, 5] = -codes[:, 0]
    context.codes = codes.astype(np.float32)
    measure_entanglement(context)
    assert context.results["entanglement.captured"]["value"] == 1
    assert context.results["entanglement.tad"]["value"] == pytest.approx(0, abs=1e-12)


def test_what_no_dimension_tells_well_is_not_captured() -> None:
    assert total_auroc_difference(np.array([[0.74, 0.9], [0.5, 0.8], [0.6, 0.5]])) == (pytest.approx(0.1), 1)
    context = study_of(400)
    context.codes = noise(400).astype(np.float32)
    measure_entanglement(context)
    assert context.results["entanglement.captured"]["value"] == context.results["entanglement.tad"]["value"] == 0


def test_without_a_code_or_with_too_few_faces_it_says_why() -> None:
    context = study_of(30)
    context.codes = None
    measure_entanglement(context)
    assert context.results.not_computed["entanglement.*"] == "do-nothing has no code z"
    context.codes = noise(30).astype(np.float32)
    measure_entanglement(context)
    assert "20 faces of either class" in context.results.not_computed["entanglement.*"]
