"""The counterfactual bench: which methods confuse attributes that went together in training, measured against the truth."""

from __future__ import annotations

from visagist.bench.plan import Plan
from visagist.bench.protocol import run_bench

__all__ = ["Plan", "run_bench"]
