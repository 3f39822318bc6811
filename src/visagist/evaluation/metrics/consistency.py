"""Does strength do what it says: the judge's score against strength, and what repeated and undone edits leave behind."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from visagist.evaluation.context import CHUNK, Images, Scores, Study
from visagist.evaluation.metrics.edits import Edits
from visagist.evaluation.statistics import mean_of, means_of

STRENGTHS = tuple(float(s) for s in np.linspace(-1, 1, 9))
TOLERANCE = 0.02
REPEATS = 10


def monotonic(scores: Scores, tolerance: float = TOLERANCE) -> NDArray[np.bool_]:
    """Whether scores [N, K] never fall by more than `tolerance` from one strength to the next."""
    return np.all(np.diff(scores, axis=1) >= -tolerance, axis=1)


def pixel_distance(a: Images, b: Images) -> NDArray[np.float64]:
    """Mean squared error [N] of uint8 images, as of pixels in [0, 1]."""
    return np.square((a.astype(np.float32) - b) / 255).mean((1, 2, 3), dtype=np.float64)


def measure_calibration(study: Study, attribute: str, edits: Edits) -> None:
    """The curve `edit.A.calibration` and `edit.A.monotonic`, on a subset of the faces."""
    key, rows, scorer = f"edit.{attribute}", study.subset(), study.scorer
    study.track.stage(f"{attribute}: calibration curve")
    # No edit is the reconstruction, and the whole of it has been read.
    known = {-1.0: edits.ends_read[0], 0.0: study.unedited_scores, 1.0: edits.ends_read[1]}
    scores = np.empty((len(rows), len(STRENGTHS)), np.float32)
    between = [place for place, strength in enumerate(STRENGTHS) if strength not in known]
    for strength, read in known.items():
        scores[:, STRENGTHS.index(strength)] = scorer.column(read[rows], attribute)
    settings = [study.strength(attribute, STRENGTHS[place]) for place in between]
    for start in range(0, len(rows), CHUNK):
        part = slice(start, start + CHUNK)
        for place, images in zip(between, study.editor.edits_of_arrays(study.faces.images[rows[part]], settings)):
            scores[part, place] = scorer.column(scorer.score(images), attribute)
            study.track.advance(3.5 * len(images))
    labels = study.labels(attribute)[rows]
    curve: dict[str, Any] = {"attribute": attribute, "strengths": list(STRENGTHS), "tolerance": TOLERANCE}
    for name, side in (("all", np.ones(len(rows), bool)), ("from_1", labels), ("from_0", ~labels)):
        curve[name] = means_of(scores[side], study.seed) if side.any() else None
    study.results.curves[f"{key}.calibration"] = curve
    study.results.values[f"{key}.monotonic"] = mean_of(monotonic(scores), study.seed)


def measure_composition(study: Study) -> None:
    """`edit.A.null_x1` and `null_x10`, distance of repeated null edits to the photographs; `undo`, of edit and un-edit.

    A null edit is the reconstruction, whatever the attribute.
    """
    results, rows = study.results, study.subset()
    if not study.can("autoencode"):
        for attribute in study.attributes:
            results.not_computed[f"edit.{attribute}.null_*"] = f"{study.editor.method.name} has no autoencoder"
        return
    study.track.stage("repeated null edits")
    photos = study.faces.images[rows]
    again = study.unedited[rows]
    once = mean_of(pixel_distance(again, photos), study.seed)
    for _ in range(REPEATS - 1):
        again = study.editor.reconstruct_arrays(again)
        study.track.advance(len(rows))
    often = mean_of(pixel_distance(again, photos), study.seed)
    for attribute in study.attributes:
        results.values[f"edit.{attribute}.null_x1"] = once
        results.values[f"edit.{attribute}.null_x{REPEATS}"] = often


def measure_undo(study: Study, attribute: str, edits: Edits) -> None:
    """`edit.A.undo`: to the other class and back at the paper's setting, distance to the photograph; beside it the
    distance to the unedited reconstruction."""
    study.track.stage(f"{attribute}: edit and undo")
    rows = study.subset()
    photos, present = study.faces.images[rows], study.labels(attribute)[rows]
    back = study.toward(edits.paper[rows], attribute, present)
    study.track.advance(2 * len(rows))
    key = f"edit.{attribute}.undo"
    study.results.values[key] = mean_of(pixel_distance(back, photos), study.seed)
    study.results.values[f"{key}_from_reconstruction"] = mean_of(pixel_distance(back, study.unedited[rows]), study.seed)
