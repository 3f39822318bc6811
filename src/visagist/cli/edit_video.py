"""Editing one video."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from visagist.cli.console import progress_bar
from visagist.cli.inputs import Target
from visagist.errors import VisagistError
from visagist.photos.formats import WRITABLE_VIDEOS, output_suffix

if TYPE_CHECKING:
    from visagist.cli.edit import Row, Wanted
    from visagist.editing.editor import Editor


def edit_clip(editor: Editor, video: Path, place: Target, wanted: Wanted, row: Row) -> None:
    """Edit and write a video; what was done goes into the row."""
    from visagist.editing.video import edit_video

    if place.edited.suffix.lower() not in WRITABLE_VIDEOS:
        name = f"edited{output_suffix(video.suffix)}"
        raise VisagistError(f"{video} is a video and {place.edited} is not: give a name such as {name}")
    if place.strip or place.grid or place.residual or place.heat:
        raise VisagistError(f"{video} is a video: --strip, --grid, --residual and --heat are for photographs")

    def follow(done: int, of: int) -> None:
        if wanted.interrupted.is_set():
            raise KeyboardInterrupt
        advance(done, of)

    with progress_bar(video.name, "frames") as advance:
        report = edit_video(
            editor, video, place.edited, wanted.strengths, mode=wanted.mode or "detail", face=wanted.face,
            strip_metadata=wanted.strip_metadata, progress=follow,
        )  # fmt: skip
    row.faces = report.faces
    if wanted.signing is not None:
        row.warnings.append("a video says what was done to it, but is not signed: content credentials are for photographs")
    if report.edited < report.frames:
        row.warnings.append(f"a face was edited in {report.edited} of {report.frames} frames, and not found in the others")
