"""Parquet in Hugging Face's image layout: a struct {bytes, path} a picture, and one column of 0/1 an attribute.

`columns.py` says which column is the picture. The path beside its bytes is a name, and is never opened.

Columns called `split` and `identity` (or `celeb_id`) are what they say; columns that hold anything but labels are left
out, and the manifest names them. Without a `split` column the split is read from each file's name
(`train-00000-of-00004.parquet`, `validation-…`, `test-…`) or its folder's (`train/0000.parquet`), and if one of them
does not say, all are drawn 80/10/10 by hash. A picture's name is `FILE.parquet#ROW`.
"""

from __future__ import annotations

import glob
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from visagist.boundary.untrusted import list_files
from visagist.data.catalogue import (
    SPLIT_NUMBERS,
    Catalogue,
    fingerprint,
    identity_column,
    split_by_hash,
    split_column,
)
from visagist.data.columns import WRITE_BYTES, holds_bytes, image_column, open_parquet, picture_in, read_batches
from visagist.data.folder import describe_split, label_columns, split_keys
from visagist.errors import VisagistError

_SPECIAL = ("split", "identity", "celeb_id")
LONGEST_WORD = 1000  # bytes; what is longer is a caption


def read_parquet(path: Path) -> Catalogue:
    """The pictures of a parquet file, of a folder of them, or of a glob, in the order of split, file and row.

    Rows without every label are bad. Raises VisagistError where no file matches, where files differ in their columns,
    and where there is no column of images or of labels.
    """
    files = sorted(_list_files(path), key=lambda file: (SPLIT_NUMBERS.get(_read_split_word(file), 0), str(file)))
    image, columns = _read_columns(files[0])
    tables = [_read_labels(file, image, columns) for file in files]
    table = pa.concat_tables(tables)
    lengths = [len(part) for part in tables]
    unique = len({file.name for file in files}) == len(files)
    titles = [file.name if unique else f"{file.parent.name}/{file.name}" for file in files]
    rows = [f"{title}#{row}" for title, length in zip(titles, lengths) for row in range(length)]
    special = {name.lower(): name for name in columns if name.lower() in _SPECIAL}
    names, labels, left_out = label_columns(table, columns, list(special.values()), path)
    who = special.get("identity", special.get("celeb_id"))
    identity = None if who is None else identity_column(table[who].to_pylist())
    words = [_read_split_word(file) for file in files]
    if "split" in special:
        split = split_column(table[special["split"]].to_pylist(), path)
    elif all(words):
        split = np.repeat(split_column(words, path), lengths)
    else:
        split = split_by_hash(split_keys(rows, identity))
    return Catalogue(
        source=f"parquet:{path.name}",
        location=str(path.absolute()),
        default_crop="square",
        files=tuple(rows),
        labels=labels,
        names=names,
        split=split,
        pictures=lambda: _read_pictures(files, image),
        fingerprint="".join(fingerprint(file.parent, [file.name]) for file in files),
        identity=identity,
        facts={"files": titles, "columns_left_out": left_out,
               "split_by": describe_split("split" in special or all(words), identity is not None)},
    ).without_unlabelled("unlabelled: {column} is neither 0/1 nor −1/1")  # fmt: skip


def _list_files(path: Path) -> list[Path]:
    if path.is_dir():
        files_found = [file for file in list_files(path) if file.suffix == ".parquet"]
    else:
        files_found = [path] if path.is_file() else [Path(name) for name in sorted(glob.glob(str(path), recursive=True))]
    if not files_found:
        raise VisagistError(f"no parquet file matches {path}: give a file, a folder, or a glob in quotes")
    return files_found


def _read_split_word(file: Path) -> str:
    for word in (file.name, file.parent.name):
        files_found = re.match(r"(train|validation|valid|val|test)(?![a-z])", word.lower())
        if files_found:
            return files_found[1]
    return ""


def _read_columns(file: Path) -> tuple[str, list[str]]:
    """The column of pictures and all others."""
    with open_parquet(file) as opened:
        schema = opened.schema_arrow
    image = image_column(schema, None, file)
    return image, [name for name in schema.names if name != image]


def _read_labels(file: Path, image: str, columns: Sequence[str]) -> pa.Table:
    """All columns but the pictures, as strings; those that hold neither numbers nor texts are not read."""
    with open_parquet(file) as opened:
        schema = opened.schema_arrow
        missing = [name for name in (image, *columns) if name not in schema.names]
        if missing:
            raise VisagistError(f"{file} has no column {missing[0]!r} though its neighbours have: give files of one set")
        if not holds_bytes(schema.field(image).type):
            image_column(schema, image, file)
        words = [_read_words(opened, file, name) for name in columns]
    return pa.table(dict(zip(columns, words, strict=True)))


def _read_words(opened: pq.ParquetFile, file: Path, name: str) -> pa.ChunkedArray:
    """A column as strings; null where it holds what is no label, a split or an identity: lists, dates, long texts."""
    kind = opened.schema_arrow.field(name).type
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    simple = pa.types.is_boolean(kind) or pa.types.is_integer(kind) or pa.types.is_floating(kind)
    if not (simple or pa.types.is_string(kind) or pa.types.is_large_string(kind)):
        return pa.chunked_array([pa.nulls(opened.metadata.num_rows, pa.string())])
    chunks = []
    for batch in read_batches(opened, file, [name]):
        texts = batch.column(0).cast(kind).cast(pa.string())
        too_long = pc.greater(pc.binary_length(texts), LONGEST_WORD)
        if name.lower() in _SPECIAL and pc.any(too_long).as_py():
            raise VisagistError(f"{name!r} of {file} holds texts of more than {LONGEST_WORD} bytes: shorten them")
        # Taken, and not masked: what is masked would stay in memory.
        chunks.append(texts.take(pc.if_else(too_long, None, pa.array(range(len(texts)), pa.int32()))))
    return pa.chunked_array(chunks, pa.string())


def _read_pictures(files: Sequence[Path], image: str) -> Iterator[bytes]:
    """The bytes of every picture; empty where there are none, which then is no image."""
    for file in files:
        pictures = paths = 0
        with open_parquet(file) as opened:
            for batch in read_batches(opened, file, [image]):
                for cell in batch.column(0):
                    data, name = picture_in(cell.as_py())
                    pictures, paths = pictures + (data is not None), paths + bool(name)
                    yield data or b""
        if paths and not pictures:
            raise VisagistError(f"the column {image!r} of {file} holds paths, not pictures: {WRITE_BYTES}")
