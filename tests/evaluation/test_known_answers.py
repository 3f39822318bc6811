"""Metrics on cases whose answer is known without the code: editors that do exactly this or that, planted leaks."""

from __future__ import annotations

from dataclasses import replace
from math import erf, sqrt
from pathlib import Path

import numpy as np
import pytest
import torch
from campaigns import CAMPAIGNS, campaign
from doubles import BRIGHT, DARK, SIZE, BrightnessJudge, DoNothing, Perfect, editor_of, evaluate, plain_faces
from torch import Tensor

from visagist.attributes import REGIONS
from visagist.data.drawn.synthetic import load_synthetic
from visagist.data.faces import Faces
from visagist.evaluation.context import EvaluationContext, JudgeScores
from visagist.evaluation.metrics.edits import locality
from visagist.evaluation.metrics.leakage import measure_leakage
from visagist.evaluation.statistics import balanced_mean_ci, ratio_ci
from visagist.methods.base import Code


@pytest.fixture(scope="module")
def faces() -> Faces:
    return plain_faces(80)


def with_codes(faces: Faces, codes: np.ndarray) -> EvaluationContext:
    context = EvaluationContext(editor_of(DoNothing()), JudgeScores(BrightnessJudge()), faces, ("Smiling",), 0)
    context.codes = codes.astype(np.float32)
    measure_leakage(context, "Smiling")
    return context


@pytest.mark.parametrize("apart", [0.0, 1.0, 2.0] if CAMPAIGNS else [0.0, 2.0])
def test_a_planted_leak_is_found_and_its_size_is_right(apart: float) -> None:
    faces = plain_faces(1200)
    codes = np.random.default_rng(4).normal(size=(1200, 8))
    codes[:, 3] += apart * faces.labels[:, 0]
    found = with_codes(faces, codes).results
    best = (1 + erf(apart / 2 / sqrt(2))) / 2  # two normal laws `apart` deviations apart, cut in the middle
    for probe in ("linear", "mlp"):
        assert found[f"leakage.Smiling.{probe}.balanced_accuracy"]["value"] == pytest.approx(best, abs=0.045)
    measure = found["leakage.Smiling.linear.balanced_accuracy"]
    assert measure["low"] - 0.01 <= best <= measure["high"] + 0.01
    # The other labels are drawn by themselves and say nothing.
    assert found["leakage.Smiling.gain"]["value"] == pytest.approx(best - 0.5, abs=0.06)


@campaign
def test_what_the_other_labels_tell_is_no_gain_of_the_code() -> None:
    faces = plain_faces(400)
    labels = faces.labels.copy()
    labels[:, 1] = labels[:, 0]
    found = with_codes(replace(faces, labels=labels), labels[:, :1] + np.zeros((400, 3))).results
    assert found["leakage.Smiling.labels_only.balanced_accuracy"]["value"] == 1
    assert found["leakage.Smiling.linear.balanced_accuracy"]["value"] == 1
    assert found["leakage.Smiling.gain"]["value"] == 0
    assert found["leakage.Smiling.linear.information_bits"]["value"] == pytest.approx(1, abs=0.1)


def test_an_editor_that_does_nothing_scores_the_share_of_labels_that_the_judge_denies(faces: Faces) -> None:
    wrong = faces.labels.copy()
    having = np.flatnonzero(wrong[:, 0])
    wrong[having[:5], 0] = 0  # five smiles that the labels deny
    metrics = evaluate(editor_of(DoNothing()), replace(faces, labels=wrong), judge=BrightnessJudge())
    lacking = int((wrong[:, 0] == 0).sum())
    assert metrics["edit.Smiling.from_0.success_1"]["value"] == pytest.approx(5 / lacking)
    assert metrics["edit.Smiling.success_1"]["value"] == 1
    assert metrics["edit.Smiling.success_0"]["value"] == 0
    assert metrics["edit.Smiling.success_sum"]["value"] == 1
    assert metrics["edit.Smiling.err"]["value"] == 0
    assert metrics["edit.Smiling.null_x10"]["value"] == metrics["edit.Smiling.undo"]["value"] == 0
    assert metrics["reconstruction.ssim"]["value"] == pytest.approx(1)


class TrueFlip(DoNothing):
    """On drawn faces: looks each face up and gives the picture that was drawn with the smile flipped."""

    pairs: dict[bytes, tuple[np.ndarray, np.ndarray]]

    def edit(self, images: Tensor, target: Tensor, amount: Tensor) -> Tensor:
        pixels = (images * 255).round().to(torch.uint8).permute(0, 2, 3, 1).contiguous().numpy()
        shown = [
            self.pairs[face.tobytes()][int(side)] if much > 0.5 else face
            for face, side, much in zip(pixels, target[:, 0], amount[:, 0])
        ]
        return torch.from_numpy(np.stack(shown)).permute(0, 3, 1, 2).float() / 255


def test_a_perfect_editor_of_drawn_faces_reaches_everything_and_harms_nothing() -> None:
    drawn = load_synthetic(160, image_size=SIZE)
    from visagist.evaluation.metrics.counterfactual import DrawnCounterfactuals

    method = TrueFlip()
    chosen = drawn.take(drawn.indices("all"))
    truth = DrawnCounterfactuals(chosen)
    flipped, labels = truth.flipped("Smiling"), truth.labels("Smiling")
    method.pairs = {}
    for photo, other, smiles in zip(chosen.images, flipped, labels):
        both = (other, photo) if smiles else (photo, other)
        method.pairs[photo.tobytes()] = method.pairs[other.tobytes()] = both
    metrics = evaluate(editor_of(method), drawn, judge=BrightnessJudge(), split="all")
    assert metrics["counterfactual.Smiling.progress"]["value"] == 1
    assert metrics["counterfactual.Smiling.reach"]["value"] == 1
    assert metrics["counterfactual.Smiling.error"]["value"] == 0
    assert metrics["counterfactual.Smiling.outside"]["value"] == 0
    assert metrics["counterfactual.Smiling.locality_true"]["value"] == 1
    for key in metrics.values:
        if ".confusion" in key and "at_strength" not in key:
            assert metrics[key]["value"] == pytest.approx(0, abs=1e-9), key


def test_a_shift_of_all_colours_gets_no_more_locality_than_the_area_of_the_region(faces: Faces) -> None:
    for attribute in ("Smiling", "Eyeglasses"):
        left, top, right, bottom = (round(edge * 50) for edge in REGIONS[attribute])
        area = (right - left) * (bottom - top) / 50**2
        grey = np.full((2, 50, 50, 3), 90, np.uint8)
        np.testing.assert_allclose(locality(grey + 30, grey, attribute), area)

    class Tint(Perfect):
        def edit(self, images: Tensor, target: Tensor, amount: Tensor) -> Tensor:
            return images + 0.2 * amount[:, :1, None, None]

    metrics = evaluate(editor_of(Tint()), faces, judge=BrightnessJudge())
    left, top, right, bottom = (round(edge * SIZE) for edge in REGIONS["Smiling"])
    area = (right - left) * (bottom - top) / SIZE**2
    assert metrics["edit.Smiling.locality"]["value"] == pytest.approx(area, abs=0.01)
    assert area < 0.5


def test_strength_that_goes_half_of_the_way_is_half_of_the_curve(faces: Faces) -> None:
    metrics = evaluate(editor_of(Perfect()), faces, judge=BrightnessJudge())
    curve = metrics.curves["edit.Smiling.calibration"]
    assert curve["from_0"][6]["value"] == pytest.approx(0.5, abs=0.02), "at +0.5 of faces that do not smile"
    assert curve["from_1"][2]["value"] == pytest.approx(0.5, abs=0.02), "at -0.5 of faces that smile"
    assert metrics["edit.Smiling.undo_from_reconstruction"]["value"] < (8 / (BRIGHT - DARK)) ** 2


def test_what_an_edit_takes_from_identity_is_the_cosine_that_it_leaves(faces: Faces) -> None:
    class Turned(DoNothing):
        def edit(self, images: Tensor, target: Tensor, amount: Tensor) -> Tensor:
            return 1 - images

    def embed(images: np.ndarray) -> np.ndarray:
        """One axis for a face, the other for its negative: 60 degrees between a face and its edit."""
        turned = images[:, 0, 0, 0].astype(float)
        known = {int(value): 0.0 for value in faces.images[:, 0, 0, 0]}
        angle = np.array([known.get(int(value), np.pi / 3) for value in turned])
        return np.stack([np.cos(angle), np.sin(angle)], 1).astype(np.float32)

    metrics = evaluate(editor_of(Turned()), faces, judge=BrightnessJudge(), identity=embed)
    assert metrics["identity.reconstruction"]["value"] == pytest.approx(1)
    same = np.isin(255 - faces.images[:, 0, 0, 0].astype(int), faces.images[:, 0, 0, 0])
    expected = np.where(same, 1, 0.5).mean()
    assert metrics["identity.Smiling.edit"]["value"] == pytest.approx(expected, abs=1e-6)
    assert metrics["identity.Smiling.drop"]["value"] == pytest.approx(1 - expected, abs=1e-6)


def test_intervals_of_balanced_means_and_ratios_cover_the_truth_at_the_stated_rate() -> None:
    rng = np.random.default_rng(6)
    balanced, ratios = [], []
    for seed in range(200):
        labels = rng.random(120) < 0.25
        right = rng.random(120) < np.where(labels, 0.6, 0.9)
        found = balanced_mean_ci(right, labels, seed)
        balanced.append(found["low"] <= 0.75 <= found["high"])
        below = rng.uniform(0.5, 1.5, 120)
        share = ratio_ci(below * rng.normal(0.4, 0.3, 120), below, seed)
        ratios.append(share["low"] <= 0.4 <= share["high"])
    assert 0.90 <= np.mean(balanced) <= 0.99
    assert 0.90 <= np.mean(ratios) <= 0.99


def test_codes_without_a_face_in_them_tell_nothing_of_anything(faces: Faces) -> None:
    class Blank(DoNothing):
        def encode(self, images: Tensor) -> Code:
            return Code(images.flatten(1) * 0 + 0.5)

    metrics = evaluate(editor_of(Blank()), faces, judge=BrightnessJudge(), without=())
    assert metrics["leakage.Smiling.linear.balanced_accuracy"]["value"] == pytest.approx(0.5, abs=0.12)
    assert metrics["leakage.Smiling.linear.information_bits"]["value"] <= 0.02


class Noise(DoNothing):
    """Draws the same noise of every face, and edits nothing."""

    def decode(self, code: Code) -> Tensor:
        return torch.rand((1, 3, SIZE, SIZE), generator=torch.Generator().manual_seed(0)).expand(len(code.z), -1, -1, -1)

    def edit(self, images: Tensor, target: Tensor, amount: Tensor) -> Tensor:
        return self.decode(self.encode(images))


def test_a_model_that_draws_noise_does_not_look_good_for_what_a_judge_reads_of_it(tmp_path: Path) -> None:
    drawn = load_synthetic(160, image_size=SIZE)
    broken = evaluate(editor_of(Noise()), drawn, judge=BrightnessJudge(), split="all", out=tmp_path)
    seen = broken["faces.photographs"]["value"]
    assert seen > 0.9
    assert broken["faces.reconstruction"]["value"] == broken["faces.Smiling.edit"]["value"] == 0
    notes = " ".join(broken.manifest["notes"])
    assert "this model does not draw faces: the landmark network sees one in 0% of its reconstructions" in notes
    is_dark = broken["edit.Smiling.success_0"]["value"] == 1
    way, word = ("success_0", "taken away") if is_dark else ("from_0.success_1", "given")
    assert broken[f"edit.Smiling.{way}"]["value"] == 1
    assert f"Smiling {word}: 100% of the edits are read so, but 100% of the reconstructions are without an edit" in notes
    page = (tmp_path / "report.html").read_text()
    assert "does not draw faces" in page
    assert page.index("without an edit 100.0 %") < page.index("<h2")
    whole = evaluate(editor_of(DoNothing()), drawn, judge=BrightnessJudge(), split="all")
    assert whole["faces.reconstruction"]["value"] == seen
    assert "does not draw faces" not in " ".join(whole.manifest["notes"])
