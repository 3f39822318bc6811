"""How often each kind of 95 % interval of a report holds the truth, on data whose truth is known.

    python benchmarks/coverage_of_intervals.py [--replicates 1000] [--only share] [--json]

Every line is one kind of interval on one kind of data: so many repetitions with fresh data, the share of intervals that
hold the truth, and the error of that share. Where a figure depends on n (Fréchet distances, inception scores, areas that
are the best of many), the truth is its expectation at this n, which is the mean over the repetitions. Ends with status 1
where a share is more than two points, and two of its errors, off 95 %.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import cache
from typing import Any

import numpy as np
import torch
from scipy.stats import norm
from sklearn.linear_model import LogisticRegression

from visagist.evaluation.metrics.distribution import (
    frechet_measure,
    inception_measure,
    inception_score_of_splits,
    kernel_measure,
)
from visagist.evaluation.metrics.edit_curves import equal_success, first_crossing, height_at
from visagist.evaluation.statistics import (
    Measure,
    auroc_ci,
    balanced_difference_ci,
    balanced_mean_ci,
    correlation_ci,
    difference_ci,
    lowest_share_ci,
    mean_balanced_ci,
    mean_ci,
    mean_share_ci,
    pair_mean_ci,
    ratio_ci,
    student_reach,
    sum_of_shares_ci,
)
from visagist.latent.conditional_sampling import _bias

Random = np.random.Generator
Draw = Callable[[Random], tuple[Measure, float | None]]
LEVEL, TOLERANCE = 0.95, 0.02


@dataclass(frozen=True)
class Kind:
    """One kind of interval on one kind of data.

    draw   fresh data's measure and the truth, None for the expectation of the figure itself
    share  of the replicates that are asked for: dear ones have fewer
    """

    name: str
    data: str
    n: int
    draw: Draw
    share: float = 1.0


@dataclass(frozen=True)
class Coverage:
    """What became of a kind: how often its interval held the truth, the error of that, and the intervals' mean width."""

    name: str
    data: str
    n: int
    replicates: int
    covered: float
    error: float
    width: float

    @property
    def holds(self) -> bool:
        return abs(self.covered - LEVEL) <= TOLERANCE + 2 * self.error


def measure_coverage(kind: Kind, replicates: int, seed: int = 0) -> Coverage:
    """Repeat a kind on fresh data."""
    number = max(2, round(kind.share * replicates))
    drawn = [kind.draw(np.random.default_rng([seed, index])) for index in range(number)]
    expected = float(np.mean([measure["value"] for measure, _ in drawn]))
    held = [m["low"] <= (expected if truth is None else truth) <= m["high"] for m, truth in drawn]
    covered = float(np.mean(held))
    width = float(np.mean([m["high"] - m["low"] for m, _ in drawn]))
    return Coverage(
        kind.name, kind.data, kind.n, number, covered, float(np.sqrt(max(covered * (1 - covered), 1e-4) / number)), width
    )


def _means() -> Iterator[Kind]:
    for n in (50, 500):
        yield Kind("mean of numbers", "normal", n, lambda r, n=n: (mean_ci(r.normal(1, 2, n)), 1.0))
        yield Kind(
            "mean of numbers", "squared errors (gamma 4)", n, lambda r, n=n: (mean_ci(r.gamma(4, 1, n)), 4.0)
        )
        yield Kind("paired mean difference", "cosines", n, lambda r, n=n: _paired_means(r, n))
        yield Kind("ratio of sums", "energy along over energy", n, lambda r, n=n: _ratio(r, n))
    yield Kind("mean over pairs of people", "200 people, 2 000 pairs", 200, _pairs, 0.5)


def _paired_means(rng: Random, n: int) -> tuple[Measure, float]:
    before = rng.beta(8, 2, n)
    return mean_ci(before - before * rng.beta(9, 1, n)), 0.8 * 0.1


def _ratio(rng: Random, n: int) -> tuple[Measure, float]:
    below = rng.gamma(3, 1, n)
    return ratio_ci(below * rng.normal(0.4, 0.3, n), below, int(rng.integers(1000))), 0.4


def _pairs(rng: Random) -> tuple[Measure, float]:
    faces = rng.normal(size=200)
    first, second = rng.integers(0, 200, (2, 2000))
    kept = first != second
    first, second = first[kept], second[kept]
    return pair_mean_ci(faces[first] + faces[second] + rng.normal(size=len(first)), first, second), 0.0


def _shares() -> Iterator[Kind]:
    for n in (8, 50, 500, 4000):
        yield Kind("share (Wilson)", "share drawn from .02 … .98", n, lambda r, n=n: _share(r, n))
    yield Kind("share (Wilson)", "share .99 … 1", 500, lambda r: _share(r, 500, 0.99, 1.0))
    for judges, shares in LOWEST.items():
        yield Kind("lowest of judges", judges, 500, lambda r, shares=shares: _lowest(r, 500, shares))
    for n in (50, 500):
        yield Kind("sum of two shares", "of the same faces", n, lambda r, n=n: _sum(r, n))
        yield Kind("paired difference of shares", "of the same faces", n, lambda r, n=n: _difference(r, n))
        yield Kind("mean of shares (others that flip)", "39 attributes, correlated", n, lambda r, n=n: _flips(r, n))
        yield Kind("balanced accuracy", "a fifth has it", n, lambda r, n=n: _balanced(r, n))
        yield Kind("difference of balanced accuracies", "a fifth has it", n, lambda r, n=n: _gain(r, n))
        yield Kind("correlation of labels", "-.3 … .8", n, lambda r, n=n: _correlation(r, n))
    yield Kind("balanced mean of numbers (bits)", "a fifth has it", 500, _bits)
    yield Kind("mean of balanced accuracies", "10 attributes", 500, _mean_balanced)


def _share(rng: Random, n: int, least: float = 0.02, most: float = 0.98) -> tuple[Measure, float]:
    p = float(rng.uniform(least, most))
    return mean_ci(rng.random(n) < p), p


LOWEST = {
    "three that read alike": (0.8, 0.8, 0.8), "three far apart": (0.95, 0.8, 0.6), "two that read alike": (0.9, 0.9),
    "three, two of them near": (0.98, 0.82, 0.8),
}  # fmt: skip


def _lowest(rng: Random, n: int, shares: tuple[float, ...]) -> tuple[Measure, float]:
    shared = rng.random(n)
    read = [np.where(rng.random(n) < 0.5, shared, rng.random(n)) < share for share in shares]
    return lowest_share_ci([mean_ci(truths) for truths in read]), min(shares)


def _sum(rng: Random, n: int) -> tuple[Measure, float]:
    one, two = rng.uniform(0.3, 0.98, 2)
    shared, own = rng.random(n), rng.random(n)
    follows = rng.random(n) < 0.5
    first, second = shared < one, np.where(follows, shared, own) < two
    return sum_of_shares_ci(first, second), float(one + two)


def _difference(rng: Random, n: int) -> tuple[Measure, float]:
    one, two = rng.uniform(0.5, 0.98, 2)
    shared, own = rng.random(n), rng.random(n)
    follows = rng.random(n) < 0.6
    return difference_ci(shared < one, np.where(follows, shared, own) < two), float(one - two)


def _flips(rng: Random, n: int) -> tuple[Measure, float]:
    chance = rng.beta(1, 30, n)
    return mean_share_ci(rng.binomial(39, chance) / 39, int(rng.integers(1000))), 1 / 31


def _labels(rng: Random, n: int) -> np.ndarray:
    return rng.permutation(np.arange(n) < n // 5)


def _balanced(rng: Random, n: int) -> tuple[Measure, float]:
    labels, (having, lacking) = _labels(rng, n), rng.uniform(0.5, 0.99, 2)
    return balanced_mean_ci(rng.random(n) < np.where(labels, having, lacking), labels), float(having + lacking) / 2


def _gain(rng: Random, n: int) -> tuple[Measure, float]:
    labels, shared, own = _labels(rng, n), rng.random(n), rng.random(n)
    second = np.where(rng.random(n) < 0.7, shared, own)
    return balanced_difference_ci(shared < np.where(labels, 0.8, 0.75), second < 0.7, labels), 0.075


def _correlation(rng: Random, n: int) -> tuple[Measure, float]:
    rho = float(rng.uniform(-0.3, 0.8))
    both = 0.25 * (1 + rho)
    kinds = rng.choice(4, n, p=[both, 0.5 - both, 0.5 - both, both])
    return correlation_ci(kinds < 2, kinds % 2 == 0, int(rng.integers(1000))), rho


def _bits(rng: Random) -> tuple[Measure, float]:
    labels = _labels(rng, 500)
    return balanced_mean_ci(1 - rng.gamma(2, np.where(labels, 0.6, 0.3)), labels, int(rng.integers(1000))), 1 - 0.9


def _mean_balanced(rng: Random) -> tuple[Measure, float]:
    rates = np.linspace(0.1, 0.5, 10)
    labels = rng.random((500, 10)) < rates
    easy = rng.beta(8, 1, (500, 1))
    right = rng.random((500, 10)) < easy * np.where(labels, 0.8, 1.0)
    return mean_balanced_ci(right, labels, int(rng.integers(1000))), 8 / 9 * 0.9


def _areas() -> Iterator[Kind]:
    for n in (60, 500):
        for apart in (0.3, 1.5, 3.0):
            yield Kind("area under the ROC curve", f"classes {apart:g} apart, a third has it", n,
                       lambda r, n=n, apart=apart: _area(r, n, apart))  # fmt: skip


def _area(rng: Random, n: int, apart: float) -> tuple[Measure, float]:
    labels = np.arange(n) < n // 3
    return auroc_ci(rng.normal(size=n) + apart * labels, labels), float(norm.cdf(apart / np.sqrt(2)))


FEATURES = 64


def features(rng: Random, n: int) -> np.ndarray:
    """Positive, skewed and correlated, with the variation of norms and kernels that SqueezeNet's features of faces have."""
    common = np.exp(0.4 * rng.normal(size=(n, 4)) @ _MIXING)
    return 3 * rng.gamma(2, 0.5, (n, FEATURES)) * common * np.arange(1, FEATURES + 1) ** -0.25


_MIXING = np.random.default_rng(7).normal(size=(4, FEATURES)) / 2


def _distances() -> Iterator[Kind]:
    for name, measured, n, share in (("KID", kernel_measure, 400, 0.3), ("Fréchet distance", _frechet, 400, 0.3)):
        for data, draw in (
            ("samples against photographs", lambda r, f=measured, n=n: f(_made(r, n), features(r, n))),
            ("samples, a third as many", lambda r, f=measured, n=n: f(_made(r, n // 3), features(r, n))),
            ("reconstructions, the same photographs", lambda r, f=measured, n=n: _rebuilt(r, n, f)),
            ("reconstructions, other photographs",
             lambda r, f=measured, n=n: f(_blurred(r, features(r, n)), features(r, n))),
            ("photographs, other photographs (floor)",
             lambda r, f=measured, n=n: f(features(r, n), features(r, n), alike=True)),
        ):  # fmt: skip
            yield Kind(name, data, n, lambda r, draw=draw: (draw(r), None), share)
    yield Kind("inception score", "10 classes", 500, lambda r: (inception_measure(_classes(r, 500)), None), 0.5)
    yield Kind("inception score of ten splits", "10 classes", 2000,
               lambda r: (inception_score_of_splits(np.log(_classes(r, 2000)), seed=int(r.integers(1000))), None),
               0.5)  # fmt: skip


def _frechet(a: np.ndarray, b: np.ndarray, paired: bool = False, alike: bool = False) -> Measure:
    return frechet_measure(a, b, paired=paired, alike=alike)


def _made(rng: Random, n: int) -> np.ndarray:
    return 0.75 * features(rng, n) + 0.1


def _blurred(rng: Random, photographs: np.ndarray) -> np.ndarray:
    return 0.85 * photographs + 0.1 * rng.gamma(2, 0.5, photographs.shape)


def _rebuilt(rng: Random, n: int, measured: Callable[..., Measure]) -> Measure:
    photographs = features(rng, n)
    return measured(_blurred(rng, photographs), photographs, paired=True)


def _classes(rng: Random, n: int) -> np.ndarray:
    logits = 2 * rng.normal(size=(n, 10)) + np.linspace(-1, 1, 10)
    return np.exp(logits) / np.exp(logits).sum(1, keepdims=True)


STRENGTHS = (0.0, 0.25, 0.5, 0.75, 1.0)
MODELS = ((0.8, 0.1), (1.1, 0.2))  # reach and cost


def _curves(rng: Random, n: int, reach: float, cost: float) -> dict[str, np.ndarray]:
    """A model's edits of n faces: success as strength passes a face's own threshold, and what it costs."""
    threshold = rng.normal(0.5, 0.25, n)
    steps = np.array(STRENGTHS)
    return {
        "success": reach * steps + 0.02 * rng.normal(size=(n, 1)) > threshold[:, None],
        "collateral": (cost * steps + 0.05 * rng.normal(size=(n, 1))).clip(0, 1),
    }


def _equal(key: str, n: int) -> Draw:
    def draw(rng: Random) -> tuple[Measure, float]:
        first, second = (_curves(rng, n, *model) for model in MODELS)
        measures = equal_success(first, second, STRENGTHS, int(rng.integers(1000)))
        assert measures is not None
        return measures[key], _true_equal()[key]

    return draw


@cache
def _true_equal() -> dict[str, float]:
    """The same of endlessly many faces."""
    rng, grid = np.random.default_rng(11), np.array([STRENGTHS])
    first, second = (
        {key: column.mean(0)[None] for key, column in _curves(rng, 400_000, *model).items()} for model in MODELS
    )
    level = np.array([min(first["success"].max(), second["success"].max())])
    places = [first_crossing(model["success"], level) for model in (first, second)]
    costs = [float(height_at(model["collateral"], place)[0]) for model, place in zip((first, second), places)]
    return {
        "success": float(level[0]),
        "second.strength": float(height_at(grid, places[1])[0]),
        "second.collateral": costs[1],
        "less.collateral": costs[1] - costs[0],
    }


def _equals() -> Iterator[Kind]:
    for key in ("success", "second.strength", "second.collateral", "less.collateral"):
        yield Kind(f"at equal success: {key}", "two models, the same faces", 300, _equal(key, 300), 0.5)


def _probe(rng: Random) -> tuple[Measure, float]:
    """A probe's balanced accuracy on faces that it has not seen, beside its accuracy on endlessly many."""
    n, truth = 500, []

    def faces(number: int) -> tuple[np.ndarray, np.ndarray]:
        labels = rng.random(number) < 0.3
        return rng.normal(size=(number, 16)) + 0.35 * labels[:, None] * (np.arange(16) < 4), labels

    x, y = faces(n)
    beyond, known = faces(20_000)
    parts, right = rng.permutation(n) % 5, np.empty(n, bool)
    for part in range(5):
        unseen = parts == part
        probe = LogisticRegression(C=0.1, class_weight="balanced").fit(x[~unseen], y[~unseen])
        right[unseen] = probe.predict(x[unseen]) == y[unseen]
        said = probe.predict(beyond)
        truth.append((said[known].mean() + 1 - said[~known].mean()) / 2)
    return balanced_mean_ci(right, y), float(np.mean(truth))


def _chains(rng: Random) -> tuple[Measure, float]:
    """The bias of chains that reach the posterior of a linear classifier exactly."""
    prior = rng.normal(size=4096)
    exact = rng.normal(size=40_000)
    kept = exact[rng.random(40_000) < 1 / (1 + np.exp(-2 * exact))][:512]
    tensors = (torch.from_numpy(values[:, None]) for values in (2 * kept, 2 * prior))
    chains, before = tensors
    (bias,) = _bias(chains, before, torch.nn.functional.logsigmoid(before[:, 0]))
    return Measure(value=bias.difference, low=bias.low, high=bias.high, n=512), 0.0


def _runs(rng: Random) -> tuple[Measure, float]:
    """The mean of three seeds' figures by Student's law, as verdicts of several seeds take it."""
    values = rng.normal(0.9, 0.02, 3)
    mean, reach = float(values.mean()), float(student_reach(values))
    return Measure(value=mean, low=mean - reach, high=mean + reach, n=3), 0.9


def kinds() -> list[Kind]:
    """All kinds, in the order in which they are printed."""
    return [
        *_means(), *_shares(), *_areas(), *_distances(), *_equals(),
        Kind("probe out of fold, balanced accuracy", "16 dimensions", 500, _probe, 0.3),
        Kind("bias of chains", "an exact sampler", 512, _chains, 0.5),
        Kind("mean between runs", "trainings of three seeds", 3, _runs),
    ]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--replicates", type=int, default=1000)
    parser.add_argument("--only", default="", help="lines whose kind or data hold this")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    chosen = [kind for kind in kinds() if options.only in f"{kind.name}, {kind.data}"]
    lines: list[Coverage] = []
    for kind in chosen:
        lines.append(measure_coverage(kind, options.replicates, options.seed))
        line = lines[-1]
        if not options.json:
            verdict = "" if line.holds else "  OFF"
            print(f"| {line.name} | {line.data} | {line.n} | {line.replicates} | {100 * line.covered:.1f} ± "
                  f"{100 * line.error:.1f} | {line.width:.3g} |{verdict}", flush=True)  # fmt: skip
    if options.json:
        rows: list[dict[str, Any]] = [{**asdict(line), "holds": line.holds} for line in lines]
        print(json.dumps(rows, indent=1))
    sys.exit(not all(line.holds for line in lines))


if __name__ == "__main__":
    main()
