"""What a report says of where its faces come from, beside those that trained the model."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from doubles import BrightnessJudge, Perfect, editor_of, evaluate, plain_faces

from visagist.evaluation.independence import OTHER, SAME, UNKNOWN, relation

CELEBA, DRAWN = {"source": "celeba:celeba", "crop": "centre148"}, {"source": "synthetic:8000", "crop": "drawn"}
LFW = {"source": "folder:lfw", "crop": "square", "fingerprint": "ab"}


@pytest.mark.parametrize(
    ("trained", "seen", "said"),
    [
        (CELEBA, {"source": "celeba:img"}, SAME),
        (CELEBA, DRAWN, OTHER),
        (DRAWN, CELEBA, OTHER),
        (DRAWN, {"source": "synthetic:40"}, SAME),
        (CELEBA, LFW, OTHER),
        (LFW, LFW, SAME),
        (LFW, {"source": "folder:mine", "fingerprint": "cd"}, OTHER),
        (LFW, {"source": "folder:copy", "fingerprint": "ab"}, SAME),
        ({"source": "folder:celeba"}, CELEBA, OTHER),
        (None, CELEBA, UNKNOWN),
        ({}, CELEBA, UNKNOWN),
        (CELEBA, {}, UNKNOWN),
    ],
)
def test_a_source_is_known_by_its_kind_or_name_or_content(trained: Any, seen: dict[str, Any], said: str) -> None:
    assert relation(trained, seen) == said


def test_a_report_on_faces_of_another_source_says_so_first(tmp_path: Path) -> None:
    editor, judge = editor_of(Perfect()), BrightnessJudge(description={"data": CELEBA})
    editor.description["data"] = {**CELEBA, "count": 26}
    faces = replace(plain_faces(40), manifest={**LFW, "filter": None})
    metrics = evaluate(editor, faces, judge=judge, out=tmp_path)
    data = metrics.manifest["data"]
    assert data["relation_to_training"] == "other"
    assert data["trained_on"] == {"source": "celeba:celeba", "crop": "centre148", "count": 26}
    notes = metrics.manifest["notes"]
    assert "another source, folder:lfw (crop square), than those that trained the model, celeba:celeba" in notes[0]
    assert notes[1].startswith("brightness was trained on another source than these, celeba:celeba")
    page = (tmp_path / "report.html").read_text()
    assert page.index("another source, folder:lfw") < page.index("<h2>")
    assert "celeba:celeba, crop centre148, 26 faces: another source than these" in page


def test_a_report_on_the_training_source_has_no_such_note() -> None:
    editor = editor_of(Perfect())
    editor.description["data"] = {"source": "plain", "crop": "drawn", "count": 40}
    metrics = evaluate(editor, plain_faces(40), judge=BrightnessJudge())
    assert metrics.manifest["data"]["relation_to_training"] == "same"
    assert not any("source" in note for note in metrics.manifest["notes"])
    del editor.description["data"]
    unknown = evaluate(editor, plain_faces(40), judge=BrightnessJudge())
    assert unknown.manifest["data"]["trained_on"] is None
    assert "it is not recorded which faces trained the model" in unknown.manifest["notes"][0]
