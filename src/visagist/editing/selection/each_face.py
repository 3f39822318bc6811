"""Edit each of several faces at strengths of its own: those at equal strengths together, given back in their order."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np

from visagist.editing.inputs import take_apart
from visagist.errors import VisagistError
from visagist.runtime.arrays import is_tensor


class EditsFaces(Protocol):
    """What is asked of an `Editor` here."""

    @property
    def crop(self) -> str | None: ...
    @property
    def image_size(self) -> int: ...
    def edit(self, faces: Any, *, mode: str, batch_size: int, aligned: bool, **strengths: Any) -> Any: ...


def edit_each(
    editor: EditsFaces, faces: Any, strengths: Mapping[str, Any], *, mode: str, batch_size: int, aligned: bool
) -> Any:
    """Faces in the form they came in, each edited at its own strengths: a number for all of them, or one a face.

    VisagistError where there are not as many strengths as faces, and as `Editor.edit`.
    """
    items, together = take_apart(faces, editor.crop)
    many = isinstance(faces, (list, tuple)) or ((isinstance(faces, np.ndarray) or is_tensor(faces)) and faces.ndim == 4)
    for name, strength in strengths.items():
        if np.ndim(strength) and (np.shape(strength) != (len(items),) or not many):
            got = "×".join(map(str, np.shape(strength)))
            raise VisagistError(f"{name} has {got} strengths for {len(items)} faces: give one a face, or one number")
    groups: dict[tuple[float, ...], list[int]] = {}
    for row in range(len(items)):
        own = tuple(float(strength[row] if np.ndim(strength) else strength) for strength in strengths.values())
        groups.setdefault(own, []).append(row)
    done: list[Any] = [None] * len(items)
    for own, rows in groups.items():
        edited = editor.edit(
            [faces[row] for row in rows], mode=mode, batch_size=batch_size, aligned=aligned, **dict(zip(strengths, own))
        )
        for row, face in zip(rows, edited, strict=True):
            done[row] = face
    return together(done, (editor.image_size, editor.image_size))
