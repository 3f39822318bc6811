"""How well probabilities agree with labels: the model's own classifier, and the judge on the real photographs."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from visagist.attributes import reads_as
from visagist.evaluation.context import EvaluationContext
from visagist.evaluation.results import Metric, Metrics
from visagist.evaluation.statistics import balanced_mean_ci, mean_ci

METRICS = tuple(
    Metric(f"{reader}.{{A}}.{measure}", f"{words}, {measure.replace('_', ' ')}", "share", pages={
        "probes": "",
        **({"summary": "the judge on photographs"} if (reader, measure) == ("judge", "balanced_accuracy") else {}),
    })
    for reader, words in (
        ("classification", "the model's own classifier"), ("judge", "the judge on these photographs"),
    )
    for measure in ("balanced_accuracy", "accuracy")
)  # fmt: skip


def agreement(results: Metrics, key: str, probabilities: ArrayLike, labels: NDArray[np.bool_], seed: int) -> None:
    """Add `KEY.accuracy` and `KEY.balanced_accuracy` of probabilities [N] against labels [N]."""
    right = reads_as(np.asarray(probabilities), labels)
    results.values[f"{key}.accuracy"] = mean_ci(right, seed)
    if labels.all() or not labels.any():
        results.not_computed[f"{key}.balanced_accuracy"] = "these faces are all of one class"
    else:
        results.values[f"{key}.balanced_accuracy"] = balanced_mean_ci(right, labels, seed)


def measure_classification(context: EvaluationContext) -> None:
    """`classification.A.*` by the model's own classifier, where it has one."""
    if not context.can("classify"):
        context.results.not_computed["classification.*"] = f"{context.editor.backend.name} has no classifier"
        return
    context.progress.describe("the model's own classifier")
    parts = [context.editor.classify(context.faces.images[rows]) for rows in context.chunks()]
    for attribute in context.labelled:
        read = np.concatenate([np.asarray(part[attribute]) for part in parts])
        agreement(context.results, f"classification.{attribute}", read, context.labels(attribute), context.seed)
    context.progress.advance(0.5 * len(context.faces))


def measure_judge(context: EvaluationContext) -> None:
    """`judge.A.*`: the judge's own accuracy on these photographs."""
    photo_scores, _ = context.photo_scores, context.unedited_scores  # both before any edit
    for attribute in context.labelled:
        if context.scorer.knows(attribute):
            scores = context.scorer.column(photo_scores, attribute)
            agreement(context.results, f"judge.{attribute}", scores, context.labels(attribute), context.seed)


def judge_accuracies(context: EvaluationContext) -> dict[str, float]:
    """The judge's accuracy on these photographs, of all attributes that it shares with their labels."""
    shared = [name for name in context.faces.names if name in context.scorer.judge.attributes]
    return {
        name: float(reads_as(context.scorer.column(context.photo_scores, name), context.labels(name)).mean())
        for name in shared
    }
