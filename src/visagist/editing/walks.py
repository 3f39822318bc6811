"""Walks of one face along attributes: from the reconstruction to the paper's own setting of each edit, in even steps.

For attribute vectors by the rule `step` it is z + alpha v, alpha = 0, .1, ..., 1 (Hou et al., 2019, Figure 12).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from visagist.attributes import check_attributes
from visagist.errors import VisagistError

if TYPE_CHECKING:
    from visagist.editing.editor import Editor


def shares(steps: int) -> NDArray[np.float64]:
    """alpha = 0 ... 1 in so many steps, both ends included; VisagistError for fewer than 2."""
    if steps < 2:
        raise VisagistError(f"a walk has at least 2 steps, its ends, got {steps}: give for instance 11")
    return np.linspace(0, 1, steps)


def walk(
    editor: Editor, face: NDArray[np.uint8], attributes: Sequence[str], steps: int = 11, away: bool = False
) -> NDArray[np.uint8]:
    """The face [S, S, 3] along each attribute, [A, steps, S, S, 3]: toward it, or `away` from it.

    Raises VisagistError for a model that does not edit, and for attributes that it does not.
    """
    alphas = shares(steps)
    check_attributes(list(attributes), editor.attributes, editor.name)
    rows = []
    for name in attributes:
        amount = np.zeros((steps, len(editor.attributes)), np.float32)
        amount[:, editor.attributes.index(name)] = alphas * editor.method.paper_amount
        target = np.full(len(editor.attributes), float(not away), np.float32)
        rows.append(editor.edit_arrays(np.repeat(face[None], steps, axis=0), target, amount))
    return np.stack(rows)
