"""In what else two folders of photographs differ: a vector fitted on them moves faces along that too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import fisher_exact, mannwhitneyu

from visagist.attributes import THRESHOLD
from visagist.pipelines.teaching.photographs import TaughtFaces

CHANCE = 0.005  # the p-value above which a difference is taken for chance; forty attributes are asked
LEAST_SHARE = 0.25  # of faces, by which shares differ that are told of
LEAST_ORDER = 0.75  # of pairs, in which the face with has more of a property than the one without
MOST_TOLD = 5
_PROPERTIES = {
    "lightness": ("lighter", "darker", "mean of the pixels {:.0f} against {:.0f}"),
    "width": ("larger", "smaller", "faces {:.0f} pixels wide against {:.0f}"),
}


@dataclass(frozen=True)
class Difference:
    """A known attribute that the judge reads in different shares of faces with and without, `size` apart."""

    attribute: str
    share_with: float
    share_without: float

    @property
    def size(self) -> float:
        return abs(self.share_with - self.share_without)

    def __str__(self) -> str:
        return f"{self.attribute} too (read in {100 * self.share_with:.0f} % with, {100 * self.share_without:.0f} % without)"

    def balance(self) -> str:
        """Which photographs make the folders alike in it."""
        more, less = ("--without", "--with") if self.share_with > self.share_without else ("--with", "--without")
        return f"add photographs with it to {more} or without it to {less}"


def find_differences(scores: NDArray[np.floating], names: Sequence[str], present: NDArray[np.bool_]) -> list[Difference]:
    """Attributes whose judge's probabilities [N, A] say that the classes differ, the most different first."""
    differences = []
    for name, column in zip(names, (scores >= THRESHOLD).T):
        counts = [[int(column[side].sum()), int((~column[side]).sum())] for side in (present, ~present)]
        found = Difference(name, counts[0][0] / sum(counts[0]), counts[1][0] / sum(counts[1]))
        if found.size >= LEAST_SHARE and fisher_exact(counts)[1] < CHANCE:
            differences.append(found)
    return sorted(differences, key=lambda found: -found.size)


def describe_differences(name: str, differences: Sequence[Difference], held: Sequence[str]) -> list[str]:
    """What a person is told of them; of those that are `held` their known part is taken out of the vector."""
    told = [found for found in differences if found.attribute not in held][:MOST_TOLD]
    lines = [
        f"the folders differ in {found}: unless {name} means that, its edits change it; {found.balance()}" for found in told
    ]
    kept = [found for found in differences if found.attribute in held]
    return lines + [f"the folders differ in {found}: what the model knows of it is taken out" for found in kept]


def describe_properties(faces: TaughtFaces) -> list[str]:
    """In which properties the photographs themselves differ between the folders, for a person."""
    lines, present = [], faces.present
    values: Mapping[str, NDArray[np.float64]] = {"lightness": faces.lightness, "width": faces.width}
    for key, (more, less, words) in _PROPERTIES.items():
        mine, others = values[key][present], values[key][~present]
        statistic, p = mannwhitneyu(mine, others)
        order = float(statistic) / (len(mine) * len(others))
        if p < CHANCE and not 1 - LEAST_ORDER < order < LEAST_ORDER:
            medians = words.format(float(np.median(mine)), float(np.median(others)))
            lines.append(f"photographs with are {more if order > 0.5 else less} than those without ({medians}): mix them")
    counts = [[int(faces.grey[side].sum()), int((~faces.grey[side]).sum())] for side in (present, ~present)]
    shares = [grey / (grey + coloured) for grey, coloured in counts]
    if abs(shares[0] - shares[1]) >= LEAST_SHARE and fisher_exact(counts)[1] < CHANCE:
        with_it, without = (f"{100 * share:.0f} %" for share in shares)
        lines.append(f"{with_it} of the photographs with are grey and {without} of those without: mix them")
    return lines
