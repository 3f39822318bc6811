"""How far beyond the mean of a class an edit by transport has to go before a judge sees it.

The code of a woman's face moved to the mean of those with beards is not yet one that the decoder paints a beard for: few
faces as hers had one. So the end of an edit is moved on in steps, for each attribute and direction, until the calibrating
judge sees it on `GOAL` of the validation faces of the opposite class, or on as many as it ever does. Each step further
costs identity, so none is taken without need.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, cast

import numpy as np
from numpy.typing import NDArray

from visagist.attributes import attribute_column
from visagist.data.faces import Faces
from visagist.editing.strength import CalibratingJudge, refuse_scoring
from visagist.methods.families.label_conditioned import LabelConditioned
from visagist.networks.transport import ClassTransport

if TYPE_CHECKING:
    from visagist.editing.editor import Editor

GOAL = 0.98  # of faces on which the edit is to be seen
STEP, FARTHEST = 0.25, 4.0
# Of some 300 faces, by which a share may fall short of the highest and still count as it.
CHANCE = 0.01


def fit_reach(
    editor: Editor,
    judge: CalibratingJudge,
    faces: Faces,
    attributes: Sequence[str],
    number: int = 300,
    told: Callable[[int, int], None] | None = None,
) -> dict[str, tuple[tuple[float, float], tuple[float, float]]]:
    """Set the reach of an editor's transport for these attributes; returns reach and what is then seen, absent and present.

    number  at most so many validation faces of the class opposite to each direction
    told    how many of how many directions are done
    VisagistError for the judge that scores reports. The faces have both classes of each attribute.
    """
    refuse_scoring(judge)
    transport = _transport(editor)
    rows, found = faces.indices("val"), {}
    for done, name in enumerate(attributes):
        place, ends = editor.attributes.index(name), list[tuple[float, float]]()
        for present in (0, 1):
            start = faces.images[rows[faces.column(name)[rows] != present][:number]]
            ends.append(shortest(partial(_seen, editor, judge, start, name, present)))
            transport.reach[place, present] = ends[-1][0]
            if told is not None:
                told(2 * done + present + 1, 2 * len(attributes))
        (absent, gone), (there, came) = ends
        found[name] = ((absent, there), (gone, came))
    return found


def shortest(seen: Callable[[float], float]) -> tuple[float, float]:
    """The first reach at which `seen` is GOAL, else the first at which it is within CHANCE of its highest; and its value."""
    tried = []
    for reach in np.arange(0, FARTHEST + STEP / 2, STEP).tolist():
        tried.append((reach, seen(reach)))
        if tried[-1][1] >= GOAL:
            return tried[-1]
    highest = max(share for _, share in tried)
    return next((reach, share) for reach, share in tried if share >= highest - CHANCE)


def _seen(
    editor: Editor, judge: CalibratingJudge, images: NDArray[np.uint8], name: str, present: int, reach: float
) -> float:
    """The share of images [N, S, S, 3] on which the judge sees the edit, once its reach is set."""
    place = editor.attributes.index(name)
    _transport(editor).reach[place, present] = reach
    target = np.zeros(len(editor.attributes), np.float32)
    amount = np.zeros_like(target)
    target[place], amount[place] = present, 1
    score = attribute_column(judge.score(editor.edit_arrays(images, target, amount)), judge.attributes, name)
    return float(np.mean((score >= 0.5) == present))


def _transport(editor: Editor) -> ClassTransport:
    transport = cast(LabelConditioned, editor.trained).transport
    assert transport is not None, "only what has a transport has a reach"
    return transport
