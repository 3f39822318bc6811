"""Drawn parts of a report: faces side by side, calibration curves as SVG, bars."""

from __future__ import annotations

import base64
import io
from html import escape
from typing import Any

from PIL import Image

from visagist.evaluation.context import Images
from visagist.evaluation.results import Cell, Strip
from visagist.evaluation.statistics import Measure
from visagist.evaluation.strips import RESIDUAL_GAIN

WIDTH, HEIGHT = 460, 270
LEFT, RIGHT, TOP, BOTTOM = 44, 100, 16, 40


def data_uri(image: Images) -> str:
    """A uint8 picture [H, W, 3] as the text of a PNG."""
    file = io.BytesIO()
    Image.fromarray(image).save(file, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()


def face_grid(strips: list[Strip]) -> str:
    """Faces by columns, with a score under each picture."""
    titles = "".join(f"<th scope=col>{escape(cell.title)}</th>" for cell in strips[0].cells)
    rows, before = [], None
    for strip in strips:
        first = " class=first" if strip.present != before else ""
        name = escape(strip.attribute.replace("_", " "))
        side = ("" if strip.present else "not ") + name
        label = f"<th scope=row>{side}</th>" if first else "<th></th>"
        rows.append(f"<tr{first}>{label}{''.join(picture_cell(cell, side) for cell in strip.cells)}</tr>")
        before = strip.present
    return (
        f"<div class=wide><table class=faces><thead><tr><th></th>{titles}</tr></thead>"
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def face_table(strips: list[Strip], judge: str) -> str:
    """The faces of a report, and what the columns and the scores are."""
    note = (
        f"Under each picture: what {escape(judge)} gives the attribute, 0 to 1. Left: the label. "
        f"The residual is the edit to the other class minus the reconstruction, times {RESIDUAL_GAIN}, around grey, "
        "and heat is its size, from black over red to white. The faces were drawn by the seed, not chosen."
    )
    return f"{face_grid(strips)}<p class=soft>{note}</p>"


def picture_cell(cell: Cell, side: str) -> str:
    """A picture with its score under it, as a table's cell; `side` says of which face."""
    score = "&nbsp;" if cell.score is None else f"{cell.score:.2f}"
    alt = escape(f"{side}: {cell.title}", quote=True)
    return f'<td><img alt="{alt}" src="{data_uri(cell.image)}"><small>{score}</small></td>'


def calibration_svg(curve: dict[str, Any]) -> str:
    """The judge's mean score against strength, with intervals, for all faces and for either class of label."""
    name = escape(curve["attribute"].replace("_", " "))
    strengths = curve["strengths"]
    parts = [_axes(strengths)]
    ends: list[tuple[float, str, str]] = []
    series = (("from_1", "with", "has it"), ("from_0", "without", "has it not"), ("all", "all", "all faces"))
    for key, kind, title in series:
        if curve[key] is not None:
            parts.append(_series(strengths, curve[key], kind))
            ends.append((_y(curve[key][-1]["value"]), kind, title))
    parts += _names(ends)
    label = f"Mean judge score of {name} against strength from −1 to +1"
    return f'<svg role=img aria-label="{label}" viewBox="0 0 {WIDTH} {HEIGHT}">{"".join(parts)}</svg>'


def _names(ends: list[tuple[float, str, str]]) -> list[str]:
    """Names beside the ends of the curves, pushed apart so that they can be read."""
    texts, lowest = [], float("-inf")
    for y, kind, title in sorted(ends):
        lowest = max(y + 4, lowest + 14)
        texts.append(f'<text class={kind} x="{WIDTH - RIGHT + 8}" y="{lowest:.1f}">{title}</text>')
    return texts


def _series(strengths: list[float], measures: list[Measure], kind: str) -> str:
    xs = [_x(s) for s in strengths]
    upper = [f"{x:.1f},{_y(m['high']):.1f}" for x, m in zip(xs, measures)]
    lower = [f"{x:.1f},{_y(m['low']):.1f}" for x, m in zip(xs, measures)]
    middle = " ".join(f"{x:.1f},{_y(m['value']):.1f}" for x, m in zip(xs, measures))
    band = f'<polygon class="band {kind}" points="{" ".join(upper + lower[::-1])}"/>'
    return f'{band}<polyline class="line {kind}" points="{middle}"/>'


def _axes(strengths: list[float]) -> str:
    parts = []
    for score in (0, 0.25, 0.5, 0.75, 1):
        y = _y(score)
        parts.append(f'<line class=grid x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor=end>{score:g}</text>')
    for strength in strengths[::2]:
        text = f"{strength:+g}".replace("-", "−") if strength else "0"
        parts.append(f'<text x="{_x(strength):.1f}" y="{HEIGHT - BOTTOM + 17}" text-anchor=middle>{text}</text>')
    middle = (LEFT + WIDTH - RIGHT) / 2
    parts.append(f'<text x="{middle}" y="{HEIGHT - 7}" text-anchor=middle>strength</text>')
    return "".join(parts)


def _x(strength: float) -> float:
    return LEFT + (strength + 1) / 2 * (WIDTH - LEFT - RIGHT)


def _y(score: float) -> float:
    return TOP + (1 - score) * (HEIGHT - TOP - BOTTOM)
