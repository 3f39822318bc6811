from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from edited_toys import BrightnessJudge, painter, shaded_faces
from hypothesis import given, settings
from hypothesis import strategies as st

from visagist import pretrained
from visagist.checkpoints import checkpoint
from visagist.editing.editor import Editor
from visagist.editing.strength import (
    GRID,
    PLATEAU,
    UNSEEN,
    StrengthMap,
    calibrate,
    farthest,
    fit_knots,
    read_strength,
    write_strength,
)
from visagist.errors import VisagistError

MAPS = [
    ((0, 0), (0.9, 1)),
    ((0, 0), (1, 1.1)),
    ((0, 0.1), (1, 1)),
    ((0, 0), (0.5, 0.6), (1, 0.5)),
    ((0, 0), (0.5, 0.2), (0.5, 0.3), (1, 1)),
    ((0, 0),),
    (),
    ((0, 0), (1, math.nan)),
]


def test_an_uncalibrated_map_is_the_identity() -> None:
    assert [StrengthMap().amount(s) for s in (0, 0.25, 1)] == [0, 0.25, 1]


def test_a_map_survives_json() -> None:
    there = StrengthMap(((0.0, 0.0), (0.5, 0.1), (1.0, 0.7)), True, "judge-64-b", 300, False, 0.1, 0.8, 0.9)
    assert StrengthMap.from_json(json.loads(json.dumps(there.to_json()))) == there


@pytest.mark.parametrize("knots", MAPS)
def test_a_map_that_falls_or_leaves_the_range_is_refused(knots: tuple[tuple[float, float], ...]) -> None:
    with pytest.raises(VisagistError):
        StrengthMap(knots)


@pytest.mark.parametrize("record", [[], {"Smiling": 1}, {"Smiling": {"+1": {}}}, {"Smiling": {"+1": {"knots": 3}}}])
def test_a_damaged_record_is_refused(record: object) -> None:
    with pytest.raises(VisagistError, match="damaged"):
        read_strength(record, ("Smiling",))


def test_calibration_finds_the_known_amount_in_both_directions() -> None:
    # From brightness 0.2 toward 1, real faces at 0.8 are reached at amount 0.75; downward alike.
    record = calibrate(painter(), BrightnessJudge(), shaded_faces())
    for name in ("Smiling", "Eyeglasses"):
        for way in ("+1", "-1"):
            fitted = StrengthMap.from_json(record[name][way])
            assert fitted.amount(1) == pytest.approx(0.75, abs=0.005)
            assert fitted.amount(0.5) == pytest.approx(0.375, abs=0.01)
            assert fitted.calibrated
            assert fitted.reached
            assert (fitted.judge, fitted.n) == ("judge-64-b", 20)
            assert fitted.target_median == pytest.approx(1 / (1 + math.exp(-3)), abs=1e-3)
            assert fitted.median_judge_at_0 == pytest.approx(1 / (1 + math.exp(3)), abs=1e-3)
            assert fitted.median_judge_at_1 is not None
            assert fitted.median_judge_at_1 >= fitted.target_median


def test_a_judge_is_shown_its_own_crop_of_larger_faces() -> None:
    sides = set[tuple[int, int]]()

    class NarrowJudge(BrightnessJudge):
        crop = "centre148"

        def score(self, images: np.ndarray) -> np.ndarray:
            sides.add(images.shape[1:3])
            return super().score(images)

    faces = shaded_faces()
    side = faces.image_size
    for crop, seen in (("centre178", side - 2 * round(15 / 178 * side)), ("centre148", side), ("centre128", side)):
        sides.clear()
        calibrate(painter(), NarrowJudge(), replace(faces, manifest={**faces.manifest, "crop": crop}))
        assert sides == {(seen, seen)}


def test_a_judge_that_is_sure_is_driven_no_further() -> None:
    class QuickJudge(BrightnessJudge):
        def score(self, images: np.ndarray) -> np.ndarray:
            slow = super().score(images)
            return slow**3 / (slow**3 + (1 - slow) ** 3)  # three times the logit

    # Real faces at brightness 0.8 have logit 9, or 0.9999; 0.998 is logit 6.213, at brightness 0.7071.
    record = calibrate(painter(), QuickJudge(), shaded_faces(), ["Smiling"])
    for way in ("+1", "-1"):
        fitted = StrengthMap.from_json(record["Smiling"][way])
        assert fitted.amount(1) == pytest.approx((0.7071 - 0.2) / 0.8, abs=0.005)
        assert fitted.reached
        assert fitted.median_judge_at_1 == pytest.approx(0.998, abs=5e-4)
        assert fitted.target_median == pytest.approx(1 / (1 + math.exp(-9)), abs=1e-4)


def test_a_class_out_of_reach_ends_at_amount_one_and_says_how_far_it_got() -> None:
    record = calibrate(painter(reach=0.25), BrightnessJudge(), shaded_faces(), ["Smiling"])
    fitted = StrengthMap.from_json(record["Smiling"]["+1"])
    assert fitted.amount(1) == 1
    assert fitted.reached is False
    assert fitted.median_judge_at_1 == pytest.approx(1 / (1 + math.exp(1)), abs=0.01)
    assert fitted.median_judge_at_1 < fitted.target_median
    assert list(record) == ["Smiling"]


def test_the_calibrated_editor_reaches_the_class_at_strength_one() -> None:
    editor, faces, judge = painter(), shaded_faces(), BrightnessJudge()
    editor.use_strength(calibrate(editor, judge, faces))
    without = faces.images[faces.column("Smiling") == 0]
    shown = [np.median(judge.score(editor.edit(without, Smiling=s))[:, 0]) for s in np.linspace(0, 1, 9)]
    logits = [math.log(p / (1 - p)) for p in shown]
    np.testing.assert_allclose(np.diff(logits), 0.75, atol=0.06)  # even steps from -3 to 3


def test_a_dip_of_the_curve_is_passed_over() -> None:
    def dipping(amount: float) -> float:
        return float(np.interp(amount, [0, 0.3, 0.6, 1], [0, 2, 0, 4]))

    knots, _, reached = fit_knots(dipping, 4)
    fitted = StrengthMap(knots)
    assert reached
    np.testing.assert_allclose([fitted.amount(s) for s in (0.25, 0.4, 0.6, 0.8, 1)], [0.15, 0.24, 0.84, 0.92, 1], atol=0.03)


def test_an_edit_that_overshoots_ends_where_the_judge_is_surest() -> None:
    knots, levels, reached = fit_knots(lambda amount: float(np.interp(amount, [0, 0.4, 1], [-3, 1, -2])), 3)
    assert not reached
    assert levels == (-3, 1)
    assert StrengthMap(knots).amount(1) == pytest.approx(0.4)
    assert StrengthMap(knots).amount(0.5) == pytest.approx(0.2)


def test_a_plateau_that_is_no_goal_is_followed_to_its_end() -> None:
    def rising(amount: float) -> float:
        return float(np.interp(amount, [0, 0.5, 0.8, 1], [-3, 1, 1 - 0.9 * PLATEAU, -2]))

    knots, (_, end), reached = fit_knots(rising, 3)
    assert not reached
    assert end == pytest.approx(1 - 0.9 * PLATEAU)
    assert StrengthMap(knots).amount(1) == pytest.approx(0.8)
    assert StrengthMap(knots).amount(0.5) == pytest.approx(0.25)


def test_what_the_judge_does_not_see_keeps_the_methods_own_scale() -> None:
    knots, _, reached = fit_knots(lambda amount: -3 + 1e-4 * (amount > 0.8), 3)
    assert not reached
    assert StrengthMap(knots).amount(0.5) == pytest.approx(0.5)


@settings(max_examples=60, deadline=None)
@given(
    heights=st.lists(st.floats(-8, 8), min_size=2, max_size=12),
    goal=st.floats(-8, 8),
)
def test_any_curve_gives_a_monotone_map_that_stops_at_the_first_reach(heights: list[float], goal: float) -> None:
    places = np.linspace(0, 1, len(heights))
    knots, (start, end), reached = fit_knots(lambda amount: float(np.interp(amount, places, heights)), goal)
    fitted = StrengthMap(knots)  # refuses what is not monotone
    assert start == heights[0]
    assert reached == (end >= goal)
    if not reached:
        measured = np.interp(np.linspace(0, 1, GRID), places, heights)
        within = measured[measured >= measured.max() - PLATEAU]
        assert end == pytest.approx(within[-1] if measured.max() - heights[0] >= UNSEEN else measured[-1], abs=1e-6)
        assert float(np.interp(fitted.amount(1), places, heights)) == pytest.approx(end, abs=1e-3)
    elif heights[0] < goal:
        assert float(np.interp(fitted.amount(1), places, heights)) >= goal - 1e-3


def test_of_several_judges_the_one_that_asks_for_more_decides() -> None:
    near, far = (StrengthMap(((0.0, 0.0), (1.0, end)), True, name, reached=True) for end, name in ((0.4, "a"), (0.7, "b")))
    short = StrengthMap(((0.0, 0.0), (1.0, 0.7)), True, "c", reached=False)
    assert farthest([near, far]) is farthest([far, near]) is far
    assert farthest([far, short]) is farthest([short, far]) is short


def test_the_judge_that_scores_never_calibrates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, editor: Editor) -> None:
    for name in ("judge-64", "/somewhere/judge-64", "judge-64-robust"):
        with pytest.raises(VisagistError, match="never calibrates: use judge-64-b"):
            calibrate(painter(), BrightnessJudge(name), shaded_faces())
    monkeypatch.setattr(pretrained, "ZOO", tmp_path / "zoo")
    editor.save(tmp_path / "zoo" / "judge-64")
    disguised = BrightnessJudge("my-judge")
    disguised.description = checkpoint.read_description(tmp_path / "zoo" / "judge-64")  # type: ignore[attr-defined]
    with pytest.raises(VisagistError, match="never calibrates"):
        calibrate(painter(), disguised, shaded_faces())


def test_attributes_that_the_judge_does_not_know_stay_uncalibrated() -> None:
    record = calibrate(painter(), BrightnessJudge(attributes=("Smiling",)), shaded_faces())
    assert record["Smiling"]["+1"]["calibrated"]
    fitted = StrengthMap.from_json(record["Eyeglasses"]["-1"])
    assert fitted == StrengthMap(judge="judge-64-b")
    assert not fitted.calibrated


def test_a_derived_attribute_is_calibrated_by_a_judge_that_knows_only_its_parts() -> None:
    class PartsJudge(BrightnessJudge):
        """Sees a mustache less surely than a beard, and contradicts neither."""

        def score(self, images: np.ndarray) -> np.ndarray:
            beard = super().score(images)[:, :1]
            return np.concatenate([0.4 * beard, 1 - beard], 1)

    editor, faces = painter(("Facial_Hair",)), shaded_faces(("Facial_Hair",))
    record = calibrate(editor, PartsJudge(attributes=("Mustache", "No_Beard")), faces)
    direct = calibrate(editor, BrightnessJudge(attributes=("Facial_Hair",)), faces)
    for way in ("+1", "-1"):
        assert record["Facial_Hair"][way]["calibrated"]
        np.testing.assert_allclose(record["Facial_Hair"][way]["knots"], direct["Facial_Hair"][way]["knots"], atol=1e-3)


def test_calibration_needs_both_classes_the_models_size_and_validation_faces() -> None:
    faces = shaded_faces()
    with pytest.raises(VisagistError, match="all Smiling=0"):
        calibrate(painter(), BrightnessJudge(), faces.take(np.flatnonzero(faces.column("Smiling") == 0)))
    with pytest.raises(VisagistError, match="image_size=16"):
        calibrate(painter(), BrightnessJudge(), replace(faces, images=np.zeros((40, 8, 8, 3), np.uint8)))
    with pytest.raises(VisagistError, match="val split is empty"):
        calibrate(painter(), BrightnessJudge(), replace(faces, split=np.zeros(40, np.uint8)))
    with pytest.raises(VisagistError, match="did you mean Smiling"):
        calibrate(painter(), BrightnessJudge(), faces, ["Smilin"])
    with pytest.raises(VisagistError, match="number is 0"):
        calibrate(painter(), BrightnessJudge(), faces, number=0)


def test_progress_counts_every_fit() -> None:
    told: list[tuple[int, int]] = []
    calibrate(painter(), BrightnessJudge(), shaded_faces(), number=4, progress=lambda *now: told.append(now))
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_a_written_strength_is_what_the_editor_uses(model_folder: Path, pixels: np.ndarray) -> None:
    fitted = StrengthMap(((0.0, 0.0), (1.0, 0.25)), True, "judge-64-b", 10, True)
    (model_folder / "training_state.json").write_text("{}")
    write_strength(model_folder, {"Smiling": {"+1": fitted.to_json(), "-1": StrengthMap().to_json()}})
    write_strength(model_folder, {"Eyeglasses": {"+1": StrengthMap().to_json()}})
    editor = Editor.from_pretrained(model_folder, device="cpu")
    assert editor.strength_maps["Smiling"]["+1"] == fitted
    np.testing.assert_array_equal(editor.edit(pixels, Smiling=1), editor.edit_arrays(pixels, [1, 0], [0.25, 0]))
    np.testing.assert_array_equal(editor.edit(pixels, Smiling=-1), editor.edit_arrays(pixels, [0, 0], [1, 0]))
    assert {path.name for path in model_folder.iterdir()} == {"config.json", "model.safetensors", "training_state.json"}


def test_a_strength_for_another_model_is_refused_and_nothing_changes(model_folder: Path) -> None:
    before = (model_folder / "config.json").read_bytes()
    for record in ({"Bald": {}}, {"Smiling": {"+1": {"knots": [[0, 0], [1, 2]]}}}):
        with pytest.raises(VisagistError):
            write_strength(model_folder, record)
    assert (model_folder / "config.json").read_bytes() == before
