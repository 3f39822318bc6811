"""Two models at equal success, of curves whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest

from visagist.evaluation.metrics.edit_curves import equal_success, first_crossing, height_at
from visagist.evaluation.statistics import resampled_means

STRENGTHS = (0.0, 0.5, 1.0)


def faces_that(shares: tuple[float, ...], n: int = 100) -> np.ndarray:
    """Successes [n, K] of so large a share of the faces at each strength, always the same faces first."""
    return np.stack([np.arange(n) < share * n for share in shares], 1).astype(float)


def test_each_model_is_read_where_it_first_has_what_both_reach() -> None:
    first = {"success": faces_that((0, 0.8, 1)), "identity": np.tile([1.0, 0.6, 0.2], (100, 1))}
    second = {"success": faces_that((0, 0.2, 0.4)), "identity": np.tile([0.9, 0.7, 0.5], (100, 1))}
    found = equal_success(first, second, STRENGTHS)
    assert found is not None
    assert found["success"]["value"] == pytest.approx(0.4)
    assert found["first.strength"]["value"] == pytest.approx(0.25)
    assert found["second.strength"]["value"] == 1
    assert found["first.identity"]["value"] == pytest.approx(0.8)
    assert found["second.identity"]["value"] == pytest.approx(0.5)
    assert found["less.identity"]["value"] == pytest.approx(-0.3)
    assert "less.collateral" not in found
    back = equal_success(second, first, STRENGTHS)
    assert back is not None
    assert back["less.identity"]["value"] == pytest.approx(0.3)


def test_a_level_between_two_strengths_is_read_on_the_straight_line() -> None:
    success = np.array([[0.1, 0.3, 0.2, 0.9]])
    assert first_crossing(success, np.array([0.2])) == pytest.approx([0.5])  # the first time, not after the fall
    assert first_crossing(success, np.array([0.6])) == pytest.approx([2 + 0.4 / 0.7])
    assert first_crossing(success, np.array([0.05])) == 0  # there before any edit
    assert height_at(np.array([[0.0, 1.0, 4.0, 9.0]]), np.array([2.4])) == pytest.approx([6.0])
    assert height_at(np.array([[0.0, 1.0, 4.0, 9.0]]), np.array([3.0])) == pytest.approx([9.0])


def test_there_is_no_equal_success_with_one_that_gets_nowhere() -> None:
    works, stays = {"success": faces_that((0.1, 0.5, 1))}, {"success": faces_that((0.1, 0.1, 0.1))}
    assert equal_success(works, stays, STRENGTHS) is None
    assert equal_success(works, works, STRENGTHS) is not None


def test_intervals_are_of_the_same_faces_for_both() -> None:
    rng = np.random.default_rng(0)
    own = rng.normal(0, 1, 400)  # faces differ much, and what the models make of each hardly
    success = np.tile([0.0, 0.5, 1.0], (400, 1))
    change = own[:, None] + np.zeros(3)
    first = {"success": success, "change": change}
    second = {"success": success, "change": change + 0.01 + 0.01 * rng.normal(0, 1, (400, 3))}
    found = equal_success(first, second, STRENGTHS, seed=3)
    assert found is not None
    width = {key: found[f"{key}.change"]["high"] - found[f"{key}.change"]["low"] for key in ("first", "second", "less")}
    assert width["less"] < 0.03 * width["first"]
    assert found["less.change"]["low"] > 0
    low, high = np.quantile(resampled_means(own, 3), [0.025, 0.975])
    assert (found["first.change"]["low"], found["first.change"]["high"]) == (pytest.approx(low), pytest.approx(high))
