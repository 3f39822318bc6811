"""Read the provenance of a picture or video."""

from __future__ import annotations

import importlib
import os
from dataclasses import replace
from pathlib import Path

from visagist.boundary.untrusted import open_regular
from visagist.errors import VisagistError
from visagist.photos.content_credentials import read_credentials
from visagist.photos.formats import VIDEO_BY_SUFFIX
from visagist.photos.metadata import SOFTWARE, read_metadata
from visagist.photos.opening import open_header
from visagist.photos.photo import read_bytes
from visagist.photos.provenance import XMP_BOX, Provenance, read_xmp
from visagist.photos.video_opening import open_video

_MOST = 16 << 20


def read_provenance(path: Path) -> Provenance:
    """Read the provenance of a picture or video, empty where it has none; VisagistError for other files."""
    if path.suffix.lower() in VIDEO_BY_SUFFIX:
        return _read_video(path)
    data = read_bytes(path)
    with open_header(data, str(path)) as picture:
        metadata, _ = read_metadata(picture, data, str(path))
        try:
            software = str(picture.getexif().get(SOFTWARE, ""))
        except Exception:  # damaged EXIF raises anything; the file still says what its XMP says
            software = ""
    said = software or metadata.comment.decode(errors="replace")
    return replace(read_xmp(metadata.xmp), software=said, credentials=read_credentials(data, path.suffix))


def video_xmp(path: Path) -> bytes:
    """The XMP of a video; empty where it has none."""
    row = VIDEO_BY_SUFFIX.get(path.suffix.lower())
    return _read_boxed_xmp(path) if row is not None and row.boxed else _read_tag(path, "XMP").encode()


def _read_video(path: Path) -> Provenance:
    try:
        return replace(read_xmp(video_xmp(path)), software=_read_tag(path, "comment"))
    except FileNotFoundError as error:
        raise VisagistError(f"there is no video {path}: check the path") from error


def _read_boxed_xmp(path: Path) -> bytes:
    """The box of XMP among the outermost boxes of an MP4; only their headers are read."""
    with open_regular(path) as file:
        end = file.seek(0, os.SEEK_END)
        position = 0
        while position + 8 <= end:
            file.seek(position)
            head = file.read(32)
            size = int.from_bytes(head[:4], "big")
            size = int.from_bytes(head[8:16], "big") if size == 1 else size or end - position
            if head[4:8] == b"uuid" and head[8:24] == XMP_BOX and 24 <= size <= _MOST:
                file.seek(position + 24)
                return file.read(size - 24)
            if size < 8:
                break
            position += size
    return b""


def _read_tag(path: Path, name: str) -> str:
    """A tag of the container; needs PyAV, and is empty without it."""
    try:
        av = importlib.import_module("av")
    except ImportError:
        return ""
    try:
        with open_video(path) as container:
            tags = {key.lower(): value for key, value in container.metadata.items()}
    except (av.error.FFmpegError, ValueError) as error:
        raise VisagistError(f"cannot read {path} as a video: {' '.join(str(error).split())}; give a whole one") from error
    return str(tags.get(name.lower(), ""))
