"""Parquet in Hugging Face's image layout: a struct {bytes, path} a picture, and one column of 0/1 an attribute.

Columns called `split` and `identity` (or `celeb_id`) are what they say; columns that hold anything but labels are left
out, and the manifest names them. Without a `split` column the split is read from each file's name
(`train-00000-of-00004.parquet`, `validation-…`, `test-…`) or its folder's (`train/0000.parquet`), and if one of them
does not say, all are drawn 80/10/10 by hash. A picture's name is `FILE.parquet#ROW`.
"""

from __future__ import annotations

import contextlib
import glob
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from visagist.data.catalogue import (
    SPLIT_NUMBERS,
    Catalogue,
    fingerprint,
    hashed_split,
    identity_column,
    split_column,
)
from visagist.data.folder import label_columns, split_by, split_keys
from visagist.errors import VisagistError
from visagist.untrusted import list_files, open_regular

_SPECIAL = ("split", "identity", "celeb_id")
_ROWS_AT_ONCE = 64


def read_parquet(path: Path) -> Catalogue:
    """The pictures of a parquet file, of a folder of them, or of a glob, in the order of split, file and row.

    Rows without every label are bad. Raises VisagistError where no file matches, where files differ in their columns,
    and where there is no column of images or of labels.
    """
    files = sorted(_files(path), key=lambda file: (SPLIT_NUMBERS.get(_split_word(file), 0), str(file)))
    image, columns = _columns(files[0])
    tables = [_labels(file, image, columns) for file in files]
    table = pa.concat_tables(tables)
    lengths = [len(part) for part in tables]
    unique = len({file.name for file in files}) == len(files)
    titles = [file.name if unique else f"{file.parent.name}/{file.name}" for file in files]
    rows = [f"{title}#{row}" for title, length in zip(titles, lengths) for row in range(length)]
    special = {name.lower(): name for name in columns if name.lower() in _SPECIAL}
    names, labels, left_out = label_columns(table, columns, list(special.values()), path)
    who = special.get("identity", special.get("celeb_id"))
    identity = None if who is None else identity_column(table[who].to_pylist())
    words = [_split_word(file) for file in files]
    if "split" in special:
        split = split_column(table[special["split"]].to_pylist(), path)
    elif all(words):
        split = np.repeat(split_column(words, path), lengths)
    else:
        split = hashed_split(split_keys(rows, identity))
    return Catalogue(
        source=f"parquet:{path.name}",
        location=str(path.absolute()),
        default_crop="square",
        files=tuple(rows),
        labels=labels,
        names=names,
        split=split,
        pictures=lambda: _pictures(files, image),
        fingerprint="".join(fingerprint(file.parent, [file.name]) for file in files),
        identity=identity,
        facts={"files": titles, "columns_left_out": left_out,
               "split_by": split_by("split" in special or all(words), identity is not None)},
    ).without_unlabelled("unlabelled: {column} is neither 0/1 nor −1/1")  # fmt: skip


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        found = [file for file in list_files(path) if file.suffix == ".parquet"]
    else:
        found = [path] if path.is_file() else [Path(name) for name in sorted(glob.glob(str(path), recursive=True))]
    if not found:
        raise VisagistError(f"no parquet file matches {path}: give a file, a folder, or a glob in quotes")
    return found


def _split_word(file: Path) -> str:
    for word in (file.name, file.parent.name):
        found = re.match(r"(train|validation|valid|val|test)(?![a-z])", word.lower())
        if found:
            return found[1]
    return ""


@contextlib.contextmanager
def _open(file: Path) -> Iterator[pq.ParquetFile]:
    """A file to read from; what goes wrong inside is a VisagistError that names it."""
    try:
        with open_regular(file) as source, pq.ParquetFile(source) as opened:
            yield opened
    except (pa.ArrowInvalid, OSError) as error:
        raise VisagistError(f"cannot read {file} as parquet: {' '.join(str(error).split())}") from error


def _columns(file: Path) -> tuple[str, list[str]]:
    """The column of pictures and all others."""
    with _open(file) as opened:
        schema = opened.schema_arrow
    image = next((field.name for field in schema if _holds_bytes(field.type)), None)
    if image is None:
        raise VisagistError(f"{file} has no column of images: it needs a struct with bytes, as Hugging Face writes it")
    return image, [name for name in schema.names if name != image]


def _holds_bytes(kind: pa.DataType) -> bool:
    if pa.types.is_struct(kind):
        return kind.get_field_index("bytes") >= 0
    return pa.types.is_binary(kind) or pa.types.is_large_binary(kind)


def _labels(file: Path, image: str, columns: Sequence[str]) -> pa.Table:
    """All columns but the pictures, as strings."""
    with _open(file) as opened:
        schema = opened.schema_arrow
        missing = [name for name in (image, *columns) if name not in schema.names]
        if missing:
            raise VisagistError(f"{file} has no column {missing[0]!r} though its neighbours have: give files of one set")
        table = opened.read(columns=list(columns))
    words = [_words(table[name]) for name in columns]
    return pa.table(dict(zip(columns, words, strict=True)))


def _words(column: pa.ChunkedArray) -> pa.ChunkedArray:
    kind = column.type
    simple = pa.types.is_boolean(kind) or pa.types.is_integer(kind) or pa.types.is_floating(kind)
    if simple or pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return column.cast(pa.string())
    return pa.chunked_array([pa.nulls(len(column), pa.string())])


def _pictures(files: Sequence[Path], image: str) -> Iterator[bytes]:
    """The bytes of every picture; empty where there are none, which then is no image."""
    for file in files:
        with _open(file) as opened:
            for batch in opened.iter_batches(batch_size=_ROWS_AT_ONCE, columns=[image]):
                for cell in batch.column(0).to_pylist():
                    yield (cell.get("bytes") if isinstance(cell, dict) else cell) or b""
