"""What a folder of reproductions amounts to: for each name its models, their images, and its figures by verdict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from visagist.errors import VisagistError
from visagist.reproduction.files import read_entries
from visagist.reproduction.verdicts import REACHED, UNPUBLISHED


def summary(folder: Path | str) -> list[dict[str, Any]]:
    """One record for each name and scale in `folder/verdicts.json`, by name; VisagistError where there is none.

    `reached` and `short` count figures that are set against published ones, under their verdicts; `would_reach` and
    `would_be_short` those that are not comparable but of one kind with the published; `unpublished` and `other_kind` those
    with none to set against; `not_run` those that need something.
    """
    entries = read_entries(Path(folder).expanduser() / "verdicts.json")
    if not entries:
        raise VisagistError(f"{folder} holds no verdicts.json: reproduce something into it first")
    return [_record(entry) for entry in sorted(entries, key=lambda entry: (entry["name"], entry["scale"]))]


def _record(entry: Mapping[str, Any]) -> dict[str, Any]:
    rows, cells = entry["rows"], entry["cells"]
    images = [row["images"] for row in rows if "images" in row]
    faces = [row["judged_faces"] for row in rows if "judged_faces" in row]
    return {
        "name": entry["name"],
        "scale": entry["scale"],
        "seed": entry["seed"],
        "models": len({row["run"] for row in rows if "run" in row}),
        "rows": len(rows),
        "images": [min(images), max(images)] if images else None,
        "judged_faces": max(faces, default=None),
        "seconds": entry["seconds"],
        **count(cells),
    }


def count(cells: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """How many figures there are of each verdict."""
    kinds = [_kind(cell) for cell in cells]
    names = ("reached", "short", "would_reach", "would_be_short", "unpublished", "other_kind", "not_run")
    return {name: kinds.count(name) for name in names}


def _kind(cell: Mapping[str, Any]) -> str:
    verdict, compared = str(cell["verdict"]), cell["compared"]
    if verdict == REACHED:
        return "reached"
    if verdict.startswith("short by"):
        return "short"
    if verdict.startswith("not run"):
        return "not_run"
    if compared is not None:
        return "would_reach" if compared == REACHED else "would_be_short"
    return "unpublished" if cell["published"] is None or verdict == UNPUBLISHED else "other_kind"
