"""The table of a batch, `edits.csv`: the outcome and the settings of each file, by which an interrupted batch continues."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from visagist.boundary.schema import json_text, parse_json
from visagist.boundary.untrusted import TABLE_BYTES, read_regular
from visagist.errors import VisagistError, suggest_remedy
from visagist.files import sha256_of, write_file

TABLE = "edits.csv"
_FIRST = ("file", "out", "faces", "others", "boxes", "before", "after", "by", "warnings", "error", "seconds")
COLUMNS = (*_FIRST, "sha256", "settings")
SOURCE = "source"  # in the settings of a row: the hash of the picture that was edited
OTHERWISE = "add --overwrite, or choose another --out"


def read_table(folder: Path) -> dict[str, dict[str, str]]:
    """Read the last row of each result by its path; a table of an earlier version gets the new columns.

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
        rewritten = io.StringIO(newline="")
        writer = csv.DictWriter(rewritten, COLUMNS, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
        write_file(path, rewritten.getvalue())
    return {row["out"]: row for row in rows if row.get("out")}


def append_row(folder: Path, cells: Mapping[str, Any], settings: Mapping[str, Any]) -> None:
    """Add a row, with the hash of the result where there is one."""
    path = folder / TABLE
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        digest = sha256_of(Path(cells["out"])) if cells["out"] else ""
        is_new = not path.exists()
        with path.open("a", newline="", encoding="utf-8", errors="backslashreplace") as file:
            writer = csv.DictWriter(file, COLUMNS)
            if is_new:
                writer.writeheader()
            writer.writerow({**cells, "sha256": digest, "settings": json_text(settings)})
    except OSError as error:
        remedy = suggest_remedy(error, "choose another --out")
        raise VisagistError(f"cannot write {path}: {error.strerror or error}; {remedy}") from error


def sha256_or_none(path: Path) -> str | None:
    """The hash of a file; None where it cannot be read."""
    try:
        return sha256_of(path)
    except (OSError, VisagistError):
        return None


def changed_results(folder: Path, sources: Mapping[Path, Path], settings: Mapping[str, Any]) -> dict[Path, str]:
    """Find existing results, given with the pictures that they are to be of, that are not what was written.

    Each has a line that says what to do about it. VisagistError where one was made with other settings or of another
    picture, by the table or by what its file says.
    """
    rows, changed = read_table(folder), dict[Path, str]()
    for path, source in ((path, source) for path, source in sources.items() if path.exists()):
        row = rows.get(str(path), {})
        try:
            before = parse_json(row.get("settings") or "null", Any, f"a row of {TABLE}", "delete it")
        except VisagistError:
            before = None
        digest = before.pop(SOURCE, None) if isinstance(before, dict) else None
        try:
            if isinstance(before, dict):
                differing = [name for name in {**settings, **before} if before.get(name) != settings.get(name)]
                if row["sha256"] != sha256_of(path):
                    changed[path] = f"{path} is not what was written: delete it, or add --overwrite"
            else:
                before, differing = _own_account(path, settings)
        except (VisagistError, OSError) as error:
            changed[path] = f"{path} is there and cannot be read ({error}): delete it, or add --overwrite"
            continue
        if differing:
            differences = "; ".join(
                f"{name} was {before.get(name)!r} and is {settings.get(name)!r}" for name in differing[:3]
            )
            raise VisagistError(f"{path} was made with other settings ({differences}): give the same, {OTHERWISE}")
        if row and path not in changed and not _is_same(source, row["file"], digest):
            what = f"{source} before that changed" if str(source) == row["file"] else f"{row['file']}, not {source}"
            raise VisagistError(f"{path} was made of {what}: delete it, {OTHERWISE}")
    return changed


def _is_same(source: Path, recorded: str, digest: Any) -> bool:
    """Whether a picture is the one that a row records, by its content, or by its name in a table of an earlier version."""
    return str(source) == recorded if digest is None else digest == sha256_or_none(source)


def _own_account(path: Path, settings: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """What a result that is in no table says of its last edit, and how that differs; empty where it says nothing."""
    from visagist.photos.provenance_reading import read_provenance

    steps = read_provenance(path).steps
    if not steps:
        return {}, []
    pairs = [part.partition("=") for part in steps[-1].settings.split(", ")]
    before = {"model": steps[-1].model, "set": {name: value for name, _, value in pairs}}
    requested = {name: f"{value:g}" for name, value in settings["set"].items()}
    return before, [name for name, now in (("model", settings["model"]), ("set", requested)) if before[name] != now]
