"""Editing pictures each of which is one aligned face, as those that models are trained on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from visagist.boundary.terminal import PlainConsole
from visagist.cli.console import say
from visagist.cli.inputs import Target
from visagist.cli.output import write_picture

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from visagist.editing.editor import Editor
    from visagist.photos.content_credentials import Signing
    from visagist.photos.photo import PhotoFile
    from visagist.photos.provenance import Step


def edit_aligned(
    editor: Editor, pictures: Sequence[Path], places: Sequence[Target], wanted: dict[str, float], mode: str,
    until: float | None, strip_metadata: bool = False, signing: Signing | None = None,
) -> list[dict[str, float]]:  # fmt: skip
    """Edit and write; the amounts that `until` took, a dict for each picture, empty ones without it."""
    from rich.progress import track

    from visagist.editing.aligned import BATCH, edit_aligned_photos
    from visagist.photos.encode import write_photo
    from visagist.photos.photo import read_photo

    for picture in pictures:
        read_photo(picture)  # a bad picture is refused before anything is written
    starts = range(0, len(pictures), BATCH)
    amounts: list[dict[str, float]] = []
    for start in track(starts, "editing", console=PlainConsole(stderr=True), disable=len(starts) < 2):
        part = list(pictures[start : start + BATCH])
        photos = [read_photo(picture) for picture in part]
        edits = edit_aligned_photos(editor, photos, wanted, mode, until)
        amounts += edits.amounts
        for photo, edited, place in zip(photos, edits.photos, places[start : start + BATCH]):
            notes = write_photo(edited, place.edited, edits.step, strip_metadata=strip_metadata, signing=signing)
            write_beside(editor, photo, place, wanted, mode, edits.step)
            for note in (*edited.notes, *notes):
                say(f"! {photo.name}: {note}")
        for picture, taken in zip(part, edits.amounts):
            for name in (name for name, amount in taken.items() if amount >= 1):
                say(f"{picture}: {name} went to the end of the model's range")
    return amounts


def write_beside(
    editor: Editor, photo: PhotoFile, place: Target, wanted: dict[str, float], mode: str, step: Step
) -> None:
    """The strip, the grid, the residual and the heat of one aligned face, as far as they are asked for."""
    from PIL import Image

    from visagist.editing.contact_sheets import attribute_grid, stacked, strip

    if not (place.strip or place.grid or place.residual or place.heat):
        return
    face, given = Image.fromarray(photo.view()), dict[str, Any](wanted)
    if place.strip:
        write_picture(stacked([strip(editor, face, name, mode=mode) for name in wanted]), place.strip, step, photo)
    if place.grid:
        write_picture(attribute_grid(editor, face), place.grid, step, photo)
    if place.residual or place.heat:
        write_change(editor.residual(face, **given)[0], place, step, photo)


def write_change(residual: NDArray[np.float32], place: Target, step: Step, photo: PhotoFile) -> None:
    """What an edit adds [H, W, 3], as a residual and as heat, as far as they are asked for."""
    from visagist.editing.contact_sheets import heat_picture, residual_picture

    if place.residual:
        write_picture(residual_picture(residual), place.residual, step, photo)
    if place.heat:
        write_picture(heat_picture(residual), place.heat, step, photo)
