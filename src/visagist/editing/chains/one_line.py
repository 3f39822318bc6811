"""`visagist.edit("me.jpg", smile=1)`: a photograph, and what is to change in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from visagist.attributes import resolve_strengths
from visagist.editing.chains.editor_chain import EditorChain, load_best
from visagist.editing.editor import Editor
from visagist.editing.modes import usual_mode
from visagist.editing.photo_edit import EditResult, edit_photo, open_photo
from visagist.editing.selection.face_choice import FaceChoice
from visagist.errors import VisagistError
from visagist.faces.detection import detect
from visagist.photos.provenance import add_step
from visagist.pretrained import defaults

if TYPE_CHECKING:
    from pathlib import Path


def edit(
    photo: Any, *, model: str | Path | Editor | None = None, mode: str | None = None, face: FaceChoice = "largest",
    device: str = "auto", **strengths: float,
) -> EditResult:  # fmt: skip
    """Edit the faces of a photograph by the best shipped models: `visagist.edit("me.jpg", smile=1).save("smiling.jpg")`.

    photo      a path, bytes, an open file, a PIL image, an array or a tensor
    model      another model: a zoo name, a folder, hub:owner/name or an `Editor`
    mode       detail, render or photo; without it photo where a refiner knows the attributes, else detail
    strengths  from -1 to 1, by attributes or plain words (`visagist attributes` lists them), edited in this order
    Models are loaded once a process. Raises VisagistError for all that a person can put right.
    """
    if not strengths:
        raise VisagistError("nothing is to be edited: name attributes, such as smile=1")
    editor: Editor | EditorChain
    if model is None:
        named = resolve_strengths(strengths, list(defaults()), "the shipped models")
        editor = _best(tuple(named), device)
    else:
        editor = model if isinstance(model, Editor) else _named(str(model), device)
        named = resolve_strengths(strengths, editor.attributes, editor.name)
    return edit_photo(editor, photo, named, mode or usual_mode(editor, named), face)


def edit_faces(
    photo: Any, settings: Mapping[int, Mapping[str, float]], *, mode: str | None = None, device: str = "auto"
) -> EditResult:
    """Edit several faces of a photograph, each in its own way: `edit_faces("group.jpg", {0: {"smile": 1}, 2: {"old": 1}})`.

    Faces are numbered from 0, the largest first, as `find_faces` gives them. What each edit does is in the history of the
    last result. VisagistError as `edit`.
    """
    if not settings:
        raise VisagistError("no face is to be edited: give a number and strengths, such as {0: {'smile': 1}}")
    current: Any = open_photo(photo)
    faces = detect(current.view())
    result: EditResult | None = None
    for number, strengths in settings.items():
        named = resolve_strengths(strengths, list(defaults()), "the shipped models")
        editor = _best(tuple(named), device)
        result = edit_photo(editor, current, named, mode or usual_mode(editor, named), number, faces)
        metadata = result.edited.metadata
        current = replace(result.edited, metadata=replace(metadata, xmp=add_step(metadata.xmp, result.step)))
    assert result is not None
    return result


@lru_cache(maxsize=8)
def _best(attributes: tuple[str, ...], device: str) -> Editor | EditorChain:
    return load_best(attributes, device)


@lru_cache(maxsize=8)
def _named(model: str, device: str) -> Editor:
    return Editor.from_pretrained(model, device)
