"""Landmark gain: on faces whose points are known, by detectors whose mistakes are known."""

from __future__ import annotations

import copy
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from cli_runs import Command
from torch import Tensor

from visagist import Editor, VisagistError, api
from visagist.data.faces import Faces
from visagist.evaluation.landmark_gain import (
    METRICS,
    NO_TRUTH,
    PUBLISHED,
    RemovalSettings,
    add_errors,
    measure_landmarks,
    point_errors,
)
from visagist.evaluation.results import Metrics, find_metric
from visagist.evaluation.session import EvaluationSettings, session_of
from visagist.methods.base import Method
from visagist.reports.landmark_page import FOUND, SIDE, with_points

SIZE = 16
# Of a face of 16 pixels: 5 pixels between the eyes.
PLACES = np.array([[5, 6], [10, 6], [7, 9], [5, 12], [10, 12]], np.float32)
GLASSES, REBUILT = 250, 60  # brightness of the first pixel: what the toys know a face by


class Eraser(Method):
    """Takes glasses away by darkening the pixel that stands for them, and rebuilds every face half as bright."""

    capabilities = frozenset({"edit", "autoencode"})

    def __init__(self) -> None:
        super().__init__(None, ("Eyeglasses",), SIZE)

    def config_dict(self) -> dict[str, Any]:
        return {}

    def reconstruct(self, images: Tensor) -> Tensor:
        return images.clamp(max=REBUILT / 255)

    def edit(self, images: Tensor, target: Tensor, amount: Tensor) -> Tensor:
        return images * (1 - amount[:, :1, None, None])


Eraser.name = "eraser"


class Wrong:
    """Places all points `off` pixels to the right where glasses are seen, half as far where the face was rebuilt."""

    about: Mapping[str, Any]

    def __init__(self, name: str, off: float, *, blind: bool = False, mouth: bool = True) -> None:
        self.name, self.off, self.blind, self.mouth, self.about = name, off, blind, mouth, {"file": "none"}
        self.crop: str | None = "not aimed"

    def aimed(self, crop: str | None) -> Wrong:
        other = copy.copy(self)
        other.crop = crop
        return other

    def __call__(self, images: Tensor) -> Tensor:
        assert self.crop in (None, "drawn")
        points = torch.from_numpy(PLACES).repeat(len(images), 1, 1)
        light = images[:, 0, 0, 0] * 255
        points[..., 0] += self.off * ((light > 100) + 0.5 * ((light > 30) & (light < 100)))[:, None]
        if self.blind:
            points[light > 100] = math.nan
        if not self.mouth:
            points[:, 2:] = math.nan
        return points


def faces_of(truth: bool = True) -> Faces:
    """Twelve test faces, half of them with glasses; the true points lie where the toys look."""
    labels = (np.arange(12) % 2).astype(np.uint8)[:, None]
    images = np.zeros((12, SIZE, SIZE, 3), np.uint8)
    images[labels[:, 0] == 1] = GLASSES
    return Faces(
        images, labels, ("Eyeglasses",), np.full(12, 2, np.uint8), tuple(str(i) for i in range(12)),
        landmarks=np.tile(PLACES, (12, 1, 1)) if truth else None, manifest={"source": "made"},
    )  # fmt: skip


def editor() -> Editor:
    return Editor(Eraser(), {"crop": None}, name="eraser")


def value(metrics: Metrics, key: str) -> float:
    return metrics[key]["value"]


def test_an_error_is_a_distance_over_the_reference_s_distance_between_the_eyes() -> None:
    reference = np.tile(PLACES, (2, 1, 1))
    found = reference.copy()
    found[0, 0] += (3, 4)
    found[1] = np.nan
    errors = point_errors(found, reference)
    np.testing.assert_allclose(errors[0], [1, 0, 0, 0, 0])
    assert np.isnan(errors[1]).all()


def measured(
    model: Editor, faces: Faces, detectors: list[Wrong], removal: RemovalSettings, **options: Any
) -> Metrics:
    return measure_landmarks(session_of(model, faces, EvaluationSettings(**options)), detectors, removal).metrics


def test_gains_are_of_the_faces_that_are_found_in_every_set() -> None:
    reference = np.tile(PLACES, (4, 1, 1))
    worse, mended = reference + np.array([2.5, 0], np.float32), reference.copy()
    mended[3] = np.nan  # lost after removal, so that it counts nowhere
    worse[3] += 100
    results = Metrics()
    add_errors(results, "k", {"with": (worse, reference), "removed": (mended, reference)}, 0)
    assert results["k.with.eye_error"] == {"value": 0.5, "low": 0.5, "high": 0.5, "n": 3}
    assert results["k.eye_gain"]["value"] == 0.5
    assert results["k.rest_gain"]["n"] == 3
    assert "k.eye_gain_over_rebuilt" not in results
    assert "k.without.eye_error" not in results


def test_with_the_truth_at_hand_the_table_is_that_of_the_paper(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    session, removal = session_of(editor(), faces_of()), RemovalSettings(drawn=0)
    found = api.report_landmarks(session, [Wrong("toy", 2.5)], removal, tmp_path, progress=lambda *t: told.append(t))
    for part in ("eye", "rest"):
        assert value(found, f"landmarks.truth.toy.without.{part}_error") == 0
        assert value(found, f"landmarks.truth.toy.with.{part}_error") == pytest.approx(0.5)
        assert value(found, f"landmarks.truth.toy.rebuilt.{part}_error") == pytest.approx(0.25)
        assert value(found, f"landmarks.truth.toy.removed.{part}_error") == 0
        assert value(found, f"landmarks.truth.toy.{part}_gain") == pytest.approx(0.5)
        assert value(found, f"landmarks.truth.toy.{part}_gain_over_rebuilt") == pytest.approx(0.25)
    assert found["landmarks.truth.toy.with.eye_error"]["n"] == 6
    assert all(find_metric(key, METRICS) for key in found.values)
    assert told[-1] == (4 * 6, 4 * 6)
    assert found.not_computed["landmarks.drawn.*"] == "none was asked for"
    kept = json.loads((tmp_path / "landmarks.json").read_text())
    assert kept["metrics"] == dict(found.values)
    assert kept["manifest"]["data"]["n_with"] == 6
    page = (tmp_path / "landmarks.html").read_text()
    assert page.count("data:image/png") == 6 * 3
    assert "published" not in page  # these faces are not CelebA's
    assert "landmarks.truth.toy.eye_gain" in (tmp_path / "landmarks.csv").read_text()


def test_without_the_truth_stand_ins_stand_under_their_own_names() -> None:
    found = measured(editor(), faces_of(False), [Wrong("toy", 2.5), Wrong("still", 0)], RemovalSettings(drawn=3))
    assert found.not_computed["landmarks.truth.*"] == NO_TRUTH
    assert NO_TRUTH in found.manifest["notes"]
    assert not any(key.startswith("landmarks.truth") for key in found.values)
    assert value(found, "landmarks.beside-still.toy.with.eye_error") == pytest.approx(0.5)
    assert value(found, "landmarks.beside-still.toy.removed.eye_error") == 0
    assert value(found, "landmarks.photo-still.toy.eye_gain") == pytest.approx(0.5)
    assert found["landmarks.drawn.toy.removed.eye_error"]["n"] == 3
    assert "landmarks.drawn-truth.toy.without.eye_error" in found
    said = {line["key"]: line["reference"] for line in found.manifest["comparisons"]}
    assert all("stand-in" in said[f"landmarks.{name}.toy"] for name in ("beside-still", "photo-still", "drawn"))


def test_what_a_detector_does_not_know_or_find_is_named_and_not_averaged() -> None:
    found = measured(editor(), faces_of(), [Wrong("eyes", 1, mouth=False)], RemovalSettings(drawn=0))
    assert value(found, "landmarks.truth.eyes.with.eye_error") == pytest.approx(0.2)
    assert "landmarks.truth.eyes.*rest_*" in found.not_computed
    lost = measured(editor(), faces_of(), [Wrong("blind", 1, blind=True)], RemovalSettings(drawn=0))
    assert [value(lost, f"landmarks.found.blind.{name}") for name in ("without", "with", "removed")] == [1, 0, 1]
    assert value(lost, "landmarks.truth.blind.without.eye_error") == 0
    assert "landmarks.truth.blind.with.eye_error" not in lost


def test_a_model_without_a_code_has_nothing_rebuilt() -> None:
    class Plain(Eraser):
        capabilities = frozenset({"edit"})

    made = Editor(Plain(), {"crop": None}, name="plain")
    found = measured(made, faces_of(), [Wrong("toy", 2.5)], RemovalSettings(drawn=0))
    assert value(found, "landmarks.truth.toy.eye_gain") == pytest.approx(0.5)
    assert not any("rebuilt" in key for key in found.values)
    assert "no autoencoder" in found.not_computed["landmarks.*.rebuilt.*"]


def test_the_paper_s_own_setting_is_the_method_s_and_not_a_strength() -> None:
    faces = faces_of()
    faces.images[faces.labels[:, 0] == 1, 0, 0] = 140
    made = editor()
    made.backend.method.paper_amount = 0.5  # 140 becomes 70: a face as if it were rebuilt
    half, whole = (
        measured(made, faces, [Wrong("toy", 2.5)], RemovalSettings(strength=strength, drawn=0)) for strength in (None, -1)
    )
    assert value(half, "landmarks.truth.toy.removed.eye_error") == pytest.approx(0.25)
    assert value(whole, "landmarks.truth.toy.removed.eye_error") == 0
    assert half.manifest["edit"] == {"Eyeglasses": "the paper's own setting"}


def test_the_published_gains_are_the_differences_of_the_published_errors() -> None:
    for part in ("eye", "rest"):
        gain = PUBLISHED[f"with.{part}_error"] - PUBLISHED[f"removed.{part}_error"]
        assert PUBLISHED[f"{part}_gain"] == pytest.approx(gain)


def test_the_paper_s_figures_stand_beside_those_on_celeba_alone(tmp_path: Path) -> None:
    faces = faces_of()
    faces.manifest["source"] = "celeba:here"
    api.report_landmarks(session_of(editor(), faces), [Wrong("ert68", 1)], RemovalSettings(drawn=0), tmp_path)
    assert "0.03048" in (tmp_path / "landmarks.html").read_text()
    api.report_landmarks(session_of(editor(), faces), [Wrong("toy", 1)], RemovalSettings(drawn=0), tmp_path)
    assert "0.03048" not in (tmp_path / "landmarks.html").read_text()


def test_points_are_drawn_where_they_are() -> None:
    points = np.array([[8, 4], *[[np.nan, np.nan]] * 4], np.float32)
    drawn = with_points(np.zeros((SIZE, SIZE, 3), np.uint8), [(points, FOUND["with"])])
    rows, columns = np.nonzero(drawn.any(2))
    assert (rows.mean(), columns.mean()) == pytest.approx((4.5 * SIDE / SIZE, 8.5 * SIDE / SIZE), abs=1)


@pytest.mark.parametrize(
    ("removal", "options", "said"),
    [
        (RemovalSettings(strength=1), {}, "takes nothing away"),
        (RemovalSettings(attribute="Eyeglases"), {}, "did you mean Eyeglasses"),
        (RemovalSettings(), {"split": "train"}, "the train split is empty"),
        (RemovalSettings(), {"limit": 0}, "at least 1 face, got limit=0"),
        (RemovalSettings(drawn=-1), {}, "drawn is -1"),
    ],
)
def test_what_cannot_be_measured_is_refused(removal: RemovalSettings, options: dict[str, Any], said: str) -> None:
    with pytest.raises(VisagistError, match=said):
        measured(editor(), faces_of(), [Wrong("toy", 1)], removal, **options)


def test_faces_of_one_class_are_refused() -> None:
    faces = faces_of()
    faces.labels[:] = 0
    with pytest.raises(VisagistError, match="no test face has Eyeglasses"):
        measured(editor(), faces, [Wrong("toy", 1)], RemovalSettings())


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--set", "Eyeglasses=1"), "takes nothing away"),
        (("--detectors", "ert69"), "did you mean ert68"),
        (("--detectors", "onet:nowhere.pt"), "no file 'nowhere.pt' for the detector onet"),
        (("--detectors", "onet:a,onet:b"), "no file 'a'"),
    ],
)
def test_what_is_wrong_is_one_line(command: Command, tmp_path: Path, options: tuple[str, ...], said: str) -> None:
    asked = ("landmarks", "introvac-eyefacial-64", "--data", "synthetic:20", "--out", tmp_path / "out", *options)
    assert said in command(*asked).error
    assert not (tmp_path / "out").exists()
