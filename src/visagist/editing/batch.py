"""Edit files into files: one, or many some at a time, whose table lets an interrupted batch be continued."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from visagist.boundary.schema import json_text
from visagist.editing.aligned import BATCH
from visagist.editing.contact_sheets import draw_companions, table
from visagist.editing.edit_table import SOURCE, append_row, changed_results, sha256_or_none
from visagist.editing.input_files import Input
from visagist.editing.photo_edit import FaceEditor
from visagist.editing.request import Edited, EditRecord, EditRequest, Outcome, edit_aligned, edit_picture
from visagist.editing.video import edit_video
from visagist.errors import NoFaceError, VisagistError
from visagist.files import write_file
from visagist.photos.encode import write_picture
from visagist.photos.formats import VIDEO_SUFFIXES, WRITABLE_VIDEOS, output_suffix
from visagist.photos.photo import read_photo
from visagist.photos.provenance import make_edit_step
from visagist.progress import Progress

REMEDY = "choose another --out, or add --overwrite"
_ON_SHEET, _TILE = 40, 128
COMPANIONS = ("strip", "grid", "residual", "heat")


@dataclass(frozen=True)
class Target:
    """Where the pictures of one input go; None where they are not requested."""

    edited: Path
    strip: Path | None = None
    grid: Path | None = None
    residual: Path | None = None
    heat: Path | None = None

    @property
    def companions(self) -> tuple[str, ...]:
        """What is written beside the edited picture."""
        return tuple(kind for kind in COMPANIONS if getattr(self, kind) is not None)

    @property
    def is_written(self) -> bool:
        """Whether all of these files are there."""
        return all(Path(path).exists() for path in self.as_json().values())

    def as_json(self) -> dict[str, str]:
        return {name: str(path) for name, path in vars(self).items() if path is not None}


@dataclass(frozen=True)
class EditedFile:
    """What became of one file; a line of the table.

    pair  the first face before and after, for the sheet of a batch
    """

    file: str
    record: EditRecord
    out: str = ""
    seconds: float = 0.0
    written: tuple[tuple[str, str], ...] = ()
    pair: tuple[Image.Image, Image.Image] | None = None

    def cells(self) -> dict[str, Any]:
        """The cells of the table."""
        record = self.record
        listed = {name: json_text(getattr(record, name)) for name in ("boxes", "before", "after")}
        return {
            "file": self.file, "out": self.out, "faces": record.faces, "others": record.others, "by": record.by,
            "error": record.reason, **listed, "warnings": "; ".join(record.warnings), "seconds": f"{self.seconds:.2f}",
        }  # fmt: skip

    def as_json(self) -> dict[str, Any]:
        names = ("faces", "others", "boxes", "before", "after", "by", "warnings")
        values = {name: getattr(self.record, name) for name in names} | {"error": self.record.reason}
        return {"input": self.file, **dict(self.written), **{name: value for name, value in values.items() if value}}


class BatchResult(NamedTuple):
    """The files of a batch that are edited or failed, and how many have results from before."""

    files: list[EditedFile]
    kept: int


def edit_one(
    editor: FaceEditor, given: Input, target: Target, request: EditRequest, progress: Progress, with_pair: bool = False
) -> EditedFile:
    """Edit and write one photograph, aligned face or video. Raises VisagistError where it cannot."""
    started = time.perf_counter()
    pair = None
    if given.path.suffix.lower() in VIDEO_SUFFIXES:
        record = _edit_video(editor, given.path, target, request, progress)
    else:
        photo = read_photo(given.path)
        if request.takes_as_aligned(photo, editor):
            width, height = photo.size
            progress.message(f"{given.path}: {width}×{height} pixels, taken as one aligned face")
        try:
            edited = edit_picture(editor, photo, request)
        except NoFaceError as error:
            hint = "or add --aligned where the whole picture is one upright face"
            raise NoFaceError(f"{given.path}: {error}, {hint}") from error
        record = _write(editor, edited, target)
        pair = _pair(edited) if with_pair else None
    seconds = time.perf_counter() - started
    return EditedFile(str(given.path), record, str(target.edited), seconds, tuple(target.as_json().items()), pair)


def _write(editor: FaceEditor, edited: Edited, target: Target) -> EditRecord:
    """Write the edited picture and what goes beside it."""
    data, record = edited.encode(target.edited.suffix)
    write_file(target.edited, data, REMEDY)
    for kind, picture in draw_companions(editor, edited, target.companions):
        write_picture(picture, getattr(target, kind), edited.step, edited.source)
    return record


def _pair(edited: Edited) -> tuple[Image.Image, Image.Image]:
    """The first face before and after."""
    size = (_TILE, _TILE)
    source = Image.fromarray(edited.source.view())
    if edited.result is None:
        return source.resize(size), Image.fromarray(edited.photo.view()).resize(size)
    box, after = edited.result.changes[0].surroundings, edited.result.image
    before = source if len(edited.source.frames) == 1 else after
    return before.crop(box).resize(size), after.crop(box).resize(size)


def _edit_video(
    editor: FaceEditor, video: Path, target: Target, request: EditRequest, progress: Progress
) -> EditRecord:
    if target.edited.suffix.lower() not in WRITABLE_VIDEOS:
        name = f"edited{output_suffix(video.suffix)}"
        raise VisagistError(f"{video} is a video and {target.edited} is not: give a name such as {name}")
    if target.companions:
        raise VisagistError(f"{video} is a video: --strip, --grid, --residual and --heat are for photographs")
    progress.stage(video.name, unit="frames")
    report = edit_video(
        editor, video, target.edited, request.strengths, mode=request.mode_for(False, editor), face=request.face,
        strip_metadata=request.strip_metadata, force=request.force, progress=progress,
    )  # fmt: skip
    warnings = []
    if request.signing is not None:
        warnings.append("a video says what was done to it, but is not signed: content credentials are for photographs")
    if report.bits > 8:
        warnings.append(f"its {report.bits} bits a channel become 8")
    if report.edited < report.frames:
        warnings.append(f"a face was edited in {report.edited} of {report.frames} frames, and not found in the others")
    return EditRecord(faces=report.faces, warnings=tuple(warnings))


def edit_aligned_files(
    editor: FaceEditor, inputs: Sequence[Input], targets: Sequence[Target], request: EditRequest, progress: Progress
) -> list[EditedFile]:
    """Edit files that are one aligned face each, which pass the network together; a bad one is refused before any work."""
    for given in inputs:
        read_photo(given.path)
    files: list[EditedFile] = []
    progress.stage("editing", len(inputs), "faces")
    for start in range(0, len(inputs), BATCH):
        part, photos = inputs[start : start + BATCH], [read_photo(given.path) for given in inputs[start : start + BATCH]]
        for given, edited, target in zip(part, edit_aligned(editor, photos, request), targets[start : start + BATCH]):
            record = _write(editor, edited, target)
            files.append(EditedFile(str(given.path), record, str(target.edited), written=tuple(target.as_json().items())))
            for warning in record.warnings:
                progress.message(f"! {edited.source.name}: {warning}")
            for name in (name for name, amount in record.amounts.items() if amount >= 1):
                progress.message(f"{given.path}: {name} went to the end of the model's range")
        progress.advance(len(part))
    return files


def edit_batch(
    editor: FaceEditor, inputs: Sequence[Input], targets: Sequence[Target], request: EditRequest, *, folder: Path,
    progress: Progress, jobs: int = 1, overwrite: bool = False, with_pairs: bool = False,
) -> BatchResult:  # fmt: skip
    """Edit many files, `jobs` at a time; existing results are kept unless `overwrite`.

    Each file is a line of `edits.csv` as soon as it is done, so that the same command continues an interrupted batch.
    VisagistError where existing results have other settings or are of other pictures; one that was changed since counts
    as failed. One that lacks a companion, such as its strip, is edited anew.
    """
    settings = _settings(editor, request)
    pairs = list(zip(inputs, targets))
    sources = {target.edited: given.path for given, target in pairs}
    changed = {} if overwrite else changed_results(folder, sources, settings)
    pending = [
        (given, target)
        for given, target in pairs
        if overwrite or not (target.is_written or target.edited in changed)
    ]
    files = [
        EditedFile(str(given.path), EditRecord(Outcome.FAILED, reason=changed[target.edited]))
        for given, target in pairs
        if target.edited in changed
    ]
    for file in files:
        progress.message(file.record.reason)
    progress.stage("editing", len(pending), "photos")
    edit = partial(edit_one, editor, request=request, with_pair=with_pairs)
    for file in _edit_each(edit, pending, jobs, progress):
        files.append(file)
        append_row(folder, file.cells(), {**settings, SOURCE: sha256_or_none(Path(file.file))})
        for warning in file.record.warnings:
            progress.message(f"! {file.file}: {warning}")
        if file.record.reason:
            progress.message(file.record.reason)
    return BatchResult(files, len(inputs) - len(pending) - len(changed))


class _FileProgress(Progress):
    """Counts the share of one file of a batch that is done; ends a video at its next frame when the batch is interrupted."""

    def __init__(self, batch: Progress, interrupted: threading.Event) -> None:
        self._batch, self._interrupted, self._done = batch, interrupted, 0.0

    def report(self, done: float, total: float | None = None) -> None:
        if self._interrupted.is_set():
            raise KeyboardInterrupt
        share = done / total if total else 0.0
        self._batch.advance(share - self._done)
        self._done = share

    def message(self, line: str) -> None:
        self._batch.message(line)

    def finish(self) -> None:
        self._batch.advance(1 - self._done)
        self._done = 1.0


def _edit_each(
    edit: partial[EditedFile], pending: Sequence[tuple[Input, Target]], jobs: int, progress: Progress
) -> Iterator[EditedFile]:
    """Edit files in order, `jobs` at a time and few ahead, so that photographs do not pile up in memory."""
    interrupted = threading.Event()

    def edit_or_fail(given: Input, target: Target) -> EditedFile:
        own = _FileProgress(progress, interrupted)
        try:
            return edit(given, target, progress=own)
        except (VisagistError, MemoryError, OSError) as error:
            text = str(error) or "not enough memory"
            reason = text if str(given.path) in text else f"{given.path}: {text}"
            outcome = Outcome.NO_FACE if isinstance(error, NoFaceError) else Outcome.FAILED
            return EditedFile(str(given.path), EditRecord(outcome, reason=reason))
        finally:
            own.finish()

    waiting: deque[Future[EditedFile]] = deque()
    executor = ThreadPoolExecutor(jobs, thread_name_prefix="visagist-edit")
    try:
        for given, target in pending:
            waiting.append(executor.submit(edit_or_fail, given, target))
            if len(waiting) > jobs:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    except BaseException:
        interrupted.set()
        raise
    finally:
        executor.shutdown(cancel_futures=True)


def _settings(editor: FaceEditor, request: EditRequest) -> dict[str, Any]:
    """All that a result depends on beside its input, as the table has it."""
    return {
        "model": editor.name, "weights": editor.description.get("weights_sha256"), "set": dict(request.strengths),
        "mode": None if request.mode is None else request.mode.value, "face": request.face,
        "strip_metadata": request.strip_metadata, **({"signed": True} if request.signing is not None else {}),
        **({"force": True} if request.force else {}),
    }  # fmt: skip


def write_sheet(editor: FaceEditor, files: Sequence[EditedFile], request: EditRequest, path: Path) -> bool:
    """Write the first face of each file before and after, one file a row, of the first forty that have one, if any has."""
    shown = [(file, file.pair) for file in files if file.pair][:_ON_SHEET]
    if not shown:
        return False
    tiles = np.stack([np.stack([np.asarray(picture) for picture in pair]) for _, pair in shown])
    step = make_edit_step(editor, request.strengths, request.mode_for(False, editor), len(shown))
    names = [Path(file.file).name[:24] for file, _ in shown]
    write_picture(table(tiles, names, ["before", "after"]), path, step)
    return True
