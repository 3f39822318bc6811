"""Messages between the server and its workers: JSON with blobs behind it, over a socket. Neither side unpickles anything."""

from __future__ import annotations

import json
import struct
from asyncio import StreamReader
from collections.abc import Mapping, Sequence
from typing import Any, BinaryIO, NamedTuple

_LENGTHS = struct.Struct(">II")  # bytes of the JSON text, number of blobs
_BLOB = struct.Struct(">Q")


class Message(NamedTuple):
    """One message: what JSON can hold, and bytes."""

    head: dict[str, Any]
    blobs: tuple[bytes, ...] = ()


def pack(head: Mapping[str, Any], blobs: Sequence[bytes] = ()) -> list[bytes]:
    """A message as pieces to be sent in order."""
    text = json.dumps(head, separators=(",", ":")).encode()
    sizes = b"".join(_BLOB.pack(len(blob)) for blob in blobs)
    return [_LENGTHS.pack(len(text), len(blobs)) + sizes + text, *blobs]


async def read_async(reader: StreamReader) -> Message:
    """The next message; asyncio.IncompleteReadError where the other side has gone."""
    length, count = _LENGTHS.unpack(await reader.readexactly(_LENGTHS.size))
    sizes = struct.unpack(f">{count}Q", await reader.readexactly(_BLOB.size * count))
    head = json.loads(await reader.readexactly(length))
    return Message(head, tuple([await reader.readexactly(size) for size in sizes]))


def read(file: BinaryIO) -> Message | None:
    """The next message; None where the other side has gone."""
    start = _exactly(file, _LENGTHS.size)
    if start is None:
        return None
    length, count = _LENGTHS.unpack(start)
    sizes = _exactly(file, _BLOB.size * count)
    text = _exactly(file, length)
    if sizes is None or text is None:
        return None
    blobs = [_exactly(file, size) for size in struct.unpack(f">{count}Q", sizes)]
    whole = [blob for blob in blobs if blob is not None]
    return Message(json.loads(text), tuple(whole)) if len(whole) == count else None


def _exactly(file: BinaryIO, size: int) -> bytes | None:
    data = file.read(size)
    return data if len(data) == size else None
