"""The kernel inception distance and the inception score as torch-fidelity draws and counts them, for figures by these names.

FID needs nothing of its own: it is `frechet_distance` of Inception's features. All three are computed only with the weights
that they are called after (`visagist.evaluation.extractors.standard_networks`).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from visagist.evaluation.results import Metric
from visagist.evaluation.statistics import Measure, student_reach

SUBSETS, SUBSET, SPLITS, SEED = 100, 1000, 10, 2020
METRICS = (
    Metric("fid.{what}", "FID, {what}", better="lower", pages={"realism": "", "comparison": "FID, {what}"}),
    Metric("kid.{what}", "KID, {what}", better="lower", pages={"realism": "", "comparison": "KID, {what}"}),
    Metric("is.{what}", "inception score of {what}", pages={"realism": ""}),
)


def kernel_distance_of_subsets(
    a: NDArray[np.floating], b: NDArray[np.floating], subsets: int = SUBSETS, size: int = SUBSET, seed: int = SEED
) -> float:
    """KID of features [N, D] and [M, D]: the mean over drawn subsets of the unbiased squared MMD, kernel (x·y / D + 1)³.

    Subsets are drawn as torch-fidelity draws them; where there are fewer than `size` images, all serve.
    """
    size = min(size, len(a), len(b))
    draw, distances = np.random.RandomState(seed), []
    for _ in range(subsets):
        x = np.asarray(a[draw.choice(len(a), size, replace=False)], np.float32)
        y = np.asarray(b[draw.choice(len(b), size, replace=False)], np.float32)
        within = sum(_off_diagonal(kernel(part, part)) for part in (x, y))
        distances.append(within - 2 * float(kernel(x, y).mean(dtype=np.float64)))
        if size == len(a) == len(b):
            break  # every subset is all images
    return float(np.mean(distances))


def kernel(x: NDArray[np.float32], y: NDArray[np.float32]) -> NDArray[np.float32]:
    """(x·y / D + 1)³ of features [N, D] and [M, D]."""
    values: NDArray[np.float32] = (x @ y.T / np.float32(x.shape[1]) + 1) ** 3
    return values


def _off_diagonal(values: NDArray[np.float32]) -> float:
    number = len(values)
    return float((values.sum(dtype=np.float64) - np.trace(values, dtype=np.float64)) / (number * (number - 1)))


def inception_score_of_splits(logits: NDArray[np.floating], splits: int = SPLITS, seed: int = SEED) -> Measure:
    """The inception score of logits [N, K]: its mean over shuffled splits, with a 95 % interval of that mean."""
    order = np.random.RandomState(seed).permutation(len(logits))
    rows = np.asarray(logits, np.float64)[order]
    log_p = rows - np.logaddexp.reduce(rows, axis=1, keepdims=True)
    scores = []
    for i in range(splits):
        part = log_p[i * len(rows) // splits : (i + 1) * len(rows) // splits]
        mean = np.exp(part).mean(0, keepdims=True)
        scores.append(float(np.exp((np.exp(part) * (part - np.log(mean.clip(1e-300)))).sum(1).mean())))
    value, reach = float(np.mean(scores)), float(student_reach(scores))
    return Measure(value=value, low=max(1.0, value - reach), high=value + reach, n=len(rows))
