"""A claim of a paper, as data, and what the figures of a reproduction say of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from typing import Any

import numpy as np
from scipy.stats import ttest_ind

from visagist.evaluation.statistics import LEVEL, student_reach

LEAST_SEEDS = 2  # for a spread; a cause is claimed with three
HOLDS, FAILS, OPEN = "holds", "does not hold", "open"
Results = Mapping[str, Mapping[str, Any]]  # frozen results of `visagist.reproduction.results`, by name


@dataclass(frozen=True)
class Figures:
    """The figures of these rows and keys, which the paper prints, or shows in a picture without a number."""

    cells: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Beats:
    """A row has a better figure than each of the others.

    key     of both; `{row}` stands for the row's label
    others  rows, or (name, row) of another reproduction
    lower   whether less is better
    """

    key: str
    row: str
    others: tuple[str | tuple[str, str], ...]
    lower: bool = False


@dataclass(frozen=True)
class Near:
    """A figure lies within a distance of a value, or of the figure of another row."""

    row: str
    key: str
    value: float | str
    within: float


@dataclass(frozen=True)
class AtLeast:
    """A figure is at least so large."""

    row: str
    key: str
    value: float


@dataclass(frozen=True)
class NotMeasured:
    """No figure here says anything of it, and why."""

    why: str


@dataclass(frozen=True)
class Claim:
    """One claim.

    source   section, table or figure of the paper
    words    what is claimed, in a sentence
    name     of the reproduction whose figures are asked
    check    which figures, and how they must lie
    differs  why what is found may differ from what is claimed, beside fewer images and narrower networks
    """

    source: str
    words: str
    name: str
    check: Figures | Beats | Near | AtLeast | NotMeasured
    differs: str


@dataclass(frozen=True)
class Finding:
    """What was found of a claim: figures in words, the answer, the least number of seeds behind it, and rows' images.

    images and published are the fewest and most images of the rows, here and in the paper.
    """

    found: str
    answer: str
    seeds: int = 0
    images: tuple[int, int] | None = None
    published: tuple[int, int] | None = None


@dataclass(frozen=True)
class _Figure:
    label: str
    values: tuple[float, ...]
    images: int
    of_paper: int
    published: float | None
    compared: str | None

    def words(self) -> str:
        return f"{self.label} {spelled(self.values)}"


def spelled(values: Sequence[float]) -> str:
    """A mean with the deviation between seeds, `0.912 ± 0.013`; of one seed `0.912 (one seed)`."""
    mean = f"{np.mean(values):.3g}"
    return f"{mean} ± {np.std(values, ddof=1):.2g}" if len(values) >= LEAST_SEEDS else f"{mean} (one seed)"


def find(claim: Claim, results: Results) -> Finding:
    """What these results say of a claim."""
    check = claim.check
    if isinstance(check, NotMeasured):
        return Finding("–", f"not measured: {check.why}")
    if claim.name not in results:
        return Finding("–", f"not run yet: `visagist reproduce {claim.name}`")
    asked = _asked(claim)
    figures = [figure for name, row, key in asked if (figure := _look_up(results, name, row, key, name == claim.name))]
    if len(figures) < len(asked):
        there = [row for _, row, _ in asked]
        return Finding(
            "; ".join(figure.words() for figure in figures) or "–", f"not run yet: needs {', '.join(dict.fromkeys(there))}"
        )
    seeds, images = min(len(figure.values) for figure in figures), [figure.images for figure in figures]
    of_paper = [figure.of_paper for figure in figures]
    seen, published = (min(images), max(images)), (min(of_paper), max(of_paper))
    return Finding("; ".join(f.words() for f in figures), _answer(check, figures, seeds), seeds, seen, published)


def _asked(claim: Claim) -> list[tuple[str, str, str]]:
    """Name, row and key of every figure that a claim asks for."""
    check, name = claim.check, claim.name
    match check:
        case Figures(cells):
            return [(name, row, key) for row, key in cells]
        case Beats(key, row, others):
            pairs = [(name, other) if isinstance(other, str) else other for other in others]
            return [(name, row, key.format(row=row)), *((of, other, key.format(row=other)) for of, other in pairs)]
        case Near(row, key, str(other)):
            return [(name, row, key), (name, other, key)]
        case Near(row, key) | AtLeast(row, key):
            return [(name, row, key)]
    return []


def _look_up(results: Results, name: str, row: str, key: str, own: bool) -> _Figure | None:
    entry = results.get(name)
    cells = [] if entry is None else entry["cells"]
    cell = next((c for c in cells if c["row"] == row and fnmatch(c["key"], key) and c["values"]), None)
    if cell is None or entry is None:
        return None
    own_row = [r for r in entry["rows"] if r["row"] == row and r["images"]] or entry["rows"]
    images, of_paper = (max((r[key] or 0 for r in own_row), default=0) for key in ("images", "published_images"))
    label = row if own else f"{row} ({name})"
    return _Figure(label, tuple(cell["values"]), images, of_paper, cell["published"], cell["compared"])


def _answer(check: Figures | Beats | Near | AtLeast | NotMeasured, figures: Sequence[_Figure], seeds: int) -> str:
    if isinstance(check, Figures):
        known = [figure for figure in figures if figure.compared is not None]
        if not known:
            return "nothing to compare: the paper prints no number"
        short = [figure for figure in known if figure.compared != "reached"]
        many = f"{len(known) - len(short)} of {len(known)} as good as published, within our interval"
        return many if seeds >= LEAST_SEEDS else f"{OPEN}, one seed: {many}"
    if seeds < LEAST_SEEDS:
        return f"{OPEN}, one seed: no spread to judge by"
    first = figures[0]
    if isinstance(check, Beats):
        sign = -1 if check.lower else 1
        ends = [_difference(first.values, other.values, sign) for other in figures[1:]]
        return _decided(min(low for low, _ in ends), min(high for _, high in ends))
    reach = student_reach(list(first.values))
    mean = float(np.mean(first.values))
    if isinstance(check, AtLeast):
        return _decided(mean - reach - check.value, mean + reach - check.value)
    assert isinstance(check, Near)
    low, high = mean - reach, mean + reach
    if isinstance(check.value, str):
        low, high = _difference(first.values, figures[1].values, 1)
    else:
        low, high = low - check.value, high - check.value
    if -check.within <= low and high <= check.within:
        return HOLDS
    return FAILS if low > check.within or high < -check.within else f"{OPEN}: within the spread of the seeds"


def _decided(low: float, high: float) -> str:
    """The answer where the interval of a difference should lie above 0."""
    if low > 0:
        return HOLDS
    return FAILS if high < 0 else f"{OPEN}: within the spread of the seeds"


def _difference(first: Sequence[float], second: Sequence[float], sign: int) -> tuple[float, float]:
    """Welch's interval of the difference of two means, turned so that more is better."""
    difference = sign * float(np.mean(first) - np.mean(second))
    if np.ptp(first) == 0 and np.ptp(second) == 0:
        return difference, difference
    ends = ttest_ind(first, second, equal_var=False).confidence_interval(LEVEL)
    low, high = sorted((sign * float(ends.low), sign * float(ends.high)))
    return low, high
