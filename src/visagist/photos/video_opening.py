"""Open a video with FFmpeg as the container that its bytes declare, so that it can name no other file."""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from visagist.boundary.untrusted import open_regular
from visagist.errors import VisagistError
from visagist.photos.bounds import check_size, max_pixels
from visagist.photos.formats import video_format_of_bytes

MAX_VIDEO_FRAMES = 1_000_000  # four hours and a half at sixty frames a second
MAX_STREAMS = 32
_TITLES = "MP4, M4V, MOV, MKV, WebM or AVI"


def pyav() -> Any:
    """PyAV; VisagistError where it is not installed."""
    try:
        return importlib.import_module("av")
    except ImportError as error:
        raise VisagistError("PyAV, which reads and writes videos, is not installed: pip install visagist[video]") from error


@contextmanager
def open_video(path: Path) -> Iterator[Any]:
    """PyAV's container of a video's file, read by the demuxer that its first bytes ask for.

    Left to choose by itself FFmpeg takes playlists, lists of files and subtitles as videos, whatever they are called, and
    opens what they name. VisagistError for what is no video in a container, and for frames that are too large or too many;
    FFmpeg's own errors are left to the caller.
    """
    with ExitStack() as stack:
        try:
            file = stack.enter_context(open_regular(path))
        except FileNotFoundError as error:
            raise VisagistError(f"there is no video {path}: check the path") from error
        except OSError as error:
            raise VisagistError(f"cannot read {path}: {error.strerror or error}; check the path and its rights") from error
        row = video_format_of_bytes(file.read(32))
        file.seek(0)
        if row is None:
            raise VisagistError(f"{path} is no video that can be read: give {_TITLES}")
        largest = {"max_pixels": str(max_pixels())}  # of FFmpeg's decoders, before they take memory for a frame
        options = {"protocol_whitelist": "file", "max_streams": str(MAX_STREAMS)}
        with pyav().open(file, format=row.demuxer, options=options | largest) as container:
            check_codecs(str(path), container.streams.video)
            for stream in container.streams.video:
                stream.codec_context.options = largest
                check_size(str(path), max(1, stream.codec_context.width * stream.codec_context.height))
                check_frame_count(str(path), stream.frames)
            yield container


def check_codecs(name: str, streams: Iterable[Any]) -> None:
    """VisagistError where a stream says no codec that FFmpeg knows: PyAV has no context for it."""
    for stream in streams:
        if stream.codec_context is None:
            raise VisagistError(f"{name}: the codec of stream {stream.index} ({stream.type}) is unknown: give another video")


def check_frame_count(name: str, number: int) -> None:
    """VisagistError for more frames than a video may have."""
    if number > MAX_VIDEO_FRAMES:
        raise VisagistError(f"{name} has {number:,} frames, more than {MAX_VIDEO_FRAMES:,}: cut it into parts")
