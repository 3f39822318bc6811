from __future__ import annotations

import numpy as np
import pytest

from visagist.evaluation import statistics
from visagist.evaluation.statistics import balanced_mean_ci, mean_ci, means_ci, resampled_means


def test_an_interval_covers_the_true_share_in_about_95_of_100_repetitions() -> None:
    rng = np.random.default_rng(0)
    measures = [mean_ci(rng.random(150) < 0.3, seed) for seed in range(300)]
    covered = np.mean([m["low"] <= 0.3 <= m["high"] for m in measures])
    assert 0.91 <= covered <= 0.98


def test_an_interval_is_as_wide_as_theory_says() -> None:
    values = np.random.default_rng(1).normal(5, 2, 2500)
    measure = mean_ci(values)
    assert measure["high"] - measure["low"] == pytest.approx(2 * 1.96 * 2 / 50, rel=0.1)
    assert measure["value"] == pytest.approx(values.mean())
    assert measure["n"] == 2500


def test_the_same_seed_gives_the_same_interval_and_another_seed_another() -> None:
    values = np.random.default_rng(2).random(50)
    assert mean_ci(values, 3) == mean_ci(values, 3)
    assert mean_ci(values, 3)["low"] != mean_ci(values, 4)["low"]


def test_draws_that_are_kept_are_those_that_would_be_drawn_again(monkeypatch: pytest.MonkeyPatch) -> None:
    table = np.random.default_rng(5).random((60, 3))
    kept = [resampled_means(table, 8) for _ in range(2)]
    monkeypatch.setattr(statistics, "_DRAWS_AT_ONCE", 60 * 250)
    np.testing.assert_array_equal(kept[0], kept[1])
    np.testing.assert_allclose(resampled_means(table, 8), kept[0], rtol=1e-12)


def test_columns_are_drawn_together_so_that_a_sum_is_the_sum_of_its_parts() -> None:
    table = np.random.default_rng(3).random((40, 2))
    draws = resampled_means(np.concatenate([table, table.sum(1, keepdims=True)], 1))
    np.testing.assert_allclose(draws[:, 0] + draws[:, 1], draws[:, 2])
    assert [m["value"] for m in means_ci(table)] == pytest.approx(table.mean(0).tolist())


def test_balanced_accuracy_weighs_the_rare_class_as_much_as_the_other() -> None:
    labels = np.array([1] * 10 + [0] * 90)
    always_0 = labels == 0
    measure = balanced_mean_ci(always_0, labels)
    assert (measure["value"], measure["n"]) == (0.5, 100)
    # None of ten is [0, 27.8 %] by Wilson, all of ninety [95.9, 100 %].
    assert measure["low"] == pytest.approx(0.5 - 0.041 / 2, abs=1e-3)
    assert measure["high"] == pytest.approx(0.5 + 0.278 / 2, abs=1e-3)
