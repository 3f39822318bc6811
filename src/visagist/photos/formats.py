"""The one table of picture and video formats: how each is recognised, and what a file of it holds."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Format:
    """A picture format.

    name       what Pillow calls it
    title      what people call it
    suffixes   of its files; the first is given to a file without one
    magic      a pattern that the first bytes of its files match
    writable   whether edited pictures are written in it: it can say what was done to them
    lossy      whether it usually loses something
    frames     whether it holds an animation
    depths     bits a channel that are written, or read where it is read only
    grey       whether grey pixels stay one channel
    alpha      whether it holds transparency
    profile    whether it holds a colour profile
    quality    at which a lossy file is written, 0 to 100; None where there is nothing to choose
    """

    name: str
    title: str
    suffixes: tuple[str, ...]
    mime: str
    magic: bytes
    writable: bool = True
    lossy: bool = False
    frames: bool = False
    depths: tuple[int, ...] = (8,)
    grey: bool = True
    alpha: bool = True
    profile: bool = True
    quality: int | None = None

    def matches(self, data: bytes) -> bool:
        """Whether these bytes begin as a file of this format does."""
        return re.match(self.magic, data[:32], re.DOTALL) is not None


@dataclass(frozen=True)
class VideoFormat:
    """A video container.

    demuxer, muxer   FFmpeg's names of what reads and writes it; one without muxer is read only
    codec            of the pictures that are written
    boxed            whether XMP stands in a box of its own, not in a tag
    """

    suffixes: tuple[str, ...]
    mime: str
    magic: bytes
    demuxer: str
    muxer: str | None = None
    codec: str = "libx264"
    boxed: bool = False

    def matches(self, data: bytes) -> bool:
        """Whether these bytes begin as a file of this format does."""
        return re.match(self.magic, data[:32], re.DOTALL) is not None


# In the order in which they are tried: AVIF and HEIC share brands, and the reader of AVIF is always there.
READABLE = (
    Format("JPEG", "JPEG", (".jpg", ".jpeg", ".jfif"), "image/jpeg", rb"\xff\xd8\xff", lossy=True, alpha=False, quality=95),
    Format("PNG", "PNG", (".png",), "image/png", rb"\x89PNG\r\n\x1a\n", frames=True, depths=(8, 16)),
    Format("WEBP", "WebP", (".webp",), "image/webp", rb"RIFF....WEBP", frames=True, grey=False, quality=95),
    Format("TIFF", "TIFF", (".tif", ".tiff"), "image/tiff", rb"II[*+]\0|MM\0[*+]", depths=(8, 16)),
    Format("GIF", "GIF", (".gif",), "image/gif", rb"GIF8[79]a", frames=True, profile=False),
    Format("BMP", "BMP", (".bmp",), "image/bmp", rb"BM", writable=False),
    Format(
        "AVIF", "AVIF", (".avif",), "image/avif", rb"....ftyp(avif|avis)", lossy=True, frames=True, grey=False, quality=90
    ),
    Format(
        "JPEG2000", "JPEG 2000", (".jp2", ".j2k", ".jpx", ".jpf"), "image/jp2", rb"\xff\x4f\xff\x51|\0\0\0\x0cjP  ",
        writable=False, lossy=True, depths=(8, 16),
    ),
    Format(
        "HEIF", "HEIC", (".heic", ".heif", ".hif"), "image/heic", rb"....ftyp(hei[cmsx]|hev[cx]|mif1|msf1)", lossy=True,
        grey=False, quality=90,
    ),
)  # fmt: skip
_MOVIE = rb"....(ftyp|moov|mdat|wide|free|skip|pnot)"
VIDEOS = (
    VideoFormat((".mp4", ".m4v"), "video/mp4", _MOVIE, "mov", "mp4", boxed=True),
    VideoFormat((".mov",), "video/quicktime", _MOVIE, "mov", "mov", boxed=True),
    VideoFormat((".mkv",), "video/matroska", rb"\x1a\x45\xdf\xa3", "matroska", "matroska"),
    VideoFormat((".webm",), "video/webm", rb"\x1a\x45\xdf\xa3", "matroska", "webm", "libvpx-vp9"),
    VideoFormat((".avi",), "video/x-msvideo", rb"RIFF....AVI ", "avi"),
)

BY_NAME = {row.name: row for row in READABLE}
BY_SUFFIX = {suffix: row for row in READABLE for suffix in row.suffixes}
WRITABLE = {suffix: row for suffix, row in BY_SUFFIX.items() if row.writable}
PICTURES = tuple(BY_SUFFIX)
TITLES = ", ".join(row.title for row in READABLE[:-1]) + f" or {READABLE[-1].title}"
VIDEO_BY_SUFFIX = {suffix: row for row in VIDEOS for suffix in row.suffixes}
WRITABLE_VIDEOS = {suffix: row for suffix, row in VIDEO_BY_SUFFIX.items() if row.muxer is not None}
VIDEO_SUFFIXES = tuple(VIDEO_BY_SUFFIX)


def format_of_bytes(data: bytes) -> Format | None:
    """The picture format that the first bytes say, whatever the file is called; None for another file."""
    return next((row for row in READABLE if row.matches(data)), None)


def video_format_of_bytes(data: bytes) -> VideoFormat | None:
    """The first container that begins so; MP4 and MOV, and Matroska and WebM, begin alike."""
    return next((row for row in VIDEOS if row.matches(data)), None)


def output_suffix(suffix: str) -> str:
    """The suffix of what comes of a file with this one: its own or, where its format is read only, .png or .mp4."""
    known = suffix.lower()
    if known in VIDEO_BY_SUFFIX and known not in WRITABLE_VIDEOS:
        return ".mp4"
    return ".png" if not suffix or (known in BY_SUFFIX and known not in WRITABLE) else suffix
