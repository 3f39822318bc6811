"""`visagist attributes`: what can be edited, in words, by which models, and how well."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from visagist.cli.console import print_json, print_line, say, show
from visagist.errors import VisagistError

if TYPE_CHECKING:
    from collections.abc import Sequence

AS_JSON = typer.Option("--json", help="Print JSON.")


def attributes(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[ATTRIBUTE]...", help="Some of them; all by default.", show_default=False)
    ] = None,
    photo: Annotated[Path | None, typer.Option(help="With --out: a photograph; else the portrait that ships.")] = None,
    out: Annotated[Path | None, typer.Option(help="A picture to write: each attribute in both directions.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the file that --out names.")] = False,
    as_json: Annotated[bool, AS_JSON] = False,
) -> None:
    """What can be edited in photographs: attributes, the words for them, and which shipped models edit them how well.

    The first model is the one that `visagist edit` takes. Given and taken away: the share of test faces that a judge which
    trained none of them reads as the other class at strength 1 and -1; identity: how alike the face stays, where two
    photographs of one person have .51.

    \b
    Examples:
      visagist attributes
      visagist attributes beard old
      visagist attributes smile glasses --photo me.jpg --out me-attributes.png
    """
    from rich.table import Table

    from visagist.pretrained import describe_edits

    rows = describe_edits()
    if names:
        chosen = _chosen(names, rows)
        rows = [row for row in rows if row["attribute"] in chosen]
    if out is not None:
        _draw([str(row["attribute"]) for row in rows], photo, out, overwrite)
    if as_json:
        print_json(rows)
        return
    table = Table("attribute", "also", "model", "given", "taken away", "identity")
    for row in rows:
        for number, model in enumerate(row["models"]):
            first = (row["attribute"], ", ".join(row["words"])) if number == 0 else ("", "")
            figures = (_percent(model["given"]), _percent(model["taken"]), _plain(model["identity"]))
            table.add_row(*first, model["model"], *figures)
    show(table)
    if out is not None:
        print_line(out)


def _chosen(names: Sequence[str], rows: Sequence[dict[str, Any]]) -> set[str]:
    from visagist.attributes import resolve_strengths

    known = [str(row["attribute"]) for row in rows]
    return {next(iter(resolve_strengths({name: 1}, known, "the shipped models"))) for name in names}


def _draw(names: Sequence[str], photo: Path | None, out: Path, overwrite: bool) -> None:
    """Write the first face of a photograph with each attribute taken away, as it is, and given."""
    from importlib.resources import files

    import numpy as np
    from PIL import Image

    from visagist.boundary.ownership import allow_replacing
    from visagist.cli.output import check_output_path
    from visagist.editing.chains.editor_chain import load_best
    from visagist.editing.contact_sheets import table
    from visagist.photos.encode import write_picture
    from visagist.photos.photo import read_photo
    from visagist.photos.provenance import Step
    from visagist.progress import ProgressBar

    check_output_path(out, [] if photo is None else [photo], overwrite=overwrite)
    source = read_photo(files("visagist").joinpath("demo_face.png").read_bytes() if photo is None else photo)
    rows, editors = [], []
    with ProgressBar("editing") as progress:
        progress.stage("editing", len(names), "attributes")
        for name in names:
            editor = load_best([name])
            editors.append(editor)
            pixels = [source.view()]
            for strength in (-1.0, 1.0):
                result = editor_result(editor, source, name, strength)
                pixels.append(np.asarray(result.image))
            left, top, right, bottom = result.changes[0].surroundings
            tiles = [Image.fromarray(np.ascontiguousarray(p[top:bottom, left:right])).resize((128, 128)) for p in pixels]
            rows.append(np.stack([np.asarray(tiles[i]) for i in (1, 0, 2)]))
            progress.advance()
    models, backends = (", ".join(dict.fromkeys(kind)) for kind in zip(*((each.name, each.runner) for each in editors)))
    step = Step("edited", models, settings=f"{', '.join(names)} at -1 and 1", backend=backends)
    labels = [name.replace("_", " ") for name in names]
    with allow_replacing(*[out] * overwrite):
        write_picture(table(np.stack(rows), labels, ["taken away", "as it is", "given"]), out, step, source)
    say(f"{len(names)} attributes drawn")


def editor_result(editor: Any, source: Any, name: str, strength: float) -> Any:
    """The photograph with one attribute edited in its largest face; VisagistError where there is none."""
    from visagist.editing.photo_edit import edit_photo

    result = edit_photo(editor, source, {name: strength})
    if not result.changes:
        raise VisagistError(f"{source.name} shows no face to edit: give another photograph")
    return result


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.0f} %"


def _plain(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"
