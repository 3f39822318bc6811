"""`visagist teach`: an attribute of one's own, from few photographs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from visagist.cli.console import print_json, print_line, say, split_names, tell_terms_once
from visagist.cli.options import DEVICE, check_model
from visagist.errors import VisagistError
from visagist.progress import StageBars


def teach(
    name: Annotated[str, typer.Argument(help="What the attribute is to be called, as Beret.", show_default=False)],
    present: Annotated[Path, typer.Option("--with", help="A folder of photographs with it.", show_default=False)],
    absent: Annotated[Path, typer.Option("--without", help="A folder of photographs without it.", show_default=False)],
    model: Annotated[
        str, typer.Option(help="The model that is taught, whose faces have a code.", callback=check_model)
    ] = "vae-wgan-celeba-64",
    out: Annotated[Path | None, typer.Option(help="The model folder to write.", show_default="NAME")] = None,
    hold: Annotated[
        str | None,
        typer.Option(help="Known attributes that are not meant, with commas; none: ''.", show_default="Male,Young,Smiling"),
    ] = None,
    mirror: Annotated[bool, typer.Option(help="Learn from mirror images too; not for what is on one side.")] = True,
    seed: Annotated[int, typer.Option(help="Of the halves that are held out.")] = 0,
    device: Annotated[str, DEVICE] = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="Print what was taught.")] = False,
) -> None:
    """Teach a model an attribute from two folders of photographs, about 20 with it and 20 without, in a minute.

    The result is a model folder, which every command takes by its path. What is printed is measured on photographs that did
    not teach; docs/teach.md says how many photographs give what.

    \b
    Examples:
      visagist teach Beret --with with/ --without without/
      visagist edit Beret me.jpg --set Beret=1 --out beret.jpg
      visagist teach Eye_Patch --with with/ --without without/ --no-mirror --out models/patch
    """
    for folder, option in ((present, "--with"), (absent, "--without")):
        if not folder.is_dir():
            raise VisagistError(f"no folder {folder}: give {option} a folder of photographs")

    from visagist.pipelines.teaching.card import describe_held_out
    from visagist.pipelines.teaching.teach import teach as teach_model

    tell_terms_once()
    held = None if hold is None else () if not hold else split_names(hold, "--hold")
    with StageBars(say) as progress:
        taught = teach_model(
            name, present, absent, model=model, out=out or Path(name), held=held, mirror=mirror, seed=seed, device=device,
            progress=progress,
        )  # fmt: skip
    for note in taught.notes:
        say(f"note: {note}")
    for warning in taught.warnings:
        say(f"warning: {warning}")
    if as_json:
        print_json(taught.to_json())
        return
    print_line(f"{name}: {taught.vector.n_with} photographs with it, {taught.vector.n_without} without")
    for line in describe_held_out(name, taught.held_out):
        print_line(line)
    print_line(f"{taught.folder}: visagist edit {taught.folder} me.jpg --set {name}=1 --out edited.jpg")
