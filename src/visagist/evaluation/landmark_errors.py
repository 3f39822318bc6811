"""Errors of landmarks: sets of faces, parts of the face, references, and the figures published.

error = mean over points of |found − reference| / |left eye − right eye| of the reference     (Shen and Liu, 2017, §6.4)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from visagist.evaluation.results import Metrics
from visagist.evaluation.statistics import mean_of

Points = NDArray[np.float32]
SETS = ("without", "with", "rebuilt", "removed")
PARTS: Mapping[str, slice] = {"eye": slice(0, 2), "rest": slice(2, 5)}
# Shen and Liu (2017, arXiv:1612.05363), Table 2: D0, D1 and D1m. The gains are the differences of the last two.
PUBLISHED = {
    "without.eye_error": 0.02341, "with.eye_error": 0.03570, "removed.eye_error": 0.03048,
    "without.rest_error": 0.04424, "with.rest_error": 0.04605, "removed.rest_error": 0.04608,
    "eye_gain": 0.00522, "rest_gain": -0.00003,
}  # fmt: skip
UNKNOWN = "a detector does not know these points, or finds no such face"


@dataclass(frozen=True)
class Comparison:
    """A detector beside a reference: both as in the keys of the metrics, and in words."""

    reference: str
    detector: str
    words: str

    @property
    def key(self) -> str:
        """What the keys of its metrics begin with."""
        return f"landmarks.{self.reference}.{self.detector}"


def point_errors(found: Points, reference: Points) -> NDArray[np.float64]:
    """Distances [N, 5] between points [N, 5, 2] over the reference's distance between the eyes; NaN where one is NaN."""
    apart = np.linalg.norm(reference[:, 0].astype(np.float64) - reference[:, 1], axis=1)
    distances: NDArray[np.float64] = np.linalg.norm(found.astype(np.float64) - reference, axis=2) / apart[:, None]
    return distances


def add_errors(results: Metrics, key: str, pairs: Mapping[str, tuple[Points, Points]], seed: int) -> None:
    """Add the errors of each set, and the gains, under a key; `pairs` are points found and their reference [N, 5, 2] by set.

    The sets with, rebuilt and removed are of the same faces: those with all points of a part in all of them count.
    """
    for part, places in PARTS.items():
        errors = {name: point_errors(*pair)[:, places].mean(1) for name, pair in pairs.items()}
        alone = errors.pop("without", np.zeros(0))
        whole = np.isfinite(np.stack(list(errors.values()))).all(0)
        kept = {"without": alone[np.isfinite(alone)], **{name: values[whole] for name, values in errors.items()}}
        for name in SETS:
            if len(kept.get(name, ())):
                results.values[f"{key}.{name}.{part}_error"] = mean_of(kept[name], seed)
        if not whole.any():
            results.not_computed[f"{key}.*{part}_*"] = UNKNOWN
            continue
        results.values[f"{key}.{part}_gain"] = mean_of(kept["with"] - kept["removed"], seed)
        if "rebuilt" in kept:
            results.values[f"{key}.{part}_gain_over_rebuilt"] = mean_of(kept["rebuilt"] - kept["removed"], seed)
