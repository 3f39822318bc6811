"""`visagist map`: faces on a grid, those with similar codes near each other."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from visagist.boundary.ownership import take_folder
from visagist.boundary.schema import json_text
from visagist.cli.console import print_json, print_line, progress_bar
from visagist.cli.evaluate import CROP, DATA, DEVICE, MODEL
from visagist.cli.output import encoded
from visagist.cli.terms import tell_terms_once
from visagist.errors import VisagistError
from visagist.files import write_files
from visagist.photos.provenance import step_by

if TYPE_CHECKING:
    from visagist.data.faces import Faces
    from visagist.editing.editor import Editor
    from visagist.latent.tsne_grid import Map


def latent_map(
    model: Annotated[str, MODEL],
    data: Annotated[str, DATA],
    out: Annotated[Path, typer.Option(help="The folder of map.png, map.html and map.json.", show_default=False)],
    number: Annotated[int, typer.Option(help="How many faces, drawn by the seed: a square number, from 9 to 4096.")] = 625,
    split: Annotated[str, typer.Option(help="train, val, test or all.")] = "test",
    perplexity: Annotated[float | None, typer.Option(help="Of t-SNE; 30, or less for fewer than 91 faces.")] = None,
    seed: Annotated[int, typer.Option(min=0, max=2**32 - 1, help="Of the faces that are drawn, and of t-SNE.")] = 0,
    crop: Annotated[str | None, CROP] = None,
    device: Annotated[str, DEVICE] = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="Print map.json.")] = False,
) -> None:
    """Lay faces out on a square grid by t-SNE of their codes: each in a cell of its own, similar ones near each other.

    Writes map.png, map.html to zoom and pan that tells which file each face is, and map.json.

    \b
    Examples:
      visagist map ifcvae-gan-smiling-64 --data celeba:~/celeba --out map
      visagist map runs/first --data synthetic:2000 --split all --number 400 --out map
    """
    from visagist.editing.editor import Editor
    from visagist.editing.models import zoo
    from visagist.latent import tsne_grid as mapping
    from visagist.latent.codes import check_has_codes, encode_images
    from visagist.pipelines.calibrate import faces_for

    mapping.check_number(number)
    if out.exists() and not out.is_dir():
        raise VisagistError(f"{out} is a file: give a folder as --out")
    take_folder(out, ("map.png", "map.html", "map.json"))
    if model in zoo():
        tell_terms_once()
    editor = Editor.from_pretrained(model, device)
    check_has_codes(editor, "a map")
    faces = _chosen(faces_for(editor.description, data, crop, show=True), split, number, seed)
    with progress_bar("encoding") as progress:
        z = encode_images(editor, faces.images, progress).z
    with progress_bar("t-SNE and assignment"):
        layout = mapping.lay_out(z.flatten(1).numpy(), seed, perplexity)
    facts = _facts(editor, faces, split, seed, layout)
    _write(out, editor, faces, layout, facts)
    if as_json:
        print_json(facts)
        return
    print_line(_told(layout))
    print_line(out / "map.html")


def _chosen(faces: Faces, split: str, number: int, seed: int) -> Faces:
    import math

    there = len(faces.indices(split))
    if there < number:
        raise VisagistError(
            f"the {split} split has {there} faces, fewer than {number}: give --number {math.isqrt(there) ** 2} or less, "
            "or another --split"
        )
    return faces.take(faces.drawn(split, number, seed))


def _write(out: Path, editor: Editor, faces: Faces, layout: Map, facts: dict[str, Any]) -> None:
    
    from visagist.latent.tsne_grid import map_page, map_picture

    how = f"t-SNE of the codes of {len(faces)} faces, seed {facts['seed']}"
    step = step_by("arranged", editor.name, editor.description, how)
    picture = map_picture(faces.images, layout)
    title = f"{len(faces)} faces by their codes in {editor.name}"
    about = f"{facts['source']}, {facts['split']} · {_told(layout)}"
    write_files(
        out,
        {
            "map.png": encoded(picture, ".png", step),
            "map.html": map_page(layout, faces.files, encoded(picture, ".jpg", step), title, about),
            "map.json": json_text(facts, 1, ensure_ascii=False) + "\n",
        },
    )


def _told(layout: Map) -> str:
    trust = layout.trust
    return (
        f"trustworthiness of the grid {trust['grid']:.3f}, of t-SNE's own places {trust['tsne']:.3f}, by lot "
        f"{trust['by_lot']:.3f} ({layout.neighbours} neighbours)"
    )


def _facts(editor: Editor, faces: Faces, split: str, seed: int, layout: Map) -> dict[str, Any]:
    """What was laid out how and where, as `map.json` has it; cells from left to right and from the top down."""
    cells = []
    for face in layout.row_by_row.tolist():
        (row, column), (x, y) = layout.cells[face].tolist(), layout.places[face].tolist()
        cells.append({"file": faces.files[face], "row": row, "column": column, "x": round(x, 4), "y": round(y, 4)})
    return {
        "model": editor.name,
        "weights_sha256": editor.description.get("weights_sha256"),
        "source": faces.manifest.get("source"),
        "crop": faces.manifest.get("crop"),
        "split": split,
        "number": len(faces),
        "side": layout.side,
        "seed": seed,
        "perplexity": layout.perplexity,
        "trustworthiness": layout.trust,
        "neighbours": layout.neighbours,
        "cells": cells,
    }
