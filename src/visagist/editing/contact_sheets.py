"""Draw faces in rows, strips, tables and sheets, the residual of an edit, and what goes beside an edited picture."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from visagist.editing.modes import Mode
from visagist.editing.photo_edit import FaceEditor, apply_changes, compute_changes
from visagist.editing.request import Edited
from visagist.errors import VisagistError
from visagist.faces.detection import Face
from visagist.photos.edited_picture import mark_edited
from visagist.photos.provenance import Step, make_edit_step

STRENGTHS = (-1.0, -0.5, 0.0, 0.5, 1.0)
_TILE = 128
LARGEST_PART = 1024  # pixels a side of a part of a photograph in a strip
_GAP = 4
_LABEL = 16


def strip(
    editor: FaceEditor, face: Any, attribute: str, strengths: Sequence[float] = STRENGTHS, *, mode: str = "render",
    aligned: bool = False,
) -> Image.Image:  # fmt: skip
    """One row, labelled: the face as the model sees it, its reconstruction, and its edits over `strengths`."""
    seen = editor.see(face, aligned=aligned)
    if len(seen) != 1:
        raise VisagistError(f"a strip shows one face, got {len(seen)}: draw one strip for each")
    tiles = [("input", seen[0]), ("reconstruction", editor.reconstruct(seen)[0])]
    for strength in strengths:
        label = f"{attribute} {strength:+.2g}" if strength else "0"
        tiles.append((label, editor.edit(seen, mode, **_one(attribute, strength))[0]))
    return mark_edited(row(tiles), _step(editor, {attribute: strengths[-1]}, mode))


def photo_strip(
    editor: FaceEditor, pixels: NDArray[np.uint8], face: Face, attribute: str, mode: Mode
) -> Image.Image:
    """One row, labelled: the part of the photograph around a face as it is, and edited in place over `STRENGTHS`.

    It has the photograph's own resolution, up to `LARGEST_PART` pixels a side.
    """
    tiles: list[tuple[str, NDArray[np.uint8]]] = []
    for strength in STRENGTHS:
        (change,) = compute_changes(editor, pixels, [face], {attribute: strength}, mode)
        left, top, right, bottom = change.surroundings
        if not tiles:
            tiles.append(("input", _part(pixels[top:bottom, left:right])))
        label = f"{attribute} {strength:+.2g}" if strength else "0"
        tiles.append((label, _part(apply_changes(pixels, [change])[top:bottom, left:right])))
    return row(tiles)


def _part(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    part = Image.fromarray(np.ascontiguousarray(pixels))
    part.thumbnail((LARGEST_PART, LARGEST_PART), Image.Resampling.LANCZOS)
    return np.asarray(part)


def attribute_grid(
    editor: FaceEditor, face: Any, strengths: Sequence[float] = STRENGTHS, *, aligned: bool = False
) -> Image.Image:
    """Each attribute of the model in a row: the aligned face edited over `strengths`."""
    seen = editor.see(face, aligned=aligned)[:1]
    edits = [[editor.edit(seen, **_one(name, strength))[0] for strength in strengths] for name in editor.attributes]
    drawn = table(np.array(edits), editor.attributes, [f"{strength:+.2g}" if strength else "0" for strength in strengths])
    return mark_edited(drawn, _step(editor, dict.fromkeys(editor.attributes, strengths[-1]), "render"))


def photo_grid(
    editor: FaceEditor, pixels: NDArray[np.uint8], face: Face, strengths: Sequence[float] = STRENGTHS
) -> Image.Image:
    """Each attribute of the model in a row: the part of the photograph around a face, edited in place over `strengths`."""
    tiles = []
    for name in editor.attributes:
        for strength in strengths:
            (change,) = compute_changes(editor, pixels, [face], {name: strength})
            left, top, right, bottom = change.surroundings
            part = np.ascontiguousarray(apply_changes(pixels, [change])[top:bottom, left:right])
            tiles.append(np.asarray(Image.fromarray(part).resize((_TILE, _TILE), Image.Resampling.LANCZOS)))
    shape = (len(editor.attributes), len(strengths), _TILE, _TILE, 3)
    columns = [f"{strength:+.2g}" if strength else "0" for strength in strengths]
    drawn = table(np.array(tiles).reshape(shape), editor.attributes, columns)
    return mark_edited(drawn, _step(editor, dict.fromkeys(editor.attributes, strengths[-1]), "detail"))


def _step(editor: FaceEditor, strengths: Mapping[str, float], mode: str) -> Step:
    return make_edit_step(editor, strengths, mode, 1)


def _one(attribute: str, strength: float) -> dict[str, Any]:
    return {attribute: strength}


def draw_companions(editor: FaceEditor, edited: Edited, kinds: Collection[str]) -> Iterator[tuple[str, Image.Image]]:
    """Draw what goes beside an edited picture: strip, grid, residual, heat, as far as `kinds` names them, in this order."""
    pixels, result = edited.source.view(), edited.result
    strengths, whole = dict[str, Any](edited.request.strengths), Image.fromarray(pixels)
    if "strip" in kinds:
        if result is None:
            rows = [strip(editor, whole, name, mode=edited.mode, aligned=True) for name in strengths]
        else:
            rows = [photo_strip(editor, pixels, face, name, edited.mode) for face in result.faces for name in strengths]
        yield "strip", stacked(rows)
    if "grid" in kinds:
        if result is None:
            yield "grid", attribute_grid(editor, whole, aligned=True)
        else:
            yield "grid", photo_grid(editor, pixels, result.faces[0])
    if "residual" in kinds or "heat" in kinds:
        residual = editor.residual(whole, aligned=True, **strengths)[0] if result is None else result.residual
        pictures = {"residual": residual_picture, "heat": heat_picture}
        yield from ((kind, draw(residual)) for kind, draw in pictures.items() if kind in kinds)


def row(tiles: Sequence[tuple[str, NDArray[np.uint8]]]) -> Image.Image:
    """Pictures [H, W, 3] of one form side by side under their labels; small ones are enlarged by a whole factor."""
    sizes = [np.array(tile.shape[1::-1]) * math.ceil(_TILE / min(tile.shape[:2])) for _, tile in tiles]
    width, height = np.max(sizes, axis=0).tolist()
    sheet = Image.new("RGB", (len(tiles) * (width + _GAP) + _GAP, height + _LABEL + 2 * _GAP), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(11)
    for column, (label, tile) in enumerate(tiles):
        left = _GAP + column * (width + _GAP)
        draw.text((left + width / 2, _GAP), label, fill="black", font=font, anchor="ma")
        sheet.paste(Image.fromarray(tile).resize((width, height), Image.Resampling.BICUBIC), (left, _GAP + _LABEL))
    return sheet


def enlarged(face: NDArray[np.uint8], side: int) -> Image.Image:
    """A face [S, S, 3] at another size."""
    return Image.fromarray(face).resize((side, side), Image.Resampling.BICUBIC)


def stacked(rows: Sequence[Image.Image]) -> Image.Image:
    """Rows, at least one, below one another; as wide as the widest."""
    whole = Image.new("RGB", (max(row.width for row in rows), sum(row.height for row in rows)), "white")
    top = 0
    for row in rows:
        whole.paste(row, (0, top))
        top += row.height
    return whole


def table(faces: NDArray[np.uint8], rows: Sequence[str], columns: Sequence[str]) -> Image.Image:
    """Faces [R, C, S, S, 3] under the names of their columns and right of those of their rows, which may have lines."""
    font = ImageFont.load_default(11)
    ruler = ImageDraw.Draw(Image.new("RGB", (1, 1)))
    margin = math.ceil(max(ruler.multiline_textbbox((0, 0), name, font=font)[2] for name in rows)) + 3 * _GAP
    drawn: list[Image.Image] = []
    for name, tiles in zip(rows, faces):
        tiled = row(list(zip(columns, tiles)))
        whole = Image.new("RGB", (margin + tiled.width, tiled.height), "white")
        whole.paste(tiled, (margin, 0))
        middle = _GAP + _LABEL + (tiled.height - 2 * _GAP - _LABEL) / 2
        ImageDraw.Draw(whole).multiline_text((2 * _GAP, middle), name, fill="black", font=font, anchor="lm")
        # The names of columns stand once, above the first row.
        drawn.append(whole if not drawn else whole.crop((0, _GAP + _LABEL, whole.width, whole.height)))
    return stacked(drawn)


def sheet(faces: NDArray[np.uint8]) -> Image.Image:
    """Faces [N, S, S, 3], N at least 1, in a square as far as they fill one; small ones are enlarged by a whole factor."""
    side = faces.shape[1] * math.ceil(_TILE / faces.shape[1])
    columns = math.ceil(math.sqrt(len(faces)))
    step, rows = side + _GAP, math.ceil(len(faces) / columns)
    whole = Image.new("RGB", (columns * step + _GAP, rows * step + _GAP), "white")
    for index, face in enumerate(faces):
        whole.paste(enlarged(face, side), (_GAP + index % columns * step, _GAP + index // columns * step))
    return whole


def residual_picture(residual: NDArray[np.float32], span: float | None = None) -> Image.Image:
    """A signed residual [S, S, 3] around middle grey: brighter where the edit adds, darker where it takes away.

    `span` is the difference that is drawn as white or black; without it, the largest of this residual.
    """
    reach = _reach(residual, span)
    return Image.fromarray(np.rint(127.5 + 127.5 * np.clip(residual / reach, -1, 1)).astype(np.uint8))


def heat_picture(residual: NDArray[np.float32], span: float | None = None) -> Image.Image:
    """How much a residual [S, S, 3] changes each place, over the channels: black, red, yellow, white."""
    size = np.sqrt(np.mean(np.square(residual), axis=-1))
    heat = np.clip(size / _reach(size, span), 0, 1)[..., None] * 3 - np.arange(3)
    return Image.fromarray(np.rint(np.clip(heat, 0, 1) * 255).astype(np.uint8))


def _reach(residual: NDArray[np.float32], span: float | None) -> float:
    if residual.ndim not in (2, 3) or not np.isfinite(residual).all():
        raise VisagistError(f"a residual is finite float [S, S, 3], got {list(residual.shape)}: draw one face at a time")
    # Less than one grey level is nothing to see, and must not be blown up into noise.
    return max(float(np.abs(residual).max()) if span is None else span, 1 / 255)
