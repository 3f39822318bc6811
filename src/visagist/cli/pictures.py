"""Pictures that a command writes: whole or not at all, and each with a note of what made it."""

from __future__ import annotations

import importlib
import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from visagist.errors import VisagistError, nearest
from visagist.files import write_file

if TYPE_CHECKING:
    from PIL import Image

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")
ANIMATIONS = (".gif", ".mp4")
SOFTWARE_TAG = 0x0131  # of EXIF


def check_place(out: Path, inputs: Sequence[Path], suffixes: Sequence[str] = SUFFIXES) -> None:
    """VisagistError where one picture could not be written to `out`, or would go over one of the inputs."""
    if out.suffix.lower() not in suffixes:
        raise VisagistError(f"--out {out} is no picture's name: {nearest(out.suffix.lower(), suffixes)}")
    if out.is_dir():
        raise VisagistError(f"--out {out} is a folder: name a picture in it, such as {out / ('out' + suffixes[0])}")
    if out.resolve() in {path.resolve() for path in inputs}:
        raise VisagistError(f"{out} is one of the pictures that are read and would be lost: choose another --out")
    if out.suffix.lower() == ".mp4":
        _video()


def write_picture(picture: Image.Image, path: Path, note: str) -> None:
    """Write a picture whole or not at all; the file says of itself that it is edited or generated."""
    write_file(path, encoded(picture, path.suffix, note))


def encoded(picture: Image.Image, suffix: str, note: str) -> bytes:
    """A picture as the bytes of a file with this suffix, with the note in its EXIF data.

    VisagistError where the format cannot hold it: WebP ends at 16383 pixels a side, JPEG at 65500.
    """
    from PIL import Image

    exif, buffer = Image.Exif(), io.BytesIO()
    exif[SOFTWARE_TAG] = note
    options: dict[str, Any] = {"quality": 95} if suffix.lower() in (".jpg", ".jpeg", ".webp") else {}
    try:
        picture.save(buffer, Image.registered_extensions()[suffix.lower()], exif=exif, **options)
    except (OSError, ValueError) as error:
        size = f"{picture.width}×{picture.height}"
        raise VisagistError(f"{suffix} cannot hold a picture of {size} pixels ({error}): write .png, or less") from error
    return buffer.getvalue()


def write_animation(frames: Sequence[Image.Image], path: Path, note: str, rate: float) -> None:
    """Write frames of one even size as a GIF that runs for ever, or as an MP4; `rate` is in frames a second.

    The note is the file's comment. VisagistError where an MP4 is asked for and PyAV is not installed.
    """
    write_file(path, _mp4(frames, note, rate) if path.suffix.lower() == ".mp4" else _gif(frames, note, rate))


def _gif(frames: Sequence[Image.Image], note: str, rate: float) -> bytes:
    buffer = io.BytesIO()
    frames[0].save(
        buffer, "GIF", save_all=True, append_images=frames[1:], loop=0, duration=round(1000 / rate), comment=note.encode()
    )  # fmt: skip
    return buffer.getvalue()


def _mp4(frames: Sequence[Image.Image], note: str, rate: float) -> bytes:
    from fractions import Fraction

    av, buffer = _video(), io.BytesIO()
    with av.open(buffer, "w", format="mp4") as container:
        container.metadata["comment"] = note
        stream = container.add_stream("libx264", rate=Fraction(rate).limit_denominator(1000), options={"crf": "16"})
        stream.width, stream.height, stream.pix_fmt = *frames[0].size, "yuv420p"  # what every player reads
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_image(frame)))
        container.mux(stream.encode())
    return buffer.getvalue()


def _video() -> Any:
    """PyAV; VisagistError where it is not installed."""
    try:
        return importlib.import_module("av")
    except ImportError as error:
        raise VisagistError(
            "PyAV, which writes .mp4, is not installed: pip install visagist[video], or write .gif"
        ) from error
