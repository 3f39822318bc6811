"""The counterfactual bench: which methods confuse attributes that went together in training, measured against the truth."""

from __future__ import annotations

from visagist.bench.run import run_bench
from visagist.bench.settings import Plan

__all__ = ["Plan", "run_bench"]
