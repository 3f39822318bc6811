"""What is read from the faces of a photograph without any label: by the calibrating judge, or by the model itself."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from visagist.attributes import attribute_column, offered
from visagist.faces.alignment import align
from visagist.faces.detection import Face
from visagist.judges import CALIBRATING_JUDGE, Judge, load_judge

if TYPE_CHECKING:
    from visagist.editing.editor import Editor

MODEL = "model"


class Readings(NamedTuple):
    """By attribute, for each face, how sure `by` is that it is there; nothing where nobody can say, and `by` is empty."""

    scores: dict[str, list[float]]
    by: str


def read_faces(editor: Editor, pixels: NDArray[np.uint8], faces: Sequence[Face], wanted: Sequence[str]) -> Readings:
    """Attributes of these faces: all that the calibrating judge knows or, where it does not know `wanted`, the model's."""
    judge = _judge()
    if set(wanted) <= set(offered(judge.attributes)):
        squares = _squares(pixels, faces, judge.description.get("crop"), judge.image_size)
        table, names = judge.score(squares), judge.attributes
        extra = [name for name in wanted if name not in names]
        scores = {name: table[:, place] for place, name in enumerate(names)}
        scores |= {name: attribute_column(table, names, name) for name in extra}
        return Readings({name: [float(v) for v in column] for name, column in scores.items()}, CALIBRATING_JUDGE)
    if "classify" in editor.method.capabilities:
        found = editor.classify(_squares(pixels, faces, editor.crop, editor.image_size))
        return Readings({name: [float(v) for v in column] for name, column in found.items()}, MODEL)
    return Readings({}, "")


def _squares(pixels: NDArray[np.uint8], faces: Sequence[Face], crop: str | None, side: int) -> NDArray[np.uint8]:
    squares = [align(face.landmarks, crop, side).face(pixels) for face in faces]
    return np.stack(squares) if squares else np.zeros((0, side, side, 3), np.uint8)


@lru_cache(maxsize=1)
def _judge() -> Judge:
    return load_judge(CALIBRATING_JUDGE)
