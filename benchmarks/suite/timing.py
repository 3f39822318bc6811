"""Contestants by turns, and what is said of their times: medians, quartiles, ratios of neighbours."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

Seconds = dict[str, list[float]]
Work = Callable[[], object]


@dataclass(frozen=True)
class Given:
    """What `run.py` was asked: `quick` makes everything tiny, `rounds` of None leaves them to the part."""

    quick: bool = False
    rounds: int | None = None
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    def rounds_or(self, usual: int, quick: int = 2) -> int:
        return self.rounds or (quick if self.quick else usual)


@dataclass(frozen=True)
class Ratio:
    """How many times as fast `of` is as `over`, by the rounds in which both ran; `wanted` is the least that is wanted."""

    of: str
    over: str
    wanted: float | None = None


@dataclass
class Group:
    """Contestants that did the same work, or figures that stand for themselves.

    contestants   by name: spread of seconds of one turn, and `per_second` of `unit`
    ratios        spreads, with what was wanted
    figures       rows of what, value, unit, and where one is set what was wanted
    """

    title: str
    settings: dict[str, Any] = field(default_factory=dict)
    unit: str = "images"
    contestants: dict[str, dict[str, Any]] = field(default_factory=dict)
    ratios: list[dict[str, Any]] = field(default_factory=list)
    figures: list[dict[str, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def figure(self, what: str, value: float, unit: str, *, least: float | None = None, most: float | None = None) -> None:
        wanted = {key: bound for key, bound in (("at_least", least), ("at_most", most)) if bound is not None}
        reached = (least is None or value >= least) and (most is None or value <= most)
        self.figures.append(
            {"what": what, "value": value, "unit": unit, **wanted, **({"reached": reached} if wanted else {})}
        )


@dataclass
class Part:
    """What one part found: its groups, and what was left out, with the reason."""

    groups: list[Group] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)


def by_turns(contestants: Mapping[str, Work], rounds: int, device: torch.device, warm: int = 1) -> Seconds:
    """Seconds of one turn of each contestant in each round, in an order that turns from round to round.

    All are in one process, so that another load on the machine slows all alike. The first `warm` rounds are not counted.
    """
    seconds: Seconds = {name: [] for name in contestants}
    names = list(contestants)
    for turn in range(-warm, rounds):
        first = turn % len(names)
        for name in names[first:] + names[:first]:
            _wait(device)
            began = time.perf_counter()
            contestants[name]()
            _wait(device)
            if turn >= 0:
                seconds[name].append(time.perf_counter() - began)
    return seconds


def compare(group: Group, seconds: Seconds, count: int, wanted: list[Ratio]) -> Group:
    """Put times into the group: each contestant did `count` of its unit a turn."""
    for name, values in seconds.items():
        group.contestants[name] = {"seconds": spread(values), "per_second": count / statistics.median(values)}
    for pair in wanted:
        if pair.of not in seconds or pair.over not in seconds:
            continue
        values = [slow / fast for fast, slow in zip(seconds[pair.of], seconds[pair.over])]
        found: dict[str, Any] = {"of": pair.of, "over": pair.over, **spread(values)}
        if pair.wanted is not None:
            found |= {"at_least": pair.wanted, "reached": found["median"] >= pair.wanted}
        group.ratios.append(found)
    return group


def spread(values: list[float]) -> dict[str, float]:
    """Median, quartiles, least and most, to four significant digits."""
    quarter, half, three = statistics.quantiles(values, n=4, method="inclusive") if len(values) > 1 else values * 3
    figures = {"median": half, "quarter": quarter, "three_quarters": three, "min": min(values), "max": max(values)}
    return {name: rounded(value) for name, value in figures.items()}


def rounded(value: float, digits: int = 4) -> float:
    return round(value, digits - 1 - math.floor(math.log10(abs(value)))) if value else value


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
