"""What all who take part in a comparison of models share: names that tell them apart, the same faces, facts and notes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from visagist.attributes import rules_in_use
from visagist.data.faces import Faces
from visagist.editing.editor import Editor
from visagist.errors import VisagistError
from visagist.evaluation.context import JudgeLike
from visagist.evaluation.sources import notes_on_source


def check_told_apart(editors: Sequence[Editor]) -> None:
    """VisagistError where no model is given, or two have one name."""
    names = [editor.name for editor in editors]
    if not names or len(set(names)) < len(names):
        raise VisagistError(f"models are told apart by their names, got {', '.join(names) or 'none'}: name each once")


def same_rows(faces: Faces, files: Sequence[str]) -> NDArray[np.int64]:
    """The rows of these files, in their order; VisagistError where one is not among the faces."""
    places = {file: row for row, file in enumerate(faces.files)}
    missing = [file for file in files if file not in places]
    if missing:
        raise VisagistError(
            f"{len(missing)} faces, {missing[0]} first, are not there at every model's size: give the faces of one source"
        )
    return np.array([places[file] for file in files])


def model_facts(editor: Editor) -> dict[str, Any]:
    """What a manifest says of each model."""
    return {
        "name": editor.name,
        "method": editor.method.name,
        "image_size": editor.image_size,
        "weights_sha256": editor.description.get("weights_sha256"),
        "trained_on": (editor.description.get("data") or {}).get("source"),
    }


def judge_facts(judge: JudgeLike, attributes: Iterable[str]) -> dict[str, Any]:
    """What a manifest says of a judge, and how it reads those of the attributes that are derived."""
    return {
        "name": judge.name,
        "weights_sha256": judge.description.get("weights_sha256"),
        "derived": rules_in_use(attributes, judge.attributes),
    }


def notes_on_strength(editor: Editor, attribute: str, ways: Iterable[str]) -> list[str]:
    """What a reader must know of a model's strength of this attribute in directions "+1" and "-1"; mostly nothing."""
    notes = []
    for way in ways:
        fitted = editor.strength_maps[attribute][way]
        if not fitted.calibrated:
            notes.append(f"the strength of {editor.name} is not calibrated for {attribute}: ±1 is the end of its range")
        elif fitted.reached is False:
            notes.append(f"{editor.name}: {attribute} at strength {way}, the most that it gives, the class is not reached")
    return notes


def notes_on_faces(editor: Editor, faces: Faces, judge: JudgeLike) -> list[str]:
    """What a reader must know of where these faces come from beside those that trained the model and the judge."""
    trained, read_by = editor.description.get("data"), judge.description.get("data")
    found = notes_on_source(trained, read_by, judge.name, faces.manifest)
    return [note if note.startswith(judge.name) else f"{editor.name}: {note}" for note in found]
