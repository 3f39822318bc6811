"""The table of a batch, `edits.csv`: what became of each file, and by which settings, so that it is taken up again."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from visagist.boundary.schema import json_text, parse_json
from visagist.boundary.untrusted import TABLE_BYTES, read_regular
from visagist.cli.inputs import Target
from visagist.errors import VisagistError, suggest_remedy
from visagist.files import sha256_of, write_file

TABLE = "edits.csv"
_FIRST = ("file", "out", "faces", "others", "boxes", "before", "after", "by", "warnings", "error", "seconds")
COLUMNS = (*_FIRST, "sha256", "settings")


def read_table(folder: Path) -> dict[str, dict[str, str]]:
    """The last row of each result by its place; a table of an earlier version gets the new columns.

    VisagistError for what is no table of a batch.
    """
    path = folder / TABLE
    try:
        text = read_regular(path, TABLE_BYTES).decode(errors="backslashreplace")
        reader = csv.DictReader(io.StringIO(text, newline=""))
        rows = list(reader)
    except FileNotFoundError:
        return {}
    except (OSError, csv.Error, VisagistError) as error:
        raise VisagistError(f"cannot read {path}: {error}; delete it and run again") from error
    header = tuple(reader.fieldnames or ())
    if text and header not in (_FIRST, COLUMNS):
        raise VisagistError(f"{path} is not the table of a batch, or is damaged: delete it and run again")
    if header != COLUMNS or not text.endswith("\n"):  # cut while it was written
        made = io.StringIO(newline="")
        writer = csv.DictWriter(made, COLUMNS, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
        write_file(path, made.getvalue())
    return {row["out"]: row for row in rows if row.get("out")}


def append_row(folder: Path, cells: Mapping[str, Any], settings: Mapping[str, Any]) -> None:
    """Add a row, with the hash of the result where there is one."""
    path = folder / TABLE
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        made = sha256_of(Path(cells["out"])) if cells["out"] else ""
        fresh = not path.exists()
        with path.open("a", newline="", encoding="utf-8", errors="backslashreplace") as file:
            writer = csv.DictWriter(file, COLUMNS)
            if fresh:
                writer.writeheader()
            writer.writerow({**cells, "sha256": made, "settings": json_text(settings)})
    except OSError as error:
        remedy = suggest_remedy(error, "choose another --out")
        raise VisagistError(f"cannot write {path}: {error.strerror or error}; {remedy}") from error


def changed_results(folder: Path, places: Sequence[Target], settings: Mapping[str, Any]) -> dict[Path, str]:
    """The results that are there and are not what was written, with what to do about each.

    VisagistError where one was made with other settings, by the table or by its own account.
    """
    rows, changed = read_table(folder), dict[Path, str]()
    for place in (target.edited for target in places if target.edited.exists()):
        row = rows.get(str(place), {})
        try:
            before = parse_json(row.get("settings") or "null", Any, f"a row of {TABLE}", "delete it")
        except VisagistError:
            before = None
        try:
            if isinstance(before, dict):
                differing = [name for name in settings if before.get(name) != settings[name]]
                if row["sha256"] != sha256_of(place):
                    changed[place] = f"{place} is not what was written: delete it, or add --overwrite"
            else:
                before, differing = _own_account(place, settings)
        except (VisagistError, OSError) as error:
            changed[place] = f"{place} is there and cannot be read ({error}): delete it, or add --overwrite"
            continue
        if differing:
            said = "; ".join(f"{name} was {before.get(name)!r} and is {settings[name]!r}" for name in differing[:3])
            raise VisagistError(
                f"{place} was made with other settings ({said}): give the same, add --overwrite, or choose another --out"
            )
    return changed


def _own_account(place: Path, settings: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """What a result that is in no table says of its last edit, and in what that differs; empty where it says nothing."""
    from visagist.photos.provenance_reading import read_provenance

    steps = read_provenance(place).steps
    if not steps:
        return {}, []
    pairs = [part.partition("=") for part in steps[-1].settings.split(", ")]
    before = {"model": steps[-1].model, "set": {name: value for name, _, value in pairs}}
    asked = {name: f"{value:g}" for name, value in settings["set"].items()}
    return before, [name for name, now in (("model", settings["model"]), ("set", asked)) if before[name] != now]
