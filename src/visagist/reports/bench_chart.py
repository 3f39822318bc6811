"""A measure against planted correlation as SVG: one line a method, whiskers for intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from visagist.evaluation.statistics import Measure

WIDTH, HEIGHT = 520, 280
LEFT, RIGHT, TOP, BOTTOM = 52, 120, 14, 40
SPREAD = 5  # pixels between methods, so that whiskers do not lie on each other
HUES = (172, 22, 265, 95, 330, 205, 55, 0, 300)
STYLE = (
    "".join(
        f".m{i}{{--own:hsl({hue} 55% 38%)}}@media (prefers-color-scheme:dark){{.m{i}{{--own:hsl({hue} 60% 65%)}}}}"
        for i, hue in enumerate(HUES)
    )
    + ".own{stroke:var(--own);fill:none;stroke-width:2}.dot{fill:var(--own);stroke:none}svg text.name{fill:var(--own)}"
    ".zero{stroke:var(--soft);stroke-width:1;stroke-dasharray:3 3}"
)

Points = Mapping[float, Measure]


def line_chart(title: str, series: Mapping[str, Points], reference: float | None = None) -> str:
    """`series` by method, by planted correlation; a dashed line marks `reference`."""
    measures = [measure for points in series.values() for measure in points.values()]
    planted = sorted({x for points in series.values() for x in points})
    ends = [m[end] for m in measures for end in ("low", "high")]  # type: ignore[literal-required]
    low, high = _rounded([*ends, 0.0, *([] if reference is None else [reference])])
    parts = _axes(planted, low, high)
    if reference is not None:
        y = _y(reference, low, high)
        parts.append(f'<line class=zero x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
    names: list[tuple[float, int, str]] = []
    for place, (name, points) in enumerate(series.items()):
        shift = (place - (len(series) - 1) / 2) * SPREAD
        parts.append(_line(points, planted, low, high, shift, place % len(HUES)))
        if points:
            names.append((_y(points[max(points)]["value"], low, high), place % len(HUES), name))
    parts += _names(names)
    label = escape(title, quote=True)
    return f'<svg role=img aria-label="{label}" viewBox="0 0 {WIDTH} {HEIGHT}">{"".join(parts)}</svg>'


def _line(points: Points, planted: Sequence[float], low: float, high: float, shift: float, hue: int) -> str:
    places = [(_x(x, planted) + shift, points[x]) for x in sorted(points)]
    whiskers = "".join(
        f'<line class=own x1="{x:.1f}" x2="{x:.1f}" y1="{_y(m["low"], low, high):.1f}" y2="{_y(m["high"], low, high):.1f}"/>'
        f'<circle class=dot cx="{x:.1f}" cy="{_y(m["value"], low, high):.1f}" r="3.5"/>'
        for x, m in places
    )
    middle = " ".join(f"{x:.1f},{_y(m['value'], low, high):.1f}" for x, m in places)
    return f'<g class=m{hue}><polyline class=own points="{middle}"/>{whiskers}</g>'


def _names(names: list[tuple[float, int, str]]) -> list[str]:
    """Names beside the last points, pushed apart so that they can be read, and kept above the axis."""
    floor = HEIGHT - BOTTOM - 14 * (len(names) - 1)
    texts, lowest = [], float("-inf")
    for place, (y, hue, name) in enumerate(sorted(names)):
        lowest = max(min(y + 4, floor + 14 * place), lowest + 14)
        texts.append(f'<g class=m{hue}><text class=name x="{WIDTH - RIGHT + 24}" y="{lowest:.1f}">{escape(name)}</text></g>')
    return texts


def _axes(planted: Sequence[float], low: float, high: float) -> list[str]:
    parts = []
    for step in range(5):
        value = low + (high - low) * step / 4
        y = _y(value, low, high)
        parts.append(f'<line class=grid x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor=end>{_text(value)}</text>')
    for x in planted:
        parts.append(f'<text x="{_x(x, planted):.1f}" y="{HEIGHT - BOTTOM + 17}" text-anchor=middle>{_text(x)}</text>')
    middle = (LEFT + WIDTH - RIGHT) / 2
    parts.append(f'<text x="{middle}" y="{HEIGHT - 7}" text-anchor=middle>planted correlation</text>')
    return parts


def _text(value: float) -> str:
    return f"{value:.3g}".replace("-", "−")


def _rounded(values: Sequence[float]) -> tuple[float, float]:
    """Ends of an axis with room for all values, in four steps of a round length."""
    low, high = min(values), max(values)
    span = max(high - low, 1e-6)
    step = next(
        factor * 10.0**power
        for power in range(-8, 9)
        for factor in (1, 1.5, 2, 2.5, 4, 5)
        if 4 * factor * 10.0**power >= span and _fits(low, high, factor * 10.0**power)
    )
    start = step * _floor(low / step)
    return start, start + 4 * step


def _fits(low: float, high: float, step: float) -> bool:
    return step * _floor(low / step) + 4 * step >= high


def _floor(value: float) -> int:
    return int(value // 1)


def _x(x: float, planted: Sequence[float]) -> float:
    inner = WIDTH - RIGHT - LEFT
    least, most = planted[0], planted[-1]
    share = 0.5 if most == least else (x - least) / (most - least)
    return LEFT + 30 + share * (inner - 60)


def _y(value: float, low: float, high: float) -> float:
    return TOP + (1 - (value - low) / (high - low)) * (HEIGHT - TOP - BOTTOM)
