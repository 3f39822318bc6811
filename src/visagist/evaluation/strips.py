"""The pictures of a report: the same faces in every column, chosen by the seed alone, not by results."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from visagist.editing.contact_sheets import heat_picture
from visagist.editing.modes import Mode
from visagist.evaluation.context import EvaluationContext, Images
from visagist.evaluation.metrics.edit_curves import STRENGTHS, AttributeMapping, toward_other_class
from visagist.evaluation.results import Cell, Strip

FACES_A_SIDE = 4
ALBUM_FACES_A_SIDE = 2
SHOWN_STRENGTHS = (-1.0, -0.5, 0.0, 0.5, 1.0)
RESIDUAL_GAIN = 2


def residual_picture(edited: Images, unedited: Images) -> Images:
    """The change as a picture: grey for no change, brighter for added light."""
    change = edited.astype(np.int16) - unedited.astype(np.int16)
    return np.clip(128 + RESIDUAL_GAIN * change, 0, 255).astype(np.uint8)


def heat_pictures(edited: Images, unedited: Images) -> Images:
    """How much each pixel changes, over the channels: black for no change, white at the limit of the scale."""
    change = (edited.astype(np.float32) - unedited) / 255
    return np.stack([np.asarray(heat_picture(face, 0.5 / RESIDUAL_GAIN)) for face in change])


def rows_by_class(study: EvaluationContext, attribute: str, number: int) -> list[NDArray[np.int64]]:
    """Rows of at most `number` faces with the attribute and of at most `number` without it, chosen by the seed."""
    labels = study.labels(attribute)
    order = np.random.default_rng(study.seed).permutation(len(labels))
    return [order[labels[order] == side][:number] for side in (True, False)]


def strips(study: EvaluationContext, attribute: str) -> Iterator[Strip]:
    """At most four faces with the attribute and four without."""
    labels, rows = study.labels(attribute), np.concatenate(rows_by_class(study, attribute, FACES_A_SIDE))
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


@dataclass(frozen=True)
class AlbumRow:
    """One face through one model."""

    model: str
    cells: list[Cell]


@dataclass(frozen=True)
class Album:
    """The faces of an attribute: for each its label and a row for each model."""

    attribute: str
    faces: list[tuple[bool, list[AlbumRow]]]


def album(models: Sequence[tuple[EvaluationContext, AttributeMapping]]) -> Album:
    """At most two faces with the attribute and two without, alternating, through every model."""
    study, mapping = models[0]
    labels, sides = study.labels(mapping.attribute), rows_by_class(study, mapping.attribute, ALBUM_FACES_A_SIDE)
    rows = np.array([row for i in range(ALBUM_FACES_A_SIDE) for side in sides for row in side[i : i + 1]], np.int64)
    through = [_cells(study, mapping, rows) for study, mapping in models]
    faces = [
        (bool(labels[row]), [AlbumRow(study.editor.name, cells[i]) for (study, _), cells in zip(models, through)])
        for i, row in enumerate(rows)
    ]
    return Album(mapping.attribute, faces)


def _cells(study: EvaluationContext, mapping: AttributeMapping, rows: NDArray[np.int64]) -> list[list[Cell]]:
    """For each row: photograph, reconstruction, edits over strength, the last in `detail` too, and its change."""
    photos, unedited = study.faces.images[rows], study.unedited[rows]
    columns: list[tuple[str, Images]] = [("photo", photos), ("reconstruction", unedited)]
    edits = toward_other_class(study, mapping, rows, STRENGTHS[1:])
    columns += [(f"±{strength:g}", images) for strength, images in zip(STRENGTHS[1:], edits)]
    edited = columns[-1][1]
    columns.append(("±1, detail", Mode.DETAIL.show(photos, edited, unedited)))
    scores = [study.scorer.column(study.scorer.score(images), mapping.attribute) for _, images in columns]
    residual, heat = residual_picture(edited, unedited), heat_pictures(edited, unedited)
    return [
        [Cell(title, images[i], float(read[i])) for (title, images), read in zip(columns, scores)]
        + [Cell("residual", residual[i], None), Cell("heat", heat[i], None)]
        for i in range(len(rows))
    ]
