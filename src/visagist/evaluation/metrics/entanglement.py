"""How far each attribute has a dimension of the code to itself: the total AUROC difference.

For each attribute the AUROC [Z] of every dimension of z alone, read upward or downward, whichever is more. An attribute is
captured where the best of them is at least `CAPTURED`. TAD = Σ over captured attributes of (best − second best): high where
one dimension tells what no other tells (Yeats, Liu, Womble and Li, 2022, NashAE, §5).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import rankdata

from visagist.evaluation.context import EvaluationContext
from visagist.evaluation.results import Metric
from visagist.evaluation.statistics import jackknife

CAPTURED = 0.75
GROUPS = 20  # of the jackknife: the best of many is pushed up by a bootstrap's repeated faces
FEWEST = 20  # faces of either class
METRICS = (
    Metric("entanglement.captured", "attributes that a single dimension of z tells", pages={"general": ""}),
    Metric("entanglement.tad", "how much better the best one tells them than the second (TAD)", pages={"general": ""}),
)


def areas(codes: ArrayLike, labels: ArrayLike) -> NDArray[np.float64]:
    """AUROC [Z, A] of each dimension of codes [N, Z] for each of labels [N, A], at least 0.5; both classes must be there."""
    z, y = np.asarray(codes, np.float64), np.asarray(labels).astype(bool)
    with_it, without = y.sum(0), (~y).sum(0)
    # Mann and Whitney: the sum of the ranks of the faces that have it, less its least value, over the number of pairs.
    upward = (rankdata(z, axis=0).T @ y - with_it * (with_it + 1) / 2) / (with_it * without)
    return np.maximum(upward, 1 - upward)


def best_two(aurocs: NDArray[np.float64]) -> NDArray[np.float64]:
    """The second-best and the best [2, A] of areas [Z, A], Z at least 2."""
    return np.sort(aurocs, axis=0)[-2:]


def total_auroc_difference(aurocs: NDArray[np.float64]) -> tuple[float, int]:
    """TAD of areas [Z, A], Z at least 2, and how many attributes are captured."""
    second, best = best_two(aurocs)
    captured = best >= CAPTURED
    return float((best - second)[captured].sum()), int(captured.sum())


def measure_entanglement(context: EvaluationContext) -> None:
    """`entanglement.tad`, `entanglement.captured`, over all labels of the faces that are common and rare enough."""
    missing, values, codes = context.results.not_computed, context.results.values, context.codes
    if codes is None:
        missing["entanglement.*"] = f"{context.editor.backend.name} has no code z"
        return
    labels = context.faces.labels.astype(bool)
    usable = np.minimum(labels.sum(0), (~labels).sum(0)) >= FEWEST
    if codes.shape[1] < 2 or not usable.any():
        missing["entanglement.*"] = f"it needs 2 dimensions of z, and {FEWEST} faces of either class of some attribute"
        return
    context.progress.describe("the attributes in single dimensions of z")
    names = [name for name, is_usable in zip(context.faces.names, usable) if is_usable]
    aurocs = areas(codes, labels[:, usable])
    tads, counts = _left_out(codes, labels[:, usable], context.seed)
    whole, captured = total_auroc_difference(aurocs)
    values["entanglement.tad"] = jackknife(whole, tads, len(codes))
    values["entanglement.captured"] = jackknife(captured, counts, len(codes))
    second, best = best_two(aurocs)
    context.results.matrices["entanglement"] = {
        "rows": names,
        "columns": ["best", "second best"],
        "values": np.stack([best, second], 1).tolist(),
    }


def _left_out(codes: NDArray[np.float32], labels: NDArray[np.bool_], seed: int) -> tuple[list[float], list[int]]:
    """TAD and the number captured [GROUPS] without each group of faces in turn."""
    groups = np.random.default_rng(seed).permutation(len(codes)) % GROUPS
    differences = [total_auroc_difference(areas(codes[groups != g], labels[groups != g])) for g in range(GROUPS)]
    return [tad for tad, _ in differences], [number for _, number in differences]
