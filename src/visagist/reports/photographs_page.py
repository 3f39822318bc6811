"""The page of edits of photographs: pictures first, then a table by attribute, direction and judge."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from visagist.evaluation.photographs.groups import GROUPS
from visagist.evaluation.results import Metrics, Strip
from visagist.reports.html import data_uri, render, words
from visagist.reports.tables import measure_table, number, share

WAYS = ("given", "taken")


def photographs_page(metrics: Metrics, strips: Sequence[Strip]) -> str:
    """Return the page; `strips` are faces before and after."""
    facts = metrics.manifest
    columns = [
        ("success, the lowest judge", "success", share), ("its ceiling", "ceiling", share),
        *((f"{judge}", f"{judge}.success", share) for judge in facts["judges"]),
        *((f"ceiling of {judge}", f"{judge}.ceiling", share) for judge in facts["judges"]),
        ("others read differently", "others", share), ("identity kept", "identity", number),
        ("sharpness", "sharpness", number), ("painted", "painted", share), ("not found", "unfound", share),
        ("skin's change, L*", "tone", number),
    ]  # fmt: skip
    of_groups = [
        (f"{words(group)}: {title}", f"{group}.{key}", form)
        for title, key, form in (("success", "success", share), ("identity", "identity", number)) for group in GROUPS
    ]  # fmt: skip
    rows = [
        ([model, f"{words(name)} {way}"], f"photographs.{model}.{name}.{way}")
        for model, names in facts["attributes"].items() for name in names for way in WAYS
    ]  # fmt: skip
    return render(
        "photographs.html", title="Edits of photographs", manifest_json=facts, sheets=_sheets(strips),
        table=measure_table(metrics, columns, rows, heads=("model", "edit")), reasons=metrics.not_computed,
        by_group=measure_table(metrics, of_groups, rows, heads=("model", "edit")), groups=GROUPS,
    )  # fmt: skip


def _sheets(strips: Sequence[Strip]) -> list[tuple[str, str]]:
    """Title and picture of each run of strips of one edit: the photographs above, the edits below."""
    groups: dict[tuple[str, bool], list[Strip]] = {}
    for strip in strips:
        groups.setdefault((strip.attribute, strip.present), []).append(strip)
    sheets = []
    for group in groups.values():
        rows = [np.concatenate([strip.cells[row].image for strip in group], axis=1) for row in (0, 1)]
        sheets.append((words(group[0].cells[1].title), data_uri(np.concatenate(rows))))
    return sheets
