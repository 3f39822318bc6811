"""What an evaluation found: measures, curves, matrices, and what could not be computed and why."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

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
        found = [(key, *(repr(m[part]) for part in ("value", "low", "high", "n")), "") for key, m in self.values.items()]
        return [*found, *((key, "", "", "", "", why) for key, why in self.not_computed.items())]
