"""How well probabilities agree with labels: the model's own classifier, and the judge on the real photographs."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from visagist.evaluation.context import Study
from visagist.evaluation.results import Metrics
from visagist.evaluation.statistics import balanced_mean_of, mean_of


def agreement(results: Metrics, key: str, probabilities: ArrayLike, labels: NDArray[np.bool_], seed: int) -> None:
    """Add `KEY.accuracy` and `KEY.balanced_accuracy` of probabilities [N] against labels [N]."""
    right = (np.asarray(probabilities) >= 0.5) == labels
    results.values[f"{key}.accuracy"] = mean_of(right, seed)
    if labels.all() or not labels.any():
        results.not_computed[f"{key}.balanced_accuracy"] = "these faces are all of one class"
    else:
        results.values[f"{key}.balanced_accuracy"] = balanced_mean_of(right, labels, seed)


def measure_classification(study: Study, attributes: list[str]) -> None:
    """`classification.A.*` by the model's own classifier, where it has one."""
    if not study.can("classify"):
        study.results.not_computed["classification.*"] = f"{study.editor.method.name} has no classifier"
        return
    study.track.stage("the model's own classifier")
    parts = [study.editor.classify(study.faces.images[rows]) for rows in study.chunks()]
    for attribute in attributes:
        read = np.concatenate([np.asarray(part[attribute]) for part in parts])
        agreement(study.results, f"classification.{attribute}", read, study.labels(attribute), study.seed)
    study.track.advance(0.5 * len(study.faces))


def measure_judge(study: Study, attributes: list[str]) -> None:
    """`judge.A.*`: the judge's own accuracy on these photographs."""
    for attribute in attributes:
        if study.scorer.knows(attribute):
            scores = study.scorer.column(study.photo_scores, attribute)
            agreement(study.results, f"judge.{attribute}", scores, study.labels(attribute), study.seed)


def judge_accuracies(study: Study) -> dict[str, float]:
    """The judge's accuracy on these photographs, of all attributes that it shares with their labels."""
    shared = [name for name in study.faces.names if name in study.scorer.judge.attributes]
    return {
        name: float(((study.scorer.column(study.photo_scores, name) >= 0.5) == study.labels(name)).mean()) for name in shared
    }
