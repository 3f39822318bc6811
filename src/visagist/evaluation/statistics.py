"""Means with percentile bootstrap intervals: every number of a report comes through here."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import TypedDict

import numpy as np
from numpy.typing import ArrayLike, NDArray

RESAMPLES = 1000
LEVEL = 0.95
NORMAL = 1.96  # deviations of the normal law that hold as much
_DRAWS_AT_ONCE = 8_000_000


class Measure(TypedDict):
    """A mean over n cases and the ends of its 95 % interval."""

    value: float
    low: float
    high: float
    n: int


def resampled_means(values: ArrayLike, seed: int = 0, resamples: int = RESAMPLES) -> NDArray[np.float64]:
    """Means [R, K] of `resamples` draws with replacement from values [n, K]; columns are drawn together."""
    table = np.asarray(values, np.float64).reshape(len(np.asarray(values)), -1)
    n = len(table)
    counted = _all_counts(n, seed, resamples) if n * resamples <= _DRAWS_AT_ONCE else _counts(n, seed, resamples)
    return np.concatenate([counts @ table / n for counts in counted])


def _counts(n: int, seed: int, resamples: int) -> Iterator[NDArray[np.int64]]:
    """How often each of n cases is drawn [r, n], draw by draw; the r of all parts are `resamples`."""
    rng, step = np.random.default_rng(seed), max(1, _DRAWS_AT_ONCE // n)
    for start in range(0, resamples, step):
        number = min(step, resamples - start)
        drawn = rng.integers(0, n, (number, n)) + n * np.arange(number)[:, None]
        yield np.bincount(drawn.ravel(), minlength=number * n).reshape(number, n)


@lru_cache(maxsize=4)
def _all_counts(n: int, seed: int, resamples: int) -> tuple[NDArray[np.float64]]:
    """All of `_counts`, kept: the many measures of a report are of the same few numbers of faces. At most 64 MB each."""
    return (np.concatenate(list(_counts(n, seed, resamples))).astype(np.float64),)


def mean_ci(values: ArrayLike, seed: int = 0) -> Measure:
    """The mean of values [n], n at least 1, numbers or truths."""
    return means_ci(np.asarray(values, np.float64)[:, None], seed)[0]


def means_ci(values: ArrayLike, seed: int = 0) -> list[Measure]:
    """The mean of each column of values [n, K]."""
    table = np.asarray(values, np.float64)
    return [
        measure_from_draws(mean, draws, len(table)) for mean, draws in zip(table.mean(0), resampled_means(table, seed).T)
    ]


def ratio_ci(numerators: ArrayLike, denominators: ArrayLike, seed: int = 0) -> Measure:
    """The sum of numerators [n] over that of denominators [n], which is not 0; draws are of pairs."""
    table = np.stack([np.asarray(numerators, np.float64), np.asarray(denominators, np.float64)], 1)
    above, below = resampled_means(table, seed).T
    total = table.sum(0)
    return measure_from_draws(float(total[0] / total[1]), above[below != 0] / below[below != 0], len(table))


def balanced_mean_ci(values: ArrayLike, labels: ArrayLike, seed: int = 0) -> Measure:
    """The mean of the means of `values` [n] in either class of `labels` [n]; draws keep the size of each class.

    Of truths "the answer is right" it is balanced accuracy. Both classes must be there.
    """
    table, present = np.asarray(values, np.float64), np.asarray(labels).astype(bool)
    sides = [table[present], table[~present]]
    draws = sum(resampled_means(side, seed + i)[:, 0] for i, side in enumerate(sides)) / 2
    return measure_from_draws(float(np.mean([side.mean() for side in sides])), np.asarray(draws), len(table))


def correlation_ci(first: ArrayLike, second: ArrayLike, seed: int = 0) -> Measure:
    """Pearson's correlation of two truths [n] over the same cases, each of which takes both values.

    Draws are of the four combinations, which is a draw of cases; one in which a truth takes a single value says nothing.
    """
    a, b = (np.asarray(values).astype(bool) for values in (first, second))
    counts = np.array([(a & b).sum(), (a & ~b).sum(), (~a & b).sum(), (~a & ~b).sum()])
    drawn = _phi(np.random.default_rng(seed).multinomial(len(a), counts / len(a), RESAMPLES))
    return measure_from_draws(float(_phi(counts[None])[0]), drawn[~np.isnan(drawn)], len(a))


def _phi(counts: NDArray[np.integer]) -> NDArray[np.float64]:
    """Pearson's correlation [R] of truths, of how often [R, 4] both hold, the first alone, the second alone, neither."""
    both, first, second, neither = counts.T.astype(np.float64)
    spread = np.sqrt((both + first) * (second + neither) * (both + second) * (first + neither))
    product = both * neither - first * second
    return np.divide(product, spread, out=np.full(len(counts), np.nan), where=spread > 0)


def exact(value: float, n: int = 1) -> Measure:
    """A number that is counted, not estimated."""
    return Measure(value=float(value), low=float(value), high=float(value), n=n)


def jackknife(value: float, left: ArrayLike, n: int, least: float = 0.0) -> Measure:
    """A number of n cases with a 95 % interval from what it is [G] without each of G groups of the cases in turn.

    For what a bootstrap's repeated cases would bias, such as distances and the best of many; it is never below `least`.
    """
    without = np.asarray(left, np.float64)
    reach = NORMAL * float(np.sqrt((len(without) - 1) * without.var()))
    return Measure(value=float(value), low=max(least, value - reach), high=float(value + reach), n=n)


def measure_from_draws(value: float, draws: NDArray[np.float64], n: int) -> Measure:
    """A number of n cases, and the ends of its interval by the same number of draws [R] of the cases."""
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(draws, [tail, 1 - tail])
    return Measure(value=float(value), low=float(low), high=float(high), n=n)
