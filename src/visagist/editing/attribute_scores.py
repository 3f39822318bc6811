"""What is read from the faces of a photograph without any label: by the calibrating judge, or by the model itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from visagist.attributes import OVERLAPPING, THRESHOLD, attribute_column, related_attributes, with_derived
from visagist.faces.alignment import align
from visagist.faces.detection import Face
from visagist.faces.geometry import warp_roughly
from visagist.faces.skin import skin_lightness
from visagist.judges.reading import CALIBRATING_JUDGE, AnyJudge, GraphJudge
from visagist.passes import Pass, Steps, run
from visagist.pretrained import find_model
from visagist.runtime.engine import uses_torch

MODEL = "model"
BATCH = 64
_MUCH, _MOST_TOLD = 0.4, 3  # of a score; attributes that are told of
_SEEN = 4.0  # L*, of which two are just seen side by side
_OF_SKIN = {"Pale_Skin", "Rosy_Cheeks"}


class FaceReader(Protocol):
    """A model that may read attributes in aligned faces; an `Editor` is one."""

    @property
    def crop(self) -> str | None: ...
    @property
    def image_size(self) -> int: ...
    def can(self, capability: str) -> bool: ...
    def classify(self, faces: Any, batch_size: int = ...) -> dict[str, NDArray[np.float32]]: ...


class AttributeScores(NamedTuple):
    """By attribute, for each face, how sure `by` is that it is present; empty where neither judge nor model can tell."""

    scores: dict[str, list[float]]
    by: str


def score_faces(
    model: FaceReader, pixels: NDArray[np.uint8], faces: Sequence[Face], attributes: Sequence[str]
) -> AttributeScores:
    """Score the attributes of faces in a photograph [H, W, 3]: all that the calibrating judge knows.

    Where it does not know one of `attributes`, the scores are those of the model's own classifier.
    """
    return run(score_steps(model, pixels, faces, attributes))


def score_steps(
    model: FaceReader, pixels: NDArray[np.uint8], faces: Sequence[Face], attributes: Sequence[str]
) -> Steps[AttributeScores]:
    """The steps of `score_faces`."""
    (scores,) = yield from score_all_steps(model, [pixels], faces, attributes)
    return scores


def score_all_steps(
    model: FaceReader, photographs: Sequence[NDArray[np.uint8]], faces: Sequence[Face], attributes: Sequence[str]
) -> Steps[list[AttributeScores]]:
    """As `score_steps`, of each of some photographs that show the same faces, such as one before and after an edit."""
    judge = calibrating_judge()
    if set(attributes) <= set(with_derived(judge.attributes)):
        squares = [face_squares(pixels, faces, judge.description.get("crop"), judge.image_size) for pixels in photographs]
        rows = (yield Pass("judge", list(np.concatenate(squares)), _score, BATCH)) if faces else []
        tables = np.split(np.stack(rows), len(photographs)) if rows else [judge.score(square) for square in squares]
        return [AttributeScores(_columns(table, judge.attributes, attributes), CALIBRATING_JUDGE) for table in tables]
    if not model.can("classify"):
        return [AttributeScores({}, "") for _ in photographs]
    squares = [face_squares(pixels, faces, model.crop, model.image_size) for pixels in photographs]
    return [AttributeScores(_as_lists(model.classify(square)), MODEL) for square in squares]


def _columns(
    table: NDArray[np.float32], names: Sequence[str], attributes: Sequence[str]
) -> dict[str, list[float]]:
    """By attribute the judge's scores [F, A] of faces, and those of `attributes` that are derived of others."""
    scores = {name: table[:, column] for column, name in enumerate(names)}
    derived = [name for name in attributes if name not in names]
    return _as_lists(scores | {name: attribute_column(table, names, name) for name in derived})


def _score(squares: Sequence[NDArray[np.uint8]]) -> list[NDArray[np.float32]]:
    """The row of the calibrating judge's scores of each square."""
    return list(calibrating_judge().score(np.stack(squares)))


def side_effects(
    strengths: Mapping[str, float], before: AttributeScores, after: AttributeScores, row: int
) -> tuple[str, ...]:
    """Say what else the judge reads otherwise in a face after an edit: attributes that were not asked for, much changed.

    Those that say much the same as one that was asked for are left out.
    """
    expected = set[str]().union(*(related_attributes(name) | set(OVERLAPPING.get(name, ())) for name in strengths))
    told = []
    for name in before.scores.keys() - expected if before.by == after.by else ():
        was, now = before.scores[name][row], after.scores[name][row]
        if abs(now - was) >= _MUCH and (was >= THRESHOLD) != (now >= THRESHOLD):
            told.append((abs(now - was), f"{name} changes too: {was:.2f} before, {now:.2f} after, by {after.by}"))
    return tuple(line for _, line in sorted(told, reverse=True)[:_MOST_TOLD])


def skin_change(
    strengths: Mapping[str, float], before: NDArray[np.uint8], after: NDArray[np.uint8], face: Face
) -> tuple[str, ...]:
    """Say that a face's skin becomes much lighter or darker, unless an attribute that is asked for says so."""
    if _OF_SKIN & set(strengths):
        return ()
    was, now = skin_lightness(before, face.landmarks), skin_lightness(after, face.landmarks)
    if not abs(now - was) >= _SEEN:  # nan too
        return ()
    return (f"its skin becomes {'lighter' if now > was else 'darker'}: L* {was:.0f} before, {now:.0f} after",)


def _as_lists(scores: Mapping[str, NDArray[np.float32]]) -> dict[str, list[float]]:
    return {name: [float(value) for value in column] for name, column in scores.items()}


def face_squares(pixels: NDArray[np.uint8], faces: Sequence[Face], crop: str | None, side: int) -> NDArray[np.uint8]:
    """The faces of a photograph [H, W, 3] in the square of a model [F, side, side, 3]."""
    alignments = [align(face.landmarks, crop, side) for face in faces]
    squares = [warp_roughly(pixels, alignment.to_photo, alignment.side) for alignment in alignments]
    return np.stack(squares) if squares else np.zeros((0, side, side, 3), np.uint8)


@lru_cache(maxsize=1)
def calibrating_judge() -> AnyJudge:
    """The shipped judge that calibrates, opened once, by the library that is there."""
    if uses_torch():
        from visagist.judges.judge import load_judge, quicken

        return quicken(load_judge(CALIBRATING_JUDGE))
    return GraphJudge(CALIBRATING_JUDGE, find_model(CALIBRATING_JUDGE, "judge").folder)
