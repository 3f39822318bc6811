"""`visagist interpolate`: the way from one face to another in a model's code."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from visagist.boundary.ownership import replacing
from visagist.cli.console import print_json, print_line, progress_bar
from visagist.cli.evaluate import DEVICE, MODEL
from visagist.cli.output import ANIMATIONS, OVERWRITE, SUFFIXES, check_place, write_animation, write_picture
from visagist.cli.terms import tell_terms_once
from visagist.errors import VisagistError
from visagist.photos.provenance import step_by

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL import Image

ANIMATED_SIDE = 256  # pixels, at least


def interpolate(
    model: Annotated[str, MODEL],
    pictures: Annotated[list[Path], typer.Argument(metavar="FACE", help="Two faces or more.", show_default=False)],
    out: Annotated[Path, typer.Option(help="A picture of the way, or an animation: .gif or .mp4.", show_default=False)],
    steps: Annotated[int, typer.Option(help="Faces from one to the next, with both ends.")] = 11,
    kind: Annotated[str, typer.Option(help="linear, or spherical: along a great circle.")] = "linear",
    rate: Annotated[float, typer.Option(help="Of an animation: frames a second.")] = 10.0,
    device: Annotated[str, DEVICE] = "auto",
    overwrite: Annotated[bool, OVERWRITE] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print what was written as JSON.")] = False,
) -> None:
    """Show the way between the codes of faces, decoded: from the first to the second, from that to the third, and so on.

    A picture has a row for each way, with the photo at both ends. An animation runs there and back; .mp4 needs PyAV
    (pip install visagist\\[video]).

    \b
    Examples:
      visagist interpolate ifcvae-gan-smiling-64 a.jpg b.jpg --out way.png
      visagist interpolate runs/first a.jpg b.jpg c.jpg --steps 31 --out ways.gif
      visagist interpolate runs/first a.jpg b.jpg --kind spherical --out arc.png
    """
    from visagist.editing.editor import Editor
    from visagist.editing.models import zoo
    from visagist.latent.interpolation import interpolate_faces

    if len(pictures) < 2:
        raise VisagistError("one face has no way to another: name two or more after the model")
    check_place(out, pictures, (*SUFFIXES, *ANIMATIONS), overwrite=overwrite)
    if not 0.1 <= rate <= 50:  # a GIF counts in hundredths of a second, and two are the least that browsers keep
        raise VisagistError(f"--rate {rate:g} is no number of frames a second from 0.1 to 50: give for instance 10")
    if model in zoo():
        tell_terms_once()
    editor = Editor.from_pretrained(model, device)
    seen = editor.see([str(picture) for picture in pictures])
    with progress_bar("interpolating") as progress:
        ways = interpolate_faces(editor, seen, steps, kind, progress)
    asked = f"{kind} interpolation of {len(pictures)} faces"
    step = step_by("generated", editor.name, editor.description, asked)
    with replacing(*[out] * overwrite):
        if out.suffix.lower() in ANIMATIONS:
            write_animation(_there_and_back(ways), out, step, rate)
        else:
            write_picture(_strip(seen, ways), out, step)
    if as_json:
        files = [str(picture) for picture in pictures]
        print_json({"model": editor.name, "faces": files, "kind": kind, "steps": steps, "out": str(out)})
    else:
        print_line(out)


def _strip(seen: NDArray[np.uint8], ways: NDArray[np.uint8]) -> Image.Image:
    """A row for each way: the photo, the decoded faces under their shares, the other photo."""
    from visagist.editing.contact_sheets import row, stacked

    shares = [f"{i / (ways.shape[1] - 1):.2g}" for i in range(ways.shape[1])]
    ends = [("photo", face) for face in seen]
    return stacked([row([first, *zip(shares, way), second]) for first, way, second in zip(ends, ways, ends[1:])])


def _there_and_back(ways: NDArray[np.uint8]) -> list[Image.Image]:
    """Frames of the ways one after the other and back again; where one ends the next begins, which is shown once."""
    import math

    from visagist.editing.contact_sheets import enlarged

    size = ways.shape[2]
    side = size * math.ceil(ANIMATED_SIDE / size)
    there = [ways[0, 0], *(face for way in ways for face in way[1:])]
    return [enlarged(face, side + side % 2) for face in (*there, *there[-2:0:-1])]
