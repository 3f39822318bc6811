"""A model of Facial_Hair before judges that know only its parts."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from doubles import SIZE, BrightnessJudge, Careless, Perfect, brightness, evaluate, plain_faces
from numpy.typing import NDArray

from visagist.data.faces import Faces
from visagist.editing.editor import Editor
from visagist.evaluation import Metrics
from visagist.evaluation.judge_accuracy import evaluate_judge
from visagist.evaluation.session import EvaluationSettings
from visagist.judges import Judge


@dataclass
class PartsJudge(BrightnessJudge):
    """Reads a beard, and less surely a goatee, from the lower half and Young from the upper."""

    name: str = "parts"
    attributes: tuple[str, ...] = ("Goatee", "Young", "No_Beard")

    def score(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        self.scored += len(images)
        beard = brightness(images).clip(0, 1)
        columns = [0.9 * beard, brightness(images[:, ::-1]).clip(0, 1), 1 - beard]
        return np.stack(columns, 1).astype(np.float32)


def bearded_faces() -> Faces:
    """Faces whose lower half is bright where they have a beard; they are labelled with No_Beard, Young and a hat."""
    faces = plain_faces()
    labels = faces.labels.copy()
    labels[:, 0] = 1 - labels[:, 0]
    return replace(faces, labels=labels, names=("No_Beard", "Young", "Wearing_Hat"))


def editor(kind: type[Perfect]) -> Editor:
    method = kind()
    method.attributes = ("Facial_Hair",)
    return Editor(method)


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> tuple[Metrics, Path]:
    out = tmp_path_factory.mktemp("report")
    return evaluate(editor(Perfect), bearded_faces(), judge=PartsJudge(), out=out, without=()), out


def test_success_is_read_from_the_parts(measured: tuple[Metrics, Path]) -> None:
    metrics, _ = measured
    for setting in ("", "at_strength."):
        for side in ("success_0", "success_1", "from_0.success_0", "from_0.success_1"):
            assert metrics[f"edit.Facial_Hair.{setting}{side}"]["value"] == 1
    assert metrics["edit.Facial_Hair.base_rate_photo.success_0"]["value"] == 0
    assert metrics["judge.Facial_Hair.accuracy"]["value"] == 1
    assert metrics["classification.Facial_Hair.balanced_accuracy"]["value"] == 1


def test_the_parts_of_what_is_edited_are_no_collateral(measured: tuple[Metrics, Path]) -> None:
    metrics, _ = measured
    assert metrics["edit.Facial_Hair.err"]["value"] == 0
    assert metrics.matrices["err_each"] == {
        "rows": ["Facial_Hair"],
        "columns": ["Goatee", "Young", "No_Beard"],
        "values": [[None, 0.0, None]],
    }
    faces = bearded_faces()
    careless = evaluate(editor(Careless), faces, judge=PartsJudge())
    dragged = (faces.column("Facial_Hair") == faces.column("Young")).mean()
    assert careless["edit.Facial_Hair.err"]["value"] == pytest.approx(dragged)


def test_a_judge_that_knows_nothing_but_the_parts_has_no_collateral_to_tell() -> None:
    metrics = evaluate(editor(Perfect), bearded_faces(), judge=Beardless())
    assert metrics["edit.Facial_Hair.success_1"]["value"] == 1
    assert metrics.not_computed["edit.Facial_Hair.err"] == "the judge knows no other attribute"


class Beardless(PartsJudge):
    def __init__(self) -> None:
        super().__init__(attributes=("No_Beard",))

    def score(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        return super().score(images)[:, 2:]


def test_a_judge_without_no_beard_does_not_know_facial_hair() -> None:
    metrics = evaluate(editor(Perfect), bearded_faces(), judge=BrightnessJudge(attributes=("Young", "Goatee")))
    assert "edit.Facial_Hair.success_1" not in metrics
    assert metrics.not_computed["edit.Facial_Hair.success_*"] == "brightness does not know the attribute"


def test_the_label_floor_does_not_read_the_answer_from_a_part(measured: tuple[Metrics, Path]) -> None:
    assert measured[0]["leakage.Facial_Hair.labels_only.balanced_accuracy"]["value"] < 0.65
    assert measured[0]["leakage.Facial_Hair.linear.balanced_accuracy"]["value"] > 0.98


def test_locality_knows_where_facial_hair_is(measured: tuple[Metrics, Path]) -> None:
    # The edit is even over the lower half; the region holds all its rows and 12 (of 1.6 to 14.4: 2 to 14) of 16 columns.
    assert measured[0]["edit.Facial_Hair.locality"]["value"] == pytest.approx(12 / SIZE, abs=0.01)


def test_the_manifest_and_the_page_say_what_was_derived_and_how(measured: tuple[Metrics, Path]) -> None:
    metrics, out = measured
    judged = "not No_Beard, or Goatee (Mustache not known)"
    assert metrics.manifest["judge"]["derived"] == {"Facial_Hair": judged}
    labels = "not No_Beard (Goatee, Mustache not known)"
    assert metrics.manifest["data"]["derived"] == {"Facial_Hair": labels}
    assert metrics.manifest["data"]["n_with"]["Facial_Hair"] == bearded_faces().column("Facial_Hair").sum()
    assert "the largest of the judge" in metrics.manifest["definitions"]["derived"]
    assert judged in (out / "report.html").read_text()


def test_a_report_without_derived_attributes_defines_none() -> None:
    method = Perfect()
    method.attributes = ("No_Beard",)
    metrics = evaluate(Editor(method), bearded_faces(), judge=PartsJudge())
    assert metrics.manifest["judge"]["derived"] == {}
    assert "derived" not in metrics.manifest["definitions"]


class Known(Judge):
    """Says of No_Beard what is so, of Goatee that every fourth face has one, of Young the opposite."""

    def __init__(self, faces: Faces) -> None:
        self.name, self.description, self.image_size = "known", {"weights_sha256": ""}, SIZE
        self.attributes = ("No_Beard", "Goatee", "Young")
        self.labels = faces.labels.astype(np.float32)

    def score(self, images: object, batch_size: int = 200) -> np.ndarray:
        goatee = (np.arange(len(self.labels)) % 4 == 0).astype(np.float32)
        return np.stack([self.labels[:, 0], 0.9 * goatee, 1 - self.labels[:, 1]], 1)


def test_a_judges_own_accuracy_is_told_for_what_is_derived_and_left_out_of_the_means() -> None:
    faces = bearded_faces()
    found = evaluate_judge(Known(faces), faces, EvaluationSettings()).metrics
    wrong = (np.arange(len(faces)) % 4 == 0) & (faces.column("No_Beard") == 1)
    assert wrong.any()
    assert found["judge.Facial_Hair.accuracy"]["value"] == pytest.approx(1 - wrong.mean())
    assert found["judge.accuracy"]["value"] == pytest.approx(0.5)
    assert found.manifest["derived"] == {"Facial_Hair": "not No_Beard, or Goatee (Mustache not known)"}
