"""Models side by side on the faces of each class: at a level of its own, and as many of each."""

from __future__ import annotations

from typing import Any

import pytest
from doubles import BrightnessJudge, Careless, DoNothing, Perfect, editor_of, plain_faces

from visagist.editing.editor import Editor
from visagist.editing.strength import StrengthMap
from visagist.errors import VisagistError
from visagist.evaluation import Metrics
from visagist.evaluation.compare import CompareSettings, compare
from visagist.evaluation.session import EvaluationSettings, session_of

ONE = ("Smiling",)


def compared(asked: CompareSettings, **options: Any) -> Metrics:
    editors = [editor_of(method()) for method in (Perfect, Careless, DoNothing)]
    settings = EvaluationSettings(judge=BrightnessJudge(), **options)
    return compare(session_of(editors, plain_faces(), settings), asked).metrics


def test_each_class_is_compared_at_a_level_of_its_own() -> None:
    metrics, labels = compared(CompareSettings(ONE)), plain_faces().column("Smiling")
    for side in (0, 1):
        pair = f"equal.Smiling.render.perfect/careless.to_{side}"
        assert metrics[f"{pair}.success"]["n"] == int((labels != side).sum())
        assert metrics[f"{pair}.less.outside"]["low"] > 0  # careless changes more, whichever way
        assert f"equal.Smiling.render.perfect/do-nothing.to_{side}.*" in metrics.not_computed


def test_as_many_faces_of_each_class_as_are_asked_for() -> None:
    labels = plain_faces().column("Smiling")
    few = int(labels.sum()) // 2
    data = compared(CompareSettings(ONE, each=few), seed=2).manifest["data"]
    assert (data["each"], data["n_with"], data["n_without"]) == (few, {"Smiling": few}, {"Smiling": few})
    assert compared(CompareSettings(ONE, each=10_000)).manifest["data"]["n"] == len(labels)


def test_classes_are_of_one_attribute() -> None:
    with pytest.raises(VisagistError, match="one attribute"):
        compared(CompareSettings((), each=5))
    with pytest.raises(VisagistError, match="instead of limit"):
        compared(CompareSettings(ONE, each=5), limit=9)
    with pytest.raises(VisagistError, match="each=0"):
        compared(CompareSettings(ONE, each=0))


class Both(Perfect):
    """Edits Smiling, and has a knob for Young that does nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.attributes = ("Smiling", "Young")


Both.name = "both"


def two_knobs() -> Editor:
    editor = Editor(Both())
    ways = {way: StrengthMap(calibrated=True, judge="another-judge").to_json() for way in ("+1", "-1")}
    editor.use_strength({"Smiling": ways, "Young": ways})
    return editor


def test_by_default_attributes_are_those_that_two_models_share() -> None:
    def asked(*editors: Editor, attributes: tuple[str, ...] | None = None) -> Metrics:
        settings = EvaluationSettings(judge=BrightnessJudge())
        return compare(session_of(editors, plain_faces(), settings), CompareSettings(attributes)).metrics

    shared = asked(editor_of(Careless()), two_knobs())
    assert shared.manifest["attributes"] == ["Smiling"]
    assert "name it" in shared.not_computed["*.Young.*"]
    named = asked(editor_of(Careless()), two_knobs(), attributes=("Young",))
    assert "compare.both.Young.render.success" in named
    blind = Editor(Perfect())
    blind.backend.method.capabilities = frozenset({"autoencode"})
    alone = asked(two_knobs(), blind)
    assert alone.manifest["attributes"] == ["Smiling", "Young"]
