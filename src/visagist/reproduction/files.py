"""Write `verdicts.json`, pictures and `index.html`; a folder has one entry for each name and scale."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from visagist.boundary.schema import Bounds, Count, Open, Pattern, check, json_text, read_json
from visagist.errors import VisagistError
from visagist.evaluation.results import StoredMeasure
from visagist.files import write_files
from visagist.photos.encode import write_photo
from visagist.photos.photo import read_photo
from visagist.photos.provenance import Step
from visagist.reports.reproduction_page import reproduction_page
from visagist.reproduction.figures import CaptionedPicture
from visagist.reproduction.verdicts import REACHED, UNPUBLISHED

SCHEMA_VERSION = 1
MOST_BYTES = 2**28
REMEDY = "move it away or choose another --out"


@dataclass(frozen=True)
class _Picture(Open):
    title: str
    file: Annotated[str, Pattern(r"pictures/[^/\\]+", "a file in pictures/")] | None
    words: str


@dataclass(frozen=True)
class _CountedCell(Open):
    verdict: str
    compared: str | None
    published: float | None


@dataclass(frozen=True, kw_only=True)
class _Cell(_CountedCell):
    row: str
    key: str
    better: str
    ours: StoredMeasure | None
    between_runs: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class _CountedRow(Open):
    row: str
    run: str | None = None
    images: Count | None = None
    judged_faces: Count | None = None
    not_run: str | None = None


@dataclass(frozen=True)
class _Row(_CountedRow):
    recipe: str | None = None
    published_images: Count | None = None
    judge: str | None = None
    commands: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        needed = ("recipe", "images", "published_images", "judged_faces", "judge")
        missing = [name for name in needed if getattr(self, name) is None]
        if missing and self.not_run is None:
            raise ValueError(f"it lacks {', '.join(missing)}")


@dataclass(frozen=True)
class _Faces(Open):
    train: Count
    test: Count


@dataclass(frozen=True)
class _Source(Open):
    source: str
    faces: _Faces


@dataclass(frozen=True)
class _Data(_Source):
    other: _Source | None = None


@dataclass(frozen=True)
class _CountedEntry(Open):
    """The part of an entry that a summary reads."""

    name: str
    scale: str
    seed: int
    seconds: float
    cells: tuple[_CountedCell, ...]
    rows: tuple[_CountedRow, ...]


@dataclass(frozen=True)
class _Entry(_CountedEntry):
    """The part of an entry that the page reads."""

    title: str
    source: str
    command: str
    data: _Data
    pictures: tuple[_Picture, ...]
    cells: tuple[_Cell, ...]
    rows: tuple[_Row, ...]
    notes: tuple[Annotated[str, Bounds(1)], ...]


@dataclass(frozen=True)
class StoredVerdicts(Open):
    """A `verdicts.json`."""

    schema_version: int
    reproductions: tuple[_CountedEntry, ...]


def write(folder: Path, entry: dict[str, Any], pictures: list[CaptionedPicture]) -> dict[str, Any]:
    """Add an entry and its pictures to a folder, replacing that of the same name and scale; returns it with its pictures."""
    path = folder / "verdicts.json"
    others = [other for other in read_entries(path) if (other["name"], other["scale"]) != (entry["name"], entry["scale"])]
    check(others, tuple[_Entry, ...], str(path), REMEDY)
    stem = f"{entry['name'].replace('/', '-')}-{entry['scale']}"
    listed = []
    for number, drawn in enumerate(pictures):
        file = None if drawn.image is None else f"pictures/{stem}-{number}.png"
        if drawn.image is not None and file is not None:
            _write_picture(drawn, folder / file, f"{entry['name']}, {drawn.title}")
        listed.append({"title": drawn.title, "file": file, "words": drawn.words})
    whole = {**entry, "pictures": listed}
    entries = [whole, *others]
    verdicts = {"schema_version": SCHEMA_VERSION, "reproductions": entries}
    text = json_text(verdicts, 1, ensure_ascii=False) + "\n"
    write_files(folder, {"verdicts.json": text, "index.html": reproduction_page(entries, folder)})
    return whole


def _write_picture(drawn: CaptionedPicture, path: Path, made_by: str) -> None:
    """Write a picture with a record that a model made it."""
    assert drawn.image is not None
    write_photo(read_photo(drawn.image), path, Step("generated", model=made_by))


def read_entries(path: Path) -> list[dict[str, Any]]:
    """Read the entries of a `verdicts.json`, the newest first; [] without a file."""
    if not path.exists():
        return []
    verdicts: dict[str, Any] = read_json(path, dict[str, Any], REMEDY, MOST_BYTES)
    version = verdicts.get("schema_version")
    if isinstance(version, int) and version != SCHEMA_VERSION:
        raise VisagistError(f"{path} has the schema {version}, this visagist writes {SCHEMA_VERSION}: choose another --out")
    check(verdicts, StoredVerdicts, str(path), REMEDY)
    return list(verdicts["reproductions"])


def summary(folder: Path | str) -> list[dict[str, Any]]:
    """Summarise `folder/verdicts.json`: one record for each name and scale, by name; VisagistError without entries.

    `reached` and `short` count comparable figures; `would_reach` and `would_be_short` those of the same kind on other
    faces; `unpublished` and `other_kind` those without a published figure of their kind; `not_run` the missing ones.
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
    """Count the figures of each verdict."""
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
