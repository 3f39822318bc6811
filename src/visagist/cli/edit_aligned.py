"""Editing pictures each of which is one aligned face, as those that models are trained on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from visagist.cli.console import say
from visagist.cli.edit_inputs import Target
from visagist.cli.pictures import write_picture

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL import Image

    from visagist.editing.content_credentials import Signing
    from visagist.editing.editor import Editor
    from visagist.editing.provenance import Step

BATCH = 64


def edit_aligned(
    editor: Editor, pictures: Sequence[Path], places: Sequence[Target], wanted: dict[str, float], mode: str,
    until: float | None, signing: Signing | None = None,
) -> list[dict[str, float]]:  # fmt: skip
    """Edit and write; the amounts that `until` took, a dict for each picture, empty ones without it."""
    from rich.console import Console
    from rich.progress import track

    from visagist.editing.provenance import edit_step

    for picture in pictures:
        editor.see(picture)  # a bad picture is refused before anything is written
    more = "" if until is None else f" until {until:g}"
    step = edit_step(editor.name, editor.description, wanted, mode, 1, more)
    starts = range(0, len(pictures), BATCH)
    amounts: list[dict[str, float]] = []
    for start in track(starts, "editing", console=Console(stderr=True), disable=len(starts) < 2):
        part = list(pictures[start : start + BATCH])
        images, moved = _edited(editor, part, wanted, until, mode)
        amounts += moved
        for picture, edited, place in zip(part, images, places[start : start + BATCH]):
            write_picture(edited, place.edited, step, signing)
            write_beside(editor, picture, place, wanted, mode, step)
        for picture, taken in zip(part, moved):
            for name in (name for name, amount in taken.items() if amount >= 1):
                say(f"{picture}: {name} went to the end of the model's range")
    return amounts


def write_beside(
    editor: Editor, face: Path | Image.Image, place: Target, wanted: dict[str, float], mode: str, step: Step
) -> None:
    """The strip, the grid, the residual and the heat of one aligned face, as far as they are asked for."""
    from visagist.editing.pictures import attribute_grid, stacked, strip

    given: dict[str, Any] = dict(wanted)
    if place.strip:
        write_picture(stacked([strip(editor, face, name, mode=mode) for name in wanted]), place.strip, step)
    if place.grid:
        write_picture(attribute_grid(editor, face), place.grid, step)
    if place.residual or place.heat:
        write_change(editor.residual(face, **given)[0], place, step)


def write_change(residual: NDArray[np.float32], place: Target, step: Step) -> None:
    """What an edit adds [H, W, 3], as a residual and as heat, as far as they are asked for."""
    from visagist.editing.pictures import heat_picture, residual_picture

    if place.residual:
        write_picture(residual_picture(residual), place.residual, step)
    if place.heat:
        write_picture(heat_picture(residual), place.heat, step)


def _edited(
    editor: Editor, part: list[Path], wanted: dict[str, Any], until: float | None, mode: str
) -> tuple[list[Image.Image], list[dict[str, float]]]:
    """Edited pictures, and for each the amounts that `until` took; nothing where it is not asked for."""
    if until is None:
        return editor.edit(part, mode=mode, **wanted), [{} for _ in part]
    images, found = editor.edit_until(part, until, mode=mode, **wanted)
    return images, [{name: round(float(taken[i]), 4) for name, taken in found.items()} for i in range(len(part))]
