"""Photographs as they come from broken disks, bad transfers and ill will: mutations of the small seeds, by number."""

from __future__ import annotations

import struct
import zlib
from functools import cache

import numpy as np
from photo_seeds import seeds

HUGE = (0xFFFF, 0x7FFF, 0xFFFFFFFF, 0x7FFFFFFF, 0x10000, 0)


def mutated(number: int) -> tuple[str, bytes]:
    """The name and the bytes of a mutation; a function of its number."""
    draw = np.random.default_rng([number, 5])
    names = list(seeds())
    name = names[number % len(names)]
    data = bytearray(seeds()[name][0])
    kinds = (_cut, _flip, _overwrite, _huge_header, _removed, _doubled, _spliced, _bomb)
    kind = kinds[int(draw.integers(len(kinds)))]
    return f"{number}: {name}, {kind.__name__.strip('_')}", bytes(kind(data, draw))


def _cut(data: bytearray, draw: np.random.Generator) -> bytearray:
    return data[: int(draw.integers(0, len(data)))]


def _flip(data: bytearray, draw: np.random.Generator) -> bytearray:
    for place in draw.integers(0, len(data), int(draw.integers(1, 40))):
        data[place] ^= 1 << int(draw.integers(8))
    return data


def _overwrite(data: bytearray, draw: np.random.Generator) -> bytearray:
    start, length = int(draw.integers(len(data))), int(draw.integers(1, 200))
    fill = (b"\0" * length, b"\xff" * length, draw.bytes(length))[int(draw.integers(3))]
    data[start : start + length] = fill
    return data


def _huge_header(data: bytearray, draw: np.random.Generator) -> bytearray:
    """A size, an offset or a count near the beginning that is far too large."""
    for _ in range(int(draw.integers(1, 4))):
        value = HUGE[int(draw.integers(len(HUGE)))]
        order = "><"[int(draw.integers(2))]
        content = struct.pack(order + ("H" if value <= 0xFFFF else "I"), value)
        start = int(draw.integers(0, min(len(data), 256)))
        data[start : start + len(content)] = content
    return _checked(data)


def _removed(data: bytearray, draw: np.random.Generator) -> bytearray:
    start = int(draw.integers(len(data)))
    del data[start : start + int(draw.integers(1, 64))]
    return data


def _doubled(data: bytearray, draw: np.random.Generator) -> bytearray:
    start = int(draw.integers(len(data)))
    part = data[start : start + int(draw.integers(1, 256))]
    return data[:start] + part * int(draw.integers(2, 20)) + data[start:]


def _spliced(data: bytearray, draw: np.random.Generator) -> bytearray:
    """The beginning of one file and the end of another."""
    every = list(seeds().values())
    other = every[int(draw.integers(len(every)))][0]
    return data[: int(draw.integers(len(data)))] + bytearray(other[int(draw.integers(len(other))) :])


def _bomb(data: bytearray, draw: np.random.Generator) -> bytearray:
    """A PNG of some bytes that says it is vast, and whose data are vast too when unpacked."""
    side = int(draw.choice([3000, 12000, 60000, 0x7FFFFFFF]))
    header = struct.pack(">IIBBBBB", side, side, int(draw.choice([1, 8, 16])), int(draw.choice([0, 2, 6])), 0, 0, 0)
    rows = _packed_zeros(4_000_000)
    text = b"Comment\0\0" + _packed_zeros(80_000_000 if draw.integers(20) == 0 else 1000)
    chunks = [(b"IHDR", header), (b"zTXt", text), (b"IDAT", rows), (b"IEND", b"")]
    return bytearray(b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, content) for kind, content in chunks))


@cache
def _packed_zeros(number: int) -> bytes:
    return zlib.compress(bytes(number), 9)


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def _checked(data: bytearray) -> bytearray:
    """A PNG whose header has the right sum again, so that it is believed."""
    if data.startswith(b"\x89PNG") and len(data) > 33:
        data[29:33] = struct.pack(">I", zlib.crc32(bytes(data[12:29])))
    return data
