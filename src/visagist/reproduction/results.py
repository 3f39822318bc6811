"""Frozen results: the figures of reproductions as JSON without faces, and the page of them as Markdown."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from visagist.boundary.schema import read_json
from visagist.errors import VisagistError
from visagist.files import write_file
from visagist.reproduction.claims import CLAIMS
from visagist.reproduction.claims.claim import LEAST_SEEDS, find, spelled
from visagist.reproduction.files import count, read_entries
from visagist.reproduction.findings import record_text, section_of, title_of
from visagist.reproduction.spec import available

SCHEMA_VERSION = 1
KIND = "reproduction"
SCALES = ("paper", "study", "small")  # the first is told first, where seeds are equally many
REMEDY = "write it again by scripts/results --freeze"
INTRO = """# Results

<!-- made by `scripts/results --write` from docs/results/*.json: change those, or what made them -->

What four papers claim, and what was found here. Every figure is of the frozen files in [results](results). One command
freezes them, another makes this page again:

```bash
visagist reproduce ifcvae-gan/table3 --scale study --data celeba:~/celeba --out study
scripts/results --freeze study
scripts/results --write
```

A figure is the mean ± the standard deviation over trainings from different seeds; one of a single training says so, and
decides nothing. Seeds is the least number behind a line, images what a training saw: a
cause that needs more than that is not refuted by it. Claims are decided by 95 % intervals
over seeds: Welch's of a difference, Student's of a mean. [Reproduction](reproduction.md) says what names, scales and
verdicts are.
"""


def freeze(out: Path, into: Path) -> list[Path]:
    """Write the figures of every reproduction in the folder `out` as `into/NAME-SCALE.json`; returns these files.

    What is drawn, where it lies, and what names this machine is left out. Reproductions without a figure are left out too.
    """
    entries = [entry for entry in read_entries(out.expanduser() / "verdicts.json") if entry["scale"] in SCALES]
    written = []
    for entry in entries:
        record = frozen(entry)
        if any(cell["values"] for cell in record["cells"]):
            path = into / f"{entry['name'].replace('/', '-')}-{entry['scale']}.json"
            write_file(path, record_text(record), REMEDY, owned=_is_result)
            written.append(path)
    if not written:
        raise VisagistError(f"{out} holds no figures to freeze: reproduce something into it at {', '.join(SCALES)}")
    return written


def frozen(entry: Mapping[str, Any]) -> dict[str, Any]:
    """The figures of an entry of `verdicts.json`, and what they are of."""
    data, machine = entry["data"], entry["machine"]
    return {
        "schema_version": SCHEMA_VERSION,
        "kind": KIND,
        **{key: entry[key] for key in ("name", "title", "source", "scale", "seeds", "unfinished", "written", "notes")},
        "command": shlex.join(
            ["visagist", "reproduce", entry["name"], "--scale", entry["scale"], "--seeds", str(len(entry["seeds"]))]
        ),
        "data": {key: data[key] for key in ("source", "crop", "image_size", "faces")},
        "machine": {key: machine.get(key) for key in ("processor", "cpus", "gpu")},
        "versions": entry["versions"],
        "rows": [_frozen_row(row) for row in entry["rows"]],
        "cells": [_frozen_cell(cell) for cell in entry["cells"]],
    }


def _frozen_row(row: Mapping[str, Any]) -> dict[str, Any]:
    known = row.get("circumstances") or {}
    return {
        **{key: row.get(key) for key in ("row", "recipe", "published_recipe", "images", "published_images", "judged_faces")},
        "judge": row.get("judge"),
        "seeds": len(row.get("runs", [])),
        "computed_in": known.get("computed_in"),
        "code": known.get("code"),
        "not_run": row.get("not_run"),
    }


def _frozen_cell(cell: Mapping[str, Any]) -> dict[str, Any]:
    ours, between = cell["ours"], cell.get("between_runs")
    values = between["values"] if between else [] if ours is None else [ours["value"]]
    judged = {name: measure["value"] for name, measure in (cell.get("judges") or {}).items()}
    return {
        **{key: cell[key] for key in ("row", "key", "better", "published")},
        "values": values,
        **({} if ours is None else {key: ours[key] for key in ("low", "high", "n")}),
        "verdict": cell["verdict"],
        "compared": cell["compared"],
        **({"judges": judged} if judged else {}),
    }


def _is_result(path: Path) -> bool:
    record = read_json(path, dict[str, Any], REMEDY)
    return record.get("schema_version") == SCHEMA_VERSION and isinstance(record.get("kind"), str)


def results_page(folder: Path) -> str:
    """The page of all frozen results in a folder, as Markdown."""
    records: list[dict[str, Any]] = []
    for path in sorted(folder.glob("*.json")):
        records.append(read_json(path, dict[str, Any], REMEDY))
        schema = records[-1].get("schema_version")
        if schema != SCHEMA_VERSION:
            raise VisagistError(f"{path} has the schema {schema}, {SCHEMA_VERSION} is read: {REMEDY}")
    chosen = best_of(record for record in records if record["kind"] == KIND)
    others = [record for record in records if record["kind"] != KIND]
    parts = [INTRO, _index(others), "## What the papers claim\n", *(_claims(paper, chosen) for paper in CLAIMS)]
    parts += ["## Tables\n", *(_tables(chosen[name]) for name in available() if name in chosen)]
    parts += ["## What nobody published\n", *(map(section_of, others))] if others else []
    return "\n".join(parts)


def best_of(records: Iterable[Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    """Of each name the record with the most seeds, of equals that of the larger scale."""
    chosen: dict[str, Mapping[str, Any]] = {}
    for record in sorted(records, key=lambda r: (max(map(_seeds, r["rows"]), default=0), -SCALES.index(r["scale"]))):
        chosen[record["name"]] = record
    return chosen


def _seeds(row: Mapping[str, Any]) -> int:
    return int(row["seeds"])


def _index(others: Sequence[Mapping[str, Any]]) -> str:
    titles = "".join(f"- {title_of(record)}\n" for record in others)
    return f"Beside the papers' own, [what nobody published](#what-nobody-published):\n\n{titles}" if titles else ""


def _claims(paper: str, chosen: Mapping[str, Mapping[str, Any]]) -> str:
    """One line for each claim of a paper."""
    lines = [f"### {paper}\n", "| claimed | source | found | | seeds | images | why it may differ |", "|---" * 7 + "|"]
    for claim in CLAIMS[paper]:
        finding = find(claim, chosen)
        images = "–"
        if finding.images is not None and finding.published is not None:
            images = f"{_images(*finding.images)} of the paper's {_images(*finding.published)}"
        answer = f"**{finding.answer}**" if finding.seeds >= LEAST_SEEDS else finding.answer
        cells = (claim.words, claim.source, finding.found, answer, str(finding.seeds or "–"), images, claim.differs)
        lines.append(_row(cells))
    return "\n".join([*lines, ""])


def _images(least: int, most: int) -> str:
    return f"{most:,}" if least == most else f"{least:,} to {most:,}"


def _tables(record: Mapping[str, Any]) -> str:
    """The figures of one name, and what they are of."""
    lines = [f"### `{record['name']}`: {record['title']}\n", f"{record['source']}. {_circumstances(record)}\n"]
    lines += ["| row | figure | published | found | seeds | verdict |", "|---" * 6 + "|"]
    for cell in record["cells"]:
        published = "–" if cell["published"] is None else f"{cell['published']:.4g}"
        found = spelled(cell["values"]) if cell["values"] else "–"
        aside = "" if cell["compared"] in (None, cell["verdict"]) else f"; otherwise {cell['compared']}"
        seeds = str(len(cell["values"]) or "–")
        lines.append(_row((cell["row"], f"`{cell['key']}`", published, found, seeds, f"{cell['verdict']}{aside}")))
    lines.append("")
    lines += [f"- {note[0].upper()}{note[1:]}." for note in record["notes"]]
    lines += [f"- Not run yet: {name}." for name in record["unfinished"]]
    return "\n".join([*lines, ""])


def _circumstances(record: Mapping[str, Any]) -> str:
    """Scale, images, faces and precision in a sentence."""
    rows = [row for row in record["rows"] if row["images"]]
    images = [row["images"] for row in rows] or [0]
    published = [row["published_images"] for row in rows if row["published_images"]] or [0]
    seen = f"{_images(min(images), max(images))} images a row of the paper's {_images(min(published), max(published))}; "
    judged = max((row["judged_faces"] or 0 for row in rows), default=0)
    computed = ", ".join(sorted({row["computed_in"] for row in rows if row["computed_in"]}))
    faces, kinds = record["data"]["faces"], count(record["cells"])
    machine = record["machine"]["gpu"] or record["machine"]["processor"]
    reached, short = kinds["reached"] + kinds["would_reach"], kinds["short"] + kinds["would_be_short"]
    return (
        f"Scale {record['scale']}, {seen}{faces['train']:,} training faces of {record['data']['source']}, {judged} test "
        f"faces judged; computed in {computed} on {machine}. As good as published: {reached}, short of it: {short}"
    )


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"
