"""The pictures of a report: the same faces in every column, chosen by the seed before anything was measured."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from visagist.editing.contact_sheets import heat_picture
from visagist.editing.modes import Mode
from visagist.evaluation.context import EvaluationContext, Images
from visagist.evaluation.metrics.edit_curves import STRENGTHS, Way, toward_other_class
from visagist.evaluation.results import Cell, Strip

FACES_A_SIDE = 4
SHOWN_STRENGTHS = (-1.0, -0.5, 0.0, 0.5, 1.0)
RESIDUAL_GAIN = 2


def residual_picture(edited: Images, unedited: Images) -> Images:
    """The change as a picture: grey where nothing changed, brighter where light was added."""
    change = edited.astype(np.int16) - unedited.astype(np.int16)
    return np.clip(128 + RESIDUAL_GAIN * change, 0, 255).astype(np.uint8)


def heat_pictures(edited: Images, unedited: Images) -> Images:
    """How much each place changes, over the channels: black where nothing does, white where its picture ends."""
    change = (edited.astype(np.float32) - unedited) / 255
    return np.stack([np.asarray(heat_picture(one, 0.5 / RESIDUAL_GAIN)) for one in change])


def strips(study: EvaluationContext, attribute: str) -> Iterator[Strip]:
    """Four faces with the attribute and four without, as far as there are."""
    labels = study.labels(attribute)
    order = np.random.default_rng(study.seed).permutation(len(labels))
    rows = np.concatenate([order[labels[order] == side][:FACES_A_SIDE] for side in (True, False)])
    if not len(rows):
        return
    photos, unedited = study.faces.images[rows], study.unedited[rows]
    columns = [("photo", photos), ("reconstruction", unedited)]
    columns += [
        (f"{s:+g}".replace("-", "−") if s else "0", study.at_strength(photos, attribute, s)) for s in SHOWN_STRENGTHS
    ]
    other = np.where(labels[rows, None, None, None], columns[2][1], columns[-1][1])
    heat = heat_pictures(other, unedited)
    known = study.scorer.knows(attribute)
    for i, row in enumerate(rows):
        cells = []
        for title, images in columns:
            score = study.scorer.column(study.scorer.score(images[i : i + 1]), attribute)[0] if known else None
            cells.append(Cell(title, images[i], None if score is None else float(score)))
        cells += [Cell("residual", residual_picture(other[i], unedited[i]), None), Cell("heat", heat[i], None)]
        yield Strip(attribute, bool(labels[row]), cells)


FACES_A_SIDE_comparison_pictures = 2


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


def album(models: Sequence[tuple[EvaluationContext, Way]]) -> Album:
    """Two faces with the attribute and two without, by turns and as far as there are, through every model."""
    study, way = models[0]
    labels = study.labels(way.attribute)
    order = np.random.default_rng(study.seed).permutation(len(labels))
    sides = [order[labels[order] == side][:FACES_A_SIDE_comparison_pictures].tolist() for side in (True, False)]
    turns = [row for place in range(FACES_A_SIDE_comparison_pictures) for side in sides for row in side[place : place + 1]]
    rows = np.array(turns, np.int64)
    through = [_cells(study, way, rows) for study, way in models]
    faces = [
        (bool(labels[row]), [Row(study.editor.name, cells[place]) for (study, _), cells in zip(models, through)])
        for place, row in enumerate(rows)
    ]
    return Album(way.attribute, faces)


def _cells(study: EvaluationContext, way: Way, rows: NDArray[np.int64]) -> list[list[Cell]]:
    """Of each row: photograph, reconstruction, edits over strength, the last in `detail` too, and what it changes."""
    photos, unedited = study.faces.images[rows], study.unedited[rows]
    columns: list[tuple[str, Images]] = [("photo", photos), ("reconstruction", unedited)]
    edits = toward_other_class(study, way, rows, STRENGTHS[1:])
    columns += [(f"±{strength:g}", images) for strength, images in zip(STRENGTHS[1:], edits)]
    edited = columns[-1][1]
    columns.append(("±1, detail", Mode.DETAIL.show(photos, edited, unedited)))
    scores = [study.scorer.column(study.scorer.score(images), way.attribute) for _, images in columns]
    residual, heat = residual_picture(edited, unedited), heat_pictures(edited, unedited)
    return [
        [Cell(title, images[i], float(read[i])) for (title, images), read in zip(columns, scores)]
        + [Cell("residual", residual[i], None), Cell("heat", heat[i], None)]
        for i in range(len(rows))
    ]
