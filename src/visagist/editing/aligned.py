"""Pictures each of which is one aligned face, edited and given back in their own form, as photographs are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from visagist.editing.modes import Mode
from visagist.editing.photo_edit import Change, FaceEditor
from visagist.photos.colour import ColourSpace, grey_detail, is_grey
from visagist.photos.photo import PhotoFile
from visagist.photos.provenance import Step, make_edit_step

BATCH = 64


class AlignedEdits(NamedTuple):
    """The edited photos in the order of those that were given, to be written with `write_photo` or `encode_photo`.

    step     what their files will say was done
    amounts  for each photo, by attribute, the share of the model's range that `until` took; empty without it
    """

    photos: list[PhotoFile]
    step: Step
    amounts: list[dict[str, float]]


def edit_aligned_photos(
    editor: FaceEditor, photos: Sequence[PhotoFile], strengths: Mapping[str, float], mode: str = "render",
    until: float | None = None, batch_size: int = BATCH,
) -> AlignedEdits:  # fmt: skip
    """Photos edited together, the whole of each as one upright face; what their files say stays with them.

    `mode="render"` gives the model's 8-bit RGB pixels at its own size, in the photo's colours; `"detail"` adds the change
    to the photo's own pixels, depth and channels. Of an animation the first frame is edited. The photos' `notes` say what
    is not kept. `until` moves each face until the model reads it so with this probability. VisagistError as `Editor.edit`
    and `Editor.edit_until`.
    """
    views = [photo.view() for photo in photos]
    shown = Mode(mode)
    amounts: list[dict[str, float]] = [{} for _ in photos]
    if until is None:
        edited = editor.edit(views, shown, batch_size, aligned=True, **strengths)
    else:
        edited, used = editor.edit_until(views, until, shown, batch_size, aligned=True, **strengths)
        amounts = [{name: round(float(column[i]), 4) for name, column in used.items()} for i in range(len(photos))]
    results = []
    for photo, view, pixels in zip(photos, views, edited, strict=True):
        first = _first_frame(photo)
        results.append(_with_change(first, view, pixels) if shown.keeps_pixels else _with_pixels(first, pixels))
    more = "" if until is None else f" until {until:g}"
    return AlignedEdits(results, make_edit_step(editor, strengths, shown, 1, more), amounts)


def _first_frame(photo: PhotoFile) -> PhotoFile:
    if len(photo.frames) == 1:
        return photo
    note = f"of its {len(photo.frames)} frames the first is edited and written"
    return replace(photo, frames=photo.frames[:1], durations=None, loop=None, notes=(*photo.notes, note))


def _with_change(photo: PhotoFile, view: NDArray[np.uint8], edited: NDArray[np.uint8]) -> PhotoFile:
    """Add the difference between two sRGB pictures [H, W, 3] of a photo to its own pixels."""
    detail = (edited.astype(np.float32) - view) / np.float32(255)
    if is_grey(view):
        detail = grey_detail(detail)
    return photo.with_changes([[Change((0, 0, *photo.size), detail)]])


def _with_pixels(photo: PhotoFile, pixels: NDArray[np.uint8]) -> PhotoFile:
    """Put a model's pixels [S, S, 3], which are sRGB, in place of the photo's."""
    own, metadata, colours, notes = photo.frames[0], photo.metadata, photo.colours, list(photo.notes)
    if own.dtype != np.uint8:
        notes.append("its 16 bits a channel become 8, which the model paints")
    if own.shape[2] in (2, 4) and (own[..., -1] < np.iinfo(own.dtype).max).any():
        notes.append("its transparency is left out, as the model paints all of the picture")
    if own.shape[2] < 3 and metadata.icc is not None:
        notes.append("its profile is left out: it is for grey, and the model paints in colour")
        metadata, colours = replace(metadata, icc=None), ColourSpace()
    elif colours.icc is not None:
        pixels = colours.from_srgb(pixels)
    return replace(photo, frames=(pixels,), metadata=metadata, colours=colours, notes=tuple(notes))
