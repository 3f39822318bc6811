"""Edits beside the true picture: editors whose figures are known."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from doubles import BrightnessJudge, Perfect, editor_of, evaluate, plain_faces

from visagist.data import load_data, pack
from visagist.data.drawn.synthetic import ATTRIBUTES, drawn_source, load_synthetic
from visagist.data.faces import Faces
from visagist.editing.editor import Editor
from visagist.errors import VisagistError
from visagist.evaluation.metrics.counterfactual import (
    DrawnCounterfactuals,
    Images,
    Other,
    Shown,
    Truth,
    compare,
    compare_unedited,
)
from visagist.methods.ifcvae_gan import IFcVAEGAN
from visagist.methods.residual_gan import ResidualGAN

A, B = "No_Beard", "Wearing_Hat"  # whose regions do not overlap


@pytest.fixture(scope="module")
def faces() -> Faces:
    return load_synthetic(24, image_size=32, seed=3, correlation={(A, B): 0.5})


@pytest.fixture(scope="module")
def truth(faces: Faces) -> Truth:
    """Of a model that rebuilds exactly."""
    torch.manual_seed(0)
    editor = Editor(ResidualGAN(ResidualGAN.Config(width=2, discriminator_width=2), (A,), 32))
    return Shown(DrawnCounterfactuals(faces), editor).truth(A, np.arange(24), (A, B))


def both_flipped(faces: Faces) -> Images:
    source, indices = drawn_source(faces)
    ways = [{name: 1 - int(faces.column(name)[row]) for name in (A, B)} for row in range(len(faces))]
    return np.stack([source.counterfactual(int(i), **way) for i, way in zip(indices, ways)])


def values(edited: Images, truth: Truth) -> dict[str, float]:
    return {key: measure["value"] for key, measure in compare(edited, truth).items()}


def test_a_perfect_editor_has_no_error_and_confuses_nothing(truth: Truth) -> None:
    found = values(truth.truth, truth)
    for key in ("error", "inside", "outside", "error_beyond_reconstruction", f"confusion.{B}", f"confusion.{B}.against"):
        assert found[key] == 0, key
    assert found[f"confusion_true.{B}"] == pytest.approx(0, abs=1e-12)
    assert found["progress"] == found["reach"] == found["locality_true"] == 1
    assert found["psnr"] == 100


def test_an_editor_that_does_nothing_makes_the_error_of_nothing_and_no_progress(truth: Truth) -> None:
    found = values(truth.photo, truth)
    assert found["error"] == compare_unedited(truth)["error_of_nothing"]["value"] > 0
    assert compare_unedited(truth)["error_of_reconstruction"]["value"] == 0
    assert found["outside"] == 0 < found["error"] < found["inside"]
    assert found["progress"] == found["reach"] == 0
    assert found[f"confusion.{B}"] == pytest.approx(0, abs=1e-12)
    assert "locality_true" not in found, "nothing was changed anywhere"


def test_an_editor_that_flips_another_attribute_too_confuses_it_fully(faces: Faces, truth: Truth) -> None:
    found = values(both_flipped(faces), truth)
    for key in (f"confusion.{B}", f"confusion.{B}.against", f"confusion_true.{B}", "reach"):
        assert found[key] == pytest.approx(1, abs=1e-9), key
    assert found["inside"] == 0 < found["outside"]
    assert found["progress"] < 1
    assert found["locality_true"] < 1


def test_half_of_the_way_is_half_of_the_reach_and_three_quarters_of_the_progress(truth: Truth) -> None:
    middle = ((truth.photo.astype(int) + truth.truth) // 2).astype(np.uint8)
    found = values(middle, truth)
    assert found["reach"] == pytest.approx(0.5, abs=0.02)
    assert found["progress"] == pytest.approx(0.75, abs=0.02)


def test_the_wrong_way_is_negative(truth: Truth) -> None:
    back = (2 * truth.photo.astype(int) - truth.truth).clip(0, 255).astype(np.uint8)
    found = values(back, truth)
    assert found["reach"] < 0
    assert found["progress"] < 0


def test_what_goes_together_is_told_from_what_goes_against(faces: Faces, truth: Truth) -> None:
    """An editor that gives B the class that A is edited to flips B where it follows and leaves it elsewhere."""
    follows = truth.others[B].follows
    np.testing.assert_array_equal(follows, faces.column(A) == faces.column(B))
    found = values(np.where(follows[:, None, None, None], both_flipped(faces), truth.truth), truth)
    assert found[f"confusion.{B}"] == pytest.approx(1)
    assert found[f"confusion.{B}.against"] == pytest.approx(0, abs=1e-12)


def test_in_pixels_what_an_edit_does_to_its_own_attribute_is_not_laid_to_another_that_overlaps() -> None:
    photo, own, other = np.zeros((3, 2, 4, 4, 3), np.uint8)
    own[:, :2], other[:, :3] = 200, 100
    truth = Truth(photo, own, photo, own, own[..., 0] > 0, {"B": Other(other, other, np.array([True, True]))})
    assert values(own // 2, truth)["confusion_true.B"] == pytest.approx(0, abs=1e-12)
    assert values(photo, truth)["confusion_true.B"] == 0
    both = own.copy()
    both[:, 2] = 100
    assert values(both, truth)["confusion_true.B"] == pytest.approx(1)


def test_blur_is_no_fault_of_an_edit(truth: Truth) -> None:
    """A model that shows everything at half its contrast, and edits perfectly within that."""

    def dull(images: Images) -> Images:
        return (images // 2).astype(np.uint8)

    others = {B: replace(truth.others[B], rebuilt=dull(truth.others[B].drawn))}
    blurred = replace(truth, unedited=dull(truth.photo), rebuilt=dull(truth.truth), others=others)
    found = values(dull(truth.truth), blurred)
    assert found["progress"] == found["reach"] == 1
    assert found["error_beyond_reconstruction"] == found[f"confusion.{B}"] == 0
    assert found["error"] > 0.01
    assert compare_unedited(blurred)["error_of_reconstruction"]["value"] > 0.01


def test_hidden_pairs_are_left_out_and_counted() -> None:
    faces = load_synthetic(40, image_size=16, seed=1)
    source, indices = drawn_source(faces)
    hidden = [source.hidden(int(i), "Blond_Hair") for i in indices]
    assert 0 < sum(hidden) < 40
    method = ResidualGAN(ResidualGAN.Config(width=2, discriminator_width=2), ("Blond_Hair",), 16)
    metrics = evaluate(Editor(method), faces, judge=BrightnessJudge(), split="all")
    assert metrics["counterfactual.Blond_Hair.hidden"]["value"] == pytest.approx(sum(hidden) / 40)
    assert metrics["counterfactual.Blond_Hair.error"]["n"] == 40 - sum(hidden)


def test_an_evaluation_on_drawn_faces_has_the_family_at_both_settings(tmp_path: Path) -> None:
    torch.manual_seed(0)
    editor = Editor(IFcVAEGAN(IFcVAEGAN.Config(width=4, latent=6), ("Smiling", "Facial_Hair"), 16))
    faces = load_synthetic(100, image_size=16)
    metrics = evaluate(editor, faces, judge=BrightnessJudge(), out=tmp_path)
    for prefix in ("", "at_strength."):
        for key in ("error", "psnr", "inside", "outside", "error_beyond_reconstruction", "progress", "reach"):
            assert metrics[f"counterfactual.Smiling.{prefix}{key}"]["n"] == 10
        confused = [k for k in metrics.values if k.startswith(f"counterfactual.Smiling.{prefix}confusion.")]
        assert {key.split("confusion.")[1].removesuffix(".against") for key in confused} == set(ATTRIBUTES) - {"Smiling"}
    assert "derived" in metrics.not_computed["counterfactual.Facial_Hair.*"]
    assert "Beside the true picture" in (tmp_path / "report.html").read_text()
    assert "counterfactual" in metrics.manifest["definitions"]


def test_other_faces_have_no_truth_and_the_report_says_so(tmp_path: Path) -> None:
    metrics = evaluate(editor_of(Perfect()), plain_faces(), judge=BrightnessJudge())
    assert "only of drawn faces" in metrics.not_computed["counterfactual.*"]
    assert not any(key.startswith("counterfactual") for key in metrics.values)
    pack("synthetic:20", tmp_path / "pack", image_size=16)
    with pytest.raises(VisagistError, match="give --data synthetic:N, not a pack"):
        drawn_source(load_data(f"pack:{tmp_path / 'pack'}", image_size=16))


def test_faces_are_found_in_what_drew_them_whatever_was_taken_of_them() -> None:
    faces = load_synthetic(30, image_size=16, seed=9, correlation={("Smiling", "Young"): 0.6}, prevalence=0.3)
    some = faces.with_attributes(("Young",)).take(np.array([7, 3, 20]))
    source, indices = drawn_source(some)
    np.testing.assert_array_equal(indices, [7, 3, 20])
    np.testing.assert_array_equal(source.labels, faces.labels)
    np.testing.assert_array_equal(source.image(20), some.images[2])
    other = replace(some, images=255 - some.images)
    with pytest.raises(VisagistError, match="draw them anew"):
        drawn_source(other)
