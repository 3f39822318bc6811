"""95 % intervals hold the truth 95 times of 100 (`benchmarks/coverage_of_intervals.py` measures it at length)."""

from __future__ import annotations

import importlib
import inspect
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from campaigns import campaign as in_campaigns

from visagist.evaluation import statistics
from visagist.evaluation.metrics import distribution
from visagist.evaluation.metrics.distribution import frechet_measure, has_interval, kernel_measure
from visagist.evaluation.statistics import (
    auroc_ci,
    balanced_difference_ci,
    balanced_mean_ci,
    correlation_ci,
    difference_ci,
    lowest_share_ci,
    mean_ci,
    mean_share_ci,
    pair_mean_ci,
    sum_of_shares_ci,
)

QUICK = 150
DEAR = ("KID", "Fréchet", "inception", "at equal", "probe")


@pytest.fixture
def campaign(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "benchmarks"))
    return importlib.import_module("coverage_of_intervals")


def test_cheap_intervals_hold_the_truth_about_as_often_as_they_say(campaign: Any) -> None:
    cheap = [kind for kind in campaign.kinds() if kind.n <= 500 and not kind.name.startswith(DEAR)]
    assert len(cheap) > 20
    off = {
        f"{kind.name}, {kind.data}, n = {kind.n}": line.covered
        for kind in cheap
        if abs((line := campaign.measure_coverage(kind, QUICK)).covered - 0.95) > 0.02 + 3 * (0.95 * 0.05 / QUICK) ** 0.5
    }
    assert not off


@in_campaigns
@pytest.mark.slow
def test_every_interval_holds_the_truth_within_two_points_of_95(campaign: Any) -> None:
    lines = [campaign.measure_coverage(kind, 400) for kind in campaign.kinds()]
    assert {line.name for line in lines} >= {"KID", "Fréchet distance", "share (Wilson)", "area under the ROC curve"}
    assert not [(line.name, line.data, line.n, line.covered) for line in lines if not line.holds]


def test_every_kind_of_interval_that_is_made_has_a_line_of_the_simulation(campaign: Any) -> None:
    told = inspect.getsource(campaign)
    makers = {
        name: function
        for module in (statistics, distribution)
        for name, function in vars(module).items()
        if inspect.isfunction(function) and inspect.signature(function).return_annotation in ("Measure", "list[Measure]")
    }
    parts = {"share_ci", "means_ci", "exact", "jackknife", "measure_from_draws"}  # of which the others are made
    assert {name for name in makers if not name.startswith("_") and name not in told} <= parts
    assert "kernel_measure" in makers


def test_a_share_of_all_or_none_has_the_width_that_wilson_gives_it() -> None:
    every = mean_ci(np.ones(8, bool))
    assert (every["value"], every["high"]) == (1, 1)
    assert every["low"] == pytest.approx(0.676, abs=1e-3)
    assert mean_ci(np.zeros(8, bool))["high"] == pytest.approx(1 - 0.676, abs=1e-3)
    assert mean_share_ci(np.zeros(8))["high"] == pytest.approx(1 - 0.676, abs=1e-3)
    assert mean_ci(np.zeros(8))["high"] == 0, "a distance of nought is no share"


def test_the_lowest_of_several_judges_has_the_interval_of_a_lowest_and_that_of_one_is_wilsons() -> None:
    alike = [mean_ci(np.arange(500) < hits) for hits in (400, 402, 405)]
    lowest = lowest_share_ci(alike)
    assert lowest["value"] == 0.8
    assert lowest["low"] == alike[0]["low"]
    assert lowest["high"] > alike[0]["high"], "it errs downward, so its interval reaches further up"
    assert lowest_share_ci(alike[:1]) == pytest.approx(alike[0])


def test_what_is_made_of_shares_has_a_width_at_its_ends_too() -> None:
    every, labels = np.ones(40, bool), np.arange(40) < 10
    assert sum_of_shares_ci(every, every)["low"] < 1.95
    assert balanced_mean_ci(every, labels)["low"] < 0.9
    for measure in (difference_ci(every, every), balanced_difference_ci(every, every, labels)):
        assert measure["low"] < 0 < measure["high"]
    assert correlation_ci(labels, labels)["low"] < 1 == correlation_ci(labels, labels)["value"]
    area = auroc_ci(labels.astype(float), labels)
    assert (area["value"], area["high"]) == (1, 1)
    assert 0.8 < area["low"] < 1


def test_the_area_under_the_curve_counts_ties_half_and_is_the_other_side_of_its_mirror() -> None:
    scores, labels = np.array([1.0, 2, 2, 3, 3, 4]), np.array([0, 0, 1, 1, 0, 1], bool)
    area = auroc_ci(scores, labels)
    pairs = (scores[labels][:, None] > scores[~labels]) + (scores[labels][:, None] == scores[~labels]) / 2
    assert area["value"] == pytest.approx(pairs.mean())
    mirrored = auroc_ci(-scores, labels)
    assert mirrored["low"] == pytest.approx(1 - area["high"])
    assert auroc_ci(scores, scores < 0 * scores + 2.5)["value"] == 0
    assert auroc_ci(scores, scores < 2.5)["high"] > 0


def rebuilt(seed: int) -> tuple[np.ndarray, np.ndarray]:
    photographs = np.random.default_rng(seed).normal(size=(300, 3))
    return 0.9 * photographs + 0.1, photographs


def test_the_interval_of_a_distance_to_the_same_photographs_is_as_wide_as_the_distance_varies() -> None:
    """Leaving other faces out of either side adds up what the two sides have in common."""
    measures = [frechet_measure(*rebuilt(seed), paired=True) for seed in range(60)]
    spread = np.std([measure["value"] for measure in measures])
    reach = np.mean([measure["high"] - measure["low"] for measure in measures]) / 2
    assert 1.5 < reach / spread < 3.2
    apart = np.mean([m["high"] - m["low"] for m in (frechet_measure(*rebuilt(seed)) for seed in range(20))]) / 2
    assert apart > 2 * reach


def test_the_interval_of_the_kernel_distance_is_of_the_images_and_shrinks_with_their_number() -> None:
    def width(n: int) -> float:
        rng = np.random.default_rng(n)
        measure = kernel_measure(rng.normal(size=(n, 8)), rng.normal(size=(n, 8)) + 0.5)
        return measure["high"] - measure["low"]

    assert width(200) / width(1800) == pytest.approx(3, rel=0.25)


def test_kernel_distances_that_are_neither_nought_nor_far_hold_the_truth_as_often_as_they_say(campaign: Any) -> None:
    """An interval of the variance of images less that of pairs held 88 to 92 times of 100 here."""
    rng, n = np.random.default_rng(3), 400
    assert has_interval(n, n)
    drawn = [
        kernel_measure(campaign._blurred(rng, campaign.features(rng, n)), campaign.features(rng, n)) for _ in range(300)
    ]
    truth = np.mean([measure["value"] for measure in drawn])
    held = np.mean([measure["low"] <= truth <= measure["high"] for measure in drawn])
    assert held > 0.925


def test_the_kernel_distance_of_a_set_to_itself_knows_that_the_rows_belong_together() -> None:
    a, b = rebuilt(0)
    same = kernel_measure(a, b, paired=True)
    others = kernel_measure(a, rebuilt(1)[1])
    assert same["high"] - same["low"] < 0.5 * (others["high"] - others["low"])


def test_pairs_of_few_people_are_not_as_many_cases() -> None:
    rng = np.random.default_rng(0)
    people = rng.normal(size=30)
    first, second = np.triu_indices(30, 1)
    values = people[first] + people[second]
    of_people, of_pairs = pair_mean_ci(values, first, second), mean_ci(values)
    assert of_people["value"] == pytest.approx(of_pairs["value"])
    assert of_people["high"] - of_people["low"] > 3 * (of_pairs["high"] - of_pairs["low"])
