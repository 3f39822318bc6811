"""How well an attribute is taught, measured on faces that taught nothing: reading and editing, by another judge's features.

    halves A and B, drawn anew a few times, and the other way round
    A   fits the vector and its strength, with the calibrating judge's features
    B   is edited by them, and read by readers on the scoring judge's features, each fitted on B without the face it reads

No face serves two of the three. The vector is of half the photographs, so the figures are of fewer than were given.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedShuffleSplit

from visagist.editing.strength import DIRECTIONS
from visagist.evaluation.statistics import Measure, auroc_ci, mean_share_ci
from visagist.judges.judge import Judge
from visagist.pipelines.teaching.lesson import (
    Lesson,
    Rows,
    edit_rows,
    fit_reader,
    fit_strength,
    fit_vector,
    folds_of,
    read_out_of_fold,
)
from visagist.progress import Progress

MOST_EDITED = 12  # faces of a class for the strength of a half
MOST_FACES = 60  # of a class that are edited for the figures of one halving
READINGS = 160  # edits of a class to be read: few faces are halved more often


@dataclass(frozen=True)
class HeldOut:
    """What held-out faces show, each figure with its interval over faces.

    told_apart  area under the ROC curve of readers, 0.5 by chance
    success     by direction, the share of faces that are read as of the other class after the edit at strength ±1
    base        the same without an edit, of their reconstructions
    halvings    how often the faces were halved
    """

    told_apart: Measure
    success: dict[str, Measure]
    base: dict[str, Measure]
    halvings: int

    def to_json(self) -> dict[str, Any]:
        return {"auc": self.told_apart, "success": self.success, "base": self.base, "halvings": self.halvings}


def measure_held_out(
    lesson: Lesson, judge: Judge, features: NDArray[np.float32], progress: Progress, seed: int = 0
) -> HeldOut:
    """Measure a lesson by another judge, whose features [N, F] of the faces are given."""
    told = auroc_ci(read_out_of_fold(lesson, features, lesson.rows, seed), lesson.present)
    fewest = int(min(lesson.present.sum(), (~lesson.present).sum()))
    halvings = max(1, min(3, round(READINGS / (4 * fewest))))
    total = len(lesson.present)
    hits = {way: np.full((2, halvings, total), np.nan) for way in DIRECTIONS}
    progress.stage("measuring on held-out faces", 2 * halvings)
    split = StratifiedShuffleSplit(halvings, test_size=0.5, random_state=seed)
    for number, halves in enumerate(split.split(lesson.rows, lesson.present)):
        for fitted, held in (halves, halves[::-1]):
            _measure_half(lesson, judge, features, fitted, held, {way: part[:, number] for way, part in hits.items()})
            progress.advance()
    success, base = {}, {}
    for way, (edited, plain) in hits.items():
        rows = ~np.isnan(edited).all(0)
        success[way] = mean_share_ci(np.nanmean(edited[:, rows], 0), seed)
        base[way] = mean_share_ci(np.nanmean(plain[:, rows], 0), seed)
    return HeldOut(told, success, base, halvings)


def _measure_half(
    lesson: Lesson, judge: Judge, features: NDArray[np.float32], fitted: Rows, held: Rows,
    hits: dict[str, NDArray[np.float64]],
) -> None:  # fmt: skip
    """Enter into `hits` [2, N] by direction whether held faces are read as the other class, edited and rebuilt."""
    vector, maps = fit_vector(lesson, fitted), fit_strength(lesson, fitted, MOST_EDITED)
    for seen, unseen in folds_of(lesson, held):
        reader = fit_reader(features[seen], lesson.present[seen])
        for way in DIRECTIONS:
            side = way == "+1"
            rows = unseen[lesson.present[unseen] != side][:MOST_FACES]
            if len(rows):
                images = edit_rows(lesson, vector, rows, side, (maps[way].amount(1.0), 0.0))
                read = reader(judge.features(images)) >= 0
                hits[way][:, rows] = (read == side).reshape(2, -1)
