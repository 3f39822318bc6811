"""What a server tells of itself: lines of a log, and what Prometheus reads."""

from __future__ import annotations

import json
import logging
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

_log = logging.getLogger("visagist.server")
_SECONDS = (0.005, 0.01, 0.02, 0.04, 0.06, 0.09, 0.12, 0.2, 0.3, 0.5, 0.8, 1.3, 2, 3, 5, 10, 30)


class Metrics:
    """Counters and gauges of one server, in a registry of its own."""

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()
        self.requests = Counter(
            "visagist_requests", "Answered requests.", ("method", "route", "status"), registry=registry
        )
        self.request_seconds = Histogram(
            "visagist_request_seconds", "From a request's first byte to its answer.", ("route",), buckets=_SECONDS,
            registry=registry,
        )  # fmt: skip
        self.task_seconds = Histogram(
            "visagist_task_seconds", "What a worker takes for a task.", ("task",), buckets=_SECONDS, registry=registry
        )
        self.faces = Counter("visagist_faces_edited", "Faces that were edited by /v1/edit.", registry=registry)
        self.restarts = Counter("visagist_worker_restarts", "Workers that died and were replaced.", registry=registry)
        self._waiting = Gauge("visagist_jobs_waiting", "Requests that wait for a worker.", registry=registry)
        self._ready = Gauge("visagist_workers_ready", "Workers that have loaded their models.", registry=registry)
        self._in_hands = Gauge("visagist_jobs_in_hands", "Requests that workers have in hands.", registry=registry)

    def watch(
        self, waiting: Callable[[], float], in_hands: Callable[[], float], ready: Callable[[], float]
    ) -> None:
        """Read these numbers whenever the gauges are asked for."""
        self._ready.set_function(ready)
        self._waiting.set_function(waiting)
        self._in_hands.set_function(in_hands)

    def text(self) -> bytes:
        """All of it in Prometheus' text format."""
        return generate_latest(self._registry)


class JsonLines(logging.Formatter):
    """A log line as JSON: what happened, and facts; never a picture."""

    def format(self, record: logging.LogRecord) -> str:
        facts: dict[str, Any] = getattr(record, "facts", {})
        moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{int(record.msecs):03d}Z"
        line = {"time": moment, "level": record.levelname.lower(), "event": record.getMessage(), **facts}
        if record.exc_info:
            line["trace"] = self.formatException(record.exc_info)
        return json.dumps(line)


@contextmanager
def logging_to_stderr() -> Iterator[None]:
    """Write what the server logs on stderr, a line of JSON each."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    _log.addHandler(handler)
    _log.setLevel(logging.INFO)
    try:
        yield
    finally:
        _log.removeHandler(handler)
