"""Codes whose leaks are planted: what is found beyond other labels, within strata, and in draws."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from campaigns import campaign
from doubles import BrightnessJudge, DoNothing, editor_of, plain_faces
from torch import Tensor, zeros_like

from visagist.data.faces import Faces
from visagist.evaluation import Metrics
from visagist.evaluation.context import EvaluationContext, JudgeScores
from visagist.evaluation.metrics.leakage import measure_leakage
from visagist.losses import reparameterise
from visagist.methods.base import Code

NUMBER = 600


class Drawing(DoNothing):
    """z is the first pixel's colour; draws add noise of deviation 1."""

    def encode(self, images: Tensor) -> Code:
        return Code(images[:, :, 0, 0])

    def encode_sampled(self, images: Tensor) -> Code:
        mu = self.encode(images).z
        return Code(reparameterise(mu, zeros_like(mu)))


def measured(faces: Faces, codes: np.ndarray, method: DoNothing | None = None) -> Metrics:
    method = method or DoNothing()
    method.image_size = faces.image_size
    context = EvaluationContext(editor_of(method), JudgeScores(BrightnessJudge()), faces, ("Smiling",), 0)
    context.codes = codes.astype(np.float32)
    measure_leakage(context, "Smiling")
    return context.results


@pytest.fixture(scope="module")
def faces() -> Faces:
    """Smiling goes with Young: four faces of five have both or neither."""
    faces = plain_faces(NUMBER, size=2)
    labels = faces.labels.copy()
    follows = np.random.default_rng(1).random(NUMBER) < 0.8
    labels[:, 1] = np.where(follows, labels[:, 0], 1 - labels[:, 0])
    return replace(faces, labels=labels)


@pytest.fixture(scope="module")
def noise() -> np.ndarray:
    return np.random.default_rng(2).normal(size=(NUMBER, 6))


@pytest.fixture(scope="module")
def of_a_correlate(faces: Faces, noise: np.ndarray) -> Metrics:
    """A code that holds Young alone."""
    code = noise.copy()
    code[:, 2] += 4 * faces.labels[:, 1]
    return measured(faces, code)


@pytest.fixture(scope="module")
def of_both(faces: Faces, noise: np.ndarray) -> Metrics:
    """A code that holds Young and, apart from it, Smiling with Φ(1) = 84 %."""
    code = noise.copy()
    code[:, 2] += 4 * faces.labels[:, 1]
    code[:, 4] += 2 * faces.labels[:, 0]
    return measured(faces, code)


def test_a_code_of_a_correlate_tells_as_much_as_the_correlate_and_nothing_beyond(of_a_correlate: Metrics) -> None:
    for probe in ("linear", "mlp"):
        assert of_a_correlate[f"leakage.Smiling.{probe}.balanced_accuracy"]["value"] > 0.7
        assert of_a_correlate[f"leakage.Smiling.beyond.{probe}"]["value"] == pytest.approx(0, abs=0.03)
    for gain in ("gain", "mlp.gain", "boosted.gain", "kernel.gain", "best.gain"):
        assert of_a_correlate[f"leakage.Smiling.{gain}"]["value"] < 0.02


def test_where_the_correlate_is_fixed_its_code_tells_nothing(of_a_correlate: Metrics) -> None:
    for value in (0, 1):
        for probe in ("linear", "mlp", "labels_only"):
            key = f"leakage.Smiling.within.Young={value}.{probe}.balanced_accuracy"
            assert of_a_correlate[key]["value"] == pytest.approx(0.5, abs=0.11), key


def test_what_a_code_tells_beyond_the_correlate_is_found_everywhere(of_both: Metrics) -> None:
    for probe in ("linear", "mlp"):
        measure = of_both[f"leakage.Smiling.beyond.{probe}"]
        assert measure["low"] > 0.02, probe
        for value in (0, 1):
            within = of_both[f"leakage.Smiling.within.Young={value}.{probe}.balanced_accuracy"]
            assert within["value"] == pytest.approx(0.84, abs=0.07), (probe, value)
    assert of_both["leakage.Smiling.gain"]["value"] == pytest.approx(
        of_both["leakage.Smiling.beyond.linear"]["value"], abs=0.02
    ), "Young is in the code as well, so that the other labels add nothing to it"


def test_strata_have_their_own_numbers_of_faces(of_both: Metrics, faces: Faces) -> None:
    for value in (0, 1):
        n = of_both[f"leakage.Smiling.within.Young={value}.linear.balanced_accuracy"]["n"]
        assert n == int((faces.labels[:, 1] == value).sum())


def test_a_stratum_with_few_faces_of_a_class_is_not_measured(faces: Faces, noise: np.ndarray) -> None:
    few = faces.take(np.arange(90))
    found = measured(few, noise[:90])
    why = found.not_computed["leakage.Smiling.within.Young=1.*"]
    assert "50 faces of either class with Young = 1" in why
    assert not [key for key in found.values if ".within." in key]
    assert "no variance" in found.not_computed["leakage.Smiling.sampled.*"]


@campaign
def test_without_labels_that_overlap_the_floor_is_lower_and_more_is_beyond(faces: Faces, noise: np.ndarray) -> None:
    few = faces.take(np.arange(240))
    code = noise[:240].copy()
    code[:, 2] += 4 * few.labels[:, 1]
    renamed = replace(few, names=("Smiling", "High_Cheekbones", "Wearing_Hat"))
    found = measured(renamed, code)
    for probe in ("linear", "mlp"):
        assert found[f"leakage.Smiling.beyond.{probe}"]["value"] == pytest.approx(0, abs=0.05)
        assert found[f"leakage.Smiling.beyond_elsewhere.{probe}"]["low"] > 0.1
    for gain in ("gain_over_elsewhere", "mlp.gain_over_elsewhere", "boosted.gain_over_elsewhere"):
        assert found[f"leakage.Smiling.{gain}"]["low"] > 0.05


def test_faces_without_other_labels_have_no_floor_and_say_so(faces: Faces, noise: np.ndarray) -> None:
    alone = replace(faces.take(np.arange(60)), labels=faces.labels[:60, :1], names=("Smiling",))
    found = measured(alone, noise[:60])
    assert {"leakage.Smiling.gain", "leakage.Smiling.*.gain", "leakage.Smiling.beyond.*"} <= set(found.not_computed)
    assert "leakage.Smiling.boosted.balanced_accuracy" in found


@campaign
def test_a_draw_of_a_code_tells_less_than_its_mean_and_the_seed_says_which() -> None:
    faces = plain_faces(200, size=2)
    images = faces.images.copy()
    images[:, 0, 0] = 255 * faces.labels[:, :1]  # means are 1 apart, in three dimensions
    shown = replace(faces, images=images)
    codes = images[:, 0, 0] / 255
    found = measured(shown, codes, Drawing())
    assert found["leakage.Smiling.linear.balanced_accuracy"]["value"] == 1
    # Noise of deviation 1 in each of three dimensions leaves Φ(√3 / 2) = 81 %.
    for probe in ("linear", "mlp"):
        assert found[f"leakage.Smiling.sampled.{probe}.balanced_accuracy"]["value"] == pytest.approx(0.81, abs=0.08)
    again = measured(shown, codes, Drawing())
    assert again.values == found.values
