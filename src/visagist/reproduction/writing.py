"""`verdicts.json`, the pictures and `index.html` of a folder: one entry for each name and scale reproduced there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from visagist.editing.photo_files import read_photo
from visagist.editing.photo_writing import write_photo
from visagist.editing.provenance import Step
from visagist.errors import VisagistError
from visagist.files import write_files
from visagist.reproduction.figures import Drawn
from visagist.reproduction.page import page
from visagist.untrusted import read_text

SCHEMA_VERSION = 1


def write(folder: Path, entry: dict[str, Any], pictures: list[Drawn]) -> dict[str, Any]:
    """Add an entry and its pictures to a folder, in the place of an earlier one of its name and scale; returns it whole."""
    stem = f"{entry['name'].replace('/', '-')}-{entry['scale']}"
    listed = []
    for number, drawn in enumerate(pictures):
        file = None if drawn.image is None else f"pictures/{stem}-{number}.png"
        if drawn.image is not None and file is not None:
            _write_picture(drawn, folder / file, f"{entry['name']}, {drawn.title}")
        listed.append({"title": drawn.title, "file": file, "words": drawn.words})
    whole = {**entry, "pictures": listed}
    mine = (entry["name"], entry["scale"])
    others = [other for other in read_entries(folder / "verdicts.json") if (other["name"], other["scale"]) != mine]
    entries = [whole, *others]
    verdicts = {"schema_version": SCHEMA_VERSION, "reproductions": entries}
    text = json.dumps(verdicts, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    write_files(folder, {"verdicts.json": text, "index.html": page(entries, folder)})
    return whole


def _write_picture(drawn: Drawn, path: Path, made_by: str) -> None:
    """Write a picture; the file says of itself that a model made it."""
    assert drawn.image is not None
    write_photo(read_photo(drawn.image), path, Step("generated", model=made_by))


def read_entries(path: Path) -> list[dict[str, Any]]:
    """The entries of a `verdicts.json`, the last one first; none where there is no file."""
    try:
        there = json.loads(read_text(path))
        version, entries = there["schema_version"], there["reproductions"]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise VisagistError(f"cannot read {path}: {error}; move it away or choose another --out") from error
    if version != SCHEMA_VERSION:
        raise VisagistError(f"{path} has the schema {version}, this visagist writes {SCHEMA_VERSION}: choose another --out")
    return list(entries)
