"""How figures are written in the tables of a page: value, interval, number of cases."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from visagist.evaluation.results import Metrics
from visagist.evaluation.statistics import Measure


def share(measure: Measure | None) -> str:
    """A share in percent with its interval, as a table cell's content."""
    if measure is None:
        return "–"
    low, high = (100 * measure[end] for end in ("low", "high"))  # type: ignore[literal-required]
    return f"{100 * measure['value']:.1f} %<small>{low:.1f} … {high:.1f}</small>"


def number(measure: Measure | None) -> str:
    """A number with its interval, as a table cell's content."""
    if measure is None:
        return "–"
    if measure["low"] == measure["high"]:
        return _short(measure["value"])
    return f"{_short(measure['value'])}<small>{_short(measure['low'])} … {_short(measure['high'])}</small>"


def _short(value: float) -> str:
    if abs(value) >= 1000:
        return f"{value:,.0f}".replace(",", "\u202f")
    return f"{value:.4f}" if abs(value) < 1 else f"{value:.2f}"


def list_table(metrics: Metrics, rows: Iterable[tuple[str, str, Any]]) -> str:
    """A table of (title, key, form of the value); rows whose key was not computed are left out."""
    body = "".join(
        f"<tr><th scope=row>{title}</th><td>{form(metrics[key])}</td><td>{metrics[key]['n']}</td></tr>"
        for title, key, form in rows
        if key in metrics
    )
    if not body:
        return "<p class=soft>Not computed; the reason is at the end.</p>"
    head = "<thead><tr><th></th><th scope=col>value</th><th scope=col>n</th></tr></thead>"
    return f"<div class=wide><table>{head}<tbody>{body}</tbody></table></div>"
