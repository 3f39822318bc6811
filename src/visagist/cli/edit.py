"""`visagist edit`: which model, which photographs, and where the results go."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from visagist.boundary.ownership import replacing
from visagist.cli.console import print_json, print_line, say, strengths
from visagist.cli.inputs import Input, Target, check_outputs, model_and_inputs, targets
from visagist.cli.terms import tell_terms_once
from visagist.errors import VisagistError, nearest
from visagist.settings import parse_pairs

if TYPE_CHECKING:
    from visagist.cli.edit_photos import Row, Wanted
    from visagist.editing.editor import Editor

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
    from visagist.cli.edit_photos import Wanted
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
        with replacing(*named):
            report, lines = _aligned(editor, inputs, places, wanted, until, None if not folder else out)
        status = 0
    else:
        refuse_conflicts(wanted.strengths)
        with replacing(*named):
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
    from visagist.cli.edit_photos import edit_batch, edit_one, told, write_sheet

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
    from visagist.editing.models import model_for, zoo

    if name is None:
        name = model_for(attributes)
        if not quiet:
            say(f"model: {name}")
    if name in zoo() and not quiet:
        tell_terms_once()
    return Editor.from_pretrained(name, device)
