"""What an evaluation found: measures, curves, matrices, and what could not be computed and why."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from visagist.evaluation.intervals import Measure

SCHEMA_VERSION = 1


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

    def rows(self) -> list[tuple[str, ...]]:
        """The rows of `metrics.csv`: key, value, low, high, n, not_computed."""
        found = [(key, *(repr(m[part]) for part in ("value", "low", "high", "n")), "") for key, m in self.values.items()]
        return [*found, *((key, "", "", "", "", why) for key, why in self.not_computed.items())]
