"""Charts as SVG for a page: lines, Pareto curves, bars and matrices over one pair of axes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from markupsafe import Markup

from visagist.evaluation.statistics import Measure
from visagist.reports.html import words

COLOURS = 8  # of style.css
LABEL_HEIGHT, LETTER = 14, 6.5  # a line of text; half the side of the square that a letter needs
STEPS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5)
MOST_TICKS = 7
BAR, CELL = 26, 18  # heights of a row
SPREAD = 5  # pixels between lines, so that whiskers do not lie on each other

Ticks = Sequence[tuple[float, str]]
Points = Mapping[float, Measure]


def element(name: str, *content: str, **attributes: object) -> Markup:
    """An element of SVG; text is escaped, `class_` stands for `class` and `text_anchor` for `text-anchor`."""
    texts = {
        key.rstrip("_").replace("_", "-"): f"{value:.1f}" if isinstance(value, float) else value
        for key, value in attributes.items()
    }
    head = Markup("").join(Markup(' {}="{}"').format(key, value) for key, value in texts.items())
    return Markup("<{0}{1}>{2}</{0}>").format(name, head, Markup("").join(content))


@dataclass(frozen=True)
class Axes:
    """Where values stand in a chart of `width` by `height` whose plot has these margins.

    The first of `x_range` is at the left, the first of `y_range` at the bottom; `inset` keeps points off the ends of x.
    """

    width: int
    height: int
    left: float
    right: float
    top: float
    bottom: float
    x_range: tuple[float, float] = (0, 1)
    y_range: tuple[float, float] = (0, 1)
    inset: float = 0

    def x(self, value: float) -> float:
        """The x of a value."""
        start, end = self.left + self.inset, self.width - self.right - self.inset
        return start + _share_of(value, self.x_range) * (end - start)

    def y(self, value: float) -> float:
        """The y of a value."""
        return self.height - self.bottom - _share_of(value, self.y_range) * (self.height - self.top - self.bottom)

    def horizontal(self, y: float, kind: str = "grid") -> Markup:
        """A line over the whole plot."""
        return element("line", class_=kind, x1=self.left, x2=self.width - self.right, y1=self.y(y), y2=self.y(y))

    def vertical(self, x: float, kind: str = "grid") -> Markup:
        """A line from top to bottom of the plot."""
        return element("line", class_=kind, x1=self.x(x), x2=self.x(x), y1=self.top, y2=self.height - self.bottom)

    def frame(self, x_ticks: Ticks, y_ticks: Ticks, x_title: str, y_title: str = "") -> list[Markup]:
        """Grid lines, ticks and titles."""
        base, parts = self.height - self.bottom, []
        for value, tick in y_ticks:
            parts += [self.horizontal(value), element("text", tick, x=self.left - 7, y=self.y(value) + 4, text_anchor="end")]
        for value, tick in x_ticks:
            parts.append(element("text", tick, x=self.x(value), y=base + 16, text_anchor="middle"))
        middle = (self.left + self.width - self.right) / 2
        parts.append(element("text", x_title, x=middle, y=self.height - 7, text_anchor="middle"))
        if y_title:
            turned = f"translate(11 {(self.top + base) / 2:.1f}) rotate(-90)"
            parts.append(element("text", y_title, transform=turned, text_anchor="middle"))
        return parts

    def end_labels(self, ends: Sequence[tuple[float, str, str]]) -> list[Markup]:
        """Names beside the ends of lines, as (value, class, name), pushed apart and kept above the axis."""
        ordered = sorted((self.y(value), kind, name) for value, kind, name in ends)
        floor, lowest, texts = self.height - self.bottom - LABEL_HEIGHT * (len(ends) - 1), -math.inf, []
        for index, (y, kind, name) in enumerate(ordered):
            lowest = max(min(y + 4, floor + LABEL_HEIGHT * index), lowest + LABEL_HEIGHT)
            texts.append(element("text", name, class_=f"name {kind}", x=self.width - self.right + 8, y=lowest))
        return texts

    def svg(self, label: str, parts: Sequence[str], kind: str = "") -> Markup:
        """The chart as SVG; `label` is read where it is not seen."""
        return Markup('<svg role=img class="chart {}" aria-label="{}" viewBox="0 0 {} {}">{}</svg>').format(
            kind, label, self.width, self.height, Markup("").join(parts)
        )


def calibration_chart(curve: Mapping[str, Any]) -> Markup:
    """The judge's mean score against strength, with intervals, for all faces and for either class of label."""
    axes = Axes(460, 270, 44, 100, 16, 40, x_range=(-1, 1))
    strengths = curve["strengths"]
    x_ticks = [(s, f"{s:+g}".replace("-", "−") if s else "0") for s in strengths[::2]]
    parts = axes.frame(x_ticks, [(score, f"{score:g}") for score in (0, 0.25, 0.5, 0.75, 1)], "strength")
    ends = []
    for key, kind, title in (("from_1", "with", "has it"), ("from_0", "without", "has it not"), ("all", "all", "all faces")):
        if curve[key] is not None:
            points = list(zip(map(axes.x, strengths), curve[key]))
            upper, lower = ([(x, axes.y(m[end])) for x, m in points] for end in ("high", "low"))
            parts.append(element("polygon", class_=f"band {kind}", points=_path([*upper, *lower[::-1]])))
            parts.append(_curve([(x, axes.y(m["value"])) for x, m in points], f"line {kind}"))
            ends.append((curve[key][-1]["value"], kind, title))
    label = f"Mean judge score of {words(curve['attribute'])} against strength from −1 to +1"
    return axes.svg(label, [*parts, *axes.end_labels(ends)])


def line_chart(
    title: str, series: Mapping[str, Points], reference: float | None = None, x_title: str = "planted correlation"
) -> Markup:
    """One line a series, by x, with whiskers for intervals; a dashed line marks `reference`."""
    measures = [measure for points in series.values() for measure in points.values()]
    xs = sorted({x for points in series.values() for x in points})
    bounds = [m[end] for m in measures for end in ("low", "high")]  # type: ignore[literal-required]
    low, high = _round_range([*bounds, 0.0, *([] if reference is None else [reference])])
    ticks = [(y, _tick(y)) for y in (low + (high - low) * step / 4 for step in range(5))]
    left = 14 + 8 * max(len(tick) for _, tick in ticks)
    axes = Axes(480, 280, left, 110, 14, 40, (xs[0], xs[-1]), (low, high), inset=30)
    parts = axes.frame([(x, _tick(x)) for x in xs], ticks, x_title)
    if reference is not None:
        parts.append(axes.horizontal(reference, "reference"))
    ends = []
    for index, (name, points) in enumerate(series.items()):
        kind, shift = f"c{index % COLOURS}", (index - (len(series) - 1) / 2) * SPREAD
        places = [(axes.x(x) + shift, axes.y(points[x]["value"]), points[x]) for x in sorted(points)]
        parts.append(_curve([(x, y) for x, y, _ in places], f"curve {kind}"))
        for x, y, m in places:
            parts.append(element("line", class_=f"curve {kind}", x1=x, x2=x, y1=axes.y(m["low"]), y2=axes.y(m["high"])))
            parts.append(element("circle", class_=f"dot {kind}", cx=x, cy=y, r="3.5"))
        if points:
            ends.append((points[max(points)]["value"], kind, name))
    return axes.svg(title, [*parts, *axes.end_labels(ends)])


def bar_chart(rows: Sequence[tuple[str, Measure]], chance: float, label: str) -> Markup:
    """Shares as bars to 1, each with the ends of its interval; they begin a little below what chance gives."""
    floor = chance - 0.1
    axes = Axes(460, BAR * len(rows) + 22, 190, 52, 4, 18, (floor, 1), (len(rows), 0))
    parts = []
    for index, (title, measure) in enumerate(rows):
        middle = axes.y(index + 0.5)
        low, value, high = (axes.x(min(max(measure[part], floor), 1)) for part in ("low", "value", "high"))  # type: ignore[literal-required]
        parts += [
            element("text", title, x=axes.left - 8, y=middle + 4, text_anchor="end"),
            element("rect", class_="bar", x=axes.left, y=middle - BAR / 2 + 4, width=value - axes.left, height=BAR - 8),
            element("line", class_="whisker", x1=low, x2=high, y1=middle, y2=middle),
            element("text", f"{measure['value']:.1%}", x=axes.width - axes.right + 6, y=middle + 4),
        ]
    parts.append(axes.vertical(chance, "chance"))
    for value in (chance, 1):
        parts.append(element("text", f"{value:.0%}", x=axes.x(value), y=axes.height - 4, text_anchor="middle"))
    return axes.svg(label, parts)


def matrix_chart(matrix: Mapping[str, Any], label: str) -> Markup:
    """Shares of `rows` by `columns`: the darker, the more; what is one attribute with its row is struck out."""
    rows, columns = matrix["rows"], matrix["columns"]
    axes = Axes(
        130 + CELL * len(columns) + 56, 130 + CELL * len(rows) + 8, 130, 56, 130, 8, (0, len(columns)), (len(rows), 0)
    )  # fmt: skip
    most = largest(matrix) or 1
    parts = [
        element("text", words(name), transform=f"translate({axes.x(index + 0.5) + 4:.0f} {axes.top - 6}) rotate(-60)")
        for index, name in enumerate(columns)
    ]
    for line, (name, values) in enumerate(zip(rows, matrix["values"])):
        parts.append(element("text", words(name), x=axes.left - 8, y=axes.y(line + 0.5) + 4, text_anchor="end"))
        for index, value in enumerate(values):
            square = {"x": axes.x(index), "y": axes.y(line), "width": CELL - 1, "height": CELL - 1}
            if value is None:
                parts.append(element("rect", class_="same", **square))
                continue
            tip = element("title", f"{words(name)}: {words(columns[index])} {value:.1%}")
            parts.append(element("rect", tip, class_="flip", **square, opacity=f"{0.04 + 0.96 * value / most:.2f}"))
    size = Markup('<svg width="{}" height="{}"').format(axes.width, axes.height)
    return Markup(axes.svg(label, parts, "matrix").replace(Markup("<svg"), size, 1))


def largest(matrix: Mapping[str, Any]) -> float:
    """The largest share of a matrix."""
    return max((value for row in matrix["values"] for value in row if value is not None), default=0)


@dataclass(frozen=True)
class ParetoCurve:
    """A model's index among the models, its name, the mode, and at each strength success and cost."""

    model: int
    name: str
    mode: str
    strengths: Sequence[float]
    success: Sequence[Measure]
    cost: Sequence[Measure]


class CostAxis(NamedTuple):
    """The upright axis: what is measured, what is written beside it, and whether more is better. Better is always up."""

    measure: str
    title: str
    more_is_better: bool


def letter(model: int) -> str:
    """The short name of a model: A, B, …, Z, then numbers."""
    return chr(ord("A") + model) if model < 26 else str(model + 1)


def chip(model: int) -> Markup:
    """The letter in the model's colour."""
    return Markup('<b class="chip c{}">{}</b>').format(model % COLOURS, letter(model))


def pareto_chart(curves: Sequence[ParetoCurve], cost: CostAxis, about: str, near: bool = False) -> Markup:
    """Curves over strength with a dot at each, 95 % intervals as a cross and the model's letter at the last.

    The upright axis goes to no loss at all; `near` lets it end where the curves do.
    """
    none = [] if near else [1.0 if cost.more_is_better else 0.0]
    ticks = _round_ticks([*(m["value"] for curve in curves for m in curve.cost), *none])
    ends = (ticks[0], ticks[-1]) if cost.more_is_better else (ticks[-1], ticks[0])
    axes = Axes(400, 330, 60, 24, 14, 44, y_range=ends)
    x_ticks = [(x / 5, f"{20 * x} %") for x in range(6)]
    y_ticks = [(t, f"{t:.3g}" if cost.more_is_better else f"{100 * t:.3g} %") for t in ticks]
    parts = [*(axes.vertical(x) for x, _ in x_ticks), *axes.frame(x_ticks, y_ticks, "success →", f"{cost.title} →")]
    marks = []
    for curve in curves:
        kind = f"c{curve.model % COLOURS} {curve.mode}"
        points = [(axes.x(s["value"]), axes.y(_within(c["value"], ticks))) for s, c in zip(curve.success, curve.cost)]
        parts += [_curve(points, f"curve {kind}"), *_cross(axes, points[-1], curve, ticks, kind)]
        for (x, y), strength, s, c in zip(points, curve.strengths, curve.success, curve.cost):
            tip = f"{curve.name}, {curve.mode}, strength {strength:g}: {s['value']:.1%}, {cost.measure} {c['value']:.3f}"
            parts.append(element("circle", element("title", tip), class_=f"dot {kind}", cx=x, cy=y, r="2.7"))
        marks.append((*points[-1], curve.model))
    return axes.svg(f"{about}: {cost.measure} against success", [*parts, *_letters(axes, marks)])


def _cross(axes: Axes, end: tuple[float, float], curve: ParetoCurve, ticks: Sequence[float], kind: str) -> list[Markup]:
    success, cost, (x, y) = curve.success[-1], curve.cost[-1], end
    low, high = (axes.y(_within(cost[part], ticks)) for part in ("low", "high"))  # type: ignore[literal-required]
    return [
        element("line", class_=f"cross {kind}", x1=axes.x(success["low"]), x2=axes.x(success["high"]), y1=y, y2=y),
        element("line", class_=f"cross {kind}", x1=x, x2=x, y1=low, y2=high),
    ]


def _letters(axes: Axes, marks: Sequence[tuple[float, float, int]]) -> list[Markup]:
    """A letter near each curve's end where no other letter is, with a thin line where it has to go far."""
    taken: list[tuple[float, float]] = []
    parts = []
    for x, y, model in marks:
        at = _free_spot(axes, x, y, taken, [(a, b) for a, b, _ in marks])
        taken.append(at)
        kind = f"c{model % COLOURS}"
        if math.dist(at, (x, y)) > 16:
            parts.append(element("line", class_=f"lead {kind}", x1=x, y1=y, x2=at[0], y2=at[1]))
        parts.append(element("text", letter(model), class_=f"letter {kind}", x=at[0], y=at[1] + 4, text_anchor="middle"))
    return parts


def _free_spot(
    axes: Axes, x: float, y: float, taken: Sequence[tuple[float, float]], ends: Sequence[tuple[float, float]]
) -> tuple[float, float]:
    """The nearest spot around a curve's end that is in the plot and covers no letter and no end of a curve."""
    for radius in range(11, 120, 6):
        for turn in range(12):
            angle = math.radians(-45 + 30 * turn)
            at = (x + radius * math.cos(angle), y + radius * math.sin(angle))
            inside = axes.left + LETTER <= at[0] <= axes.width - axes.right - LETTER
            if not (inside and axes.top + LETTER <= at[1] <= axes.height - axes.bottom - LETTER):
                continue
            clear = all(max(abs(at[0] - a), abs(at[1] - b)) >= 2 * LETTER for a, b in taken)
            if clear and all(max(abs(at[0] - a), abs(at[1] - b)) >= LETTER + 2 for a, b in ends):
                return at
    return x, y


def _round_ticks(values: Sequence[float]) -> list[float]:
    """Round numbers around all values, at most `MOST_TICKS` of them."""
    low, high = min(values), max(values)
    step = next((s for s in STEPS if (high - low) / s <= MOST_TICKS - 1), 1.0)
    first = math.floor(low / step + 1e-9)
    last = max(math.ceil(high / step - 1e-9), first + 1)
    return [step * index for index in range(first, last + 1)]


def _round_range(values: Sequence[float]) -> tuple[float, float]:
    """Ends of an axis with room for all values, in four steps of a round length."""
    low, high = min(values), max(values)
    lengths = (factor * 10.0**power for power in range(-8, 9) for factor in (1, 1.5, 2, 2.5, 4, 5))
    span = max(high - low, 1e-6)
    step = next(s for s in lengths if 4 * s >= span and s * math.floor(low / s) + 4 * s >= high)
    start = step * math.floor(low / step)
    return start, start + 4 * step


def _within(value: float, ticks: Sequence[float]) -> float:
    return min(max(value, ticks[0]), ticks[-1])


def _share_of(value: float, ends: tuple[float, float]) -> float:
    return 0.5 if ends[0] == ends[1] else (value - ends[0]) / (ends[1] - ends[0])


def _curve(points: Sequence[tuple[float, float]], kind: str) -> Markup:
    return element("polyline", class_=kind, points=_path(points))


def _path(points: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in points)


def _tick(value: float) -> str:
    return f"{value:.3g}".replace("-", "−")
