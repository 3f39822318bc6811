"""Find the column of pictures in a parquet file, and read the file in batches that fit into memory.

The picture is the column that is asked for; else the column called `image`, if it holds bytes; else the first that does.
A column holds bytes if it is binary, or a struct {bytes, path} whose `bytes` are. Paths are never followed: they could name
any file of the reader's.

Parquet packs equal values into a few bytes, so rows are read as few at a time as their sizes in the footer allow.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from visagist.boundary.untrusted import open_regular
from visagist.errors import VisagistError, first_line

IMAGE = "image"
ROWS_AT_ONCE = 100
LARGEST_CELL = 256 << 20  # bytes
MOST_UNPACKED = 100  # times the packed size, of columns that unpack to more than `LARGEST_CELL`
BATCH_BYTES = 128 << 20
_FEW_ROWS = 10_000
_BUFFER = 1 << 20
WRITE_BYTES = "write the pictures' own bytes into it, as {bytes, path}"


@contextmanager
def open_parquet(path: Path) -> Iterator[pq.ParquetFile]:
    """A parquet file to read from, streamed; what goes wrong with it in the block is a VisagistError that names it."""
    with stream_parquet(path, lambda: open_regular(path)) as file:
        yield file


@contextmanager
def stream_parquet(
    path: object, opened: Callable[[], AbstractContextManager[BinaryIO]]
) -> Iterator[pq.ParquetFile]:
    """As `open_parquet`, of what `opened` gives; `path` is its name."""
    try:
        with opened() as source, pq.ParquetFile(
            source, buffer_size=_BUFFER, pre_buffer=False, page_checksum_verification=True
        ) as file:
            size, rows = source.seek(0, os.SEEK_END), file.metadata.num_rows
            if rows > max(_FEW_ROWS, size):
                raise VisagistError(f"{path} is damaged: it says that its {size} bytes hold {rows} rows; make it anew")
            yield file
    except (pa.ArrowException, OSError, ValueError) as error:  # also text that is none
        raise VisagistError(f"cannot read {path} as parquet: {' '.join(str(error).split())}; make it anew") from error


def image_column(schema: pa.Schema, image: str | None, path: object) -> str:
    """The column of pictures: the named one, else `image`, else the first with bytes; or VisagistError."""
    repeated = next((name for name in schema.names if schema.names.count(name) > 1), None)
    if repeated is not None:
        raise VisagistError(f"{path} has two columns {repeated!r}: rename one of them")
    holding = [field.name for field in schema if holds_bytes(field.type)]
    if image is None and holding:
        return IMAGE if IMAGE in holding else holding[0]
    if image in holding:
        return str(image)
    with_paths = [field.name for field in schema if _holds_paths(field, image)]
    if with_paths:
        raise VisagistError(f"the column {with_paths[0]!r} of {path} holds paths, not pictures: {WRITE_BYTES}")
    what = "no column of images" if image is None else f"no images in a column {image!r}"
    raise VisagistError(f"{path} has {what}: it needs a struct with bytes, as Hugging Face writes it")


def holds_bytes(kind: pa.DataType) -> bool:
    """Whether a column of this type holds the bytes of files."""
    if pa.types.is_struct(kind):
        index = kind.get_field_index("bytes")
        return index >= 0 and _is_binary(kind.field(index).type)
    return _is_binary(kind)


def picture_in(cell: Any) -> tuple[bytes | None, str]:
    """The bytes of a picture's cell, None where it has none, and the name that stands beside them, or ""."""
    data, name = (cell.get("bytes"), cell.get("path")) if isinstance(cell, dict) else (cell, None)
    return data or None, name if isinstance(name, str) else ""


def read_batches(file: pq.ParquetFile, path: object, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
    """The rows of these columns (all by default), at most `ROWS_AT_ONCE` and `BATCH_BYTES` of them at a time.

    Raises VisagistError for a column that is not there, that cannot be read or not to its end, or that unpacks to too much.
    """
    names = file.schema_arrow.names if columns is None else list(columns)
    rows, read = _rows_at_once(file.metadata, names, path), 0
    try:
        for batch in file.iter_batches(batch_size=rows, columns=None if columns is None else names):
            unread = [name for name in names if name not in batch.schema.names]
            if unread:
                raise VisagistError(f"cannot read the column {unread[0]!r} of {path} as parquet: make the file anew")
            yield batch
            read += len(batch)
    except (pa.ArrowException, OSError, ValueError) as error:
        name = names[0] if len(names) == 1 else _unreadable(file, names, rows)
        which = f"{path}" if name is None else f"the column {name!r} of {path}"
        raise VisagistError(f"cannot read {which} as parquet: {first_line(error)}; make it anew") from error
    if read != file.metadata.num_rows:
        raise VisagistError(f"{path} is damaged: {read} of {file.metadata.num_rows} rows can be read; make it anew")


def _unreadable(file: pq.ParquetFile, names: Sequence[str], rows: int) -> str | None:
    """The first column that cannot be read by itself; None where each can."""
    for name in names:
        try:
            for _ in file.iter_batches(batch_size=rows, columns=[name]):
                pass
        except (pa.ArrowException, OSError, ValueError):
            return name
    return None


def _rows_at_once(metadata: pq.FileMetaData, names: Sequence[str], path: object) -> int:
    """How many rows of these columns fit into `BATCH_BYTES`, by what the footer says of each."""
    fitting = ROWS_AT_ONCE
    for group in map(metadata.row_group, range(metadata.num_row_groups)):
        row = 1
        for chunk in map(group.column, range(group.num_columns)):
            if chunk.physical_type == "BYTE_ARRAY" and _column_of(chunk, names):
                _check_chunk(chunk, path)
                # Any row of a packed column may hold the largest value; of others, what is asked is that rows are alike.
                alike = max(1, group.num_rows)
                row += chunk.total_uncompressed_size // (1 if chunk.has_dictionary_page else alike)
        fitting = min(fitting, max(1, BATCH_BYTES // row))
    return fitting


def _check_chunk(chunk: pq.ColumnChunkMetaData, path: object) -> None:
    """Raise VisagistError where a column's part of a row group unpacks to more than pictures and texts do."""
    unpacked, packed, rows = chunk.total_uncompressed_size, max(1, chunk.total_compressed_size), max(1, chunk.num_values)
    name, limit = chunk.path_in_schema, LARGEST_CELL >> 20
    if unpacked // rows > LARGEST_CELL:
        raise VisagistError(f"{name!r} of {path} has {unpacked // rows >> 20} MiB a row, more than {limit}: leave those out")
    if unpacked > LARGEST_CELL and unpacked > MOST_UNPACKED * packed:
        raise VisagistError(
            f"{name!r} of {path} unpacks from {packed >> 10} KiB to {unpacked >> 20} MiB, more than {limit} and more than "
            f"{MOST_UNPACKED} times its size: write JPEG or PNG, or smaller row groups"
        )


def _column_of(chunk: pq.ColumnChunkMetaData, names: Sequence[str]) -> bool:
    return any(chunk.path_in_schema == name or chunk.path_in_schema.startswith(f"{name}.") for name in names)


def _holds_paths(field: pa.Field, image: str | None) -> bool:
    """Whether a column, the one that should be the picture's, names files instead."""
    if pa.types.is_struct(field.type):
        return image in (None, field.name) and field.type.get_field_index("path") >= 0
    texts = (pa.types.is_string, pa.types.is_large_string, pa.types.is_dictionary)
    return field.name == (image or IMAGE) and any(is_text(field.type) for is_text in texts)


def _is_binary(kind: pa.DataType) -> bool:
    return pa.types.is_binary(kind) or pa.types.is_large_binary(kind)
