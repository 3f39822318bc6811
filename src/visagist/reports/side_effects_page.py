"""The page of what an edit changes besides: the same faces through every model, then the tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from visagist.evaluation.results import Metrics, Strip
from visagist.evaluation.side_effects import METRICS
from visagist.evaluation.statistics import Measure
from visagist.reports.html import definitions, render, words
from visagist.reports.tables import Column, Table, TableRow, columns_on, computed_columns, measure_table, models_of, number


def correlation_page(metrics: Metrics, strips: Sequence[Strip]) -> str:
    """Return the page of a comparison of side effects."""
    names, columns = models_of(metrics), summary_columns(metrics)
    later = [column for column in columns if not column[1].endswith(".before")]
    return render(
        "side_effects.html", title=question_in_words(metrics), manifest_json=metrics.manifest, strips=strips,
        shown=next(iter(metrics.manifest["watched"]), ""), first=names[0],
        summary=measure_table(metrics, columns, [(name, f"correlations.{name}") for name in names]),
        labels=[(*k.split(".")[1:3], _signed(m), m["n"]) for k, m in metrics.values.items() if k.startswith("labels.")],
        readings=_readings(metrics), differences=measure_table(metrics, later, difference_keys(metrics)),
        reasons=metrics.not_computed, facts=definitions(metrics.manifest),
    )  # fmt: skip


def question_in_words(metrics: Metrics) -> str:
    """`No_Beard=-1 among Male=0, No_Beard=1`."""
    m = metrics.manifest
    edit = ", ".join(f"{name}={value:+g}" for name, value in m["edit"].items())
    return f"{edit} among {', '.join(f'{name}={label}' for name, label in reversed(m['among'].items()))}"


def summary_columns(metrics: Metrics) -> list[Column]:
    """Title, measure and form of the columns that sum up a model; only those that were computed."""
    columns = columns_on("side effects", METRICS, "correlations.{model}.", {}, "B", metrics.manifest["watched"][:1])
    return computed_columns(metrics, columns, [f"correlations.{name}" for name in models_of(metrics)])


def difference_keys(metrics: Metrics) -> list[tuple[str, str]]:
    """Name and key of the differences of every model to the first."""
    first, *others = models_of(metrics)
    return [(name, f"correlations.{name}.less.{first}") for name in others]


def _readings(metrics: Metrics) -> Table:
    """The change of every shown attribute by every model, as the judge reads it and, small, as the second one does."""
    names = models_of(metrics)
    rows: list[TableRow] = []
    for attribute in metrics.manifest["watched"]:
        cells = []
        for name in names:
            keys = (f"correlations.{name}.{family}.{attribute}.change" for family in ("reads", "second_reads"))
            first, second = map(metrics.values.get, keys)
            cells.append(replace(number(first), aside="" if second is None else _signed(second)))
        rows.append([words(attribute), *cells])
    return Table(["", *names], rows)


def _signed(measure: Measure) -> str:
    return f"{measure['value']:+.3f} [{measure['low']:+.3f}, {measure['high']:+.3f}]"
