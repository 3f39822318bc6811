"""One family of metrics a module; `METRICS` says what every key means, in the order of pages."""

from __future__ import annotations

from visagist.evaluation.metrics import (
    classification,
    consistency,
    cost,
    counterfactual,
    decoder_recovery,
    direction_edits,
    distribution,
    edit_curves,
    edits,
    entanglement,
    identity,
    leakage,
    reconstruction,
    sampling,
    second_judge,
)
from visagist.evaluation.results import Metric, find_metric

METRICS: tuple[Metric, ...] = (
    *reconstruction.METRICS, *edits.METRICS, *consistency.METRICS, *identity.METRICS, *entanglement.METRICS,
    *sampling.METRICS, *cost.METRICS, *distribution.METRICS, *second_judge.METRICS, *counterfactual.METRICS,
    *leakage.METRICS, *classification.METRICS, *decoder_recovery.METRICS, *edit_curves.METRICS, *direction_edits.METRICS,
)  # fmt: skip


def metric_for(key: str) -> Metric | None:
    """What a key of `metrics.json`, `compare.json` or `directions.json` means; None where no family declares it."""
    if not key.startswith("general."):
        return find_metric(key, METRICS)
    _, *parts = key.split(".")  # general.MODEL.KEY, and a model's name may hold dots
    metrics = (find_metric(".".join(parts[start:]), METRICS) for start in range(1, len(parts)))
    return next((metric for metric in metrics if metric is not None), None)
