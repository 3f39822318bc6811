"""How long each family of metrics takes."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

Times = NDArray[np.float64]


class Stopwatch:
    """Seconds by family. A family that another one calls for, as all call for the judge, counts for itself alone."""

    def __init__(self) -> None:
        self._spent: dict[str, Times] = {}
        self._running: list[Times] = []

    @contextlib.contextmanager
    def of(self, family: str) -> Iterator[None]:
        """What runs in this context belongs to the family."""
        began, inside = _now(), np.zeros(2)
        self._running.append(inside)
        try:
            yield
        finally:
            self._running.pop()
            whole = _now() - began
            self._spent[family] = self._spent.get(family, np.zeros(2)) + whole - inside
            if self._running:
                self._running[-1] += whole

    def seconds(self) -> dict[str, dict[str, float]]:
        """Of each family, by the clock on the wall and of the processor, all threads together."""
        return {name: {"wall": round(float(t[0]), 2), "cpu": round(float(t[1]), 2)} for name, t in self._spent.items()}


def _now() -> Times:
    return np.array([time.perf_counter(), time.process_time()])
