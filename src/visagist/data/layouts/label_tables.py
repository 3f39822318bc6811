"""Tables of labels as people and programs write them: which column names the pictures, and which picture a name means.

A name means the picture below the folder that is called so. Where none is, `./a.png`, a path that ends so, as
`C:/photos/a.png` does, another letter case, another form of the same characters (NFC, NFD) and a name without its suffix
mean it too, as long as only one picture can be meant.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from visagist.data.catalogue import SPLIT_NUMBERS, read_csv, read_table
from visagist.data.crops import is_picture
from visagist.errors import VisagistError

TABLES = (".csv", ".tsv", ".jsonl")
HUB_METADATA = ("metadata.jsonl", "metadata.csv")  # of the Hub's image folders, also one in each split's folder
_NAMELESS = re.compile(r"(Unnamed: \d+)?")  # what pandas writes or reads for a column of row numbers
_MOST_TRIED = 1000  # rows by which the column of names is found


class NameMatcher:
    """Finds the picture that a cell of a table means."""

    def __init__(self, present: Sequence[str]) -> None:
        self._exact = set(present)
        self._folded = _unique((_fold(name), name) for name in present)
        self._stems = _unique((_fold(name.rpartition(".")[0]), name) for name in present if is_picture(name))

    def match(self, cell: object) -> str:
        """The name of the picture below the folder; the cell itself where no picture, or more than one, can be meant."""
        text = str(cell).strip().replace("\\", "/")
        if text in self._exact:
            return text
        parts = [part for part in text.split("/") if part not in ("", ".")]
        if ".." in parts:
            return text
        for start in range(len(parts)):
            name = "/".join(parts[start:])
            meant = name if name in self._exact else self._folded.get(_fold(name))
            meant = meant or (None if is_picture(name) else self._stems.get(_fold(name)))
            if meant is not None:
                return meant
        return text

    def knows(self, cell: object, *, without_suffix: bool) -> bool:
        """Whether a cell means a picture; numbers of rows may be names `without_suffix`."""
        return self.match(cell) in self._exact and (without_suffix or is_picture(str(cell).strip()))


def read_labels(folder: Path, table: Path, present: Sequence[str]) -> tuple[pa.Table, list[str]]:
    """A table of labels without its columns of names and row numbers, and the picture that each row means.

    VisagistError for a table without a header, and for one in which no column names pictures of the folder.
    """
    rows = _read_any(table)
    matcher = NameMatcher(present)
    if is_picture(rows.column_names[0]):
        raise VisagistError(f"{table} has no header: begin it with a line such as file,Smiling")
    named = _column_of_names(rows, matcher)
    if named is None:
        shown = ", ".join(repr(str(cell)) for cell in rows.column(0).to_pylist()[:2])
        raise VisagistError(
            f"none of the {rows.num_rows} files that {table} names ({shown}, …) is in {folder}: give names as below it, "
            "such as trip/a.jpg"
        )
    pictures = [matcher.match(cell) for cell in rows.column(named).to_pylist()]
    dropped = [i for i, name in enumerate(rows.column_names) if i == named or _NAMELESS.fullmatch(name)]
    for index in reversed(dropped):
        rows = rows.remove_column(index)
    return rows, pictures


def find_tables(folder: Path) -> list[Path]:
    """The tables of labels that lie in a folder; the Hub's metadata hides others beside it."""
    files = sorted(file for file in folder.iterdir() if file.suffix.lower() in TABLES and file.is_file())
    return next(([file] for name in HUB_METADATA for file in files if file.name == name), files)


def read_split_tables(folder: Path, present: Sequence[str]) -> tuple[pa.Table, list[str]] | None:
    """The Hub's metadata of folders that are called train, validation and test, with a column `split`; None without."""
    parts, pictures = [], []
    for split in sorted(path for path in folder.iterdir() if path.is_dir() and path.name.lower() in SPLIT_NUMBERS):
        tables = [split / name for name in HUB_METADATA if (split / name).is_file()]
        for table in tables[:1]:
            inside = [name.partition("/")[2] for name in present if name.startswith(f"{split.name}/")]
            rows, names = read_labels(split, table, inside)
            parts.append(rows.append_column("split", pa.array([split.name] * rows.num_rows, pa.string())))
            pictures += [f"{split.name}/{name}" for name in names]
    return (pa.concat_tables(parts, promote_options="default"), pictures) if parts else None


def _read_any(table: Path) -> pa.Table:
    return _read_json_lines(table) if table.suffix.lower() == ".jsonl" else read_csv(table)


def _read_json_lines(table: Path) -> pa.Table:
    """Objects, one a line, as a table of strings; VisagistError for anything else."""
    columns: dict[str, list[str | None]] = {}
    try:
        lines = [line for line in read_table(table).decode("utf-8-sig").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise VisagistError(f"cannot read {table}: {' '.join(str(error).split())}; save it as UTF-8") from error
    for number, line in enumerate(lines, 1):
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise VisagistError(f"line {number} of {table} is no JSON ({error}): write one object a line") from error
        if not isinstance(row, dict):
            raise VisagistError(f"line {number} of {table} is no object: write for instance {{\"file_name\": \"a.png\"}}")
        for name, value in row.items():
            columns.setdefault(str(name), [None] * (number - 1)).append(_as_cell(value))
        for cells in columns.values():
            cells += [None] * (number - len(cells))
    if "file_name" not in columns:
        raise VisagistError(f"{table} has no file_name: each line needs one, as the Hub's image folders have")
    ordered = ["file_name", *(name for name in columns if name != "file_name")]
    return pa.table({name: pa.array(columns[name], pa.string()) for name in ordered})


def _as_cell(value: Any) -> str | None:
    return None if value is None else value if isinstance(value, str) else json.dumps(value)


def _column_of_names(rows: pa.Table, matcher: NameMatcher) -> int | None:
    """The column with most names of pictures, with their suffixes if there are any; None where there are none."""
    for most in (_MOST_TRIED, rows.num_rows):  # of many rows the pictures of the first ones may be missing
        columns = [[cell for cell in column.to_pylist()[:most] if cell] for column in rows.columns]
        for without_suffix in (False, True):
            counts = [sum(matcher.knows(cell, without_suffix=without_suffix) for cell in cells) for cells in columns]
            if any(counts):
                return max(range(len(counts)), key=counts.__getitem__)
    return None


def _fold(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


def _unique(pairs: Any) -> dict[str, str]:
    """The pairs whose key no other pair has."""
    known: dict[str, str | None] = {}
    for key, value in pairs:
        known[key] = None if key in known else value
    return {key: value for key, value in known.items() if value is not None}
