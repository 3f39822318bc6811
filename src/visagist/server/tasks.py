"""What a worker does for a request: each task takes what JSON can hold and blobs, and gives the same."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from visagist.editing.attribute_scores import score_faces
from visagist.editing.contact_sheets import draw_companions, heat_picture, residual_picture
from visagist.editing.editor import Editor
from visagist.editing.modes import Mode
from visagist.editing.photo_edit import apply_changes, choose_faces, compute_changes
from visagist.editing.request import Edited, EditRequest, edit_picture
from visagist.errors import VisagistError, nearest
from visagist.faces.alignment import align
from visagist.faces.detection import Box, Face, detect
from visagist.photos.encode import encode_picture
from visagist.photos.formats import BY_NAME, BY_SUFFIX, output_suffix
from visagist.photos.photo import PhotoFile, read_photo
from visagist.photos.provenance import add_step, make_step
from visagist.server.models import Models
from visagist.server.photographs import (
    OpenPhotograph,
    Photographs,
    check_faces,
    open_photograph,
    overlap,
    pick_faces,
    shifted,
    square_box,
)

Answer = tuple[dict[str, Any], list[bytes]]
Task = Callable[["Workshop", dict[str, Any], Sequence[bytes]], Answer]
VIEWS = ("edited", "residual", "heat")
COMPANIONS = ("strip", "grid", "residual", "heat")
ALIKE = 3  # faces are like one from which they are this part of the way to another
_NAME = "the picture"


@dataclass
class Workshop:
    """What a worker has: models, open photographs, limits."""

    models: Models
    most_faces: int

    def __post_init__(self) -> None:
        self.photographs = Photographs()
        self.drawing = threading.Lock()  # torch's noise is one for all threads


def edit(shop: Workshop, given: dict[str, Any], blobs: Sequence[bytes]) -> Answer:
    """Edit one picture by `edit_picture`, as the command does."""
    editor = shop.models.choose(given["model"], list(given["set"])).editor
    photo = read_photo(blobs[0], _NAME)
    mode = None if given["mode"] is None else Mode(given["mode"])
    request = EditRequest(
        given["set"], mode, given["face"], given["aligned"], strip_metadata=given["strip_metadata"]
    )
    present = None
    if not request.takes_as_aligned(photo, editor) and len(photo.frames) == 1:
        present = detect(photo.view())
        check_faces(len(choose_faces(present, given["face"])), shop.most_faces)
    edited = edit_picture(editor, photo, request, present)
    suffix = _suffix(given["format"], photo)
    data, record = edited.encode(suffix)
    facts = {"model": editor.name, "mode": str(edited.mode), "media_type": BY_SUFFIX[suffix].mime, "set": given["set"]}
    return {**facts, **asdict(record)}, [data]


def find(shop: Workshop, given: dict[str, Any], blobs: Sequence[bytes]) -> Answer:
    """Find the faces of a picture."""
    photo = read_photo(blobs[0], _NAME)
    present = detect(photo.view())
    return {"size": list(photo.size), "faces": [_face_facts(face) for face in present]}, []


def classify(shop: Workshop, given: dict[str, Any], blobs: Sequence[bytes]) -> Answer:
    """Read the attributes of each face of a picture: by the calibrating judge, or by a model that is named."""
    photo = read_photo(blobs[0], _NAME)
    pixels = photo.view()
    present = detect(pixels)
    check_faces(len(present), shop.most_faces)
    if given["model"] is None:
        read = score_faces(shop.models.choose(None, []).editor, pixels, present, [])
        by, scores = read.by, read.scores
    else:
        editor = shop.models[given["model"]].editor
        squares = [_square(editor, pixels, face) for face in present]
        table = editor.classify(squares) if squares else {}
        by, scores = editor.name, {name: [float(v) for v in column] for name, column in table.items()}
    rows = [
        {**_face_facts(face), "scores": {name: round(column[row], 4) for name, column in scores.items()}}
        for row, face in enumerate(present)
    ]
    return {"size": list(photo.size), "by": by, "faces": rows}, []


def open_picture(shop: Workshop, given: dict[str, Any], blobs: Sequence[bytes]) -> Answer:
    """Open a photograph in the studio: its faces, and a preview."""
    opened = open_photograph(blobs[0], shop.most_faces, shop.models.sides)
    height, width = opened.preview.shape[:2]
    rows = [
        {**_face_facts(face), "preview_box": list(shown.box), "preview_landmarks": _rounded(shown.landmarks)}
        for face, shown in zip(opened.faces, opened.preview_faces)
    ]
    facts = {
        "id": shop.photographs.add(opened), "size": list(opened.photo.size), "preview": [width, height], "faces": rows,
        "format": opened.photo.format, "notes": list(opened.photo.notes),
    }  # fmt: skip
    return facts, [_jpeg(opened.preview, 93)]


def close_picture(shop: Workshop, given: dict[str, Any], blobs: Sequence[bytes]) -> Answer:
    """Let an open photograph go."""
    shop.photographs.close(given["id"])
    return {}, []


def preview(shop: Workshop, given: dict[str, Any], blobs: Sequence[bytes]) -> Answer:
    """Apply steps to the preview of an open photograph: the parts that they change."""
    opened = shop.photographs[given["id"]]
    if given["view"] not in VIEWS:
        raise VisagistError(f"no view {given['view']!r}: {nearest(str(given['view']), VIEWS)}")
    pixels, boxes = _apply_steps(shop, opened, given["steps"])
    parts = [np.ascontiguousarray(pixels[top:bottom, left:right]) for left, top, right, bottom in boxes]
    if given["view"] != "edited":
        before = [opened.preview[top:bottom, left:right] for left, top, right, bottom in boxes]
        residuals = [(part.astype(np.float32) - old) / np.float32(255) for part, old in zip(parts, before)]
        span = max((float(np.abs(residual).max()) for residual in residuals), default=0.0)
        draw = residual_picture if given["view"] == "residual" else heat_picture
        parts = [np.asarray(draw(residual, max(span, 1 / 255))) for residual in residuals]
    return {"boxes": [list(box) for box in boxes]}, [_jpeg(part, 90) for part in parts]


def judge(shop: Workshop, given: dict[str, Any], blobs: Sequence[bytes]) -> Answer:
    """What is read from each edited face before and after all steps, and why an edit may have failed."""
    opened = shop.photographs[given["id"]]
    rows: dict[int, dict[str, Any]] = {}
    by, photo = "", opened.preview_photo
    for step, numbers in _steps(shop, opened, given["steps"]):
        edited = _edit_step(step, photo, [opened.preview_faces[number] for number in numbers])
        photo, result = edited.photo, edited.result
        assert result is not None
        by = result.scores_by or by
        for column, number in enumerate(numbers):
            before, after = (
                {name: round(values[column], 4) for name, values in scores.items()}
                for scores in (result.scores_before, result.scores_after)
            )
            row = rows.setdefault(number, {"number": number, "before": {}, "after": {}, "warnings": []})
            row["before"] = {**before, **row["before"]}
            row["after"].update(after)
            start = f"face {column}: "
            known = [warning.removeprefix(start) for warning in result.warnings if warning.startswith(start)]
            row["warnings"] += [warning for warning in known if warning not in row["warnings"]]
    return {"by": by, "faces": [rows[number] for number in sorted(rows)]}, []


def export(shop: Workshop, given: dict[str, Any], blobs: Sequence[bytes]) -> Answer:
    """The whole edited photograph as a file that says what was done to it, or a strip, grid or map of the last step."""
    opened, kind = shop.photographs[given["id"]], given["kind"]
    photo, edited = opened.photo, None
    for step, numbers in _steps(shop, opened, given["steps"]):
        before = opened.photo if kind in ("strip", "grid") else photo
        edited = _edit_step(step, before, [opened.faces[number] for number in numbers])
        photo = _with_history(edited)
    if edited is None:
        raise VisagistError("nothing is edited yet: move a slider first")
    suffix = _suffix(given["format"], opened.photo)
    if kind == "picture":
        data, record = edited.encode(suffix)
        return {"media_type": BY_SUFFIX[suffix].mime, "suffix": suffix, "warnings": list(record.warnings)}, [data]
    if kind not in COMPANIONS:
        raise VisagistError(f"no export {kind!r}: {nearest(str(kind), ('picture', *COMPANIONS))}")
    editor = shop.models[edited.step.model].live
    ((_, drawn),) = draw_companions(editor, edited, [kind])
    data = encode_picture(drawn, ".png", edited.step, opened.photo)
    return {"media_type": "image/png", "suffix": ".png", "warnings": []}, [data]


def sample(shop: Workshop, given: dict[str, Any], blobs: Sequence[bytes]) -> Answer:
    """New faces, any or with attributes: files that say that they are generated."""
    model = shop.models[given["model"]].generator
    with shop.drawing:
        samples = model.sample(given["number"], seed=given["seed"], **given["set"])
    return _generated(model, samples.images)


def alike(shop: Workshop, given: dict[str, Any], blobs: Sequence[bytes]) -> Answer:
    """New faces like a face: a part of the way from its code to those of random faces."""
    from visagist.latent.interpolation import interpolate_faces

    model = shop.models[given["model"]].generator
    face = _face(model, blobs[0])
    with shop.drawing:
        others = model.sample(given["number"], seed=given["seed"]).images
    ways = [interpolate_faces(model, np.stack([face, other]), ALIKE + 1)[0, 1] for other in others]
    return _generated(model, np.stack(ways))


def between(shop: Workshop, given: dict[str, Any], blobs: Sequence[bytes]) -> Answer:
    """The way from one face to another, through codes."""
    from visagist.latent.interpolation import interpolate_faces

    model = shop.models[given["model"]].generator
    ends = np.stack([_face(model, blob) for blob in blobs[:2]])
    return _generated(model, interpolate_faces(model, ends, given["number"], "spherical")[0])


TASKS: Mapping[str, Task] = {
    "edit": edit, "faces": find, "classify": classify, "open": open_picture, "close": close_picture, "preview": preview,
    "judge": judge, "export": export, "sample": sample, "alike": alike, "between": between,
}  # fmt: skip


@dataclass(frozen=True)
class _Step:
    """One edit of the studio: a model that keeps codes, and what it is asked for."""

    editor: Editor
    request: EditRequest


def _steps(shop: Workshop, opened: OpenPhotograph, steps: Sequence[Mapping[str, Any]]) -> list[tuple[_Step, list[int]]]:
    """The steps with the numbers of the faces that each edits."""
    checked = []
    for step in steps:
        editor = shop.models.choose(step["model"], list(step["set"])).live
        mode = None if step["mode"] is None else Mode(step["mode"])
        request = EditRequest(step["set"], mode, "all", aligned=False, strip_metadata=step["strip_metadata"])
        checked.append((_Step(editor, request), pick_faces(opened.faces, step["face"])))
    return checked


def _edit_step(step: _Step, photo: PhotoFile, chosen: Sequence[Face]) -> Edited:
    return edit_picture(step.editor, photo, step.request, chosen)


def _with_history(edited: Edited) -> PhotoFile:
    """The edited photo, whose metadata say what was done, for the next step."""
    photo, strip = edited.photo, edited.request.strip_metadata
    xmp = add_step(photo.metadata.xmp, edited.step, only_history=strip)
    return replace(photo, metadata=replace(photo.metadata, xmp=xmp))


def _apply_steps(
    shop: Workshop, opened: OpenPhotograph, steps: Sequence[Mapping[str, Any]]
) -> tuple[NDArray[np.uint8], list[Box]]:
    """The preview after steps, and the boxes in which it may have changed."""
    pixels = opened.preview.copy()
    boxes: dict[int, Box] = {}
    size = (pixels.shape[1], pixels.shape[0])
    for step, numbers in _steps(shop, opened, steps):
        editor, strengths = step.editor, step.request.strengths
        mode = step.request.mode_for(False, editor)
        for number in numbers:
            face = opened.preview_faces[number]
            box = square_box(face, editor.crop, editor.size_in(mode), size)
            left, top, right, bottom = box
            part = np.ascontiguousarray(pixels[top:bottom, left:right])
            is_new = not any(overlap(box, other) for other in boxes.values())
            squares = [opened.square(number, editor.crop, editor.size_in(mode))] if is_new else None
            moved = shifted(face, left, top)
            changes = compute_changes(editor, part, [moved], strengths, mode, squares=squares)
            pixels[top:bottom, left:right] = apply_changes(part, changes)
            known = boxes.get(number, box)
            boxes[number] = (min(known[0], left), min(known[1], top), max(known[2], right), max(known[3], bottom))
    return pixels, list(boxes.values())


def _face_facts(face: Face) -> dict[str, Any]:
    return {
        "box": list(face.box), "landmarks": _rounded(face.landmarks), "score": round(face.score, 4),
        "yaw": round(face.yaw, 1), "tilt": round(face.angle, 1), "warnings": list(face.warnings),
    }  # fmt: skip


def _rounded(points: NDArray[np.float32]) -> list[list[float]]:
    return [[round(float(x), 2), round(float(y), 2)] for x, y in points]


def _square(editor: Editor, pixels: NDArray[np.uint8], face: Face) -> NDArray[np.uint8]:
    return align(face.landmarks, editor.crop, editor.image_size).face(pixels)


def _face(editor: Editor, data: bytes) -> NDArray[np.uint8]:
    """A picture as this model sees it."""
    return editor.see(Image.fromarray(read_photo(data, _NAME).view()))[0]


def _generated(editor: Editor, images: NDArray[np.uint8]) -> Answer:
    step = make_step("generated", editor, "")
    return {"model": editor.name}, [encode_picture(Image.fromarray(image), ".png", step) for image in images]


def _suffix(asked: str | None, photo: PhotoFile) -> str:
    """The suffix of the answer: as asked, or of the picture's own format where that is written."""
    if asked is not None:
        return f".{asked.lower().removeprefix('.')}"
    own = BY_NAME.get(photo.format)
    return output_suffix(own.suffixes[0] if own is not None else "")


def _jpeg(pixels: NDArray[np.uint8], quality: int) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=quality, subsampling=0)
    return file.getvalue()
