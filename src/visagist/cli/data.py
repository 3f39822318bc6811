"""`visagist data pack` and `visagist data check`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from visagist.cli.console import print_json, print_line, say, show, split_names
from visagist.cli.options import ALIGN, aligned_data

SOURCE = typer.Argument(
    help="KIND:PATH, KIND one of celeba, lfw, celeba-hq, celebamask-hq, ffhq, cifar10, folder, parquet, synthetic, pack.",
    show_default=False,
)
ON_BAD = typer.Option(help="What to do with bad pictures: skip or refuse.")

app = typer.Typer(help="Look at data, and pack it.", rich_markup_mode="rich")


@app.callback(invoke_without_command=True)
def start(context: typer.Context) -> None:
    """Look at data, and pack it."""
    if context.invoked_subcommand is None:
        print(context.get_help())  # noqa: T201 - of our own words, which rich has coloured


@app.command("check")
def check(
    source: Annotated[str, SOURCE],
    out: Annotated[Path | None, typer.Option(help="Write a sheet of sample faces into this picture.")] = None,
    align: Annotated[bool, ALIGN] = False,
    image_size: Annotated[int, typer.Option(help="Side of the faces in pixels.")] = 64,
    crop: Annotated[str | None, typer.Option(help="A named crop; the source's own by default.")] = None,
    attribute_set: Annotated[
        str | None, typer.Option(help="Eye, Facial or EyeFacial: count what training on it would keep.")
    ] = None,
    negatives: Annotated[float, typer.Option(help="Of the set: faces without, for each face with.")] = 1.0,
    seed: Annotated[int, typer.Option(help="Of the set: which of the faces without.")] = 0,
    on_bad: Annotated[str, ON_BAD] = "skip",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the picture that --out names.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Count the faces, their labels, and what is wrong with them.

    \b
    Examples:
      visagist data check celeba:~/celeba
      visagist data check celeba:~/celeba --attribute-set Facial --negatives 2
      visagist data check folder:photos --out sheet.png
      visagist data check cifar10:~/cifar-10-batches-bin --image-size 32
      visagist data check synthetic:500 --json
    """
    from visagist.data.inspection import inspect_data, render_inspection

    report = inspect_data(
        aligned_data(source, align), image_size=image_size, crop=crop, attribute_set=attribute_set, negatives=negatives,
        balance_seed=seed, on_bad=on_bad, progress=not as_json, sheet=out, overwrite=overwrite,
    )  # fmt: skip
    if as_json:
        print_json(report.to_json())
    else:
        show(render_inspection(report))
    if out is not None:
        say(f"wrote {out}")


@app.command("pack")
def pack(
    source: Annotated[str, SOURCE],
    out: Annotated[Path, typer.Option(help="The folder to write; pack:OUT reads it anywhere.", show_default=False)],
    align: Annotated[bool, ALIGN] = False,
    image_size: Annotated[int, typer.Option(help="Side of the faces in pixels.")] = 64,
    crop: Annotated[str | None, typer.Option(help="A named crop; the source's own by default.")] = None,
    encoding: Annotated[str, typer.Option(help="raw (memory-mapped), webp or jpeg (small).")] = "raw",
    quality: Annotated[int, typer.Option(help="Of webp and jpeg, 1 to 100.")] = 90,
    split: Annotated[str, typer.Option(help="train, val, test or all.")] = "all",
    attributes: Annotated[str | None, typer.Option(help="Labels to keep, with commas between; all by default.")] = None,
    on_bad: Annotated[str, ON_BAD] = "skip",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a pack of another source.")] = False,
) -> None:
    """Decode the faces once, into one folder that can be moved.

    \b
    Examples:
      visagist data pack celeba:~/celeba --out packs/celeba-64
      visagist data pack celeba:~/celeba --out packs/train-webp --encoding webp --quality 80 --split train
    """
    from visagist.data import pack as write

    faces = write(
        aligned_data(source, align), out, image_size=image_size, crop=crop, encoding=encoding, quality=quality, split=split,
        attributes=split_names(attributes), on_bad=on_bad, overwrite=overwrite, progress=True,
    )  # fmt: skip
    say(f"{len(faces):,} faces of {faces.image_size} pixels")
    print_line(f"pack:{out}")
