"""What an edit changes besides what it was asked for: other attributes, the person, other places; one number a face."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from visagist.attributes import REGIONS, WHOLE_FACE, kin
from visagist.evaluation.context import Images, Scorer, Scores
from visagist.evaluation.metrics.edits import ALIGNED_CROPS, flips, locality
from visagist.evaluation.metrics.identity import Embedder, cosine


def region_is_known(attribute: str, crop: Any) -> bool:
    """Whether it is known where in faces of this crop the attribute shows, and that this is a part of them."""
    return crop in ALIGNED_CROPS and REGIONS.get(attribute, WHOLE_FACE) != WHOLE_FACE


def inside(edited: Images, unedited: Images, attribute: str, crop: Any) -> NDArray[np.float64]:
    """Share [N] of the change inside the attribute's region; nan where it is not known, or nothing changes."""
    if region_is_known(attribute, crop):
        return locality(edited, unedited, attribute)
    return np.full(len(edited), np.nan)


def kept(photos: Images, unedited: Images, edited: Images, identity: Embedder) -> tuple[NDArray, NDArray]:
    """Cosines [N] of photograph and edit, and what that is less than of photograph and reconstruction."""
    start = identity(photos)
    after = cosine(start, identity(edited))
    return after, cosine(start, identity(unedited)) - after


def others_flip(scorer: Scorer, attribute: str, edited: Scores, unedited: Scores) -> NDArray[np.float64]:
    """Share [N] of the judge's other attributes whose reading crosses one half; [0] where it knows no other."""
    names = scorer.judge.attributes
    rest = [names.index(name) for name in names if name not in kin(attribute)]
    return flips(edited, unedited)[:, rest].mean(1) if rest else np.zeros(0)


def readings(scorer: Scorer, attribute: str, unedited: Scores, edited: Scores) -> dict[str, NDArray]:
    """A judge's scores [N] of an attribute `before` and `after` the edit, and their `change`, of its scores [N, J]."""
    before, after = scorer.column(unedited, attribute), scorer.column(edited, attribute)
    return {"before": before, "after": after, "change": after.astype(float) - before}
