"""A person's own pictures: a folder with a CSV of attributes, or with one sub-folder a class.

With a table (`folder:PATH` where PATH holds one CSV or the Hub's `metadata.jsonl`, or `folder:PATH/labels.csv`) one column
names files below the folder (`layouts.label_tables` says how freely); a column `split` says train, val or test; a column
`identity` says who it is; every other column is an attribute in 0/1, −1/1, true/false or yes/no. A column in which less than
half of the cells are labels (a caption, an age) is left out, and the manifest names it. Folders train, validation and test
may each have the Hub's metadata. FFHQ and CelebAMask-HQ are known by their own files.

Without a CSV each sub-folder is a class, and its name an attribute that its pictures have and the others lack. Of
exactly two classes `NAME` and `not_NAME` (also `not-NAME`, `not NAME`, in any case) one attribute NAME is made.
Sub-folders called train, val and test may stand above the classes. Where nobody says the split, it is drawn 80/10/10
from a hash of the identity if there is one, else of the file's name.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from visagist.boundary.untrusted import list_files
from visagist.data.catalogue import (
    SPLIT_NUMBERS,
    UNLABELLED,
    BadPicture,
    Catalogue,
    fingerprint,
    identity_column,
    label_table,
    split_by_hash,
    split_column,
)
from visagist.data.crops import is_picture
from visagist.data.layouts.high_quality import CELEBAMASK_FILE, FFHQ_FILE, read_celebamask_hq, read_ffhq
from visagist.data.layouts.label_tables import HUB_METADATA, TABLES, find_tables, read_labels, read_split_tables
from visagist.errors import VisagistError


def read_folder(path: Path) -> Catalogue:
    """The pictures of a folder in the order of split and name.

    Rows of the CSV without a picture, pictures without a row and rows without every label are bad. Raises VisagistError
    for an empty folder, several CSV files, a CSV without attributes, and a single class.
    """
    if path.suffix.lower() in TABLES:
        if not path.is_file():
            raise VisagistError(f"no file {path}: give folder: the CSV or the folder that holds it")
        return _read_csv_folder(path.parent, path)
    if not path.is_dir():
        raise VisagistError(f"no folder {path}: give folder: a folder of pictures with a CSV or one sub-folder a class")
    for name, reader in ((FFHQ_FILE, read_ffhq), (CELEBAMASK_FILE, read_celebamask_hq)):
        if (path / name).is_file():
            return reader(path)
    tables = find_tables(path)
    if len(tables) > 1:
        names = ", ".join(table.name for table in tables)
        raise VisagistError(f"{path} holds {len(tables)} CSV files ({names}): name one, as in folder:{tables[0]}")
    if tables:
        return _read_csv_folder(path, tables[0])
    present = _list_names(path)
    split = read_split_tables(path, present)
    return _read_class_folders(path) if split is None else _catalogue_of(path, None, present, *split)


def _read_csv_folder(folder: Path, csv: Path) -> Catalogue:
    present = _list_names(folder)
    return _catalogue_of(folder, csv, present, *read_labels(folder, csv, present))


def _catalogue_of(folder: Path, csv: Path | None, present: list[str], table: pa.Table, files: list[str]) -> Catalogue:
    """The catalogue of files of a folder with a row each of a table; `csv` is its file where it is one."""
    where = csv or folder
    repeated = next((a for a, b in pairwise(sorted(files)) if a == b), None)
    if repeated is not None:
        raise VisagistError(f"{where} has two rows for {repeated!r}: keep one")
    known, there = set(files), set(present)
    special = {name.lower(): name for name in table.column_names if name.lower() in ("split", "identity")}
    names, labels, left_out = label_columns(table, table.column_names, list(special.values()), where)
    identity = identity_column(table[special["identity"]].to_pylist()) if "identity" in special else None
    if "split" in special:
        split = split_column(table[special["split"]].to_pylist(), where)
    else:
        split = split_by_hash(split_keys(files, identity))
    bad = [BadPicture(file, "missing") for file in files if file not in there]
    unlabelled = f"unlabelled: no row in {csv.name if csv else 'its table'}"
    bad += [BadPicture(file, unlabelled) for file in present if file not in known and is_picture(file)]
    order = sorted((i for i in range(len(files)) if files[i] in there), key=lambda i: (split[i], files[i]))
    return Catalogue(
        source=f"folder:{folder.resolve().name}",
        location=str(where.resolve()),
        default_crop="square",
        files=tuple(files[i] for i in order),
        labels=labels[order],
        names=names,
        split=split[order],
        pictures=lambda: (folder / files[i] for i in order),
        fingerprint=fingerprint(folder, [*([csv.name] if csv else _metadata_in(folder)), *present]),
        identity=None if identity is None else identity[order],
        bad=tuple(bad),
        facts={"columns_left_out": left_out, "split_by": describe_split("split" in special, identity is not None)},
    ).without_unlabelled("unlabelled: {column} is neither 0/1 nor −1/1")


def _metadata_in(folder: Path) -> list[str]:
    return [path.relative_to(folder).as_posix() for path in list_files(folder) if path.name in HUB_METADATA]


def _read_class_folders(folder: Path) -> Catalogue:
    present = _list_names(folder)
    pictures = [file for file in present if is_picture(file)]
    loose = [BadPicture(file, "unlabelled: in no class folder") for file in pictures if "/" not in file]
    files = [file for file in pictures if "/" in file]
    parts = [file.split("/") for file in files]
    level = int(bool(files) and all(len(part) > 2 and part[0].lower() in SPLIT_NUMBERS for part in parts))
    classes = sorted({part[level] for part in parts})
    if not classes:
        raise VisagistError(f"{folder} has no labelled picture: add a CSV, or put the pictures into one sub-folder a class")
    if len(classes) == 1:
        raise VisagistError(f"{folder} holds only one class, {classes[0]}: add a sub-folder of pictures of another")
    split = split_column((part[0] for part in parts), folder) if level else split_by_hash(files)
    order = sorted(range(len(files)), key=lambda i: (split[i], files[i]))
    names, labels_of = _class_labels(classes)
    return Catalogue(
        source=f"folder:{folder.resolve().name}",
        location=str(folder.resolve()),
        default_crop="square",
        files=tuple(files[i] for i in order),
        labels=np.array([labels_of[parts[i][level]] for i in order], dtype=np.uint8),
        names=names,
        split=split[order],
        pictures=lambda: (folder / files[i] for i in order),
        fingerprint=fingerprint(folder, present),
        bad=tuple(loose),
        facts={"classes": classes, "files_that_are_no_pictures": len(present) - len(pictures),
               "split_by": describe_split(bool(level), False)},
    )  # fmt: skip


def label_columns(
    table: pa.Table, columns: Sequence[str], special: Sequence[str], where: Path | str
) -> tuple[tuple[str, ...], NDArray[np.uint8], list[str]]:
    """The names of the columns that hold labels, those labels [N, A], and the columns that hold something else."""
    names = [name for name in columns if name not in special]
    labels = label_table(table, names, where)
    are_labels = (labels != UNLABELLED).mean(axis=0) >= 0.5 if len(labels) else np.ones(len(names), dtype=bool)
    kept = tuple(name for name, yes in zip(names, are_labels, strict=True) if yes)
    if not kept:
        raise VisagistError(f"{where} has no attribute: add a column of 0/1 or −1/1 for each picture")
    return kept, labels[:, are_labels], [name for name in names if name not in kept]


def split_keys(files: Sequence[str], identity: NDArray[np.int64] | None) -> list[str]:
    """What decides the split of each picture: who it shows, so that nobody is in two splits, or else its name."""
    if identity is None:
        return list(files)
    return [file if person < 0 else f"identity {person}" for file, person in zip(files, identity.tolist(), strict=True)]


def describe_split(given: bool, has_identity: bool) -> str:
    """How the manifest says where the splits come from."""
    return "the source" if given else "a hash of the identity" if has_identity else "a hash of the file name"


def _class_labels(classes: Sequence[str]) -> tuple[tuple[str, ...], dict[str, list[int]]]:
    """Attributes of these classes, and the labels that a picture of each class has."""
    if len(classes) == 2:
        for name, other in (classes, classes[::-1]):
            if re.fullmatch(rf"not[_\- ]{re.escape(name)}", other, re.IGNORECASE):
                return (name,), {name: [1], other: [0]}
    return tuple(classes), {name: [int(name == other) for other in classes] for name in classes}


def _list_names(folder: Path) -> list[str]:
    """Every file below a folder but hidden ones and tables, as names with forward slashes."""
    files = [file.relative_to(folder) for file in list_files(folder)]
    names = [file.as_posix() for file in files if not file.name.startswith(".") and not file.name.endswith(TABLES)]
    if not names:
        raise VisagistError(f"{folder} is empty: put pictures there")
    return sorted(names)
