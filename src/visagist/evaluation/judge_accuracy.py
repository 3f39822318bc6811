"""How good a judge is itself: its accuracy per attribute on faces that it has not seen."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from visagist.attributes import DERIVED, attribute_column, attribute_columns, reads_as, rules_in_use, with_derived
from visagist.data.faces import Faces
from visagist.errors import VisagistError
from visagist.evaluation.independence import check_unseen, notes_on_dependence
from visagist.evaluation.manifest import build_manifest
from visagist.evaluation.metrics.classification import agreement
from visagist.evaluation.results import Metric, Metrics, Result
from visagist.evaluation.session import EvaluationSettings
from visagist.evaluation.statistics import balanced_mean_ci, exact, mean_balanced_ci, mean_ci, means_ci
from visagist.judges import Judge

METRICS = (
    Metric("judge.accuracy", "mean accuracy", "share"),
    Metric("judge.balanced_accuracy", "mean balanced accuracy", "share"),
    Metric("judge.majority", "mean accuracy of the commoner answer", "share"),
)  # of each attribute: `classification.METRICS`
PUBLISHED = {"LNets+ANet": 0.873, "MCNN-AUX": 0.9129, "ResNet-50": 0.9119, "DMM-CNN": 0.9170, "APS": 0.9212}


def evaluate_judge(judge: Judge, faces: Faces, settings: EvaluationSettings) -> Result:
    """Accuracy and balanced accuracy of every attribute that both know, and their means.

    Derived attributes, where both know their parts, are measured too and are no part of the means.

    Keys: `judge.accuracy`, `judge.balanced_accuracy`, `judge.majority` (always saying what is commoner in these faces),
    and `judge.A.accuracy`, `judge.A.balanced_accuracy` for each attribute A. Intervals of the means are over faces.
    """
    shared = [name for name in judge.attributes if name in faces.names]
    if not shared:
        known = ", ".join(faces.names[:5])
        raise VisagistError(f"{judge.name} shares no attribute with these faces: it knows none of {known}")
    began, seed, limit = time.monotonic(), settings.seed, settings.limit
    rows = faces.indices(settings.split)
    if limit is not None and limit < len(rows):
        rows = np.sort(np.random.default_rng(seed).choice(rows, limit, replace=False))
    dependent = check_unseen(judge.name, judge.description, faces, rows, settings.allow_dependent)
    taken = faces.take(rows)
    chosen = taken.with_attributes(shared)
    scores = judge.score(chosen.images)
    labels = chosen.labels.astype(bool)
    right = reads_as(attribute_columns(scores, judge.attributes, shared), labels)
    metrics = Metrics()
    metrics.values["judge.accuracy"] = mean_ci(right.mean(1), seed)
    for column, (name, measure) in enumerate(zip(shared, means_ci(right, seed))):
        metrics.values[f"judge.{name}.accuracy"] = measure
        if len(set(labels[:, column].tolist())) < 2:
            metrics.not_computed[f"judge.{name}.balanced_accuracy"] = "these faces are all of one class"
            continue
        metrics.values[f"judge.{name}.balanced_accuracy"] = balanced_mean_ci(right[:, column], labels[:, column], seed)
    metrics.values["judge.majority"] = exact(float(np.maximum(labels.mean(0), 1 - labels.mean(0)).mean()), len(labels))
    mixed = labels.any(0) & ~labels.all(0)
    if mixed.any():
        metrics.values["judge.balanced_accuracy"] = mean_balanced_ci(right[:, mixed], labels[:, mixed], seed)
    else:
        metrics.not_computed["judge.balanced_accuracy"] = "these faces are all of one class in every attribute"
    _measure_derived(metrics, judge, scores, taken, seed)
    metrics.manifest = _manifest(judge, chosen, settings.split, seed, time.monotonic() - began, dependent)
    return Result(metrics)


def _measure_derived(metrics: Metrics, judge: Judge, scores: NDArray[np.float32], faces: Faces, seed: int) -> None:
    """`judge.A.*` of attributes that have to be derived on either side, where both sides know the parts."""
    both = set(with_derived(judge.attributes)) & set(with_derived(faces.names))
    for name in DERIVED:
        if name in both and f"judge.{name}.accuracy" not in metrics:
            read = attribute_column(scores, judge.attributes, name)
            agreement(metrics, f"judge.{name}", read, faces.column(name).astype(bool), seed)


def _manifest(judge: Judge, faces: Faces, split: str, seed: int, seconds: float, dependent: list[str]) -> dict[str, Any]:
    facts = {
        "judge": {"name": judge.name, "weights_sha256": judge.description["weights_sha256"]},
        "derived": rules_in_use(DERIVED, judge.attributes),
        "data": faces.manifest,
        "split": split,
        "n": len(faces),
        "seed": seed,
        "published_mean_accuracy": PUBLISHED,
        "notes": notes_on_dependence(dependent),
    }
    return build_manifest(facts, seconds)
