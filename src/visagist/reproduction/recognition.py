"""The views of a reproduction: SVMs on the codes of trained rows, and their cells."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from visagist.data.faces import Faces
from visagist.editing.editor import Editor
from visagist.evaluation.recognition import ALL_VIEWS, Recognition, recognise
from visagist.reproduction import View, verdicts
from visagist.reproduction.verdicts import Cell

MEASURES = ("accuracy", "balanced_accuracy")


def recognised(
    views: Sequence[View],
    editors: Mapping[str, Editor],
    faces: Mapping[str, Faces],
    plan: Recognition,
    data: str | None,
    out: Path,
) -> list[Cell]:
    """The cells of the views whose rows have a model; each view's table lies in `out`, in a folder of its label.

    `editors` and `faces` are by the rows' labels; `data` says why figures from these faces do not compare.
    """
    cells = []
    for view in views:
        published = dict(zip(MEASURES, (view.published, None)))
        absent = sorted(set(view.rows) - set(editors))
        if absent:
            needs = f"the row {', '.join(absent)}"
            cells += [verdicts.missing(view.label, f"recognition.{key}", published[key], needs) for key in MEASURES]
            continue
        chosen = [editors[row] for row in view.rows]
        for row, editor in zip(view.rows, chosen):
            editor.name = row
        folder = out / view.label.lower().replace(" ", "-").replace(",", "")
        metrics = recognise(chosen, faces[view.rows[0]], plan, out=folder)
        inner = ALL_VIEWS if len(chosen) > 1 else view.rows[0]
        for key in MEASURES:
            found = verdicts.decide(view.label, f"recognition.{inner}.{key}", published[key], metrics, data=data)
            cells.append(found)
    return cells
