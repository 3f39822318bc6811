"""Drawn figures of a report beside the curves: bars with intervals, and the matrix of what flips with what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from visagist.evaluation.statistics import Measure

WIDTH, BAR, NAMES, NUMBERS = 460, 26, 190, 52
CELL, SIDE, HEAD, REST = 18, 130, 130, 56
STYLE = """
.bar{fill:var(--bar)}.whisker{stroke:var(--accent);stroke-width:2}.chance{stroke:var(--warm);stroke-dasharray:3 3}
svg.leak{max-width:36rem}
svg.matrix{width:auto;max-width:none;border:0}.flip{fill:var(--accent)}.own{fill:var(--line)}
"""


def bars_with_intervals(rows: Sequence[tuple[str, Measure]], chance: float, label: str) -> str:
    """Shares as bars to 1, each with the ends of its interval; they begin a little below what chance gives."""
    floor = chance - 0.1
    height, reach = BAR * len(rows) + 22, WIDTH - NAMES - NUMBERS

    def x(value: float) -> float:
        return NAMES + reach * (min(max(value, floor), 1) - floor) / (1 - floor)

    parts = []
    for place, (title, measure) in enumerate(rows):
        top, middle = BAR * place + 8, BAR * place + 8 + (BAR - 8) / 2
        parts.append(
            f'<text x="{NAMES - 8}" y="{middle + 4:.1f}" text-anchor=end>{escape(title)}</text>'
            f'<rect class=bar x="{NAMES}" y="{top}" width="{x(measure["value"]) - NAMES:.1f}" height="{BAR - 8}"/>'
            f'<line class=whisker x1="{x(measure["low"]):.1f}" x2="{x(measure["high"]):.1f}" y1="{middle}" y2="{middle}"/>'
            f'<text x="{WIDTH - NUMBERS + 6}" y="{middle + 4:.1f}">{measure["value"]:.1%}</text>'
        )
    ends = f'<text x="{x(chance):.1f}" y="{height - 4}" text-anchor=middle>{chance:.0%}</text>'
    ends += f'<text x="{NAMES + reach}" y="{height - 4}" text-anchor=middle>100%</text>'
    dashes = f'<line class=chance x1="{x(chance):.1f}" x2="{x(chance):.1f}" y1="4" y2="{height - 18}"/>'
    drawn = "".join(parts) + dashes + ends
    return f'<svg class=leak role=img aria-label="{escape(label)}" viewBox="0 0 {WIDTH} {height}">{drawn}</svg>'


def matrix_svg(matrix: Mapping[str, Any], label: str) -> str:
    """Shares of `rows` by `columns` as a picture: the darker, the more; what is one attribute with its row is struck out."""
    rows, columns = matrix["rows"], matrix["columns"]
    most = max((value for row in matrix["values"] for value in row if value is not None), default=0)
    width, height, parts = SIDE + CELL * len(columns) + REST, HEAD + CELL * len(rows) + 8, []
    for place, name in enumerate(columns):
        x = SIDE + CELL * place + CELL / 2 + 4
        parts.append(f'<text transform="translate({x:.0f} {HEAD - 6}) rotate(-60)">{_words(name)}</text>')
    for line, (name, values) in enumerate(zip(rows, matrix["values"])):
        y = HEAD + CELL * line
        parts.append(f'<text x="{SIDE - 8}" y="{y + CELL / 2 + 4:.0f}" text-anchor=end>{_words(name)}</text>')
        for place, value in enumerate(values):
            where = f'x="{SIDE + CELL * place}" y="{y}" width="{CELL - 1}" height="{CELL - 1}"'
            if value is None:
                parts.append(f"<rect class=own {where}/>")
            else:
                title = f"<title>{_words(name)}: {_words(columns[place])} {value:.1%}</title>"
                parts.append(f'<rect class=flip {where} opacity="{0.04 + 0.96 * value / (most or 1):.2f}">{title}</rect>')
    size = f'width="{width}" height="{height}" viewBox="0 0 {width} {height}"'
    drawn = f'<svg class=matrix role=img aria-label="{escape(label)}" {size}>{"".join(parts)}</svg>'
    return f"<div class=wide>{drawn}</div><p class=soft>Darkest: {most:.1%} of the faces.</p>"


def _words(name: str) -> str:
    return escape(name.replace("_", " "))
