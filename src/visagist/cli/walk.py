"""`visagist walk`: a face along attributes, step by step."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from visagist.boundary.ownership import replacing
from visagist.cli.console import print_json, print_line, split_names
from visagist.cli.evaluate import DEVICE, MODEL
from visagist.cli.output import OVERWRITE, check_place, write_picture
from visagist.cli.terms import tell_terms_once
from visagist.photos.provenance import step_by


def walk(
    model: Annotated[str, MODEL],
    face: Annotated[Path, typer.Argument(help="The face.", show_default=False)],
    out: Annotated[Path, typer.Option(help="The picture to write.", show_default=False)],
    attributes: Annotated[str | None, typer.Option(help="Some that the model edits; else all.")] = None,
    steps: Annotated[int, typer.Option(help="From the reconstruction to the paper's setting, with both.")] = 11,
    away: Annotated[bool, typer.Option("--away", help="Away from each attribute rather than toward it.")] = False,
    device: Annotated[str, DEVICE] = "auto",
    overwrite: Annotated[bool, OVERWRITE] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print what was written as JSON.")] = False,
) -> None:
    """Show a face walking along attributes: a row for each, from its reconstruction to the paper's own setting.

    Of a model that edits by attribute vectors it is z + alpha v, alpha from 0 to 1.

    \b
    Examples:
      visagist walk runs/wgan face.jpg --attributes Bald,Black_Hair,Eyeglasses,Male,Smiling,Mustache --out walks.png
      visagist walk ifcvae-gan-smiling-64 face.jpg --away --steps 7 --out serious.png
    """
    from PIL import Image

    from visagist.editing.contact_sheets import table
    from visagist.editing.editor import Editor
    from visagist.editing.models import zoo
    from visagist.editing.walks import shares
    from visagist.editing.walks import walk as walked
    from visagist.photos.photo import read_photo

    check_place(out, [face], overwrite=overwrite)
    alphas = shares(steps)
    if model in zoo():
        tell_terms_once()
    editor = Editor.from_pretrained(model, device)
    names = split_names(attributes) or editor.attributes
    photo = read_photo(face)
    rows = walked(editor, editor.see(Image.fromarray(photo.view()))[0], names, steps, away)
    sign = "−" if away else "+"
    named = [f"{sign} {name.replace('_', ' ')}" for name in names]
    asked = f"walks {'away from' if away else 'toward'} {', '.join(names)}"
    step = step_by("edited", editor.name, editor.description, asked)
    with replacing(*[out] * overwrite):
        write_picture(table(rows, named, [f"{alpha:.2g}" for alpha in alphas]), out, step, photo)
    if as_json:
        facts = {"model": editor.name, "face": str(face), "attributes": list(names), "away": away, "steps": steps}
        print_json({**facts, "out": str(out)})
    else:
        print_line(out)
