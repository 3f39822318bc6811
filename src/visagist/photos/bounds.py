"""Limits on the pixels, frames and structure of a picture file, checked before it is decoded."""

from __future__ import annotations

import os
import re
import struct

from visagist.errors import VisagistError
from visagist.photos.formats import format_of_bytes

MAX_MEGAPIXELS = 200.0
MAX_FRAMES = 5_000  # of an animation, and pages of a TIFF
MAX_SCANS = 100  # of a JPEG, each of which goes through all its pixels; cameras write 1, progressive files about 10
MAX_SCANNED = 4_000_000_000  # pixels of all scans of a JPEG
MAX_PARTS = 10_000  # segments of a JPEG and chunks of a PNG beside those of its pixels, entries of one EXIF directory
MAX_PIXEL_CHUNKS = 500_000
MAX_DIRECTORIES = 64  # that a directory of EXIF or of a TIFF leads to
MAX_METADATA = 16 << 20  # bytes of XMP, of EXIF, of a profile
_MARKER = re.compile(rb"\xff[^\x00\xff\xd0-\xd7\x01]")
_FRAME_HEADERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
_SUB_DIRECTORIES = (0x8769, 0x8825, 0xA005, 0x014A)


def max_pixels() -> int:
    """How many pixels a photo may have: $VISAGIST_MAX_MEGAPIXELS, or 200 million."""
    text = os.environ.get("VISAGIST_MAX_MEGAPIXELS", str(MAX_MEGAPIXELS))
    try:
        limit = float(text)
    except ValueError:
        limit = float("nan")
    if not 0 < limit < 1e6:
        raise VisagistError(f"VISAGIST_MAX_MEGAPIXELS is {text!r}: give a number of megapixels, such as 200")
    return int(limit * 1e6)


def check_size(name: str, pixels: int) -> None:
    """VisagistError for more pixels than are allowed, and for none."""
    if pixels > max_pixels():
        raise VisagistError(
            f"{name} has {pixels / 1e6:,.1f} megapixels, more than {max_pixels() / 1e6:,.0f}: make it smaller, or set "
            "VISAGIST_MAX_MEGAPIXELS"
        )
    if pixels <= 0:
        raise VisagistError(f"{name} has no pixels: give another picture")


def check_frames(name: str, number: int, what: str = "frames") -> None:
    """VisagistError for more frames, or pages, than are allowed."""
    if number > MAX_FRAMES:
        raise VisagistError(f"{name} has {number:,} {what}, more than {MAX_FRAMES:,}: give a part of it")


def check_metadata(name: str, sizes: dict[str, int]) -> None:
    """VisagistError where what a file says of itself, in bytes by kind, is larger than allowed."""
    for kind, size in sizes.items():
        if size > MAX_METADATA:
            raise VisagistError(
                f"{name} has {size / 1e6:,.1f} MB of {kind}, more than {MAX_METADATA / 1e6:,.0f}: save it without metadata"
            )


def check_structure(data: bytes, name: str) -> None:
    """Raise VisagistError where a file has so many parts that reading them would take minutes or all memory.

    Damage is left to the decoder: counting ends where the structure is not understood.
    """
    row = format_of_bytes(data)
    if row is not None and row.name in _CHECKS:
        _CHECKS[row.name](data, name)


def check_exif(exif: bytes, name: str) -> None:
    """VisagistError for EXIF data whose directories are too many, lead back to themselves, or claim more than there is."""
    check_metadata(name, {"EXIF data": len(exif)})
    _check_directories(exif.removeprefix(b"Exif\0\0"), name, "its EXIF data")


def _too_many(name: str, what: str, limit: int) -> VisagistError:
    return VisagistError(f"{name} has more than {limit:,} {what}: save it anew with another program")


def _check_jpeg(data: bytes, name: str) -> None:
    position, scans, segments, pixels, exif = 2, 0, 0, 0, b""
    while marker_match := _MARKER.search(data, position):
        marker, position = marker_match[0][1], marker_match.end()
        if marker == 0xD9 or position + 2 > len(data):
            return
        if marker == 0xD8:
            continue
        scans, segments = scans + (marker == 0xDA), segments + 1
        content = data[position + 2 : position + int.from_bytes(data[position : position + 2], "big")]
        if marker in _FRAME_HEADERS and len(content) > 5:
            pixels = int.from_bytes(content[1:3], "big") * int.from_bytes(content[3:5], "big")
        if marker == 0xE1 and content.startswith(b"Exif\0\0"):
            exif += content[6 if exif else 0 :]  # as Pillow joins them
            check_exif(exif, name)
        if marker == 0xE2 and content.startswith(b"MPF\0"):
            _check_directories(content[4:], name, "its list of pictures")
        if scans > MAX_SCANS or scans * pixels > MAX_SCANNED:
            raise VisagistError(
                f"{name} has {scans} scans or more of {pixels / 1e6:,.1f} megapixels, more than {MAX_SCANS} or "
                f"{MAX_SCANNED / 1e6:,.0f} megapixels in all: save it anew as a baseline JPEG"
            )
        if segments > MAX_PARTS:
            raise _too_many(name, "segments", MAX_PARTS)
        position += 2 + len(content)


def _check_png(data: bytes, name: str) -> None:
    position, pixels, others = 8, 0, 0
    while position + 12 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, position)
        position += 12 + length
        if kind in (b"IDAT", b"fdAT", b"fcTL"):
            pixels += 1
        else:
            others += 1
        if pixels > MAX_PIXEL_CHUNKS:
            raise _too_many(name, "chunks of pixels", MAX_PIXEL_CHUNKS)
        if others > MAX_PARTS:
            raise _too_many(name, "chunks", MAX_PARTS)


def _check_gif(data: bytes, name: str) -> None:
    """Count frames; each block is a chain of parts of up to 255 bytes, which is passed over."""

    def after_table(position: int, packed: int) -> int:
        return position + (3 << (packed & 7) + 1 if packed & 0x80 else 0)

    if len(data) < 13:
        return
    position, frames, extensions = after_table(13, data[10]), 0, 0
    while position < len(data) and data[position] in (0x21, 0x2C):
        if data[position] == 0x2C:
            if position + 10 > len(data):
                return
            frames, position = frames + 1, after_table(position + 10, data[position + 9]) + 1
            check_frames(name, frames)
        else:
            extensions, position = extensions + 1, position + 2
            if extensions > 4 * MAX_PARTS:
                raise _too_many(name, "extension blocks", 4 * MAX_PARTS)
        while position < len(data) and data[position]:
            position += data[position] + 1
        position += 1


def _check_tiff(data: bytes, name: str) -> None:
    _check_directories(data, name, "it")


def _check_directories(data: bytes, name: str, where: str) -> None:
    """Walk the directories of a TIFF, or of EXIF, which has the same form.

    The values of a directory cannot be more than the file holds; where many entries share the same bytes each of them would
    become an object of its own.
    """
    order = {b"II": "<", b"MM": ">"}.get(data[:2])
    if order is None or len(data) < 8:
        return
    big = data[2:4] in (b"+\0", b"\0+")
    offset = "Q" if big else "I"
    pages, seen, children = 0, set[int](), list[int]()
    position = _read_number(data, order + offset, 8 if big else 4)
    while position and position not in seen:
        seen.add(position)
        pages += 1
        check_frames(name, pages, "pages")
        position = _check_directory(data, name, where, position, order, big, children)
    while children:
        position = children.pop()
        if position in seen:
            continue
        seen.add(position)
        if len(seen) - pages > MAX_DIRECTORIES:
            raise VisagistError(
                f"{name}: {where} has more than {MAX_DIRECTORIES} directories in directories: save it without its metadata"
            )
        _check_directory(data, name, where, position, order, big, children)


def _check_directory(data: bytes, name: str, where: str, position: int, order: str, big: bool, children: list[int]) -> int:
    """Check the directory at a place, add those that it leads to, and return where the next one is; 0 for none."""
    wide, head, size = ("Q", 8, 20) if big else ("I", 2, 12)
    entries = _read_number(data, order + ("Q" if big else "H"), position)
    entries = min(entries, max(0, len(data) - position - head) // size)
    if entries > MAX_PARTS:
        raise _too_many(name, "entries in one directory", MAX_PARTS)
    claimed = 0
    for number in range(entries):
        entry = position + head + number * size
        tag, kind, count = struct.unpack_from(f"{order}HH{wide}", data, entry)
        width = _SIZES.get(kind, 0)
        claimed += min(width * count, len(data))  # one alone that is too long is passed over by readers
        if tag in _SUB_DIRECTORIES and width in (4, 8):
            inside = entry + struct.calcsize(f"<HH{wide}")
            values = inside if width * count <= struct.calcsize(wide) else _read_number(data, order + wide, inside)
            form = order + ("Q" if width == 8 else "I")
            children += [_read_number(data, form, values + i * width) for i in range(min(count, MAX_DIRECTORIES + 1))]
    if claimed > 2 * len(data) + (1 << 16):
        raise VisagistError(
            f"{name}: {where} claims {claimed:,} bytes of values in a file of {len(data):,}: save it without its metadata"
        )
    return _read_number(data, order + wide, position + head + entries * size)


def _read_number(data: bytes, form: str, position: int) -> int:
    """A number at a place of the file; 0 past its end."""
    return int(struct.unpack_from(form, data, position)[0]) if 0 <= position <= len(data) - struct.calcsize(form) else 0


_CHECKS = {"JPEG": _check_jpeg, "PNG": _check_png, "GIF": _check_gif, "TIFF": _check_tiff}
