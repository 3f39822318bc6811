"""Labelled codes of training faces, and a direction in them: what is fitted, without the libraries that fit it.

Shape letters: N faces, A attributes, Z latent dimensions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from visagist.attributes import attribute_column, check_available

Vector = NDArray[np.float64]
Truths = NDArray[np.bool_]


@dataclass(frozen=True)
class Codes:
    """Posterior means z [N, Z] of training faces, their labels [N, A], columns as `names`, and how they were drawn."""

    z: NDArray[np.float64]
    labels: NDArray[np.uint8]
    names: tuple[str, ...]
    seed: int = 0

    def present(self, attribute: str) -> Truths:
        """Which faces [N] have the attribute; it may be derived."""
        check_available([attribute], self.names)
        return attribute_column(self.labels, self.names, attribute).astype(bool)


@dataclass(frozen=True)
class Direction:
    """A direction of an attribute, and how it was found.

    vector      [Z], of length 1; + adds the attribute
    unit        standard deviation of the training codes along the attribute's plain mean difference: in it the steps
                of all kinds are counted, so that an equal number of units is an equal length
    given       attributes whose directions of the same kind are taken out
    stand_ins   those of `given` that the model's classifier does not know; logistic regression found theirs
    strength    by "+1" and "-1" the fitted maps of strength, or None
    length      of the difference of the mean codes, before it was made 1; plain mean differences only
    middle      where half-way between the mean codes is along the vector; likewise
    matched     labels of which both classes of faces had equal shares
    """

    attribute: str
    kind: str
    vector: Vector
    unit: float
    given: tuple[str, ...] = ()
    stand_ins: tuple[str, ...] = ()
    n_with: int = 0
    n_without: int = 0
    strength: Mapping[str, Any] | None = None
    length: float | None = None
    middle: float | None = None
    matched: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        """`logistic`, or `logistic given Male`."""
        return self.kind + (f" given {', '.join(self.given)}" if self.given else "")
