"""`visagist edit`: which model, which pictures, and where the results go."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from visagist.cli.console import print_json, say, strengths
from visagist.cli.pictures import SUFFIXES, write_picture
from visagist.cli.terms import tell_terms_once
from visagist.errors import VisagistError
from visagist.settings import parse_pairs

if TYPE_CHECKING:
    from PIL import Image

    from visagist.editing.editor import Editor

BATCH = 64


def edit(
    arguments: Annotated[
        list[str], typer.Argument(metavar="[MODEL] IMAGE...", help="A model, if not the default one; then pictures.")
    ],
    settings: Annotated[list[str], typer.Option("--set", help="Attribute=strength from -1 to 1; repeatable.")],
    out: Annotated[Path, typer.Option(help="A picture (for one input) or a folder.", show_default=False)],
    mode: Annotated[str, typer.Option(help="render: the model's pixels. detail: the photo plus the change.")] = "render",
    until: Annotated[
        float | None, typer.Option(help="Move each face just until the model reads it so with this probability.")
    ] = None,
    strip: Annotated[bool, typer.Option("--strip", help="Beside it NAME-strip: edits from -1 to 1 in a row.")] = False,
    residual: Annotated[bool, typer.Option("--residual", help="Beside it NAME-residual: what changed.")] = False,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N or mps.")] = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="Print what was written as JSON.")] = False,
) -> None:
    """Edit attributes of aligned faces.

    The first argument is the model if it is a shipped one's name, a run or checkpoint folder, or hub:owner/name;
    otherwise the best shipped model for the attribute is used, and named.

    \b
    Examples:
      visagist edit face.jpg --set Smiling=-1 --out serious.png
      visagist edit runs/first photos/*.jpg --set Smiling=0.5 --out edited --strip
      visagist edit runs/introvac face.jpg --set Eyeglasses=1 --until 0.9 --out glasses.png
    """
    wanted = strengths(parse_pairs(settings))
    if until is not None and residual:
        raise VisagistError("--residual shows the change at a strength that you give, which --until finds: leave one out")
    name, pictures = _model_and_pictures(arguments)
    targets = _targets(pictures, out, strip, residual)
    editor = _editor(name, next(iter(wanted)), device)
    for picture in pictures:
        editor.see(picture)  # a bad picture is refused before anything is written
    made = not out.exists() and out != targets[0].edited
    asked = ", ".join(f"{k}={v:g}" for k, v in wanted.items()) + (f" until {until:g}" if until is not None else "")
    note = f"edited with visagist, {editor.name}: {asked}"
    try:
        amounts = _write_all(editor, pictures, targets, wanted, until, mode, note)
    except BaseException:
        if made and out.is_dir() and not any(out.iterdir()):
            out.rmdir()
        raise
    if as_json:
        files: list[dict[str, Any]] = [{"input": str(p), **t.as_json()} for p, t in zip(pictures, targets)]
        if until is not None:
            files = [{**file, "amounts": moved} for file, moved in zip(files, amounts)]
        told = {} if until is None else {"until": until}
        print_json({"model": editor.name, "mode": mode, "set": wanted, **told, "files": files})
    else:
        for target in targets:
            print(*target.as_json().values(), sep="\n")


@dataclass(frozen=True)
class Target:
    """Where the pictures of one input go."""

    edited: Path
    strip: Path | None
    residual: Path | None

    def as_json(self) -> dict[str, str]:
        return {name: str(path) for name, path in vars(self).items() if path is not None}


def _model_and_pictures(arguments: Sequence[str]) -> tuple[str | None, list[Path]]:
    """The model's name, None for the default one, and the pictures."""
    from visagist.editing import models

    first = arguments[0]
    path = Path(first).expanduser()
    in_zoo = Path(first).name == first and (models.ZOO / first / "config.json").exists()
    is_model = first.startswith(models.HUB) or in_zoo or path.is_dir()
    if not is_model and not path.exists() and not path.suffix:
        models.find_model(first)  # neither a picture nor a model: raises, with the nearest names
    pictures = [Path(argument).expanduser() for argument in arguments[is_model:]]
    if not pictures:
        raise VisagistError(f"no picture to edit after the model {first}: name one or more")
    for picture in pictures:
        if picture.is_dir():
            raise VisagistError(f"{picture} is a folder, where a picture is needed: write {picture}/*.jpg, the model first")
        if not picture.exists():
            raise VisagistError(f"there is no picture {picture}: check the path")
    return (first if is_model else None), pictures


def _targets(pictures: Sequence[Path], out: Path, strip: bool, residual: bool) -> list[Target]:
    """Where everything goes; VisagistError where two would go to one place, or over an input."""
    one = out.suffix.lower() in SUFFIXES and not out.is_dir()
    if one and len(pictures) > 1:
        raise VisagistError(f"{len(pictures)} pictures cannot all go to {out}: give a folder as --out")
    if not one and out.is_file():
        raise VisagistError(f"{out} is a file, and its name is not a picture's: give a folder or NAME.png as --out")
    found = []
    for picture in pictures:
        edited = out if one else out / f"{picture.stem}.png"
        beside = [edited.with_name(f"{edited.stem}-{what}{edited.suffix}") for what in ("strip", "residual")]
        found.append(Target(edited, beside[0] if strip else None, beside[1] if residual else None))
    inputs = {picture.resolve() for picture in pictures}
    places = [Path(place) for target in found for place in target.as_json().values()]
    for place in places:
        if place.resolve() in inputs:
            raise VisagistError(f"{place} is one of the pictures to edit and would be lost: choose another --out")
        if places.count(place) > 1:
            raise VisagistError(f"two pictures would both be written to {place}: edit them one at a time")
    return found


def _editor(name: str | None, attribute: str, device: str) -> Editor:
    from visagist.editing.editor import Editor
    from visagist.editing.models import default_model, zoo

    if name is None:
        name = default_model(attribute)
        say(f"model: {name}")
    if name in zoo():
        tell_terms_once()
    return Editor.from_pretrained(name, device)


def _write_all(
    editor: Editor,
    pictures: Sequence[Path],
    targets: Sequence[Target],
    wanted: dict[str, Any],
    until: float | None,
    mode: str,
    note: str,
) -> list[dict[str, float]]:
    """Edit and write; the amounts that `until` took, a dict for each picture, empty ones without it."""
    from rich.console import Console
    from rich.progress import track

    from visagist.editing.pictures import residual_picture

    console = Console(stderr=True)
    starts = range(0, len(pictures), BATCH)
    amounts: list[dict[str, float]] = []
    for start in track(starts, "editing", console=console, disable=len(starts) < 2):
        part = list(pictures[start : start + BATCH])
        images, moved = _edited(editor, part, wanted, until, mode)
        amounts += moved
        for picture, edited, target in zip(part, images, targets[start : start + BATCH]):
            write_picture(edited, target.edited, note)
            if target.strip:
                write_picture(_strips(editor, picture, list(wanted), mode), target.strip, note)
            if target.residual:
                write_picture(residual_picture(editor.residual(picture, **wanted)[0]), target.residual, note)
        for picture, taken in zip(part, moved):
            for name in (name for name, amount in taken.items() if amount >= 1):
                say(f"{picture}: {name} went to the end of the model's range")
    return amounts


def _edited(
    editor: Editor, part: list[Path], wanted: dict[str, Any], until: float | None, mode: str
) -> tuple[list[Image.Image], list[dict[str, float]]]:
    """Edited pictures, and for each the amounts that `until` took; nothing where it is not asked for."""
    if until is None:
        return editor.edit(part, mode=mode, **wanted), [{} for _ in part]
    images, found = editor.edit_until(part, until, mode=mode, **wanted)
    return images, [{name: round(float(taken[i]), 4) for name, taken in found.items()} for i in range(len(part))]


def _strips(editor: Editor, picture: Path, attributes: Sequence[str], mode: str) -> Image.Image:
    """A row for each attribute, one below the other."""
    from visagist.editing.pictures import stacked, strip

    return stacked([strip(editor, picture, attribute, mode=mode) for attribute in attributes])
