"""Tables of a page as values: measures with their intervals, and rows of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from types import MappingProxyType

from markupsafe import Markup

from visagist.evaluation.results import Kind, Metric, Metrics
from visagist.evaluation.statistics import Measure


@dataclass(frozen=True)
class Figure:
    """A measure in a cell.

    text      the value as it is printed
    interval  printed small below it
    aside     printed small below that
    value     what its column is sorted by; None comes last
    bar       length of a bar below, 0 to 1
    """

    text: str
    interval: str = ""
    aside: str = ""
    value: float | None = None
    bold: bool = False
    bar: float | None = None

    def __html__(self) -> str:
        """Its HTML, which templates take as it is."""
        text = Markup("<b>{}</b>").format(self.text) if self.bold else Markup.escape(self.text)
        for small in filter(None, (self.interval, self.aside)):
            text += Markup("<small>{}</small>").format(small)
        if self.bar is not None:
            text += Markup('<i style="width:{:.1f}%"></i>').format(100 * self.bar)
        return text


TableCell = str | Figure
TableRow = Sequence[TableCell]
Form = Callable[[Measure | None], Figure]
Column = tuple[str, str, Form]  # title, key, form of the value
MISSING = Figure("–")


@dataclass(frozen=True)
class Table:
    """Heads over rows, whose first cell names the row; a click on a head sorts a `sortable` one."""

    heads: Sequence[TableCell]
    rows: Sequence[TableRow]
    sortable: bool = False


def share(measure: Measure | None) -> Figure:
    """A share in percent with its interval."""
    if measure is None:
        return MISSING
    value, low, high = (100 * measure[part] for part in ("value", "low", "high"))  # type: ignore[literal-required]
    return Figure(f"{value:.1f} %", f"{low:.1f} … {high:.1f}", value=measure["value"])


def number(measure: Measure | None) -> Figure:
    """A number with its interval, where it has one."""
    if measure is None:
        return MISSING
    exact = measure["low"] == measure["high"]
    interval = "" if exact else f"{_short(measure['low'])} … {_short(measure['high'])}"
    return Figure(_short(measure["value"]), interval, value=measure["value"])


FORMS: Mapping[Kind, Form] = {"share": share, "number": number}


def bar(measure: Measure | None) -> Figure:
    """A share in percent over a bar of its length."""
    return MISSING if measure is None else Figure(f"{measure['value']:.1%}", value=measure["value"], bar=measure["value"])


def difference(measure: Measure | None) -> Figure:
    """A difference with its sign, bold where the interval does not hold 0."""
    if measure is None:
        return MISSING
    value, low, high = (f"{measure[part]:+.4f}".replace("-", "−") for part in ("value", "low", "high"))  # type: ignore[literal-required]
    return Figure(value, f"{low} … {high}", value=measure["value"], bold=measure["low"] > 0 or measure["high"] < 0)


def measure_table(
    metrics: Metrics,
    columns: Sequence[Column],
    rows: Iterable[tuple[TableCell | Sequence[TableCell], str]],
    heads: Sequence[TableCell] = ("",),
    sortable: bool = False,
) -> Table:
    """Measures by columns; `rows` are a label, of as many cells as `heads`, and the key that the columns' keys continue."""
    cells = [
        [*([label] if isinstance(label, (str, Figure)) else label), *_figures(metrics, key, columns)] for label, key in rows
    ]
    return Table([*heads, *(title for title, _, _ in columns)], cells, sortable)


def _figures(metrics: Metrics, key: str, columns: Iterable[Column]) -> list[Figure]:
    return [form(metrics.values.get(f"{key}.{name}")) for _, name, form in columns]


def list_table(metrics: Metrics, rows: Iterable[Column]) -> Table | None:
    """Value and number of cases of each key that was computed; None where none was."""
    cells = [(title, form(metrics[key]), str(metrics[key]["n"])) for title, key, form in rows if key in metrics]
    return Table(("", "value", "n"), cells) if cells else None


def columns_on(
    page: str,
    metrics: Iterable[Metric],
    prefix: str = "",
    fields: Mapping[str, str] = MappingProxyType({}),
    repeated: str = "",
    values: Sequence[str] = (),
) -> list[Column]:
    """Title, rest of the key and form of a page's metrics under a prefix; neighbours with a field once for each value.

    fields            what stands for the fields of keys and titles
    repeated, values  the field that is repeated, and what stands for it
    """
    columns: list[Column] = []
    shown = (metric for metric in metrics if page in metric.pages and metric.key.startswith(prefix))
    for has_field, group in groupby(shown, lambda metric: f"{{{repeated}}}" in metric.key):
        neighbours = list(group)
        for value in values if has_field else ("",):
            known = {**fields, repeated: value}
            columns += [
                (metric.title_on(page, known), metric.key.removeprefix(prefix).format(**known), FORMS[metric.kind])
                for metric in neighbours
            ]
    return columns


def models_of(metrics: Metrics) -> list[str]:
    """The models' names in their order."""
    return [model["name"] for model in metrics.manifest["models"]]


def computed_columns(metrics: Metrics, columns: Iterable[Column], keys: Sequence[str]) -> list[Column]:
    """The columns of which there is a measure under one of these keys."""
    return [column for column in columns if any(f"{key}.{column[1]}" in metrics for key in keys)]


def _short(value: float) -> str:
    if abs(value) >= 1000:
        return f"{value:,.0f}".replace(",", "\u202f")
    return f"{value:.4f}" if abs(value) < 1 else f"{value:.2f}"
