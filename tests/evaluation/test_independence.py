from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from doubles import BrightnessJudge, Perfect, editor_of, evaluate, plain_faces

from visagist.data.faces import Faces
from visagist.data.membership import membership_sketch
from visagist.editing.editor import Editor
from visagist.errors import VisagistError
from visagist.evaluation.compare import CompareSettings, compare
from visagist.evaluation.independence import check_independence, check_two_judges
from visagist.evaluation.judge_accuracy import evaluate_judge
from visagist.evaluation.landmark_gain import RemovalSettings, measure_landmarks
from visagist.evaluation.session import EvaluationSettings, session_of


@pytest.fixture(scope="module")
def faces() -> Faces:
    """A third of the faces trains, the rest is for tests."""
    faces = plain_faces(90)
    return replace(faces, split=np.where(np.arange(90) < 30, 0, 2).astype(np.uint8))


def trained_on(faces: Faces, rows: np.ndarray | None = None, **facts: Any) -> Editor:
    editor = editor_of(Perfect())
    rows = faces.indices("train") if rows is None else rows
    editor.description.update(data=dict(faces.manifest), seen=membership_sketch(faces, rows), **facts)
    return editor


def judge_trained_on(faces: Faces, rows: np.ndarray, **facts: Any) -> BrightnessJudge:
    return BrightnessJudge(description={"data": dict(faces.manifest), "seen": membership_sketch(faces, rows), **facts})


def test_a_model_that_saw_no_test_face_is_measured(faces: Faces) -> None:
    metrics = evaluate(trained_on(faces), faces, judge=judge_trained_on(faces, faces.indices("train")))
    facts = metrics.manifest["independence"]
    assert facts["dependent"] == []
    assert set(facts["training_faces"].values()) == {"recorded"}
    assert not any("not independent" in note for note in metrics.manifest["notes"])


def test_training_faces_are_refused_unless_it_is_allowed_and_said_on_top(faces: Faces, tmp_path: Path) -> None:
    with pytest.raises(VisagistError, match="30 or more of these 30 faces are among those that trained perfect"):
        evaluate(trained_on(faces), faces, judge=BrightnessJudge(), split="train")
    metrics = evaluate(trained_on(faces), faces, judge=BrightnessJudge(), split="train", allow_dependent=True, out=tmp_path)
    assert metrics.manifest["notes"][0].startswith("not independent, and allowed by --allow-dependent: 30 or more")
    assert len(metrics.manifest["independence"]["dependent"]) == 1
    page = (tmp_path / "report.html").read_text()
    assert page.index("not independent, and allowed") < page.index("<h2")


def test_training_faces_of_a_model_without_a_record_are_refused_by_their_split(faces: Faces) -> None:
    editor = trained_on(faces)
    del editor.description["seen"]
    with pytest.raises(VisagistError, match="of the split that trained perfect"):
        evaluate(editor, faces, judge=BrightnessJudge(), split="all")
    metrics = evaluate(editor, faces, judge=BrightnessJudge())
    assert metrics.manifest["independence"]["training_faces"] == {"perfect": "not recorded", "brightness": "not recorded"}


def test_a_judge_that_saw_a_test_face_is_refused(faces: Faces) -> None:
    judge = judge_trained_on(faces, np.arange(25, 35))
    with pytest.raises(VisagistError, match="5 or more of these 60 faces are among those that trained brightness"):
        evaluate(trained_on(faces), faces, judge=judge)


def test_faces_of_another_source_with_the_same_names_are_other_faces(faces: Faces) -> None:
    other = replace(faces, manifest={**faces.manifest, "source": "elsewhere"})
    assert check_independence(trained_on(faces), BrightnessJudge(), other, np.arange(90)) == []


@pytest.mark.parametrize(
    ("model", "judge", "why"),
    [
        ({"borrowed": {"VGG-19": "abc"}}, {"weights_sha256": "abc"}, "in the training loss"),
        ({"weights_sha256": "abc"}, {"weights_sha256": "abc"}, "a network of perfect itself"),
        ({}, {"name": "judge-64-b"}, "never scores"),
        ({}, {"name": "judge-64-robust-b"}, "never scores"),
        ({}, {"name": "another-judge"}, "may not score it"),
    ],
)
def test_what_trained_a_model_or_fitted_it_may_not_judge_it(
    faces: Faces, model: dict[str, Any], judge: dict[str, Any], why: str
) -> None:
    editor = trained_on(faces, **model)
    name = judge.pop("name", "brightness")
    with pytest.raises(VisagistError, match=why):
        check_independence(editor, BrightnessJudge(name=name, description=judge))
    (line,) = check_independence(editor, BrightnessJudge(name=name, description=judge), allowed=True)
    assert why in line


def test_a_judge_of_the_architecture_and_seed_of_the_one_that_calibrated_is_refused(faces: Faces) -> None:
    from visagist.checkpoints.checkpoint import read_description
    from visagist.pretrained import ZOO

    made = read_description(ZOO / "judge-64-b")
    twin = {key: made[key] for key in ("name", "config", "training")} | {"weights_sha256": "other"}
    editor = editor_of(Perfect(), judge="judge-64-b")
    with pytest.raises(VisagistError, match="the architecture and the seed of judge-64-b"):
        check_independence(editor, BrightnessJudge(description=twin))
    with pytest.raises(VisagistError, match="would fit strength and score it"):
        check_two_judges(BrightnessJudge(description=twin), BrightnessJudge("judge-64-b", description=made))
    other = {**twin, "training": {"seed": made["training"]["seed"] + 1}}
    assert check_independence(editor, BrightnessJudge(description=other)) == []


def test_a_feature_network_of_the_training_loss_may_not_compare_pictures(faces: Faces) -> None:
    class Features:
        name, sha256 = "vgg19", "abc"

        def __call__(self, images: np.ndarray) -> np.ndarray:
            return images.reshape(len(images), -1)[:, :4].astype(np.float32)

    editor = trained_on(faces, borrowed={"VGG-19": "abc"})
    with pytest.raises(VisagistError, match="vgg19 is in the training loss of perfect"):
        evaluate(editor, faces, judge=BrightnessJudge(), features=Features())


def test_the_other_commands_refuse_alike(faces: Faces) -> None:
    one, two = trained_on(faces), trained_on(faces)
    two.name = "second"
    train = EvaluationSettings(split="train", judge=BrightnessJudge())
    with pytest.raises(VisagistError, match="--allow-dependent"):
        compare(session_of([one, two], faces, train), CompareSettings())
    with pytest.raises(VisagistError, match="--allow-dependent"):
        measure_landmarks(session_of(one, faces, train), [], RemovalSettings("Smiling"))
    with pytest.raises(VisagistError, match="--allow-dependent"):
        evaluate_judge(judge_trained_on(faces, faces.indices("train")), faces, train)  # type: ignore[arg-type]
