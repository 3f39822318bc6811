"""`visagist edit`: which model, which photographs, and where the results go."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from visagist.boundary.ownership import allow_replacing
from visagist.boundary.schema import json_text
from visagist.cli.console import print_json, print_line, progress_bar, say, strengths, tell_terms_once
from visagist.cli.edit_table import TABLE, append_row, changed_results
from visagist.cli.inputs import Input, Target, check_outputs, model_and_inputs, targets
from visagist.cli.output import write_picture
from visagist.errors import NoFaceError, VisagistError, nearest
from visagist.photos.formats import VIDEO_SUFFIXES
from visagist.settings import parse_pairs

if TYPE_CHECKING:
    from PIL import Image

    from visagist.editing.editor import Editor
    from visagist.editing.photo_edit import EditResult
    from visagist.photos.content_credentials import Signing
    from visagist.photos.photo import PhotoFile


# Of `visagist bulk` too.
SETTINGS = typer.Option("--set", help="Attribute=strength from -1 to 1; repeatable.")
FACE = typer.Option(help="largest, all, or the number of one, from 0 for the largest.")
STRIP_METADATA = typer.Option("--strip-metadata", help="Leave out what the photo said before, except its colour profile.")
C2PA_CERT = typer.Option("--c2pa-cert", help="Sign content credentials: certificates, PEM.", show_default=False)
C2PA_KEY = typer.Option("--c2pa-key", help="The key of the first certificate, PEM.", show_default=False)


def edit(
    arguments: Annotated[
        list[str],
        typer.Argument(metavar="[MODEL] PHOTO...", help="A model, if not the default one; then files, folders, patterns."),
    ],
    settings: Annotated[list[str], SETTINGS],
    out: Annotated[Path, typer.Option(help="A picture or video (for one input) or a folder.", show_default=False)],
    face: Annotated[str, FACE] = "largest",
    mode: Annotated[
        str | None, typer.Option(help="detail: photo plus change. render: the model's pixels.", show_default="detail")
    ] = None,
    aligned: Annotated[
        bool, typer.Option("--aligned", help="Each picture is one aligned face; none is looked for. Mode: render.")
    ] = False,
    until: Annotated[
        float | None, typer.Option(help="Move each aligned face just until the model reads it so with this probability.")
    ] = None,
    strip: Annotated[bool, typer.Option("--strip", help="Beside it NAME-strip: edits from -1 to 1 in a row.")] = False,
    grid: Annotated[bool, typer.Option("--grid", help="Beside it NAME-grid: each attribute of the model in a row.")] = False,
    residual: Annotated[bool, typer.Option("--residual", help="Beside it NAME-residual: what changed.")] = False,
    heat: Annotated[bool, typer.Option("--heat", help="Beside it NAME-heat: how much changed.")] = False,
    strip_metadata: Annotated[bool, STRIP_METADATA] = False,
    recursive: Annotated[bool, typer.Option("--recursive", help="Take folders with all folders in them.")] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Edit anew what a folder of results has; replace the file of --out, --sheet.")
    ] = False,
    jobs: Annotated[int, typer.Option(min=1, max=64, help="How many photos at a time.")] = 1,
    sheet: Annotated[
        Path | None, typer.Option(help="Write a picture of first faces before and after.", show_default=False)
    ] = None,
    c2pa_cert: Annotated[Path | None, C2PA_CERT] = None,
    c2pa_key: Annotated[Path | None, C2PA_KEY] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N or mps.")] = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="Print what was done as JSON.")] = False,
) -> None:
    """Edit attributes of the faces in photographs and videos of any size; each comes back whole.

    The first argument is the model if it is a shipped one's name, a run or checkpoint folder, or hub:owner/name;
    otherwise the best shipped model for the attribute is used, and named. Exit status: 0 done, 2 wrong usage or a broken
    file, 3 no face found, 4 some files of a batch failed.

    \b
    Examples:
      visagist edit me.jpg --set Smiling=1 --out smiling.jpg
      visagist edit group.heic --set Eyeglasses=1 --face all --out glasses.heic --strip --residual --heat
      visagist edit holiday --recursive --set Smiling=0.5 --out edited --jobs 2 --sheet sheet.png
      visagist edit clip.mp4 --set Smiling=1 --out smiling.mp4
      visagist edit runs/first faces/*.png --aligned --set Smiling=-1 --out edited
    """
    from visagist.cli.edit_table import TABLE
    from visagist.editing.photo_edit import refuse_conflicts
    from visagist.photos.content_credentials import signing

    signer = signing(c2pa_cert, c2pa_key)
    wanted = Wanted(strengths(parse_pairs(settings)), mode, face_asked(face), strip_metadata, sheet is not None, signer)
    if mode not in (None, "detail", "render"):
        raise VisagistError(f"no mode {mode!r}: {nearest(mode, ('detail', 'render'))}")
    if until is not None and (residual or heat):
        raise VisagistError("--residual and --heat show a change at a given strength, --until finds one: leave one out")
    name, inputs = model_and_inputs(arguments, recursive, out)
    asked = {"strip": strip, "grid": grid, "residual": residual, "heat": heat}
    one_face = aligned or until is not None
    places, folder = targets(inputs, out, [what for what, on in asked.items() if on], ".png" if one_face else None)
    _check_places(inputs, places, sheet)
    named = check_outputs(inputs, places, out if folder else None, None if one_face else TABLE, sheet, overwrite)
    editor = editor_for(name, list(wanted.strengths), device)
    editor.edit([], **dict[str, Any](wanted.strengths))  # refuses what it cannot edit, before any photo is read
    if one_face:
        with allow_replacing(*named):
            report, lines = _aligned(editor, inputs, places, wanted, until, None if not folder else out)
        status = 0
    else:
        refuse_conflicts(wanted.strengths)
        with allow_replacing(*named):
            rows, status = _photos(editor, inputs, places, wanted, (out, jobs, overwrite, sheet) if folder else None, sheet)
        report = {"mode": mode or "detail", "set": wanted.strengths, "files": [row.as_json() for row in rows]}
        lines = [place for row in rows for place in row.written.values()]
    if as_json:
        print_json({"model": editor.name, **report})
    else:
        for line in lines:
            print_line(line)
    if status:
        raise typer.Exit(status)


def _photos(
    editor: Editor, inputs: Sequence[Input], places: Sequence[Target], wanted: Wanted,
    batch: tuple[Path, int, bool, Path | None] | None, sheet: Path | None,
) -> tuple[list[Row], int]:  # fmt: skip
    """One photograph, whose failure is an error, or a batch that goes on."""

    if batch is not None:
        folder, jobs, overwrite, _ = batch
        return edit_batch(editor, inputs, places, wanted, folder=folder, jobs=jobs, overwrite=overwrite, sheet=sheet)
    row = edit_one(editor, inputs[0], places[0], wanted)
    for line in told(row):
        say(line)
    if sheet is not None:
        write_sheet(editor, [row], wanted, sheet)
    return [row], 0


def _aligned(
    editor: Editor, inputs: Sequence[Input], places: Sequence[Target], wanted: Wanted, until: float | None,
    folder: Path | None,
) -> tuple[dict[str, Any], list[str]]:  # fmt: skip
    """Edit pictures that are one face each; what to print, as JSON and as lines."""
    from visagist.cli.edit_aligned import edit_aligned

    mode, pictures = wanted.mode or "render", [given.path for given in inputs]
    made = folder is not None and not folder.exists()
    try:
        amounts = edit_aligned(
            editor, pictures, places, wanted.strengths, mode, until, wanted.strip_metadata, wanted.signing
        )
    except BaseException:
        if made and folder is not None and folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()
        raise
    files: list[dict[str, Any]] = [{"input": str(p), **t.as_json()} for p, t in zip(pictures, places)]
    if until is not None:
        files = [{**file, "amounts": moved} for file, moved in zip(files, amounts)]
    told = {} if until is None else {"until": until}
    lines = [place for target in places for place in target.as_json().values()]
    return {"mode": mode, "set": wanted.strengths, **told, "files": files}, lines


def face_asked(text: str) -> str | int:
    """Which face `--face` means: largest, all, or the number of one; else a VisagistError."""
    if text in ("largest", "all"):
        return text
    if not text.isdecimal():
        raise VisagistError(f"--face {text}: it is largest, all, or the number of one, from 0 for the largest")
    return int(text)


def _check_places(inputs: Sequence[Input], places: Sequence[Target], sheet: Path | None) -> None:
    """VisagistError for names of formats that are not written, before any work."""
    from visagist.photos.encode import format_of
    from visagist.photos.formats import VIDEO_SUFFIXES

    pictures = [place.edited for given, place in zip(inputs, places) if given.path.suffix.lower() not in VIDEO_SUFFIXES]
    for suffix in {path.suffix for path in [*pictures, *([sheet] if sheet else [])]}:
        format_of(suffix)


def editor_for(name: str | None, attributes: Sequence[str], device: str, quiet: bool = False) -> Editor:
    """The model of this name, or the shipped one for these attributes, which is told of unless `quiet`."""
    from visagist.editing.editor import Editor
    from visagist.pretrained import model_for, zoo

    if name is None:
        name = model_for(attributes)
        if not quiet:
            say(f"model: {name}")
    if name in zoo() and not quiet:
        tell_terms_once()
    return Editor.from_pretrained(name, device)


NO_FACE, SOME_FAILED = 3, 4
_ON_SHEET, _TILE = 40, 128


@dataclass(frozen=True)
class Wanted:
    """What is asked for, alike for every photograph; `interrupted` ends a video in a thread of its own at its next frame."""

    strengths: dict[str, float]
    mode: str | None
    face: str | int
    strip_metadata: bool
    sheet: bool
    signing: Signing | None = None
    interrupted: threading.Event = field(default_factory=threading.Event, compare=False)


@dataclass
class Row:
    """What became of one file; a line of the table."""

    file: str
    out: str = ""
    faces: int = 0
    others: int = 0
    boxes: list[tuple[int, int, int, int]] = field(default_factory=list)
    before: dict[str, list[float]] = field(default_factory=dict)
    after: dict[str, list[float]] = field(default_factory=dict)
    by: str = ""
    warnings: list[str] = field(default_factory=list)
    error: str = ""
    seconds: float = 0.0
    status: int = 0
    written: dict[str, str] = field(default_factory=dict)
    pair: tuple[Image.Image, Image.Image] | None = None

    def line(self) -> dict[str, Any]:
        """The cells of the table."""
        listed = {name: json_text(getattr(self, name)) for name in ("boxes", "before", "after")}
        cells = {name: getattr(self, name) for name in ("file", "out", "faces", "others", "by", "error")}
        return {**cells, **listed, "warnings": "; ".join(self.warnings), "seconds": f"{self.seconds:.2f}"}

    def as_json(self) -> dict[str, Any]:
        kept = ("faces", "others", "boxes", "before", "after", "by", "warnings", "error")
        return {"input": self.file, **self.written, **{name: getattr(self, name) for name in kept if getattr(self, name)}}


def edit_one(editor: Editor, given: Input, target: Target, wanted: Wanted) -> Row:
    """Edit and write one file. Raises VisagistError where it cannot."""
    started, row = time.perf_counter(), Row(str(given.path), str(target.edited))
    if given.path.suffix.lower() in VIDEO_SUFFIXES:
        from visagist.cli.edit_video import edit_clip

        edit_clip(editor, given.path, target, wanted, row)
    else:
        from visagist.editing.photo_edit import is_aligned
        from visagist.photos.photo import read_photo

        photo = read_photo(given.path)
        if is_aligned(photo, editor):
            say(f"{given.path}: {photo.size[0]}×{photo.size[1]} pixels, taken as one aligned face")
            _edit_aligned(editor, photo, target, wanted, row)
        else:
            _edit_found(editor, photo, target, wanted, row)
    row.written, row.seconds = target.as_json(), time.perf_counter() - started
    return row


def _edit_found(editor: Editor, photo: PhotoFile, target: Target, wanted: Wanted, row: Row) -> None:
    """Find the faces, edit them, write the whole photograph."""
    from visagist.cli.edit_aligned import write_change
    from visagist.editing.photo_edit import edit_photo
    from visagist.photos.encode import write_photo

    try:
        result = edit_photo(editor, photo, wanted.strengths, wanted.mode or "detail", wanted.face)  # type: ignore[arg-type]
    except NoFaceError as error:
        raise NoFaceError(f"{row.file}: {error}, or add --aligned where the whole picture is one upright face") from error
    row.faces, row.others, row.boxes, row.by = len(result.faces), result.others, result.boxes, result.scores_by
    row.before = {name: result.scores_before[name] for name in wanted.strengths if name in result.scores_before}
    row.after = {name: result.scores_after[name] for name in wanted.strengths if name in result.scores_after}
    notes = write_photo(
        result.edited, target.edited, result.step, strip_metadata=wanted.strip_metadata, signing=wanted.signing
    )
    row.warnings = [*result.warnings, *photo.notes, *notes]
    if target.strip:
        write_picture(_strips(editor, photo, result, wanted), target.strip, result.step, photo)
    if target.grid:
        from visagist.editing.contact_sheets import photo_grid

        write_picture(photo_grid(editor, photo.view(), result.faces[0]), target.grid, result.step, photo)
    if target.residual or target.heat:
        write_change(result.residual, target, result.step, photo)
    if wanted.sheet:
        row.pair = _pair(photo, result)


def _edit_aligned(editor: Editor, photo: PhotoFile, target: Target, wanted: Wanted, row: Row) -> None:
    """Take the whole picture as one aligned face."""
    from PIL import Image

    from visagist.cli.edit_aligned import write_beside
    from visagist.editing.aligned import edit_aligned_photos
    from visagist.photos.encode import write_photo

    mode = wanted.mode or "render"
    (edited,), step, _ = edit_aligned_photos(editor, [photo], wanted.strengths, mode)
    notes = write_photo(edited, target.edited, step, strip_metadata=wanted.strip_metadata, signing=wanted.signing)
    write_beside(editor, photo, target, wanted.strengths, mode, step)
    row.faces, row.warnings = 1, [*edited.notes, *notes]
    if wanted.sheet:
        before, after = (Image.fromarray(one.view()).resize((_TILE, _TILE)) for one in (photo, edited))
        row.pair = before, after


def _strips(editor: Editor, photo: PhotoFile, result: EditResult, wanted: Wanted) -> Image.Image:
    from visagist.editing.contact_sheets import stacked, strip
    from visagist.faces.alignment import align

    pixels = photo.view()
    squares = [align(face.landmarks, editor.crop, editor.image_size).face(pixels) for face in result.faces]
    rows = [strip(editor, square, name, mode=wanted.mode or "detail") for square in squares for name in wanted.strengths]
    return stacked(rows)


def _pair(photo: PhotoFile, result: EditResult) -> tuple[Image.Image, Image.Image]:
    """The first face before and after."""
    from PIL import Image

    box = result.changes[0].box
    size = (_TILE, _TILE)
    before = Image.fromarray(photo.view()).crop(box) if len(photo.frames) == 1 else result.image.crop(box)
    return before.resize(size), result.image.crop(box).resize(size)


def edit_batch(
    editor: Editor, inputs: Sequence[Input], places: Sequence[Target], wanted: Wanted, *, folder: Path, jobs: int,
    overwrite: bool, sheet: Path | None,
) -> tuple[list[Row], int]:  # fmt: skip
    """Edit many files, some at a time; what is there already is left as it is. Returns the rows and the exit status.

    Each file is a line of `edits.csv` as soon as it is done, so that an interrupted batch is taken up by the same command.
    VisagistError where what is there was made with other settings; what was changed since counts as failed.
    """
    settings = _settings(editor, wanted)
    changed = {} if overwrite else changed_results(folder, places, settings)
    todo = [(given, place) for given, place in zip(inputs, places) if overwrite or not place.edited.exists()]
    there = len(inputs) - len(todo) - len(changed)
    altered = [(given, place) for given, place in zip(inputs, places) if place.edited in changed]
    rows = [Row(str(given.path), error=changed[place.edited], status=SOME_FAILED) for given, place in altered]
    for row in rows:
        say(row.error)
    at_start = len(rows)
    with progress_bar("editing", "photos") as advance:
        for row in _each(editor, todo, wanted, jobs):
            rows.append(row)
            append_row(folder, row.line(), settings)
            for line in (*row.warnings, row.error):
                if line:
                    say(line if line == row.error else f"! {row.file}: {line}")
            advance(len(rows) - at_start, len(todo))
    if sheet is not None:
        write_sheet(editor, rows, wanted, sheet)
    faceless, failed = (sum(row.status == status for row in rows) for status in (NO_FACE, SOME_FAILED))
    done = f"{len(rows) - faceless - failed} edited"
    more = f", {there} there already" * bool(there) + f", {faceless} without a face" * bool(faceless)
    say(f"{done}{more}{f', {failed} failed' * bool(failed)}: {folder / TABLE}")
    return rows, SOME_FAILED if failed else NO_FACE if faceless else 0


def _each(editor: Editor, todo: Sequence[tuple[Input, Target]], wanted: Wanted, jobs: int) -> Iterator[Row]:
    """The rows in order, `jobs` files at a time and few ahead, so that photos do not pile up in memory."""

    def one(given: Input, place: Target) -> Row:
        try:
            return edit_one(editor, given, place, wanted)
        except (VisagistError, MemoryError, OSError) as error:
            said = str(error) or "not enough memory"
            named = said if str(given.path) in said else f"{given.path}: {said}"
            return Row(str(given.path), error=named, status=NO_FACE if isinstance(error, NoFaceError) else SOME_FAILED)

    waiting: deque[Future[Row]] = deque()
    executor = ThreadPoolExecutor(jobs, thread_name_prefix="visagist-edit")
    try:
        for given, place in todo:
            waiting.append(executor.submit(one, given, place))
            if len(waiting) > jobs:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    except BaseException:
        wanted.interrupted.set()
        raise
    finally:
        executor.shutdown(cancel_futures=True)


def _settings(editor: Editor, wanted: Wanted) -> dict[str, Any]:
    """All that a result depends on beside its input, as the table has it."""
    return {
        "model": editor.name, "weights": editor.description.get("weights_sha256"), "set": wanted.strengths,
        "mode": wanted.mode, "face": wanted.face, "strip_metadata": wanted.strip_metadata,
    }  # fmt: skip


def write_sheet(editor: Editor, rows: Sequence[Row], wanted: Wanted, place: Path) -> None:
    """The first face of each photo before and after, one photo a row, of the first forty that have one."""
    import numpy as np

    from visagist.editing.contact_sheets import table
    from visagist.photos.provenance import make_edit_step

    shown = [row for row in rows if row.pair][:_ON_SHEET]
    if not shown:
        return
    tiles = np.stack([np.stack([np.asarray(picture) for picture in row.pair or ()]) for row in shown])
    step = make_edit_step(editor.name, editor.description, wanted.strengths, wanted.mode or "detail", len(shown))
    names = [Path(row.file).name[:24] for row in shown]
    write_picture(table(tiles, names, ["before", "after"]), place, step)


def told(row: Row) -> list[str]:
    """What a person is told of one photograph."""
    lines = []
    for name, before in row.before.items():
        pairs = zip(before, row.after.get(name, []))
        readings = ", ".join(f"{100 * a:.0f} % → {100 * b:.0f} %" for a, b in pairs)
        lines.append(f"{name}: {readings} by {row.by}")
    if row.others:
        them = "other face was" if row.others == 1 else "other faces were"
        lines.append(f"{row.others} {them} left alone: --face all edits every one")
    return lines + [f"! {warning}" for warning in row.warnings]
