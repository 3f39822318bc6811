"""Judges of different kinds: the lowest of them is the figure, with its own ceiling, in evaluations and comparisons."""

from __future__ import annotations

import numpy as np
import pytest
from doubles import BrightnessJudge, DoNothing, Perfect, brightness, editor_of, evaluate, plain_faces
from numpy.typing import NDArray

from visagist.api import report_evaluation
from visagist.cli.evaluate import _show_first_metrics
from visagist.errors import VisagistError
from visagist.evaluation import Metrics
from visagist.evaluation.compare import CompareSettings, compare
from visagist.evaluation.metrics.panel import add_panel
from visagist.evaluation.session import EvaluationSettings, session_of
from visagist.reports.comparison_page import comparison_page
from visagist.reports.evaluation_page import evaluation_page


class Strict:
    """Reads a smile from a brightness on that no picture reaches, so that it reads none."""

    name, attributes = "strict", ("Smiling",)

    def read(self, images: NDArray[np.uint8], attribute: str) -> NDArray[np.float32]:
        return np.where(brightness(images) > 2, 1, 0).astype(np.float32)


def measured(*judges: object, method: DoNothing | None = None) -> Metrics:
    return evaluate(
        editor_of(method or Perfect()), plain_faces(60), judge=BrightnessJudge(), attributes=["Smiling"], judges=judges
    )


def test_the_lowest_judge_is_the_figure_and_its_own_ceiling_stands_beside_it() -> None:
    both, alone = measured(Strict()), measured()
    for setting in ("", "at_strength."):
        assert both[f"panel.Smiling.{setting}given.success"]["value"] == 0
        assert both[f"panel.Smiling.{setting}given.ceiling"]["value"] == 0
        assert both[f"panel.Smiling.{setting}given.strict.success"]["value"] == 0
        assert both[f"panel.Smiling.{setting}taken.success"]["value"] == 1
        assert alone[f"panel.Smiling.{setting}given.success"]["value"] == 1
        assert alone[f"panel.Smiling.{setting}given.ceiling"]["value"] == 1
    judge = BrightnessJudge().name
    assert both[f"panel.Smiling.given.{judge}.success"]["value"] == 1
    assert both[f"panel.Smiling.given.{judge}.ceiling"]["value"] == 1
    assert both["panel.Smiling.given.judges"]["value"] == 2
    assert both["panel.Smiling.given.success"]["high"] > 0, "Wilson's interval"
    assert [fact["name"] for fact in both.manifest["judges"]] == ["strict"]


def test_a_ceiling_is_of_unedited_faces_of_the_class_and_success_of_edits_of_the_others() -> None:
    nothing = measured(method=DoNothing())
    for way in ("given", "taken"):
        assert nothing[f"panel.Smiling.{way}.success"]["value"] == 0
        assert nothing[f"panel.Smiling.{way}.ceiling"]["value"] == 1
        assert nothing[f"panel.Smiling.{way}_again.success"]["value"] == 1
    labels = plain_faces(60).labels[:, 0]
    assert nothing["panel.Smiling.given.success"]["n"] == int((labels == 0).sum())
    assert nothing["panel.Smiling.given.ceiling"]["n"] == int((labels == 1).sum())


def test_one_judge_says_the_same_as_the_figures_of_that_judge() -> None:
    alone = measured()
    same = {"success_0": "taken", "success_1": "given_again", "from_0.success_1": "given"}
    for key, way in same.items():
        assert alone[f"edit.Smiling.{key}"] == alone[f"panel.Smiling.{way}.success"]


def test_a_headline_of_one_judge_says_so_and_that_of_two_does_not() -> None:
    notes = [note for note in measured().manifest["notes"] if "one judge alone reads Smiling" in note]
    assert len(notes) == 1
    assert not [note for note in measured(Strict()).manifest["notes"] if "one judge alone" in note]


def test_page_and_terminal_start_with_the_lowest_judge(capsys: pytest.CaptureFixture[str]) -> None:
    metrics = measured(Strict())
    page = evaluation_page(metrics, [])
    tiles = page[: page.index("identity")]
    assert "Smiling given to faces that have it not: the lowest judge" in tiles
    assert "ceiling 0.0 %" in tiles
    assert "strict 0.0 %" in tiles
    _show_first_metrics(metrics)
    assert "panel.Smiling.given.success" in capsys.readouterr().out


def test_a_comparison_has_the_lowest_judge_of_each_mode_and_way() -> None:
    editors = [editor_of(Perfect()), editor_of(DoNothing())]
    editors[1].name = "nothing"
    settings = EvaluationSettings(judge=BrightnessJudge(), judges=(Strict(),))
    session = session_of(editors, plain_faces(60), settings)
    metrics = compare(session, CompareSettings(("Smiling",))).metrics
    first = editors[0].name
    for mode in ("render", "detail"):
        key = f"compare.{first}.Smiling.{mode}.panel"
        assert metrics[f"{key}.given.success"]["value"] == metrics[f"{key}.given.ceiling"]["value"] == 0
        assert metrics[f"{key}.taken.success"]["value"] == metrics[f"{key}.taken.ceiling"]["value"] == 1
        assert metrics[f"{key}.given.{BrightnessJudge().name}.success"] == metrics[
            f"compare.{first}.Smiling.{mode}.to_1.success"
        ]
    assert metrics["compare.nothing.Smiling.render.panel.taken.success"]["value"] == 0
    page = comparison_page(metrics, [])
    assert "given, the lowest judge" in page
    assert "By each judge" in page


def test_at_full_strength_alone_figures_are_the_same_and_nothing_is_compared_at_equal_success() -> None:
    editors = [editor_of(Perfect()), editor_of(DoNothing())]
    editors[1].name = "nothing"
    session = session_of(editors, plain_faces(60), EvaluationSettings(judge=BrightnessJudge(), judges=(Strict(),)))
    whole, brief = (compare(session, CompareSettings(("Smiling",), curves=curves)).metrics for curves in (True, False))
    edits = [key for key in whole.values if key.startswith("compare.")]
    assert {key: brief[key] for key in edits} == {key: whole[key] for key in edits}
    assert not [key for key in brief.values if key.startswith("equal.")]
    assert brief.manifest["strengths"] == [0, 1]
    comparison_page(brief, [])


def test_a_judge_that_scores_already_or_cannot_read_these_faces_is_refused() -> None:
    class Again(Strict):
        name = BrightnessJudge().name

    with pytest.raises(VisagistError, match="is the judge already"):
        measured(Again())
    session = session_of(editor_of(Perfect()), plain_faces(20), EvaluationSettings(judges=("nobody",)))
    with pytest.raises(VisagistError, match="no judge 'nobody'"):
        report_evaluation(session, None, 0, None)


def test_without_a_face_of_the_class_there_is_no_ceiling() -> None:
    metrics = Metrics()
    done, nobody = {"a": np.ones(3, bool), "b": np.zeros(3, bool)}, dict.fromkeys("ab", np.zeros(0, bool))
    assert add_panel(metrics, "key", done, nobody) == "b"
    assert "key.ceiling" in metrics.not_computed
    assert metrics["key.success"] == metrics["key.b.success"]
