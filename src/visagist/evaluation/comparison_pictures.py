"""The pictures of a comparison: the same few faces, drawn by the seed, and of each one row a model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from visagist.evaluation.context import Images, Study
from visagist.evaluation.metrics.edit_curves import STRENGTHS, Way, detailed, toward_other_class
from visagist.evaluation.strips import Cell, heat_pictures, residual_picture

FACES_A_SIDE = 2


@dataclass(frozen=True)
class Row:
    """One face through one model."""

    model: str
    cells: list[Cell]


@dataclass(frozen=True)
class Album:
    """An attribute's faces: for each its label and a row for each model."""

    attribute: str
    faces: list[tuple[bool, list[Row]]]


def album(models: Sequence[tuple[Study, Way]]) -> Album:
    """Two faces with the attribute and two without, by turns and as far as there are, through every model."""
    study, way = models[0]
    labels = study.labels(way.attribute)
    order = np.random.default_rng(study.seed).permutation(len(labels))
    sides = [order[labels[order] == side][:FACES_A_SIDE].tolist() for side in (True, False)]
    turns = [row for place in range(FACES_A_SIDE) for side in sides for row in side[place : place + 1]]
    rows = np.array(turns, np.int64)
    through = [_cells(study, way, rows) for study, way in models]
    faces = [
        (bool(labels[row]), [Row(study.editor.name, cells[place]) for (study, _), cells in zip(models, through)])
        for place, row in enumerate(rows)
    ]
    return Album(way.attribute, faces)


def _cells(study: Study, way: Way, rows: NDArray[np.int64]) -> list[list[Cell]]:
    """Of each row: photograph, reconstruction, edits over strength, the last in `detail` too, and what it changes."""
    photos, unedited = study.faces.images[rows], study.unedited[rows]
    columns: list[tuple[str, Images]] = [("photo", photos), ("reconstruction", unedited)]
    edits = toward_other_class(study, way, rows, STRENGTHS[1:])
    columns += [(f"±{strength:g}", images) for strength, images in zip(STRENGTHS[1:], edits)]
    edited = columns[-1][1]
    columns.append(("±1, detail", detailed(photos, edited, unedited)))
    scores = [study.scorer.column(study.scorer.score(images), way.attribute) for _, images in columns]
    residual, heat = residual_picture(edited, unedited), heat_pictures(edited, unedited)
    return [
        [Cell(title, images[i], float(read[i])) for (title, images), read in zip(columns, scores)]
        + [Cell("residual", residual[i], None), Cell("heat", heat[i], None)]
        for i in range(len(rows))
    ]
