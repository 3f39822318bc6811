"""Read the metadata of a photograph, and keep what is still true once the pixels have changed."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from PIL import ExifTags, Image, JpegImagePlugin

from visagist.photos.bounds import check_metadata
from visagist.photos.opening import load_whole

ORIENTATION, SOFTWARE = 0x0112, 0x0131
_PIXEL_X, _PIXEL_Y = 0xA002, 0xA003
_GROUPS = (ExifTags.IFD.Exif, ExifTags.IFD.GPSInfo)
# Tags of a TIFF's first directory that say how its pixels lie, or hold what is kept elsewhere (XMP, ICC).
_LAYOUT = frozenset(
    (254, 255, 256, 257, 258, 259, 262, 263, 264, 265, 266, 273, 277, 278, 279, 280, 281, 284, 288, 289, 290, 291, 292,
     293, 301, 317, 318, 319, 320, 321, 322, 323, 324, 325, 330, 332, 333, 334, 336, 337, 338, 339, 340, 341, 342, 347,
     512, 513, 514, 515, 517, 518, 519, 520, 521, 529, 530, 531, 532, 700, 34675, 37724)
)  # fmt: skip
# Of a PNG: what holds for any pixels. Not kept: bKGD, hIST, sBIT and tRNS (of the former form), tIME (of the
# former change), caBX (a signature on it).
_KEPT_CHUNKS = (b"cHRM", b"gAMA", b"sRGB", b"cICP", b"pHYs", b"oFFs", b"sTER", b"tEXt", b"zTXt", b"iTXt")
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_XMP_CHUNK = b"XML:com.adobe.xmp\0"
_MOST_IN_SEGMENT = 65533
_GIF_XMP = b"\x21\xff\x0bXMP DataXMP"
_GIF_TRAILER = b"\x01" + bytes(range(255, -1, -1)) + b"\0"  # readers that count in blocks get past XMP by it


@dataclass(frozen=True)
class Metadata:
    """What is kept of the file; empty where it has nothing, or where it is to be stripped.

    segments   JPEG: application segments other than EXIF, XMP, ICC, JFIF and Adobe's, as they were
    chunks     PNG: ancillary chunks, as they were
    """

    exif: bytes = b""
    xmp: bytes = b""
    icc: bytes | None = None
    comment: bytes = b""
    dpi: tuple[float, float] | None = None
    segments: bytes = b""
    chunks: tuple[tuple[bytes, bytes], ...] = ()


def read_metadata(picture: Image.Image, data: bytes, name: str) -> tuple[Metadata, list[str]]:
    """What the opened file says, and what of it could not be read; VisagistError where it is far too large."""
    if data and picture.format == "PNG":
        load_whole(picture, name)  # some of it may stand after the pixels
    info, notes = picture.info, []
    xmp, comment, icc = info.get("xmp") or _read_gif_xmp(data), info.get("comment") or b"", info.get("icc_profile") or None
    check_metadata(name, {"XMP": len(xmp), "colour profile": len(icc or b""), "comment": len(comment)})
    try:
        exif = _clean_exif(picture.getexif())
    except Exception as error:  # damaged EXIF raises anything from struct.error to TypeError
        exif, notes = b"", [f"its EXIF data are damaged and left out ({type(error).__name__})"]
    return Metadata(
        exif=exif,
        xmp=xmp.encode() if isinstance(xmp, str) else bytes(xmp),
        icc=icc,
        comment=comment.encode() if isinstance(comment, str) else bytes(comment),
        dpi=_read_dpi(info.get("dpi")),
        segments=_kept_segments(getattr(picture, "applist", [])),
        chunks=tuple(c for c in png_chunks(data) if c[0] in _KEPT_CHUNKS and not c[1].startswith(_XMP_CHUNK)),
    ), notes


def read_coding(picture: Image.Image, data: bytes, kind: str) -> dict[str, Any]:
    """How the file was coded, in the words of Pillow's writers."""
    if kind == "JPEG":
        tables = getattr(picture, "quantization", None)
        sampling = JpegImagePlugin.get_sampling(picture) if picture.mode != "L" else 0
        progressive = bool(picture.info.get("progressive"))
        return {"qtables": tables, "subsampling": max(sampling, 0), "progressive": progressive}
    if kind == "WEBP":
        return {"lossless": b"VP8L" in data[12:64] or _riff_has(data, b"VP8L")}
    return {"compression": picture.info.get("compression")} if kind == "TIFF" else {}


def _riff_has(data: bytes, kind: bytes) -> bool:
    """Whether a chunk of this kind is in a RIFF file, or in its first animation frame."""
    position = 12
    while position + 8 <= len(data):
        here, size = data[position : position + 4], int.from_bytes(data[position + 4 : position + 8], "little")
        if here == kind or (here == b"ANMF" and kind in data[position + 24 : position + 24 + 64]):
            return True
        position += 8 + size + size % 2
    return False


def read_orientation(picture: Image.Image) -> int:
    """How the pixels lie, 1 to 8 as in EXIF; 1 where the file does not say."""
    try:
        value = picture.getexif().get(ORIENTATION, 1)
    except Exception:  # as above: a photo with damaged EXIF is still a photo
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def make_exif(exif: bytes, note: str, width: int, height: int) -> Image.Exif:
    """EXIF data for upright pixels of this size that a program, `note`, has written; the old thumbnail is not in it."""
    fresh = Image.Exif()
    if exif:
        fresh.load(exif)
    if ORIENTATION in fresh:
        fresh[ORIENTATION] = 1
    inner = fresh.get_ifd(ExifTags.IFD.Exif) if ExifTags.IFD.Exif in fresh else {}
    for tag, size in ((_PIXEL_X, width), (_PIXEL_Y, height)):
        if tag in inner:
            inner[tag] = size
    fresh[SOFTWARE] = note
    return fresh


def _clean_exif(exif: Image.Exif) -> bytes:
    """The data without what describes the layout of pixels, checked to be writable."""
    if not len(exif):
        return b""
    for group in _GROUPS:
        if group in exif:
            exif.get_ifd(group)
    fresh = Image.Exif()
    fresh.load(exif.tobytes())
    for tag in [tag for tag in fresh if tag in _LAYOUT and tag != ORIENTATION]:
        del fresh[tag]
    return fresh.tobytes() if len(fresh) else b""


def has_groups(exif: Image.Exif) -> bool:
    """Whether the data have directories of their own, for the camera's settings or the place."""
    return any(group in exif and len(exif.get_ifd(group)) for group in _GROUPS)


def _read_dpi(value: Any) -> tuple[float, float] | None:
    try:
        x, y = (float(v) for v in value)
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    # (1, 1) is what Pillow says of a TIFF that names no unit.
    return (x, y) if 1 < x < 65536 and 1 < y < 65536 else None


def _kept_segments(applications: list[tuple[str, bytes]]) -> bytes:
    """Left out: what Pillow writes itself, pointers into the old file (MPF), and signatures on it (APP11)."""
    kept = b""
    for name, content in applications:
        known = (
            name in ("APP0", "APP11", "APP14", "COM")
            or (name == "APP1" and content.startswith((b"Exif\0\0", b"http://ns.adobe.com/xap/1.0/\0")))
            or (name == "APP2" and content.startswith((b"ICC_PROFILE\0", b"MPF\0")))
        )
        if not known and len(content) <= _MOST_IN_SEGMENT:
            kept += struct.pack(">BBH", 0xFF, 0xE0 + int(name.removeprefix("APP")), len(content) + 2) + content
    return kept


def _read_gif_xmp(data: bytes) -> bytes:
    """The XMP of a GIF, which Pillow does not read."""
    start = data.find(_GIF_XMP) + len(_GIF_XMP) if data.startswith(b"GIF8") and _GIF_XMP in data else 0
    end = data.find(_GIF_TRAILER[:8], start)
    return data[start:end] if start and end > 0 else b""


def insert_gif_xmp(data: bytes, xmp: bytes) -> bytes:
    """A GIF with XMP in an application block after its first colour table."""
    after = 13 + (3 << ((data[10] & 7) + 1) if data[10] & 0x80 else 0)
    return data[:after] + _GIF_XMP + xmp + _GIF_TRAILER + data[after:]


def png_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The chunks of a PNG up to its end or to what is no chunk; of another file, none."""
    position = len(_SIGNATURE)
    while data.startswith(_SIGNATURE) and position + 12 <= len(data):
        length, kind = struct.unpack(">I4s", data[position : position + 8])
        end = position + 8 + length
        if end + 4 > len(data):
            return
        yield kind, data[position + 8 : end]
        position = end + 4


def insert_png_chunks(data: bytes, more: list[tuple[bytes, bytes]]) -> bytes:
    """A PNG with these chunks after its header; those that it has of a kind that may be there once are not doubled."""
    there = {kind for kind, _ in png_chunks(data)}
    several = (b"tEXt", b"zTXt", b"iTXt")
    inserted = b"".join(_make_chunk(kind, content) for kind, content in more if kind in several or kind not in there)
    after = len(_SIGNATURE) + 12 + 13  # the header chunk
    return data[:after] + inserted + data[after:]


def xmp_chunk(xmp: bytes) -> tuple[bytes, bytes]:
    """The chunk of a PNG that holds XMP: international text, not compressed, without language."""
    return b"iTXt", _XMP_CHUNK + b"\0\0\0\0" + xmp


def icc_chunk(icc: bytes) -> tuple[bytes, bytes]:
    """The chunk of a PNG that holds a profile."""
    return b"iCCP", b"ICC Profile\0\0" + zlib.compress(icc)


def _make_chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
