from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from visagist import evaluation
from visagist.attributes import reads_as
from visagist.evaluation.metrics.classification import agreement
from visagist.evaluation.metrics.consistency import monotonic, pixel_distance
from visagist.evaluation.metrics.edits import change_inside, flips, locality, share_inside, success, success_from_either
from visagist.evaluation.results import Metrics


def test_success_is_counted_apart_for_faces_that_have_the_attribute_and_those_that_have_it_not() -> None:
    results = Metrics()
    labels = np.array([True, True, False, False])
    success(results, "k", np.array([0.1, 0.9, 0.1, 0.1]), np.array([0.9, 0.9, 0.2, 0.7]), labels, 0)
    found = {key: measure["value"] for key, measure in results.values.items()}
    assert found == {
        "k.success_0": 0.5, "k.success_1": 1.0, "k.success_sum": 1.5,
        "k.from_0.success_0": 1.0, "k.from_0.success_1": 0.5, "k.from_0.success_sum": 1.5,
    }  # fmt: skip
    assert results["k.success_0"]["n"] == 2


def test_a_class_without_faces_is_said_to_be_missing() -> None:
    results = Metrics()
    success(results, "k", np.array([0.1]), np.array([0.9]), np.array([True]), 0)
    assert results.not_computed == {"k.from_0.success_*": "no face lacks the attribute"}
    with pytest.raises(KeyError, match="no such metric"):
        results["k.from_0.success_1"]


def test_every_measure_of_success_counts_a_score_of_one_half_as_present() -> None:
    scores, labels = np.array([0.4999, 0.5, 0.4999, 0.5], np.float32), np.array([True, True, False, False])
    both, either, own = Metrics(), Metrics(), Metrics()
    success(both, "k", scores, scores, labels, 0)
    success_from_either(either, "k", scores, labels, 0)
    agreement(own, "k", scores, labels, 0)
    assert either.values == {key: both.values[key] for key in ("k.success_0", "k.from_0.success_1")}
    assert reads_as(scores, True).tolist() == [False, True, False, True]
    assert reads_as(scores, ~labels).tolist() == [True, False, False, True]
    assert own["k.accuracy"]["value"] == 1 - reads_as(scores, ~labels).mean()
    assert flips(scores, scores[::-1]).tolist() == [True] * 4


def test_no_other_module_compares_a_score_with_one_half() -> None:
    folder = Path(evaluation.__file__).parent
    modules = [*folder.glob("metrics/*.py"), *folder.glob("compare*.py"), folder / "side_effects.py"]
    for module in modules:
        assert not re.search(r"[<>]=? *(THRESHOLD|0?\.5\b)", module.read_text()), module.name


def test_a_reading_flips_where_it_crosses_one_half() -> None:
    assert flips(np.array([[0.4, 0.6, 0.5]]), np.array([[0.6, 0.9, 0.4]])).tolist() == [[True, False, True]]


def test_locality_is_the_share_of_energy_inside_the_region() -> None:
    unedited = np.zeros((3, 100, 100, 3), np.uint8)
    inside, outside, none = unedited.copy()
    inside[70, 50] = 10
    outside[10, 50], outside[70, 50] = 30, 10
    shares = locality(np.stack([inside, outside, none]), unedited, "Smiling")
    assert shares[:2].tolist() == pytest.approx([1.0, 0.1])
    assert np.isnan(shares[2])


def test_a_small_fall_of_the_score_is_forgiven_and_a_great_one_is_not() -> None:
    scores = np.array([[0.1, 0.5, 0.49, 0.9], [0.1, 0.5, 0.4, 0.9]], np.float32)
    assert monotonic(scores).tolist() == [True, False]


def test_pixel_distance_is_in_units_of_the_whole_range() -> None:
    black, white = np.zeros((1, 4, 4, 3), np.uint8), np.full((1, 4, 4, 3), 255, np.uint8)
    assert pixel_distance(black, white).tolist() == [1.0]
    assert pixel_distance(white, black).tolist() == [1.0]


def test_shares_and_sizes_of_change_are_those_of_several_boxes() -> None:
    unedited = np.full((2, 10, 10, 3), 100, np.uint8)
    edited = unedited.copy()
    edited[0, 5:, :2] += 51  # inside the left box
    edited[0, :5, 5] += 51  # in none
    boxes = [(0.0, 0.5, 0.2, 1.0), (0.8, 0.5, 1.0, 1.0)]
    shares = share_inside(edited, unedited, boxes)
    assert shares[0] == pytest.approx(10 / 15)
    assert np.isnan(shares[1])
    np.testing.assert_allclose(change_inside(edited, unedited, boxes), [0.2 / 2, 0])
    np.testing.assert_allclose(change_inside(edited, unedited, [(0.0, 0.0, 1.0, 1.0)]), [0.2 * 15 / 100, 0])
