"""Pictures that a command writes: whole or not at all, and each with a statement of what made it."""

from __future__ import annotations

import importlib
import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from visagist.boundary.ownership import refuse_foreign, refuse_inputs
from visagist.errors import VisagistError, nearest
from visagist.files import write_file
from visagist.photos.formats import WRITABLE
from visagist.photos.provenance import Step

if TYPE_CHECKING:
    from PIL import Image

ANIMATIONS = (".gif", ".mp4")
SUFFIXES = (".png", *(suffix for suffix in WRITABLE if suffix not in (".png", *ANIMATIONS)))


OVERWRITE = typer.Option("--overwrite", help="Replace the file that --out names.")
REMEDY = "choose another --out, or add --overwrite"


def check_output_path(
    out: Path, inputs: Sequence[Path], suffixes: Sequence[str] = SUFFIXES, *, overwrite: bool = False
) -> None:
    """VisagistError where one picture could not be written to `out`, or would go over one of the inputs.

    Without `overwrite` it may not go over a file that is not visagist's either.
    """
    if out.suffix.lower() not in suffixes:
        raise VisagistError(f"--out {out} is no picture's name: {nearest(out.suffix.lower(), suffixes)}")
    if out.is_dir():
        raise VisagistError(f"--out {out} is a folder: name a picture in it, such as {out / ('out' + suffixes[0])}")
    refuse_inputs([out], inputs)
    if not overwrite:
        refuse_foreign(out, REMEDY)
    if out.suffix.lower() == ".mp4":
        _video()


def write_animation(frames: Sequence[Image.Image], path: Path, step: Step, rate: float) -> None:
    """Write frames of one even size as a GIF that runs for ever, or as an MP4; `rate` is in frames a second.

    The file says what the step was, in its comment too. VisagistError where an MP4 is asked for and PyAV is not installed.
    """
    write_file(path, _mp4(frames, step, rate) if path.suffix.lower() == ".mp4" else _gif(frames, step, rate), REMEDY)


def _gif(frames: Sequence[Image.Image], step: Step, rate: float) -> bytes:
    import numpy as np

    from visagist.photos.colour import ColourSpace
    from visagist.photos.encode import encode_photo
    from visagist.photos.metadata import Metadata
    from visagist.photos.photo import PhotoFile

    pixels = tuple(np.array(frame.convert("RGB")) for frame in frames)
    durations = (1000 / rate,) * len(frames)
    return encode_photo(PhotoFile("", "", pixels, ColourSpace(), Metadata(), durations, 0), ".gif", step).data


def _mp4(frames: Sequence[Image.Image], step: Step, rate: float) -> bytes:
    from fractions import Fraction

    from visagist.photos.provenance import add_step, video_box

    av, buffer = _video(), io.BytesIO()
    with av.open(buffer, "w", format="mp4") as container:
        container.metadata["comment"] = step.note
        stream = container.add_stream("libx264", rate=Fraction(rate).limit_denominator(1000), options={"crf": "16"})
        stream.width, stream.height, stream.pix_fmt = *frames[0].size, "yuv420p"  # what every player reads
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_image(frame)))
        container.mux(stream.encode())
    return buffer.getvalue() + video_box(add_step(b"", step))


def _video() -> Any:
    """PyAV; VisagistError where it is not installed."""
    try:
        return importlib.import_module("av")
    except ImportError as error:
        raise VisagistError(
            "PyAV, which writes .mp4, is not installed: pip install visagist[video], or write .gif"
        ) from error
