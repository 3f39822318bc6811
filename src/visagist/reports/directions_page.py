"""The page of a comparison of directions: the same faces through every kind, then the tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from visagist.evaluation.metrics.direction_edits import METRICS
from visagist.evaluation.results import Metrics, Strip
from visagist.reports.html import definitions, render
from visagist.reports.tables import Column, Table, columns_on, computed_columns, measure_table

TITLES = {"at_strength": "At equal judged strength", "at_step": "At equal length"}


def direction_page(metrics: Metrics, strips: Sequence[Strip]) -> str:
    """Return the page of a comparison of directions."""
    manifest = metrics.manifest
    return render(
        "directions.html", title=f"Directions of {manifest['model']['name']}", manifest_json=manifest,
        attributes=[_attribute(metrics, name, strips) for name in manifest["attributes"]],
        reasons=metrics.not_computed, facts=definitions(manifest),
    )  # fmt: skip


def rows_of(metrics: Metrics, attribute: str, setting: str) -> list[tuple[str, str]]:
    """Label and key of each direction of an attribute that was measured at this setting, after those of no edit."""
    rows = [("no edit", f"direction.{attribute}.unedited")]
    for facts in metrics.manifest["directions"]:
        given = "+".join(facts["given"])
        label = facts["kind"] + (f" given {', '.join(facts['given'])}" if given else "")
        key = f"direction.{attribute}.{facts['kind']}.{'given_' + given if given else 'plain'}.{setting}"
        if facts["attribute"] == attribute and any(name.startswith(f"{key}.") for name in metrics.values):
            rows.append((label, key))
    return rows if len(rows) > 1 else []


def columns_of(metrics: Metrics, attribute: str) -> list[Column]:
    """Title, measure and form of the columns that a table of this attribute has."""
    prefix, given = "direction.{A}.{direction}.", metrics.manifest["given"]
    columns = columns_on("directions", METRICS, prefix, {"A": attribute}, "other", given)
    keys = [key for setting in TITLES for _, key in rows_of(metrics, attribute, setting)]
    return computed_columns(metrics, columns, keys)


def _attribute(metrics: Metrics, name: str, strips: Sequence[Strip]) -> dict[str, Any]:
    """An attribute's faces, a table for each setting that was measured, and the cosines between its directions."""
    columns = columns_of(metrics, name)
    rows = {setting: rows_of(metrics, name, setting) for setting in TITLES}
    tables = [
        (title, metrics.manifest["definitions"][setting], measure_table(metrics, columns, rows[setting]))
        for setting, title in TITLES.items()
        if rows[setting]
    ]
    cosines = metrics.matrices.get(f"cosine.{name}")
    own = [strip for strip in strips if strip.attribute == name]
    return {"name": name, "strips": own, "tables": tables, "cosines": cosines and _cosine_table(cosines)}


def _cosine_table(matrix: Mapping[str, Any]) -> Table:
    lines = zip(matrix["rows"], matrix["values"])
    return Table(["", *matrix["columns"]], [(row, *(f"{value:.2f}" for value in values)) for row, values in lines])
