"""Does strength do what it says: the judge's score against strength, and what repeated and undone edits leave behind."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from visagist.evaluation.context import CHUNK, EvaluationContext, Images, Scores
from visagist.evaluation.results import Metric
from visagist.evaluation.statistics import mean_ci, means_ci

STRENGTHS = tuple(float(s) for s in np.linspace(-1, 1, 9))
TOLERANCE = 0.02
REPEATS = 10
METRICS = (
    Metric("edit.{A}.monotonic", "faces whose score rises monotonically", "share", pages={"effects": ""}),
    Metric("edit.{A}.null_x1", "distance after 1 null edit", better="lower", pages={"effects": ""}),
    Metric(f"edit.{{A}}.null_x{REPEATS}", f"distance after {REPEATS} null edits", better="lower", pages={"effects": ""}),
    Metric("edit.{A}.undo", "distance after edit and undo", better="lower", pages={"effects": ""}),
    Metric("edit.{A}.undo_from_reconstruction", "the same, from the reconstruction", better="lower", pages={"effects": ""}),
)


def monotonic(scores: Scores, tolerance: float = TOLERANCE) -> NDArray[np.bool_]:
    """Whether scores [N, K] never fall by more than `tolerance` from one strength to the next."""
    return np.all(np.diff(scores, axis=1) >= -tolerance, axis=1)


def pixel_distance(a: Images, b: Images) -> NDArray[np.float64]:
    """Mean squared error [N] of uint8 images, as of pixels in [0, 1]."""
    return np.square((a.astype(np.float32) - b) / 255).mean((1, 2, 3), dtype=np.float64)


def measure_calibration(context: EvaluationContext, attribute: str) -> None:
    """The curve `edit.A.calibration` and `edit.A.monotonic`, on a subset of the faces."""
    if not context.scorer.knows(attribute):
        return
    edits = context.edits(attribute)
    key, rows, scorer = f"edit.{attribute}", context.subset(), context.scorer
    context.progress.describe(f"{attribute}: calibration curve")
    # No edit is the reconstruction, and the whole of it has been read.
    known = {-1.0: edits.ends_read[0], 0.0: context.unedited_scores, 1.0: edits.ends_read[1]}
    scores = np.empty((len(rows), len(STRENGTHS)), np.float32)
    between = [column for column, strength in enumerate(STRENGTHS) if strength not in known]
    for strength, read in known.items():
        scores[:, STRENGTHS.index(strength)] = scorer.column(read[rows], attribute)
    settings = [context.strength(attribute, STRENGTHS[column]) for column in between]
    for start in range(0, len(rows), CHUNK):
        part = slice(start, start + CHUNK)
        for column, images in zip(between, context.editor.edits_of_arrays(context.faces.images[rows[part]], settings)):
            scores[part, column] = scorer.column(scorer.score(images), attribute)
            context.progress.advance(3.5 * len(images))
    labels = context.labels(attribute)[rows]
    curve: dict[str, Any] = {"attribute": attribute, "strengths": list(STRENGTHS), "tolerance": TOLERANCE}
    for name, side in (("all", np.ones(len(rows), bool)), ("from_1", labels), ("from_0", ~labels)):
        curve[name] = means_ci(scores[side], context.seed) if side.any() else None
    context.results.curves[f"{key}.calibration"] = curve
    context.results.values[f"{key}.monotonic"] = mean_ci(monotonic(scores), context.seed)


def measure_null_edits(context: EvaluationContext) -> None:
    """`edit.A.null_x1` and `null_x10`, distance of repeated null edits to the photographs.

    A null edit is the reconstruction, whatever the attribute.
    """
    results, rows = context.results, context.subset()
    if not context.can("autoencode"):
        for attribute in context.attributes:
            results.not_computed[f"edit.{attribute}.null_*"] = f"{context.editor.backend.name} has no autoencoder"
        return
    context.progress.describe("repeated null edits")
    photos = context.faces.images[rows]
    again = context.unedited[rows]
    once = mean_ci(pixel_distance(again, photos), context.seed)
    for _ in range(REPEATS - 1):
        again = context.editor.reconstruct_arrays(again)
        context.progress.advance(len(rows))
    often = mean_ci(pixel_distance(again, photos), context.seed)
    for attribute in context.attributes:
        results.values[f"edit.{attribute}.null_x1"] = once
        results.values[f"edit.{attribute}.null_x{REPEATS}"] = often


def measure_undo(context: EvaluationContext, attribute: str) -> None:
    """`edit.A.undo`: to the other class and back at the paper's setting, distance to the photograph; beside it the
    distance to the unedited reconstruction."""
    edits, rows = context.edits(attribute), context.subset()
    context.progress.describe(f"{attribute}: edit and undo")
    photos, present = context.faces.images[rows], context.labels(attribute)[rows]
    back = context.toward(edits.paper[rows], attribute, present)
    context.progress.advance(2 * len(rows))
    key = f"edit.{attribute}.undo"
    context.results.values[key] = mean_ci(pixel_distance(back, photos), context.seed)
    context.results.values[f"{key}_from_reconstruction"] = mean_ci(
        pixel_distance(back, context.unedited[rows]), context.seed
    )
