"""The Pareto picture: what an edit reaches against what it costs, one curve a model and mode, as inline SVG."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

from visagist.evaluation.statistics import Measure

WIDTH, HEIGHT = 400, 330
LEFT, RIGHT, TOP, BOTTOM = 54, 12, 14, 44
COLOURS = 8
STEPS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5)
MOST_TICKS = 7
REACH = 6.5  # half the side of the square that a letter needs
PLOT = (LEFT + REACH, TOP + REACH, WIDTH - RIGHT - REACH, HEIGHT - BOTTOM - REACH)
STYLE = """
:root{--c0:#0f6b66;--c1:#b4541a;--c2:#5b4bb7;--c3:#a3195b;--c4:#2f6fb3;--c5:#5d7a12;--c6:#8a6a00;--c7:#6b7177}
@media (prefers-color-scheme:dark){:root{--c0:#58c4bb;--c1:#e59a5f;--c2:#a99cf5;--c3:#f07fb2;--c4:#7ab4f0;--c5:#a9cc55;
--c6:#dcc04a;--c7:#b3bac0}}
.c0{--own:var(--c0)}.c1{--own:var(--c1)}.c2{--own:var(--c2)}.c3{--own:var(--c3)}
.c4{--own:var(--c4)}.c5{--own:var(--c5)}.c6{--own:var(--c6)}.c7{--own:var(--c7)}
.paretos{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,22rem),1fr));gap:.8rem}
.paretos figure{margin:0}
.curve{fill:none;stroke:var(--own);stroke-width:1.8;stroke-linejoin:round}
.curve.detail,.key.detail{stroke-dasharray:5 3}
.dot{fill:var(--own);stroke:var(--own);stroke-width:1.2}.dot.detail{fill:var(--card)}
.cross{stroke:var(--own);stroke-width:1;opacity:.55}
.lead{stroke:var(--own);stroke-width:.8;opacity:.7}
svg text.letter{fill:var(--own);font-weight:700;font-size:12px;paint-order:stroke;stroke:var(--card);stroke-width:3px}
.legend{display:flex;flex-wrap:wrap;gap:.3rem 1.1rem;font-size:.875rem;max-width:none}
.legend span{display:inline-flex;align-items:center;gap:.4rem;overflow-wrap:anywhere}
.chip{display:inline-block;flex:none;min-width:1.25rem;padding:0 .2rem;border-radius:.25rem;background:var(--own);
color:var(--card);font-weight:700;font-size:.75rem;line-height:1.25rem;text-align:center}
.legend svg{width:2rem;height:.6rem;border:0;border-radius:0;background:none;flex:none}.key{stroke:var(--ink);stroke-width:2}
"""


@dataclass(frozen=True)
class Series:
    """One curve: the model's place among the models, its name, the mode, and at each strength success and cost."""

    model: int
    name: str
    mode: str
    strengths: Sequence[float]
    success: Sequence[Measure]
    cost: Sequence[Measure]


@dataclass(frozen=True)
class Axis:
    """The upright axis: what is measured, what is written beside it, and whether more is better. Better is always up."""

    measure: str
    title: str
    more_is_better: bool


def letter(model: int) -> str:
    """The short name of a model: A, B, …, Z, then numbers."""
    return chr(ord("A") + model) if model < 26 else str(model + 1)


def chip(model: int) -> str:
    """The letter in the model's colour, as HTML."""
    return f'<b class="chip c{model % COLOURS}">{letter(model)}</b>'


def models_legend(names: Iterable[str]) -> str:
    """Which letter is which model."""
    named = "".join(f"<span>{chip(model)}{escape(name)}</span>" for model, name in enumerate(names))
    return f"<p class=legend>{named}</p>"


def modes_legend() -> str:
    """Which line is which mode."""
    line = '<svg aria-hidden=true viewBox="0 0 32 8"><line class="key {0}" x1="0" x2="32" y1="4" y2="4"/></svg>'
    modes = "".join(f"<span>{line.format(mode)}{mode}</span>" for mode in ("render", "detail"))
    return f"<p class=legend>{modes}</p>"


def pareto_svg(series: Sequence[Series], axis: Axis, about: str, near: bool = False) -> str:
    """Curves over strength with a dot at each, 95 % intervals as a cross and the model's letter at the last.

    The upright axis goes to no loss at all; `near` lets it end where the curves do.
    """
    scale = _Scale([m["value"] for one in series for m in one.cost], axis.more_is_better, near)
    parts = [_axes(scale, axis)]
    marks: list[tuple[float, float, Series]] = []
    for one in series:
        own = f"c{one.model % COLOURS} {one.mode}"
        points = [(_x(s["value"]), scale.y(c["value"])) for s, c in zip(one.success, one.cost)]
        parts.append(f'<polyline class="curve {own}" points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in points)}"/>')
        parts.append(_cross(one.success[-1], one.cost[-1], scale, own))
        for (x, y), strength, s, c in zip(points, one.strengths, one.success, one.cost):
            tip = f"{one.name}, {one.mode}, strength {strength:g}: {s['value']:.1%}, {axis.measure} {c['value']:.3f}"
            spot = f'class="dot {own}" cx="{x:.1f}" cy="{y:.1f}" r="2.7"'
            parts.append(f"<circle {spot}><title>{escape(tip)}</title></circle>")
        marks.append((*points[-1], one))
    parts += _letters(marks)
    label = escape(f"{about}: {axis.measure} against success", quote=True)
    return f'<svg role=img aria-label="{label}" viewBox="0 0 {WIDTH} {HEIGHT}">{"".join(parts)}</svg>'


class _Scale:
    """Where a value stands on the upright axis, whose ends are round numbers around all values."""

    def __init__(self, values: Sequence[float], more_is_better: bool, near: bool) -> None:
        none = [] if near else [1.0 if more_is_better else 0.0]
        low, high = min([*values, *none]), max([*values, *none])
        self.step = next((s for s in STEPS if (high - low) / s <= MOST_TICKS - 1), 1.0)
        self.low = math.floor(low / self.step + 1e-9) * self.step
        self.high = max(math.ceil(high / self.step - 1e-9) * self.step, self.low + self.step)
        self.up = more_is_better

    def ticks(self) -> list[float]:
        return [self.low + i * self.step for i in range(round((self.high - self.low) / self.step) + 1)]

    def y(self, value: float) -> float:
        part = min(max((value - self.low) / (self.high - self.low), 0.0), 1.0)
        return TOP + ((1 - part) if self.up else part) * (HEIGHT - TOP - BOTTOM)


def _x(success: float) -> float:
    return LEFT + success * (WIDTH - LEFT - RIGHT)


def _axes(scale: _Scale, axis: Axis) -> str:
    parts, bottom = [], HEIGHT - BOTTOM
    for tick in scale.ticks():
        y = scale.y(tick)
        text = f"{tick:.3g}" if axis.more_is_better else f"{100 * tick:.3g} %"
        parts.append(f'<line class=grid x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor=end>{text}</text>')
    for success in (0, 0.2, 0.4, 0.6, 0.8, 1):
        x = _x(success)
        end = " text-anchor=end" if success == 1 else " text-anchor=middle"
        parts.append(f'<line class=grid x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{bottom}"/>')
        parts.append(f'<text x="{x + 6 * (success == 1):.1f}" y="{bottom + 15}"{end}>{100 * success:g} %</text>')
    middle, high = (LEFT + WIDTH - RIGHT) / 2, (TOP + bottom) / 2
    parts.append(f'<text x="{middle}" y="{HEIGHT - 10}" text-anchor=middle>success →</text>')
    arrow = f"{axis.title} →"
    parts.append(f'<text transform="translate(11 {high}) rotate(-90)" text-anchor=middle>{escape(arrow)}</text>')
    return "".join(parts)


def _cross(success: Measure, cost: Measure, scale: _Scale, own: str) -> str:
    x, y = _x(success["value"]), scale.y(cost["value"])
    ends = (_x(success["low"]), _x(success["high"]), scale.y(cost["low"]), scale.y(cost["high"]))
    return (
        f'<line class="cross {own}" x1="{ends[0]:.1f}" x2="{ends[1]:.1f}" y1="{y:.1f}" y2="{y:.1f}"/>'
        f'<line class="cross {own}" x1="{x:.1f}" x2="{x:.1f}" y1="{ends[2]:.1f}" y2="{ends[3]:.1f}"/>'
    )


def _letters(marks: Sequence[tuple[float, float, Series]]) -> list[str]:
    """A letter near each curve's end where no other letter is, with a thin line where it had to go far."""
    taken: list[tuple[float, float]] = []
    parts = []
    for x, y, one in marks:
        at = _free_place(x, y, taken, [(a, b) for a, b, _ in marks])
        taken.append(at)
        own = f"c{one.model % COLOURS}"
        if math.dist(at, (x, y)) > 16:
            parts.append(f'<line class="lead {own}" x1="{x:.1f}" y1="{y:.1f}" x2="{at[0]:.1f}" y2="{at[1]:.1f}"/>')
        parts.append(f'<text class="letter {own}" x="{at[0]:.1f}" y="{at[1] + 4:.1f}" text-anchor=middle>'
                     f"{letter(one.model)}</text>")  # fmt: skip
    return parts


def _free_place(
    x: float, y: float, taken: Sequence[tuple[float, float]], ends: Sequence[tuple[float, float]]
) -> tuple[float, float]:
    """The nearest place around a curve's end that is in the plot and covers no letter and no end of a curve."""
    for radius in range(11, 120, 6):
        for turn in range(12):
            angle = math.radians(-45 + 30 * turn)
            at = (x + radius * math.cos(angle), y + radius * math.sin(angle))
            if not (PLOT[0] <= at[0] <= PLOT[2] and PLOT[1] <= at[1] <= PLOT[3]):
                continue
            clear = all(max(abs(at[0] - a), abs(at[1] - b)) >= 2 * REACH for a, b in taken)
            if clear and all(max(abs(at[0] - a), abs(at[1] - b)) >= REACH + 2 for a, b in ends):
                return at
    return x, y
