"""`visagist faces`: which faces a photograph shows, numbered as `--face` takes them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from visagist.boundary.ownership import allow_replacing
from visagist.cli.console import print_json, print_line, say, show
from visagist.errors import NoFaceError

if TYPE_CHECKING:
    from visagist.faces.detection import Face


def faces(
    photo: Annotated[Path, typer.Argument(help="A photograph; of an animation its first frame.", show_default=False)],
    smallest: Annotated[int | None, typer.Option(min=1, help="Width in pixels of the smallest faces.")] = None,
    finder: Annotated[str | None, typer.Option(help="network, dlib, or the folder of a trained finder.")] = None,
    out: Annotated[Path | None, typer.Option(help="Write the photograph with the faces marked, a PNG.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the file of --out.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the faces as JSON, with their points.")] = False,
) -> None:
    """List the faces of a photograph, the largest first, by the numbers that --face takes.

    Of each its place, how sure it is, how it is turned, and why an edit of it may fail or is refused. Exit status: 0 some,
    3 none.

    \b
    Examples:
      visagist faces group.jpg
      visagist faces group.jpg --out group-faces.png
      visagist faces crowd.jpg --smallest 12 --json
    """
    from visagist.editing.photo_edit import find_faces, read_upright
    from visagist.editing.selection.face_list import face_facts, write_drawn_faces

    pixels = read_upright(photo)
    present = find_faces(pixels, smallest, finder)
    if out is not None:
        with allow_replacing(*[out] * overwrite):
            write_drawn_faces(pixels, present, out)
    if as_json:
        height, width = pixels.shape[:2]
        listed = [face_facts(number, face) for number, face in enumerate(present)]
        print_json({"photo": str(photo), "width": width, "height": height, "faces": listed})
    elif present:
        _show_table(present)
    if out is not None and not as_json:
        say(f"wrote {out}")
    if not present:
        raise NoFaceError(f"no face was found in {photo}: ask for smaller ones with --smallest")
    if not as_json:
        print_line(f"{len(present)} face{'s' * (len(present) != 1)}")


def _show_table(present: list[Face]) -> None:
    from rich.table import Table

    table = Table("face", "left, top", "width", "score", "tilt", "yaw", "notes")
    for number, face in enumerate(present):
        left, top, right, _ = face.box
        refused = [f"refused, {reason}" for reason in face.unfit]
        table.add_row(
            str(number), f"{left}, {top}", str(right - left), f"{face.score:.2f}", f"{face.angle:.0f}°", f"{face.yaw:.0f}°",
            "; ".join([*refused, *face.warnings]),
        )  # fmt: skip
    show(table)
