from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from doubles import BrightnessJudge, Careless, DoNothing, Perfect, editor_of, evaluate, plain_faces
from rich.console import Console
from rich.progress import Progress

from visagist.data.drawn.synthetic import load_synthetic
from visagist.data.faces import Faces
from visagist.editing.editor import Editor
from visagist.errors import VisagistError
from visagist.evaluation import Metrics
from visagist.evaluation.context import CachedNetwork, EvaluationContext, Family, JudgeScores, Networks
from visagist.evaluation.evaluate import measure_families
from visagist.evaluation.metrics import FAMILIES
from visagist.methods.base import Code
from visagist.methods.ifcvae_gan import IFcVAEGAN


def pixels_of(images: np.ndarray) -> np.ndarray:
    return images.reshape(len(images), -1)[:, ::9].astype(np.float32) - 125


class Classes:
    name = "classes"

    def __call__(self, images: np.ndarray) -> np.ndarray:
        powers = 1 + images.reshape(len(images), -1)[:, :5].astype(np.float32)
        return powers / powers.sum(1, keepdims=True)


@pytest.fixture(scope="module")
def faces() -> Faces:
    return plain_faces()


@pytest.fixture(scope="module")
def perfect(faces: Faces, tmp_path_factory: pytest.TempPathFactory) -> tuple[Metrics, Path]:
    out = tmp_path_factory.mktemp("report") / "new" / "folder"
    return evaluate(editor_of(Perfect()), faces, judge=BrightnessJudge(), out=out, without=()), out


def test_a_perfect_editor_succeeds_from_either_side_at_either_setting(perfect: tuple[Metrics, Path]) -> None:
    metrics, _ = perfect
    for setting in ("", "at_strength."):
        for side in ("success_0", "success_1", "from_0.success_0", "from_0.success_1"):
            assert metrics[f"edit.Smiling.{setting}{side}"]["value"] == 1
    assert metrics["edit.Smiling.success_sum"]["value"] == 2
    assert metrics["edit.Smiling.monotonic"]["value"] == 1
    assert metrics["edit.Smiling.err"]["value"] == 0


def test_an_editor_that_does_nothing_scores_the_base_rate(faces: Faces) -> None:
    judge = BrightnessJudge()
    noisy = replace(faces, labels=np.roll(faces.labels, 5, axis=0))
    metrics = evaluate(editor_of(DoNothing()), noisy, judge=judge)
    for side in ("success_0", "success_1", "from_0.success_0", "from_0.success_1"):
        base = metrics[f"edit.Smiling.base_rate_photo.{side}"]
        assert metrics[f"edit.Smiling.{side}"] == base
        assert metrics[f"edit.Smiling.at_strength.{side}"] == base
        assert 0.2 < base["value"] < 0.8
    assert metrics["edit.Smiling.undo"]["value"] == 0
    assert metrics.not_computed["edit.Smiling.locality"] == "no edit changed a pixel"
    assert judge.scored == len(faces), "the same pixels are to be judged once"


def test_what_an_edit_drags_along_is_counted(faces: Faces) -> None:
    metrics = evaluate(editor_of(Careless()), faces, judge=BrightnessJudge())
    expected = (faces.labels[:, 0] == faces.labels[:, 1]).mean()
    assert metrics["edit.Smiling.err"]["value"] == pytest.approx(expected)
    matrix = metrics.matrices["err_each"]
    assert matrix["rows"] == ["Smiling"]
    assert matrix["values"] == [[pytest.approx(expected), None]]


def test_edits_of_the_lower_half_are_found_there(perfect: tuple[Metrics, Path]) -> None:
    # Of the 8 × 16 edited pixels, all alike, the region of a smile holds 8 rows of 12.
    assert perfect[0]["edit.Smiling.locality"]["value"] == pytest.approx(0.75, abs=0.01)


def test_the_calibration_curve_rises_from_none_to_all(perfect: tuple[Metrics, Path]) -> None:
    curve = perfect[0].curves["edit.Smiling.calibration"]
    assert curve["strengths"] == [-1, -0.75, -0.5, -0.25, 0, 0.25, 0.5, 0.75, 1]
    means = [m["value"] for m in curve["all"]]
    assert means == sorted(means)
    assert means[0] == pytest.approx(0, abs=0.02)
    assert means[-1] == pytest.approx(1, abs=0.02)


def test_a_code_of_all_pixels_leaks_and_one_of_noise_does_not(faces: Faces, perfect: tuple[Metrics, Path]) -> None:
    class Forgetful(Perfect):
        def encode(self, images: torch.Tensor) -> Code:
            return Code(torch.randn(len(images), 24))

        def decode(self, code: Code) -> torch.Tensor:
            return torch.rand(len(code.z), 3, faces.image_size, faces.image_size)

    torch.manual_seed(0)
    forgetful = evaluate(editor_of(Forgetful()), faces, judge=BrightnessJudge(), without=())
    for probe in ("linear", "mlp"):
        assert perfect[0][f"leakage.Smiling.{probe}.balanced_accuracy"]["value"] > 0.98
        assert forgetful[f"leakage.Smiling.{probe}.balanced_accuracy"]["value"] < 0.65
    assert perfect[0]["leakage.Smiling.gain"]["value"] > 0.3
    assert perfect[0]["leakage.Smiling.labels_only.balanced_accuracy"]["value"] < 0.65


def test_every_measure_has_a_value_inside_its_interval_and_a_count(perfect: tuple[Metrics, Path]) -> None:
    for key, measure in perfect[0].values.items():
        assert set(measure) == {"value", "low", "high", "n"}, key
        assert measure["low"] - 1e-9 <= measure["value"] <= measure["high"] + 1e-9, key
        assert measure["n"] >= 1, key


def test_the_files_say_the_same_as_what_is_returned(perfect: tuple[Metrics, Path]) -> None:
    metrics, out = perfect
    assert sorted(file.name for file in out.iterdir()) == ["metrics.csv", "metrics.json", "report.html"]
    stored = json.loads((out / "metrics.json").read_text())
    assert stored["schema_version"] == 1
    assert stored["metrics"] == metrics.values
    rows = list(csv.DictReader(io.StringIO((out / "metrics.csv").read_text())))
    assert {r["key"]: float(r["value"]) for r in rows if r["value"]} == {k: m["value"] for k, m in metrics.values.items()}
    assert {r["key"]: r["not_computed"] for r in rows if r["not_computed"]} == metrics.not_computed


def test_the_manifest_tells_what_was_measured_and_by_whom(perfect: tuple[Metrics, Path]) -> None:
    manifest = perfect[0].manifest
    assert manifest["mode"] == "render"
    assert manifest["data"]["n"] == manifest["data"]["n_with"]["Smiling"] + manifest["data"]["n_without"]["Smiling"]
    assert manifest["data"]["crop"] == "drawn"
    assert manifest["judge"]["name"] == "brightness"
    assert manifest["judge"]["on_these_faces"]["Smiling"] == {"accuracy": 1.0, "balanced_accuracy": 1.0}
    assert manifest["calibration_judges"] == ["another-judge"]


def test_the_manifest_tells_how_long_each_family_took(perfect: tuple[Metrics, Path]) -> None:
    seconds = perfect[0].manifest["seconds"]
    assert {"reconstruction", "judge", "edits", "leakage", "composition", "cost"} <= set(seconds)
    assert sum(took["wall"] for took in seconds.values()) <= perfect[0].manifest["wall_seconds"] + 0.1


def test_edits_of_a_face_share_its_code(faces: Faces) -> None:
    class Counting(Perfect):
        prepared = 0

        def prepare(self, images: torch.Tensor) -> torch.Tensor:
            Counting.prepared += len(images)
            return images

    editor = editor_of(Counting())
    context = EvaluationContext(editor, JudgeScores(BrightnessJudge()), faces, editor.attributes, 0)
    edits = context.edits("Smiling")
    assert Counting.prepared == len(faces)
    labels = context.labels("Smiling")
    np.testing.assert_array_equal(edits.paper, context.toward(faces.images, "Smiling", ~labels))
    rows = context.subset()
    at_ends = [context.at_strength(faces.images[rows], "Smiling", end) for end in (-1, 1)]
    np.testing.assert_array_equal(edits.ends, np.where(labels[rows, None, None, None], *at_ends))
    at_end = BrightnessJudge().score(context.at_strength(faces.images, "Smiling", 1))
    np.testing.assert_array_equal(edits.ends_read[1], at_end)


def test_the_page_loads_nothing_and_shows_every_face_with_its_pictures(perfect: tuple[Metrics, Path]) -> None:
    text = (perfect[1] / "report.html").read_text()
    sources = re.findall(r'(?:src|href)="?([^">]{0,30})', text)
    assert sources
    assert all(source.startswith("data:image/png;base64,") for source in sources)
    assert text.count("<img") == 8 * (2 + 5 + 2)
    assert "<svg" in text
    assert "prefers-color-scheme:dark" in text


def test_names_from_outside_cannot_write_into_the_page(faces: Faces, tmp_path: Path) -> None:
    editor = editor_of(Perfect())
    editor.name = "<script>alert(1)</script>"
    evaluate(editor, faces, judge=BrightnessJudge(), out=tmp_path, limit=30)
    page = (tmp_path / "report.html").read_text()
    assert "<script>alert" not in page
    assert page.count("<script") == 1, "the one that sorts tables"


def test_the_same_seed_gives_the_same_numbers_and_a_limit_takes_that_many(faces: Faces) -> None:
    one, two = (evaluate(editor_of(Careless()), faces, judge=BrightnessJudge(), limit=50, seed=3) for _ in range(2))
    assert one.manifest["data"]["n"] == 50
    same = [key for key in one.values if not key.startswith("cost.")]
    assert {key: one[key] for key in same} == {key: two[key] for key in same}


def test_families_are_left_out_by_name_and_said_to_be(faces: Faces) -> None:
    metrics = evaluate(editor_of(Perfect()), faces, judge=BrightnessJudge(), without=("leakage", "identity"), limit=40)
    assert metrics.not_computed["leakage.*"] == metrics.not_computed["identity.*"] == "left out, as asked"
    assert not [key for key in metrics.values if key.startswith(("leakage", "identity", "faces"))]
    with pytest.raises(VisagistError, match="no family of figures 'leakege' to leave out: did you mean leakage"):
        evaluate(editor_of(Perfect()), faces, judge=BrightnessJudge(), without=("leakege",))


def test_a_limit_below_one_is_refused(faces: Faces) -> None:
    with pytest.raises(VisagistError, match="limit=0"):
        evaluate(editor_of(Perfect()), faces, judge=BrightnessJudge(), limit=0)


def test_identity_is_asked_of_the_embedder_that_was_given(faces: Faces, perfect: tuple[Metrics, Path]) -> None:
    def embed(images: np.ndarray) -> np.ndarray:
        return images.reshape(len(images), -1).astype(np.float32) - 125

    metrics = evaluate(editor_of(Perfect()), faces, judge=BrightnessJudge(), identity=embed)
    assert metrics["identity.reconstruction"]["value"] == pytest.approx(1)
    assert metrics["identity.Smiling.edit"]["value"] < 0.2
    assert metrics["identity.Smiling.at_strength.edit"]["value"] < 0.2
    assert metrics["identity.Smiling.at_strength.drop"]["value"] > 0.8
    assert metrics["identity.same_person"]["n"] == 60
    assert "visagist[identity]" in perfect[0].not_computed["identity.*"]


def test_what_a_method_cannot_do_is_listed_with_the_reason(faces: Faces) -> None:
    class OnlyEdits(Perfect):
        capabilities = frozenset({"edit"})

    metrics = evaluate(editor_of(OnlyEdits()), faces, judge=BrightnessJudge(), without=())
    assert {"reconstruction.*", "classification.*", "leakage.Smiling.*", "edit.Smiling.null_*"} <= set(metrics.not_computed)
    assert {"cost.ms_per_reconstruction", "cost.ms_per_sample"} <= set(metrics.not_computed)
    assert metrics["edit.Smiling.success_0"]["value"] == 1


def test_a_model_whose_strength_nobody_fitted_is_measured_and_the_page_says_so(faces: Faces, tmp_path: Path) -> None:
    metrics = evaluate(editor_of(Perfect(), judge=None), faces, judge=BrightnessJudge(), out=tmp_path)
    assert metrics["edit.Smiling.at_strength.success_0"]["value"] == 1
    assert any("not calibrated" in note for note in metrics.manifest["notes"])
    assert "not calibrated" in (tmp_path / "report.html").read_text()
    assert metrics.manifest["calibration_judges"] == []


def test_one_class_alone_is_measured_and_the_rest_said_to_be_missing(faces: Faces, tmp_path: Path) -> None:
    smiling = faces.take(np.flatnonzero(faces.labels[:, 0]))
    metrics = evaluate(editor_of(Perfect()), smiling, judge=BrightnessJudge(), out=tmp_path, without=())
    assert metrics["edit.Smiling.success_0"]["value"] == 1
    assert {"edit.Smiling.from_0.success_*", "leakage.Smiling.*", "judge.Smiling.balanced_accuracy"} <= set(
        metrics.not_computed
    )


def test_an_attribute_that_the_judge_does_not_know_is_listed(faces: Faces) -> None:
    judge = BrightnessJudge(attributes=("Young", "Wearing_Hat"))
    metrics = evaluate(editor_of(Perfect()), faces, judge=judge, without=())
    assert "does not know" in metrics.not_computed["edit.Smiling.success_*"]
    assert "leakage.Smiling.linear.balanced_accuracy" in metrics


def test_the_judge_that_fitted_the_strength_may_not_score(faces: Faces) -> None:
    with pytest.raises(VisagistError, match="may not score"):
        evaluate(editor_of(Perfect()), faces, judge=BrightnessJudge(name="another-judge"))


def test_a_network_of_the_model_may_not_score_it(faces: Faces) -> None:
    editor, judge = editor_of(Perfect()), BrightnessJudge()
    judge.model = editor.backend.method.scale  # type: ignore[attr-defined]
    with pytest.raises(VisagistError, match="independent judge"):
        evaluate(editor, faces, judge=judge)


def test_the_models_own_weights_may_not_score_it(faces: Faces) -> None:
    editor = editor_of(Perfect())
    editor.description["weights_sha256"] = "abc"
    with pytest.raises(VisagistError, match="independent judge"):
        evaluate(editor, faces, judge=BrightnessJudge(description={"weights_sha256": "abc"}))


def test_faces_of_another_size_are_refused() -> None:
    with pytest.raises(VisagistError, match="image_size=16"):
        evaluate(editor_of(Perfect()), plain_faces(10, size=12), judge=BrightnessJudge())


def test_a_place_that_cannot_be_written_is_refused_before_the_work(faces: Faces, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    judge = BrightnessJudge()
    with pytest.raises(VisagistError, match="choose another --out"):
        evaluate(editor_of(Perfect()), faces, judge=judge, out=tmp_path / "file" / "report")
    assert judge.scored == 0


def test_a_trained_form_of_the_papers_method_is_measured_on_drawn_faces(tmp_path: Path) -> None:
    drawn = load_synthetic(400, image_size=32)
    torch.manual_seed(0)
    method = IFcVAEGAN(IFcVAEGAN.Config(width=4, latent=6), ("Smiling", "Eyeglasses"), 32)
    judge = BrightnessJudge(attributes=("Eyeglasses", "Smiling"))
    metrics = evaluate(Editor(method), drawn, judge=judge, out=tmp_path, without=())
    assert metrics["reconstruction.mse"]["n"] == 40
    for name in ("Smiling", "Eyeglasses"):
        for key in ("success_0", "at_strength.from_0.success_1", "err", "null_x10", "undo", "monotonic"):
            assert f"edit.{name}.{key}" in metrics
        assert f"leakage.{name}.mlp.balanced_accuracy" in metrics
    assert metrics.matrices["err_each"]["rows"] == ["Smiling", "Eyeglasses"]
    assert metrics["cost.parameters"]["value"] == sum(
        p.numel() for network in (method.encoder, method.decoder) for p in network.parameters()
    )
    assert all(metrics[f"cost.ms_per_{what}"]["value"] > 0 for what in ("edit", "reconstruction", "sample"))


def test_some_attributes_are_measured_alone_and_unknown_ones_refused(tmp_path: Path) -> None:
    drawn = load_synthetic(400, image_size=32)
    method = IFcVAEGAN(IFcVAEGAN.Config(width=4, latent=6), ("Smiling", "Eyeglasses"), 32)
    judge = BrightnessJudge(attributes=("Eyeglasses", "Smiling"))
    metrics = evaluate(Editor(method), drawn, judge=judge, out=tmp_path, attributes=["Eyeglasses"])
    of_one = {key.split(".")[1] for key in metrics.values if key.startswith(("edit.", "leakage."))}
    assert of_one == {"Eyeglasses"}
    assert metrics.manifest["model"]["measured"] == ["Eyeglasses"]
    page = (tmp_path / "report.html").read_text()
    assert "<h2>Eyeglasses" in page
    assert "<h2>Smiling" not in page
    with pytest.raises(VisagistError, match="no attribute 'Hat' in"):
        evaluate(Editor(method), drawn, judge=judge, attributes=["Hat"])


def test_families_in_any_order_give_the_same_figures(faces: Faces) -> None:
    def measured(families: Iterable[Family]) -> Metrics:
        given = Networks(CachedNetwork(pixels_of), CachedNetwork(pixels_of), Classes(), None)
        context = EvaluationContext(
            editor_of(Careless()), JudgeScores(BrightnessJudge()), faces, ("Smiling",), 0, networks=given, everything=faces
        )
        measure_families(context, families)
        return context.results

    forward, backward = measured(FAMILIES), measured(reversed(FAMILIES))
    same = [key for key in forward.values if not key.startswith("cost.")]
    assert {key: backward[key] for key in same} == {key: forward[key] for key in same}
    assert backward.not_computed == forward.not_computed
    assert (backward.curves, backward.matrices) == (forward.curves, forward.matrices)
    assert {"identity.Smiling.edit", "inception.classes.photographs", "edit.Smiling.undo"} <= set(same)


def test_a_bar_is_filled_when_it_is_over(faces: Faces) -> None:
    with Progress(console=Console(file=io.StringIO())) as bar:
        evaluate(editor_of(Perfect()), faces, judge=BrightnessJudge(), progress=bar, limit=40)
    assert bar.finished


def test_strength_means_here_what_it_means_to_the_editor(faces: Faces) -> None:
    editor = editor_of(Perfect())
    context = EvaluationContext(editor, JudgeScores(BrightnessJudge()), faces, editor.attributes, 0)
    edited = context.at_strength(faces.images, "Smiling", -0.5)
    np.testing.assert_array_equal(edited, editor.edit(faces.images, Smiling=-0.5))
