"""Reading back what a picture or video says of how it came to be."""

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
    """What a picture or video says; empty where it says nothing. VisagistError for what is neither."""
    if path.suffix.lower() in VIDEO_BY_SUFFIX:
        return _of_video(path)
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
    return _boxed_xmp(path) if row is not None and row.boxed else _tag(path, "XMP").encode()


def _of_video(path: Path) -> Provenance:
    try:
        return replace(read_xmp(video_xmp(path)), software=_tag(path, "comment"))
    except FileNotFoundError as error:
        raise VisagistError(f"there is no video {path}: check the path") from error


def _boxed_xmp(path: Path) -> bytes:
    """The box of XMP among the outermost boxes of an MP4; only their headers are read."""
    with open_regular(path) as file:
        end = file.seek(0, os.SEEK_END)
        place = 0
        while place + 8 <= end:
            file.seek(place)
            head = file.read(32)
            size = int.from_bytes(head[:4], "big")
            size = int.from_bytes(head[8:16], "big") if size == 1 else size or end - place
            if head[4:8] == b"uuid" and head[8:24] == XMP_BOX and 24 <= size <= _MOST:
                file.seek(place + 24)
                return file.read(size - 24)
            if size < 8:
                break
            place += size
    return b""


def _tag(path: Path, name: str) -> str:
    """A tag of the container; needs PyAV, and is empty without it."""
    try:
        av = importlib.import_module("av")
    except ImportError:
        return ""
    try:
        with open_video(path) as container:
            found = {key.lower(): value for key, value in container.metadata.items()}
    except (av.error.FFmpegError, ValueError) as error:
        raise VisagistError(f"cannot read {path} as a video: {' '.join(str(error).split())}; give a whole one") from error
    return str(found.get(name.lower(), ""))
