"""The pictures of a source before they are decoded: files, labels, splits, and which are unusable."""

from __future__ import annotations

import codecs
import hashlib
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import compress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.csv
from numpy.typing import NDArray

from visagist.boundary.untrusted import read_regular
from visagist.data.faces import SPLITS, Faces
from visagist.errors import VisagistError

SPLIT_NUMBERS = {"train": 0, "training": 0, "val": 1, "valid": 1, "validation": 1, "test": 2, "testing": 2}
_WORDS = {"true": 1, "false": 0, "t": 1, "f": 0, "yes": 1, "no": 0, "y": 1, "n": 0, "on": 1, "off": 0}
_NUMBER = re.compile(r"([+\-\u2212]?)0*([01])([.,]0*)?")  # +1, -1, −1, 1.0, 1,0
UNLABELLED = 255
_DIGITS = 18  # of a whole number that 64 bits hold, whatever its digits
MOST_CSV, LONGEST_HEADER = 512 << 20, 1 << 20  # bytes


class BadPicture(NamedTuple):
    """A picture that is left out, and why."""

    file: str
    reason: str


@dataclass(frozen=True)
class Catalogue:
    """N labelled pictures, not yet decoded.

    source        what the manifest calls it: the kind and the last part of the path
    location      the whole path, which only names the cache
    files, labels [N, A] uint8, names, split [N] uint8, identity [N] int64 or None: as in `Faces`
    landmarks     [N, L, 2] float32 in pixels of the whole picture, or None
    pictures      starts a pass over the N pictures: a path, encoded bytes, or pixels [S, S, 3]
    fingerprint   changes when a file of the source does
    bad           what is known to be unusable already
    facts         more for the manifest
    """

    source: str
    location: str
    default_crop: str
    files: tuple[str, ...]
    labels: NDArray[np.uint8]
    names: tuple[str, ...]
    split: NDArray[np.uint8]
    pictures: Callable[[], Iterator[Path | bytes | NDArray[np.uint8]]]
    fingerprint: str
    identity: NDArray[np.int64] | None = None
    landmarks: NDArray[np.float32] | None = None
    bad: tuple[BadPicture, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)

    def keep(self, mask: NDArray[np.bool_], bad: Sequence[BadPicture] = ()) -> Catalogue:
        """The rows where `mask` [N] holds, with more pictures named as bad."""
        pictures = self.pictures
        return replace(
            self,
            files=tuple(compress(self.files, mask)),
            labels=self.labels[mask],
            split=self.split[mask],
            identity=None if self.identity is None else self.identity[mask],
            landmarks=None if self.landmarks is None else self.landmarks[mask],
            pictures=lambda: compress(pictures(), mask),
            bad=self.bad + tuple(bad),
        )

    def without_unlabelled(self, reason: str) -> Catalogue:
        """The rows that have every label; `reason` may name {column}."""
        unlabelled = self.labels == UNLABELLED
        mask = ~unlabelled.any(axis=1)
        if mask.all():
            return self
        rows = np.flatnonzero(~mask)
        columns = [self.names[int(unlabelled[row].argmax())] for row in rows]
        return self.keep(
            mask, [BadPicture(self.files[r], reason.format(column=c)) for r, c in zip(rows, columns, strict=True)]
        )


def catalogue_of_faces(faces: Faces) -> Catalogue:
    """Faces that are already decoded, as a catalogue whose pictures are pixels."""
    digest = hashlib.sha256()
    for part in (faces.images, faces.labels, faces.split):
        digest.update(np.ascontiguousarray(part).data)
    return Catalogue(
        source=str(faces.manifest.get("source", "faces")),
        location="",
        default_crop=str(faces.manifest.get("crop", "none")),
        files=faces.files,
        labels=faces.labels,
        names=faces.names,
        split=faces.split,
        pictures=lambda: iter(faces.images),
        fingerprint=digest.hexdigest(),
        identity=faces.identity,
        landmarks=faces.landmarks,
        facts=faces.manifest.get("facts", {}),
    )


def fingerprint(folder: Path, names: Iterable[str]) -> str:
    """Hash the names, sizes and modification times of files in a folder; a missing file has a name alone."""
    digest = hashlib.sha256()
    for name in names:
        try:
            about = os.stat(f"{folder}{os.sep}{name}")
            line = f"{name}\0{about.st_size}\0{about.st_mtime_ns}\n"
        except OSError:  # a dangling link, or gone since it was listed: read as missing later
            line = f"{name}\0\0\n"
        digest.update(line.encode(errors="surrogateescape"))
    return digest.hexdigest()


def split_by_hash(keys: Iterable[str]) -> NDArray[np.uint8]:
    """Draw splits [N] 80/10/10 by a hash of each key: the same key is always in the same split."""
    shares = [
        int.from_bytes(hashlib.sha256(key.encode(errors="surrogateescape")).digest()[:8], "big") / 2**64 for key in keys
    ]
    return np.digitize(np.asarray(shares, dtype=np.float64), [0.8, 0.9]).astype(np.uint8)


def read_table(path: Path) -> bytes:
    """Read a file of labels; VisagistError where it is larger than labels of millions of pictures are, or OSError."""
    size = path.stat().st_size
    if size > MOST_CSV:
        raise VisagistError(f"{path} has {size >> 20} MiB, more than {MOST_CSV >> 20}: keep names and labels alone")
    return read_regular(path, MOST_CSV)


def read_csv(path: Path, columns: Sequence[str] | None = None, text: bytes | None = None) -> pa.Table:
    """A comma, semicolon or tab separated file, every cell a string; `columns` where it has no header."""
    try:
        data = _as_utf8(read_table(path) if text is None else text)
        if not data.strip():
            raise VisagistError(f"{path} is empty: it needs a header and one line a picture")
        end = data.find(b"\n")
        header = data[: end if end >= 0 else len(data)]
        if len(header) > LONGEST_HEADER or b"\0" in header:
            got = f"{len(header)} bytes" if len(header) > LONGEST_HEADER else "a NUL byte"
            raise VisagistError(f"the first line of {path} has {got}: it needs one line of names, and one a picture")
        delimiter = max(",;\t", key=lambda mark: header.count(mark.encode()))
        names = list(columns) if columns else [name.strip().strip('"') for name in header.decode().split(delimiter)]
        if len(set(names)) != len(names):
            raise VisagistError(f"{path} names a column twice: {', '.join(names)}")
        return pa.csv.read_csv(
            pa.py_buffer(data),
            read_options=pa.csv.ReadOptions(column_names=names, skip_rows=0 if columns else 1),
            parse_options=pa.csv.ParseOptions(delimiter=delimiter),
            convert_options=pa.csv.ConvertOptions(column_types={name: pa.string() for name in names}),
        )
    except UnicodeDecodeError as error:
        raise VisagistError(f"cannot read {path}: {' '.join(str(error).split())}; save it as UTF-8") from error
    except pa.ArrowInvalid as error:
        reason = " ".join(str(error).split())
        remedy = "; save it as UTF-8" if "UTF8" in reason.upper().replace("-", "") else ""
        raise VisagistError(f"cannot read {path}: {reason}{remedy}") from error
    except OSError as error:
        raise VisagistError(f"cannot read {path}: {error.strerror or error}") from error


def _as_utf8(data: bytes) -> bytes:
    """The bytes of a table in UTF-8 without a mark; spreadsheets write UTF-16 as "Unicode text"."""
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return data.decode("utf-16").encode()
    return data.removeprefix(codecs.BOM_UTF8)


def label_column(column: pa.ChunkedArray, name: str, where: Path | str) -> NDArray[np.uint8]:
    """Labels [N] of cells that say 0/1, −1/1, true/false or yes/no; `UNLABELLED` for anything else."""
    encoded = column.cast(pa.string()).combine_chunks().dictionary_encode()
    values = [_label_value(str(word).strip().lower()) for word in encoded.dictionary.to_pylist()]
    if {0, -1} <= set(values):
        raise VisagistError(f"column {name} of {where} holds 0 and −1 both: write it as 0/1 or as −1/1")
    codes = np.array([UNLABELLED if v is None else max(v, 0) for v in values] + [UNLABELLED], dtype=np.uint8)
    return codes[encoded.indices.fill_null(len(values)).to_numpy(zero_copy_only=False)]


def _label_value(word: str) -> int | None:
    """What a cell says, 1, 0 or -1; None where it is no label."""
    match = _NUMBER.fullmatch(word)
    if match is None:
        return _WORDS.get(word)
    return -1 if match[1] in ("-", "\u2212") and match[2] == "1" else int(match[2])


def label_table(table: pa.Table, columns: Sequence[str], where: Path | str) -> NDArray[np.uint8]:
    """Labels [N, A] of these columns of a table."""
    labels = np.empty((table.num_rows, len(columns)), dtype=np.uint8)
    for i, name in enumerate(columns):
        labels[:, i] = label_column(table[name], name, where)
    return labels


def split_column(words: Iterable[Any], where: Path | str) -> NDArray[np.uint8]:
    """Splits [N] of cells that say train, val or test, or 0, 1 or 2 as CelebA does."""
    known = SPLIT_NUMBERS | {str(number): number for number in range(len(SPLITS))}
    cells = [str(word).strip().lower() for word in words]
    for unknown in sorted(set(cells) - set(known)):
        raise VisagistError(f"split {unknown!r} in {where} is not one of {', '.join(SPLITS)}: correct that row")
    return np.array([known[cell] for cell in cells], dtype=np.uint8)


def identity_column(words: Sequence[Any]) -> NDArray[np.int64]:
    """Identities [N]: whole numbers as they are, or names numbered in alphabetical order, −1 where empty."""
    cells = ["" if word is None else str(word).strip() for word in words]
    if all((cell.isdecimal() and len(cell) <= _DIGITS) or not cell for cell in cells):
        return np.array([int(cell) if cell else -1 for cell in cells], dtype=np.int64)
    numbers = {cell: number for number, cell in enumerate(sorted(set(cells) - {""}))}
    return np.array([numbers.get(cell, -1) for cell in cells], dtype=np.int64)
