"""How figures are written in the tables of a page: value, interval, number of cases."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from html import escape
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


STYLE = """
th[aria-sort]{cursor:pointer;user-select:none}
th[aria-sort]:hover,th[aria-sort]:focus-visible{color:var(--accent)}
.wide:has(>.sortable){max-height:min(34rem,85vh);overflow:auto}
.sortable{border-collapse:separate;border-spacing:0}
.sortable thead th{position:sticky;top:0;z-index:2;background:var(--card);box-shadow:0 1px var(--line)}
.sortable th:first-child{position:sticky;left:0;z-index:1;background:var(--card)}
.sortable thead th:first-child{z-index:3}
.sortable i{display:block;height:.3rem;margin:.15rem 0 0 auto;min-width:1px;background:var(--accent);border-radius:2px}
th[aria-sort=ascending]::after{content:" ↑"}th[aria-sort=descending]::after{content:" ↓"}
"""
SCRIPT = """<script>
for (const table of document.querySelectorAll("table.sortable")) {
  const body = table.tBodies[0], heads = [...table.tHead.rows[0].cells];
  const read = (row, place) => {
    const cell = row.cells[place], value = cell.dataset.value;
    return value === undefined ? cell.textContent : value === "" ? null : +value;
  };
  const sort = place => {
    const way = heads[place].getAttribute("aria-sort") === "descending" ? "ascending" : "descending";
    const sign = way === "ascending" ? 1 : -1;
    const rows = [...body.rows].sort((a, b) => {
      const x = read(a, place), y = read(b, place);
      if (x === null || y === null) return (x === null) - (y === null);
      return sign * (x < y ? -1 : x > y ? 1 : 0);
    });
    heads.forEach((head, i) => head.setAttribute("aria-sort", i === place ? way : "none"));
    body.append(...rows);
  };
  heads.forEach((head, place) => {
    head.setAttribute("aria-sort", "none");
    head.tabIndex = 0;
    head.onclick = () => sort(place);
    head.onkeydown = event => {
      if (event.key !== "Enter" && event.key !== " ") return;
      event.preventDefault();
      sort(place);
    };
  });
}
</script>"""

Column = tuple[str, str, Callable[[Measure | None], str]]


Line = tuple[Sequence[str], Sequence[Measure | None]]


def sortable(first: Sequence[str], columns: Sequence[Column], rows: Sequence[Line]) -> str:
    """A table of heads `first`, whose cells are HTML, and of measures, each in its column's form."""
    heads = "".join(f"<th scope=col>{escape(title)}</th>" for title in (*first, *(title for title, _, _ in columns)))
    body = ""
    for labels, measures in rows:
        cells = "".join(f"<th scope=row>{text}</th>" if i == 0 else f"<td>{text}</td>" for i, text in enumerate(labels))
        for (_, _, form), measure in zip(columns, measures):
            value = "" if measure is None else f"{measure['value']:.6g}"
            cells += f'<td data-value="{value}">{form(measure)}</td>'
        body += f"<tr>{cells}</tr>"
    return f'<div class=wide><table class="many sortable"><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table></div>'
