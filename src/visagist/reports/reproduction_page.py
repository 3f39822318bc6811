"""The page of reproductions: pictures first, then our figures beside the published ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from visagist.errors import VisagistError
from visagist.reports.html import data_uri, render


def reproduction_page(entries: Sequence[Mapping[str, Any]], folder: Path) -> str:
    """Return the page of the entries of a `verdicts.json`; pictures are read from `folder`. Raises VisagistError."""
    sections = [
        {
            **entry,
            "pictures": [{**picture, "uri": _read(folder, picture["file"])} for picture in entry["pictures"]],
            "cells": [{**cell, **_spell(cell)} for cell in entry["cells"]],
            "notes": [f"{note[0].upper()}{note[1:]}." for note in entry["notes"]] + list(map(_describe, entry["rows"])),
            "commands": [line for row in entry["rows"] for line in row.get("commands", [])],
            "manifest": {key: value for key, value in entry.items() if key not in ("cells", "pictures")},
        }
        for entry in entries
    ]
    return render("reproduction.html", title="Reproductions with visagist", sections=sections)


def number(value: float) -> str:
    """A figure of a table or of this page, to four places at most."""
    return f"{value:.4f}".rstrip("0").rstrip(".") if abs(value) < 10 else f"{value:.1f}"


def spread(between: Mapping[str, Any]) -> str:
    """A figure over several trainings, `0.912 ± 0.013 over 3 seeds`: the mean and the deviation between them."""
    return f"{number(between['mean'])} ± {number(between['sd'])} over {len(between['values'])} seeds"


def judged(cell: Mapping[str, Any]) -> str:
    """The ceiling of the lowest judge, and what each judge reads: `ceiling 0.66; judge-64 0.995, geometry 0.56`."""
    ceiling = "" if cell["ceiling"] is None else f"ceiling {number(cell['ceiling']['value'])}; "
    return ceiling + ", ".join(f"{name} {number(measure['value'])}" for name, measure in cell["judges"].items())


def _read(folder: Path, name: str | None) -> str | None:
    if name is None:
        return None
    try:
        return data_uri((folder / name).read_bytes())
    except OSError as error:
        raise VisagistError(f"cannot read {folder / name}: {error.strerror or error}; choose another --out") from error


def _spell(cell: Mapping[str, Any]) -> dict[str, str]:
    """The figures of a cell in words, and the class of its verdict."""
    ours, published, verdict = cell["ours"], cell["published"], cell["verdict"]
    over_seeds = f"; {spread(cell['between_runs'])}" if "between_runs" in cell else ""
    beside = f"; {judged(cell)}{over_seeds}" if cell.get("judges") else over_seeds
    aside = cell["compared"] is not None and cell["compared"] != verdict
    return {
        "published": "–" if published is None else number(published),
        "ours": "–" if ours is None else number(ours["value"]),
        "interval": "" if ours is None else f"{number(ours['low'])} … {number(ours['high'])}, n = {ours['n']}{beside}",
        "better": "equal is wanted" if cell["better"] == "equal" else f"{cell['better']} is better",
        "kind": next((kind for kind in ("reached", "short") if verdict.partition(" ")[0] == kind), ""),
        "aside": f"beside it all the same: {cell['compared']}" if aside else "",
    }


def _describe(row: Mapping[str, Any]) -> str:
    if "not_run" in row:
        return f"{row['row']}: not run: {row['not_run']}."
    return (
        f"{row['row']}: recipe {row['recipe']}, {row['images']:,} images seen of the paper's "
        f"{row['published_images']:,}; {row['judged_faces']} test faces, judged by {row['judge']}{_circumstances(row)}."
    )


def _circumstances(row: Mapping[str, Any]) -> str:
    known = row.get("circumstances") or {}
    if not known.get("code"):
        return ""
    return f"; trained in {known['computed_in']} on {known['machine']} by code {known['code']}"
