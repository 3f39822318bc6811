"""Two models at equal success: what each curve has of everything else where both come equally far."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from visagist.evaluation.statistics import Measure, measure_of, resampled_means

EQUAL = (
    "identity", "collateral", "collateral_from_unedited", "outside", "outside_from_unedited", "change",
    "change_from_unedited",
)  # fmt: skip
Means = NDArray[np.float64]


def first_place(success: Means, level: Means) -> Means:
    """Where curves [R, K], straight between their K points, first come to a level [R]: from 0 to K - 1.

    Each curve reaches its level somewhere.
    """
    after = np.argmax(success >= level[:, None] - 1e-12, axis=1)
    before = np.maximum(after - 1, 0)
    every = np.arange(len(success))
    low, high = success[every, before], success[every, after]
    part = np.divide(level - low, high - low, out=np.zeros(len(level)), where=high > low)
    return before + np.where(after > 0, part.clip(0, 1), 0)


def at_place(curves: Means, place: Means) -> Means:
    """The height [R] of curves [R, K] at a place [R] from 0 to K - 1, straight between the points."""
    before = np.minimum(place.astype(int), curves.shape[1] - 2)
    every, part = np.arange(len(curves)), place - before
    return (1 - part) * curves[every, before] + part * curves[every, before + 1]


def equal_success(
    first: Mapping[str, NDArray], second: Mapping[str, NDArray], strengths: Sequence[float], seed: int = 0
) -> dict[str, Measure] | None:
    """What two models' curves [n, K] of the same faces have where both reach the smaller of their greatest successes.

    Keys: `success`, that level; of each model, `first.` and `second.`, `strength` and every measure of EQUAL that both have;
    and `less.` these of the second less the first. Means are resampled over faces, the same for both, and the level is
    found anew in each draw. None where neither gets further than without an edit, so that there is no level to speak of.
    """
    shared = [key for key in ("success", *EQUAL) if key in first and key in second]
    tables = [model[key] for model in (first, second) for key in shared]
    n, steps = tables[0].shape
    flat = np.concatenate(tables, 1)
    means = np.concatenate([flat.mean(0)[None], resampled_means(flat, seed)]).reshape(-1, 2, len(shared), steps)
    success = means[:, :, 0]  # [R + 1, 2, K]; the first row is of the faces as they are
    level = success.max(2).min(1)
    if level[0] <= success[0, :, 0].max():
        return None
    places = [first_place(success[:, model], level) for model in (0, 1)]
    grid = np.broadcast_to(np.asarray(strengths, np.float64), (len(means), steps))
    found = {"success": level}
    for model, (name, place) in enumerate(zip(("first", "second"), places)):
        found[f"{name}.strength"] = at_place(grid, place)
        for row, key in enumerate(shared[1:], 1):
            found[f"{name}.{key}"] = at_place(means[:, model, row], place)
    for key in ("strength", *shared[1:]):
        found[f"less.{key}"] = found[f"second.{key}"] - found[f"first.{key}"]
    return {key: measure_of(values[0], values[1:], n) for key, values in found.items()}
