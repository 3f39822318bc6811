"""What a protocol returns: measures, curves, matrices, what could not be computed and why, and pictures."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from visagist.boundary.schema import Count, Open
from visagist.evaluation.statistics import Measure

SCHEMA_VERSION = 1
MOST_METRICS_BYTES = 2**28


@dataclass(frozen=True)
class StoredMeasure(Open):
    """A `Measure` in a file."""

    value: float
    low: float
    high: float
    n: Count


@dataclass(frozen=True)
class StoredMetrics(Open):
    """A `metrics.json` that is read back."""

    schema_version: int
    metrics: Mapping[str, StoredMeasure]
    curves: Mapping[str, Mapping[str, Any]]
    matrices: Mapping[str, Mapping[str, Any]]
    not_computed: Mapping[str, str]
    manifest: Mapping[str, Any]


_PARTS: tuple[Literal["value", "low", "high"], ...] = ("value", "low", "high")


def _finite(value: Any) -> Any:
    """A value of JSON with None for each number that is not finite."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {key: _finite(part) for key, part in value.items()}
    return [_finite(part) for part in value] if isinstance(value, list) else value


@dataclass
class Metrics:
    """`metrics["edit.Smiling.success_0"]` is a `Measure`: value, low, high, n.

    curves        name -> lists over strength
    matrices      name -> rows, columns, values
    not_computed  key, or family with a star, -> why
    manifest      what was measured, on what, by whom
    """

    values: dict[str, Measure] = field(default_factory=dict)
    curves: dict[str, dict[str, Any]] = field(default_factory=dict)
    matrices: dict[str, dict[str, Any]] = field(default_factory=dict)
    not_computed: dict[str, str] = field(default_factory=dict)
    manifest: dict[str, Any] = field(default_factory=dict)

    def __getitem__(self, key: str) -> Measure:
        if key not in self.values:
            raise KeyError(f"{key}: {self.not_computed.get(key, 'no such metric')}")
        return self.values[key]

    def __contains__(self, key: object) -> bool:
        return key in self.values

    def put(self, key: str, measure: Measure | None, why: str) -> None:
        """Add a measure, or why there is none."""
        if measure is None:
            self.not_computed[key] = why
        else:
            self.values[key] = measure

    def to_json(self) -> dict[str, Any]:
        """The content of `metrics.json`."""
        return {
            "schema_version": SCHEMA_VERSION,
            "metrics": dict(self.values),
            "curves": self.curves,
            "matrices": self.matrices,
            "not_computed": self.not_computed,
            "manifest": self.manifest,
        }

    def finite(self) -> Metrics:
        """The same, but what is not finite is None in curves and matrices, and is said under `not_computed`."""
        strange = {
            key: f"it is not finite: {', '.join(str(measure[part]) for part in _PARTS)}"
            for key, measure in self.values.items()
            if not all(math.isfinite(measure[part]) for part in _PARTS)
        }
        values = {key: measure for key, measure in self.values.items() if key not in strange}
        groups = []
        for group in (self.curves, self.matrices):
            groups.append({name: _finite(part) for name, part in group.items()})
            strange |= {name: "some of it is not finite" for name, part in group.items() if groups[-1][name] != part}
        return Metrics(values, groups[0], groups[1], {**self.not_computed, **strange}, self.manifest)

    def rows(self) -> list[tuple[str, ...]]:
        """The rows of `metrics.csv`: key, value, low, high, n, not_computed."""
        rows = [(key, *(repr(m[part]) for part in ("value", "low", "high", "n")), "") for key, m in self.values.items()]
        return [*rows, *((key, "", "", "", "", why) for key, why in self.not_computed.items())]


@dataclass(frozen=True)
class Cell:
    """One picture [S, S, 3], what it is, and the judge's score of it or None."""

    title: str
    image: NDArray[np.uint8]
    score: float | None


@dataclass(frozen=True)
class Strip:
    """One face through all columns; `present` is its label."""

    attribute: str
    present: bool
    cells: list[Cell]


@dataclass(frozen=True)
class Result:
    """What a protocol returns: figures, and the pictures that a report shows."""

    metrics: Metrics
    strips: Sequence[Strip] = ()


Kind = Literal["share", "number"]
Better = Literal["higher", "lower", "nearer to 0", "equal"]


@dataclass(frozen=True)
class Metric:
    """What the figures under one pattern of keys are, for pages, tables and verdicts.

    key         pattern such as `edit.{A}.err`: `{A}` is an attribute, another field any text, dots as well
    title       what a row or column of it is called; it may use the fields of the key
    kind        a share, which is shown in percent, or a number
    pages       tables that show it -> its title there, empty for `title`
    definition  one sentence, where the title does not say it all
    """

    key: str
    title: str
    kind: Kind = "number"
    better: Better = "higher"
    pages: Mapping[str, str] = field(default_factory=dict)
    definition: str = ""

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        parts = re.split(r"\{(\w+)\}", self.key)
        texts, names = map(re.escape, parts[::2]), parts[1::2]
        fields = [f"(?P<{name}>{'[^.]+' if name == 'A' else '.+'})" for name in names]
        return re.compile("".join(text + part for text, part in zip(texts, [*fields, ""])))

    def fields(self, key: str) -> dict[str, str] | None:
        """What stands in a key for each field of the pattern; None where the key is of another metric."""
        match = self._pattern.fullmatch(key)
        return None if match is None else match.groupdict()

    def title_on(self, page: str, fields: Mapping[str, str]) -> str:
        """The title on a page with the values of its fields."""
        words = {name: value.replace("_", " ") for name, value in fields.items()}
        return (self.pages.get(page) or self.title).format(**words)


def metrics_under(prefix: str, metrics: Iterable[Metric], page: str, shown: Mapping[str, str]) -> tuple[Metric, ...]:
    """The metrics with `prefix` before their keys; those of `shown`, by key, are on a page under that title or their own."""
    return tuple(
        replace(metric, key=prefix + metric.key, pages={page: shown[metric.key]} if metric.key in shown else {})
        for metric in metrics
    )


@dataclass(frozen=True)
class MetricLine:
    """One line of a table of metrics."""

    title: str
    key: str
    metric: Metric


def lines_on(
    page: str, metrics: Iterable[Metric], keys: Iterable[str], attribute: str | None = None
) -> Iterator[MetricLine]:
    """The lines of a page's table, in the order of `metrics`, of the keys that there are; of one attribute, or of all."""
    known = list(keys)
    for metric in metrics:
        if page in metric.pages:
            for key in known:
                fields = metric.fields(key)
                if fields is not None and attribute in (None, fields.get("A")):
                    yield MetricLine(metric.title_on(page, fields), key, metric)


def find_metric(key: str, metrics: Iterable[Metric]) -> Metric | None:
    """The first metric whose pattern fits a key."""
    return next((metric for metric in metrics if metric.fields(key) is not None), None)
