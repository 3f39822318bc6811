"""Numbers of a report with their 95 % intervals: each kind of number has the interval that holds what it says.

Means of numbers: bootstrap over cases. Shares: Wilson (1927), sums, means and differences of shares by what is built on it.
Areas under ROC curves: DeLong, DeLong and Clarke-Pearson (1988), on the logit. What a bootstrap's repeated cases would
bias: jackknife. `benchmarks/coverage_of_intervals.py` measures how often each holds the truth.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, TypedDict

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import binomtest, norm, rankdata, t

RESAMPLES = 1000
GROUPS = 20  # of a jackknife over people
LEVEL = 0.95
NORMAL = float(norm.ppf((1 + LEVEL) / 2))  # deviations of the normal law that hold as much
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
    """The mean of values [n], n at least 1: of numbers by bootstrap, of truths (bool) by Wilson's interval of a share."""
    return means_ci(np.asarray(values)[:, None], seed)[0]


def means_ci(values: ArrayLike, seed: int = 0) -> list[Measure]:
    """The mean of each column of values [n, K], all of them numbers or all of them truths."""
    table = np.asarray(values)
    if table.dtype == bool:
        return [share_ci(int(hits), len(table)) for hits in table.sum(0)]
    numbers = table.astype(np.float64)
    means, draws = numbers.mean(0), resampled_means(numbers, seed).T
    return [measure_from_draws(mean, drawn, len(numbers), len(numbers)) for mean, drawn in zip(means, draws)]


def share_ci(hits: int, n: int) -> Measure:
    """The share of n cases that are hits, with Wilson's interval, which has a width at 0 and at 1."""
    low, high = binomtest(hits, n).proportion_ci(LEVEL, method="wilson")
    return Measure(value=hits / n, low=float(low), high=float(high), n=n)


def lowest_share_ci(shares: Sequence[Measure]) -> Measure:
    """The lowest of several shares, each with Wilson's interval, as an estimate of the lowest of what they estimate.

    The lowest of several estimates errs downward. So the lower end is the lowest of theirs, and the upper end the lowest of
    theirs at a level that lets none of k shares miss above more often than 1 in 20 k.
    """
    tail = min((1 - LEVEL) / 2, (1 - LEVEL) / len(shares))
    tops = [
        binomtest(round(share["value"] * share["n"]), share["n"]).proportion_ci(1 - 2 * tail, method="wilson").high
        for share in shares
    ]  # fmt: skip
    least = min(shares, key=lambda share: share["value"])
    return Measure(value=least["value"], low=min(share["low"] for share in shares), high=float(min(tops)), n=least["n"])


def mean_share_ci(shares: ArrayLike, seed: int = 0) -> Measure:
    """The mean of one share a case [n], each in [0, 1]: a bootstrap, or Wilson's interval where all are 0, or all 1.

    A mean of shares is at most the chance that a share is above 0, and of that 0 of n cases are an observation.
    """
    values = np.asarray(shares, np.float64)
    if (values == 0).all() or (values == 1).all():
        return share_ci(int(values.sum()), len(values))
    return mean_ci(values, seed)


def sum_of_shares_ci(first: ArrayLike, second: ArrayLike) -> Measure:
    """The share of truths [n] plus that of other truths of the same cases: Wilson's intervals, joined (Newcombe, 1998).

    Each end's distances add up as those of two estimates that correlate as the truths do.
    """
    truths = np.asarray(first).astype(bool), np.asarray(second).astype(bool)
    shares = [share_ci(int(values.sum()), len(values)) for values in truths]
    return _joined(shares, float(np.nan_to_num(_phi(_four(*truths)[None])[0])), 1.0)


def _joined(shares: list[Measure], correlation: float, factor: float) -> Measure:
    """`factor` times the sum of two measures whose estimates correlate so."""
    ends = []
    for side in ("low", "high"):
        first, second = (share[side] - share["value"] for share in shares)  # type: ignore[literal-required]
        reach = np.sqrt(first**2 + second**2 + 2 * correlation * first * second)
        ends.append(reach if side == "high" else -reach)
    value = sum(share["value"] for share in shares)
    low, high = (float(factor * (value + end)) for end in ends)
    return Measure(value=float(factor * value), low=low, high=high, n=shares[0]["n"])


def column_means(
    columns: Mapping[str, NDArray[Any]], seed: int = 0, shares: Collection[str] = ()
) -> dict[str, Measure | None]:
    """The mean of each column over its cases that are not nan, None if all are; those of numbers are resampled alike.

    `shares` are the columns of one share a case, of which `mean_share_ci` says the interval.
    """
    numbers = {name: column for name, column in columns.items() if column.dtype != bool and name not in shares}
    whole = [name for name, column in numbers.items() if not np.isnan(column).any()]
    means: dict[str, Measure | None] = dict.fromkeys(columns)
    means |= zip(whole, means_ci(np.stack([columns[name] for name in whole], 1), seed)) if whole else ()
    for name in columns.keys() - set(whole):
        column = columns[name][~np.isnan(columns[name])]
        if len(column):
            means[name] = mean_share_ci(column, seed) if name in shares else mean_ci(column, seed)
    return means


def ratio_ci(numerators: ArrayLike, denominators: ArrayLike, seed: int = 0) -> Measure:
    """The sum of numerators [n] over that of denominators [n], which is not 0; draws are of pairs."""
    table = np.stack([np.asarray(numerators, np.float64), np.asarray(denominators, np.float64)], 1)
    above, below = resampled_means(table, seed).T
    total = table.sum(0)
    drawn = above[below != 0] / below[below != 0]
    return measure_from_draws(float(total[0] / total[1]), drawn, len(table), len(table))


def balanced_mean_ci(values: ArrayLike, labels: ArrayLike, seed: int = 0) -> Measure:
    """The mean of the means of `values` [n] in either class of `labels` [n], both of which must be there.

    Of truths (bool) "the answer is right" it is balanced accuracy: Wilson's interval of either class, joined. Of numbers a
    bootstrap whose draws keep the size of each class.
    """
    table, present = np.asarray(values), np.asarray(labels).astype(bool)
    sides = [table[present], table[~present]]
    if table.dtype == bool:
        joined = _joined([share_ci(int(side.sum()), len(side)) for side in sides], 0.0, 0.5)
        return Measure(value=joined["value"], low=joined["low"], high=joined["high"], n=len(table))
    numbers = [side.astype(np.float64) for side in sides]
    draws = sum(resampled_means(side, seed + i)[:, 0] for i, side in enumerate(numbers)) / 2
    value = float(np.mean([side.mean() for side in numbers]))
    return measure_from_draws(value, np.asarray(draws), len(table), min(len(side) for side in numbers))


def mean_balanced_ci(right: ArrayLike, labels: ArrayLike, seed: int = 0) -> Measure:
    """The mean of the balanced accuracies of K attributes, of truths "the answer is right" and labels [n, K].

    What is drawn is how far a case moves the mean: its distance from its class's own, by how rare the class is. Both
    classes of all K must be there.
    """
    present, correct = np.asarray(labels).astype(bool), np.asarray(right).astype(np.float64)
    share, having = present.mean(0), (correct * present).sum(0) / present.sum(0)
    lacking = (correct * ~present).sum(0) / (~present).sum(0)
    apart = np.where(present, (correct - having) / share, (correct - lacking) / (1 - share)) / 2
    return mean_ci(apart.mean(1) + (having + lacking).mean() / 2, seed)


def difference_ci(first: ArrayLike, second: ArrayLike) -> Measure:
    """How much more often the first truths [n] hold than the second of the same cases."""
    return _difference(np.asarray(first), np.asarray(second), [np.ones(len(np.asarray(first)), bool)])


def balanced_difference_ci(first: ArrayLike, second: ArrayLike, labels: ArrayLike) -> Measure:
    """How much more often the first truths [n] hold than the second, the mean of either class of `labels` [n]."""
    present = np.asarray(labels).astype(bool)
    return _difference(np.asarray(first), np.asarray(second), [present, ~present])


def _difference(first: NDArray[np.bool_], second: NDArray[np.bool_], strata: list[NDArray[np.bool_]]) -> Measure:
    """The mean over strata of a paired difference of shares: Wilson's intervals, joined (Newcombe, 1998, method 8)."""
    parts = [_paired_difference(_four(first[rows], second[rows])) for rows in strata]
    value = float(np.mean([part[0] for part in parts]))
    below, above = (float(np.linalg.norm([part[side] for part in parts])) / len(parts) for side in (1, 2))
    return Measure(value=value, low=max(-1.0, value - below), high=min(1.0, value + above), n=len(first))


def _paired_difference(counts: NDArray[np.int64]) -> tuple[float, float, float]:
    """The first share less the second, of the counts of `_four`, and how far its interval reaches below and above.

    Where the two never disagree it reaches as Bonett and Price (2012) have it, who count one disagreement either way.
    """
    n, (both, more, less, _) = int(counts.sum()), counts.tolist()
    if not more + less:
        reach = NORMAL * float(np.sqrt(2)) / (n + 2)
        return 0.0, reach, reach
    one, two = share_ci(both + more, n), share_ci(both + less, n)
    together = float(np.nan_to_num(_phi(counts[None])[0]))

    def reach_of(first: float, second: float) -> float:
        return float(np.sqrt(max(0.0, first**2 + second**2 - 2 * together * first * second)))

    below = reach_of(one["value"] - one["low"], two["high"] - two["value"])
    above = reach_of(one["high"] - one["value"], two["value"] - two["low"])
    return one["value"] - two["value"], below, above


def correlation_ci(first: ArrayLike, second: ArrayLike, seed: int = 0) -> Measure:
    """Pearson's correlation of two truths [n] over the same cases, each of which takes both values.

    Draws are of the four combinations, each counted a quarter of a case more often than it is, so that an interval has width
    where one of them is not to be found; a draw in which a truth takes a single value says nothing.
    """
    counts = _four(np.asarray(first).astype(bool), np.asarray(second).astype(bool))
    n = int(counts.sum())
    chances = (counts + 0.25) / (n + 1)
    drawn = _phi(np.random.default_rng(seed).multinomial(n, chances, RESAMPLES))
    value = float(_phi(counts[None])[0])
    measure = measure_from_draws(value, drawn[~np.isnan(drawn)], n, n)
    return Measure(value=value, low=min(measure["low"], value), high=max(measure["high"], value), n=n)


def _four(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> NDArray[np.int64]:
    """How often both truths hold, the first alone, the second alone, neither."""
    return np.array([(first & second).sum(), (first & ~second).sum(), (~first & second).sum(), (~first & ~second).sum()])


def _phi(counts: NDArray[np.integer]) -> NDArray[np.float64]:
    """Pearson's correlation [R] of truths, of how often [R, 4] both hold, the first alone, the second alone, neither."""
    both, first, second, neither = counts.T.astype(np.float64)
    spread = np.sqrt((both + first) * (second + neither) * (both + second) * (first + neither))
    product = both * neither - first * second
    return np.divide(product, spread, out=np.full(len(counts), np.nan), where=spread > 0)


def auroc_ci(scores: ArrayLike, labels: ArrayLike) -> Measure:
    """The area under the ROC curve of scores [n] against labels [n]: how often a case with it has more than one without.

    The interval is DeLong's on the logit; where all pairs are in order, or none, Newcombe's (2006, method 5).
    """
    z, y = np.asarray(scores, np.float64), np.asarray(labels).astype(bool)
    with_it, without = int(y.sum()), int((~y).sum())
    ranks = rankdata(z)
    # Of each case the share of the other class that it is above (or below): midranks in all less midranks in its own class.
    above = (ranks[y] - rankdata(z[y])) / without
    below = 1 - (ranks[~y] - rankdata(z[~y])) / with_it
    area = float(above.mean())
    if 0 < area < 1:
        spread = np.sqrt(above.var(ddof=1) / with_it + below.var(ddof=1) / without) / (area * (1 - area))
        low, high = (1 / (1 + np.exp(-(np.log(area / (1 - area)) + way * NORMAL * spread))) for way in (-1, 1))
    else:
        low, high = _newcombe(area, with_it, without)
    return Measure(value=area, low=float(low), high=float(high), n=len(y))


def _newcombe(area: float, with_it: int, without: int) -> tuple[float, float]:
    """The areas that are as far from one of 0 or 1 as `NORMAL` of their own deviations (Hanley and McNeil, 1982)."""
    between = np.linspace(0.5, 1, 20_001)
    half = (with_it + without) / 2 - 1
    spread = 1 + half * ((1 - between) / (2 - between) + between / (1 + between))
    reach = NORMAL * np.sqrt(between * (1 - between) * spread / (with_it * without))
    least = float(between[1 - between <= reach].min())
    return (least, 1.0) if area == 1 else (0.0, 1 - least)


def pair_mean_ci(values: ArrayLike, first: ArrayLike, second: ArrayLike, seed: int = 0) -> Measure:
    """The mean of values [n] of pairs, of which `first` and `second` [n] say whose they are: a jackknife over people.

    A person is in many pairs, so pairs are no cases: `GROUPS` groups of people leave with all their pairs.
    """
    table = np.asarray(values, np.float64)
    people, whose = np.unique(np.stack([np.asarray(first), np.asarray(second)]), return_inverse=True)
    groups = (np.random.default_rng(seed).permutation(len(people)) % GROUPS)[whose.reshape(2, -1)]
    kept = [table[(groups != group).all(0)] for group in range(GROUPS)]
    return jackknife(table.mean(), [part.mean() for part in kept if len(part)], len(table), least=-np.inf)


class BetweenRuns(TypedDict):
    """A figure's mean over trainings that differ in their seed alone, the deviation between these, and what each has."""

    mean: float
    sd: float
    values: list[float]


def between_runs(values: ArrayLike) -> BetweenRuns:
    """The spread of one figure of at least two runs."""
    table = np.asarray(values, np.float64)
    return BetweenRuns(mean=float(table.mean()), sd=float(table.std(ddof=1)), values=table.tolist())


def student_reach(values: ArrayLike) -> float:
    """How far the 95 % interval of the mean over runs reaches either way, by Student's law."""
    table = np.asarray(values, np.float64)
    return float(t.ppf((1 + LEVEL) / 2, len(table) - 1) * table.std(ddof=1) / np.sqrt(len(table)))


def exact(value: float, n: int = 1) -> Measure:
    """A number that is counted, not estimated."""
    return Measure(value=float(value), low=float(value), high=float(value), n=n)


def jackknife(value: float, left: ArrayLike, n: int, least: float = 0.0, counted: int = 1) -> Measure:
    """A number of n cases with a 95 % interval from what it is [G] without each of G groups of the cases in turn.

    For what a bootstrap's repeated cases would bias, such as distances; it is never below `least`. Few groups tell their
    own spread badly, so the interval is Student's. What is left out of two sets that belong together are the same cases.
    `counted` is 2 for a number that the cases move by pairs alone, whose variance a jackknife counts twice.
    """
    without = np.asarray(left, np.float64)
    reach = float(t.ppf((1 + LEVEL) / 2, len(without) - 1) * np.sqrt((len(without) - 1) * without.var() / counted))
    return Measure(value=float(value), low=max(least, value - reach), high=float(value + reach), n=n)


def measure_from_draws(value: float, draws: NDArray[np.float64], n: int, cases: int | None = None) -> Measure:
    """A number of n cases, and the ends of its interval by the same number of draws [R] of the cases.

    `cases` are those that are drawn, where they are few enough to tell the spread badly: a bootstrap of k cases has
    (k − 1) / k of the variance, and its ends are the normal law's (Hesterberg, 2015, expanded percentiles).
    """
    tail = (1 - LEVEL) / 2
    if cases is not None and cases > 1:
        tail = float(norm.cdf(np.sqrt(cases / (cases - 1)) * t.ppf(tail, cases - 1)))
    low, high = np.quantile(draws, [tail, 1 - tail])
    return Measure(value=float(value), low=float(low), high=float(high), n=n)
