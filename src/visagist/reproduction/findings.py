"""Figures of this project's own questions, frozen: rows by figures, over seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from visagist.boundary.schema import json_text, read_json
from visagist.errors import VisagistError
from visagist.reproduction.claims.claim import spelled

KIND = "measured"
REMEDY = "make it again"
Values = dict[str, list[float]]
BENCH_KEYS = ("confusion_true.{other}", "confusion.{other}", "reach", "progress", "error")


def measured(
    name: str, title: str, command: str, notes: Sequence[str], rows: Mapping[str, Values], seeds: Sequence[int]
) -> dict[str, Any]:
    """A record of rows by figures; each figure has a value a seed."""
    return {
        "schema_version": 1,
        "kind": KIND,
        "name": name,
        "title": title,
        "command": command,
        "seeds": list(seeds),
        "notes": list(notes),
        "rows": {row: dict(values) for row, values in rows.items()},
    }


def of_bench(folders: Sequence[Path], name: str, title: str) -> dict[str, Any]:
    """The figures of `visagist bench`: a row for each method, planted correlation and setting."""
    rows: dict[str, Values] = {}
    results = [_read(folder / "bench.json") for folder in folders]
    for result in results:
        keys = [key.format(other=result["manifest"]["plan"]["pair"][1]) for key in BENCH_KEYS]
        for line in result["lines"]:
            for setting, measures in line["measures"].items():
                if setting in ("unedited", "code"):
                    continue
                row = rows.setdefault(f"{line['method']}, planted {line['planted']:g}, {setting}", {})
                for key in keys:
                    if key in measures:
                        row.setdefault(key, []).append(measures[key]["value"])
    plan = results[0]["manifest"]["plan"]
    seeds = range(plan["seed"], plan["seed"] + plan["seeds"])
    command = results[0]["manifest"]["command"].rpartition(" --out ")[0]
    budget, faces = results[0]["manifest"]["budget_images"], results[0]["manifest"]["test_faces"]["n"]
    note = f"{budget:,} images a model, drawn faces of {plan['size']} pixels, {faces} to measure on"
    return measured(name, title, command, [note], rows, seeds)


def of_reports(
    reports: Mapping[str, Sequence[Path]], keys: Sequence[str], name: str, title: str, command: str, notes: Sequence[str],
    parts: Mapping[str, str] = MappingProxyType({"": ""}),
) -> dict[str, Any]:  # fmt: skip
    """These figures of reports (`metrics.json` or `directions.json`), by row; each row has a report a seed.

    `parts` makes several rows of a report: what is added to the row's name, and what the keys then begin with.
    """
    rows: dict[str, Values] = {}
    for row, paths in reports.items():
        found = [_read(path)["metrics"] for path in paths]
        for added, start in parts.items():
            there = [key for key in keys if all(start + key in metrics for metrics in found)]
            if there:
                rows[row + added] = {key: [metrics[start + key]["value"] for metrics in found] for key in there}
    if not rows:
        raise VisagistError(f"the reports have none of {', '.join(keys)}: name figures that they have")
    return measured(name, title, command, notes, rows, range(max(map(len, reports.values()))))


def _read(path: Path) -> dict[str, Any]:
    try:
        content: dict[str, Any] = read_json(path, dict[str, Any], REMEDY)
    except FileNotFoundError as error:
        raise VisagistError(f"cannot read {path}: it is not there; {REMEDY}") from error
    return content


def title_of(record: Mapping[str, Any]) -> str:
    """The title of a record, as a line of an index."""
    return f"{record['title']} ({_seeds(record)})"


def section_of(record: Mapping[str, Any]) -> str:
    """The section of a record, as Markdown: rows by figures."""
    keys = list(dict.fromkeys(key for row in record["rows"].values() for key in row))
    lines = [f"### {record['title']}\n", f"`{record['command']}`: {_seeds(record)}\n"]
    lines += ["| row | " + " | ".join(f"`{key}`" for key in keys) + " |", "|---" * (len(keys) + 1) + "|"]
    for row, values in record["rows"].items():
        cells = [spelled(values[key]) if key in values else "–" for key in keys]
        lines.append("| " + " | ".join([row, *cells]) + " |")
    return "\n".join([*lines, "", *(f"- {note[0].upper()}{note[1:]}." for note in record["notes"]), ""])


def _seeds(record: Mapping[str, Any]) -> str:
    number = len(record["seeds"])
    return "one seed: no spread to judge by" if number == 1 else f"{number} seeds"


def record_text(record: Mapping[str, Any]) -> str:
    """A record as the text of its file."""
    return json_text(record, 1, ensure_ascii=False) + "\n"
