"""`visagist interpolate`, `traverse`, `walk` and `map`: what a model's code holds, in pictures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from visagist.boundary.ownership import allow_replacing, refuse_source, take_folder
from visagist.boundary.schema import json_text
from visagist.cli.console import print_json, print_line, split_names
from visagist.cli.inputs import load_editor
from visagist.cli.options import ALIGN, AS_IS, CROP, DATA, DEVICE, MODEL, aligned_data, check_pictures, check_split
from visagist.cli.output import ANIMATIONS, OVERWRITE, SUFFIXES, check_output_path, write_animation
from visagist.errors import VisagistError
from visagist.files import write_files
from visagist.photos.provenance import make_step
from visagist.progress import Messages, ProgressBar

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from PIL import Image

    from visagist.data.faces import Faces
    from visagist.editing.editor import Editor
    from visagist.latent.traversal import Ranking
    from visagist.latent.tsne_grid import Map
    from visagist.methods.base import Code
    from visagist.photos.photo import PhotoFile


ANIMATED_SIDE = 256  # pixels, at least
ALIGNED = typer.Option("--aligned", help="Each picture is one aligned face; none is looked for.")


def interpolate(
    model: Annotated[str, MODEL],
    pictures: Annotated[
        list[Path],
        typer.Argument(metavar="FACE", help="Two faces or more.", show_default=False, callback=check_pictures),
    ],
    out: Annotated[Path, typer.Option(help="A picture of the way, or an animation: .gif or .mp4.", show_default=False)],
    steps: Annotated[int, typer.Option(help="Faces from one to the next, with both ends.")] = 11,
    kind: Annotated[str, typer.Option(help="linear, or spherical: along a great circle.")] = "linear",
    rate: Annotated[float, typer.Option(help="Of an animation: frames a second.")] = 10.0,
    aligned: Annotated[bool, ALIGNED] = False,
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
    from visagist.faces.unaligned import find_squares
    from visagist.latent.interpolation import interpolate_faces
    from visagist.photos.encode import write_picture
    from visagist.photos.photo import read_photo

    if len(pictures) < 2:
        raise VisagistError("one face has no way to another: name two or more after the model")
    check_output_path(out, pictures, (*SUFFIXES, *ANIMATIONS), overwrite=overwrite)
    if not 0.1 <= rate <= 50:  # a GIF counts in hundredths of a second, and two are the least that browsers keep
        raise VisagistError(f"--rate {rate:g} is no number of frames a second from 0.1 to 50: give for instance 10")
    editor = load_editor(model, device)
    seen = find_squares(editor, [read_photo(picture) for picture in pictures], aligned)
    with ProgressBar("interpolating") as progress:
        ways = interpolate_faces(editor, seen, steps, kind, progress)
    asked = f"{kind} interpolation of {len(pictures)} faces"
    step = make_step("generated", editor, asked)
    with allow_replacing(*[out] * overwrite):
        if out.suffix.lower() in ANIMATIONS:
            write_animation(_frames(ways), out, step, rate)
        else:
            write_picture(_strips(seen, ways), out, step)
    files = [str(picture) for picture in pictures]
    facts = {"model": editor.name, "faces": files, "kind": kind, "steps": steps, "out": str(out)}
    _print_result(facts, [out], as_json)


def _print_result(facts: dict[str, Any], lines: Sequence[object], as_json: bool) -> None:
    """Print the facts as JSON, or lines for a person that end with the path of what was written."""
    if as_json:
        print_json(facts)
        return
    for line in lines:
        print_line(line)


def _strips(seen: NDArray[np.uint8], ways: NDArray[np.uint8]) -> Image.Image:
    """A row for each way: the photo, the decoded faces under their shares, the other photo."""
    from visagist.editing.contact_sheets import row, stacked

    shares = [f"{i / (ways.shape[1] - 1):.2g}" for i in range(ways.shape[1])]
    ends = [("photo", face) for face in seen]
    return stacked([row([first, *zip(shares, way), second]) for first, way, second in zip(ends, ways, ends[1:])])


def _frames(ways: NDArray[np.uint8]) -> list[Image.Image]:
    """Frames of the ways one after the other and back again; where one ends the next begins, which is shown once."""
    import math

    from visagist.editing.contact_sheets import enlarged

    size = ways.shape[2]
    side = size * math.ceil(ANIMATED_SIDE / size)
    there = [ways[0, 0], *(face for way in ways for face in way[1:])]
    return [enlarged(face, side + side % 2) for face in (*there, *there[-2:0:-1])]


def traverse(
    model: Annotated[str, MODEL],
    out: Annotated[Path, typer.Option(help="The picture to write.", show_default=False)],
    face: Annotated[
        Path | None, typer.Argument(help="The face; without it, one drawn from the prior.", callback=check_pictures)
    ] = None,
    data: Annotated[str | None, typer.Option(help="KIND:PATH of faces to rank dimensions on; else by this face.")] = None,
    number: Annotated[int, typer.Option(help="At most so many dimensions, those that matter most.")] = 10,
    reach: Annotated[float, typer.Option(help="How far, in standard deviations of the prior.")] = 3.0,
    steps: Annotated[int, typer.Option(help="Values from -reach to +reach.")] = 7,
    split: Annotated[str, typer.Option(help="Of the data: train, val, test or all.", callback=check_split)] = "test",
    limit: Annotated[int, typer.Option(help="Of the data: at most so many faces, drawn by the seed.")] = 500,
    seed: Annotated[int, typer.Option(min=0, max=2**63 - 1, help="Of what is drawn.")] = 0,
    crop: Annotated[str | None, CROP] = None,
    aligned: Annotated[bool, ALIGNED] = False,
    device: Annotated[str, DEVICE] = "auto",
    overwrite: Annotated[bool, OVERWRITE] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the ranking of all dimensions as JSON.")] = False,
) -> None:
    """Show what the latent dimensions that matter most do to a face: a row for each, from -reach to +reach.

    With --data dimensions are ranked by what faces say in them, and the active ones are counted; without, by how far the
    picture of this one face moves.

    \b
    Examples:
      visagist traverse ifcvae-gan-smiling-64 face.jpg --data celeba:~/celeba --out dimensions.png
      visagist traverse runs/first face.jpg --number 20 --reach 2 --out dimensions.png
      visagist traverse runs/first --seed 7 --data synthetic:2000 --out dimensions.png
    """
    from visagist.latent.codes import check_has_codes
    from visagist.latent.traversal import traverse as decode_rows
    from visagist.latent.traversal import values_of
    from visagist.photos.photo import read_photo

    check_output_path(out, [] if face is None else [face], overwrite=overwrite)
    refuse_source(out, data)
    if number < 1 or limit < 1:
        raise VisagistError(f"--number {number} and --limit {limit} are both at least 1")
    values = values_of(reach, steps)
    editor = load_editor(model, device)
    check_has_codes(editor, "traversal")
    photo = None if face is None else read_photo(face)
    code = _starting_code(editor, photo, seed, aligned)
    ranking = _rank(editor, code, data, crop, split, limit, reach, seed)
    chosen = ranking.order[:number].tolist()
    with ProgressBar("traversing") as progress:
        rows = decode_rows(editor, code, chosen, reach, steps, progress)
    with allow_replacing(*[out] * overwrite):
        _write_table(out, editor, code, ranking, chosen, rows, values.tolist(), seed, photo)
    facts = _ranking_facts(editor, ranking, chosen, face, seed, out)
    _print_result(facts, [_describe_ranking(ranking), out], as_json)


def _starting_code(editor: Editor, photo: PhotoFile | None, seed: int, aligned: bool) -> Code:
    from visagist.faces.unaligned import find_squares
    from visagist.latent.codes import encode_images
    from visagist.latent.traversal import prior_code

    if photo is None:
        return prior_code(editor, seed)
    return encode_images(editor, find_squares(editor, [photo], aligned))


def _rank(
    editor: Editor, code: Code, data: str | None, crop: str | None, split: str, limit: int, reach: float, seed: int
) -> Ranking:
    from visagist.latent.traversal import rank_by_faces, rank_by_movement
    from visagist.pipelines.calibrate import faces_for

    if data is None:
        with ProgressBar("ranking dimensions") as progress:
            return rank_by_movement(editor, code, reach, progress)
    faces = faces_for(editor.description, data, crop, progress=True)
    rows = faces.sample(split, limit, seed)
    with ProgressBar("ranking dimensions") as progress:
        return rank_by_faces(editor, faces.images[rows], progress)


def _write_table(
    out: Path, editor: Editor, code: Code, ranking: Ranking, chosen: list[int], rows: Any, values: list[float], seed: int,
    photo: PhotoFile | None,
) -> None:  # fmt: skip
    """The table: the face as it is and over the values, right of each dimension's number, own value and rank."""
    import numpy as np

    from visagist.editing.contact_sheets import table
    from visagist.latent.codes import decode_codes

    unmoved = np.broadcast_to(decode_codes(editor, code), rows[:, 0].shape)[:, None]
    short = {"kl": "KL {:.2f} nat", "variance": "variance {:.2f}", "movement": "moves {:.2g}"}[ranking.by]
    names = [f"z{k}\nis {code.z[0, k]:+.2f}\n{short.format(ranking.values[k])}" for k in chosen]
    columns = ["as it is", *(f"{value:+.2g}" if value else "0" for value in values)]
    kind, drawn = ("generated", f", seed {seed}") if photo is None else ("edited", "")
    asked = f"{len(chosen)} latent dimensions from {values[0]:+g} to {values[-1]:+g}{drawn}"
    step = make_step(kind, editor, asked)
    from visagist.photos.encode import write_picture

    write_picture(table(np.concatenate([unmoved, rows], axis=1), names, columns), out, step, photo)


def _describe_ranking(ranking: Ranking) -> str:
    """What was measured, for a person."""
    from visagist.latent.traversal import MEASURES
    from visagist.losses import ACTIVE

    if ranking.active is None:
        return f"ranked by {MEASURES[ranking.by]}, of this face; give --data to count active dimensions"
    total, faces = len(ranking.values), ranking.faces
    return f"{ranking.active} of {total} dimensions are active: {MEASURES[ranking.by]}, above {ACTIVE:g} ({faces} faces)"


def _ranking_facts(
    editor: Editor, ranking: Ranking, chosen: list[int], face: Path | None, seed: int, out: Path
) -> dict[str, Any]:
    """What was measured and written, for a script."""
    from visagist.latent.traversal import MEASURES
    from visagist.losses import ACTIVE

    return {
        "model": editor.name,
        "face": None if face is None else str(face),
        "seed": seed,
        "by": ranking.by,
        "measure": MEASURES[ranking.by],
        "faces": ranking.faces,
        "active": ranking.active,
        "active_above": None if ranking.active is None else ACTIVE,
        "shown": chosen,
        "values": [float(f"{value:.6g}") for value in ranking.values],
        "out": str(out),
    }


def walk(
    model: Annotated[str, MODEL],
    face: Annotated[Path, typer.Argument(help="The face.", show_default=False)],
    out: Annotated[Path, typer.Option(help="The picture to write.", show_default=False)],
    attributes: Annotated[str | None, typer.Option(help="Some that the model edits; else all.")] = None,
    steps: Annotated[int, typer.Option(help="From the reconstruction to the paper's setting, with both.")] = 11,
    away: Annotated[bool, typer.Option("--away", help="Away from each attribute rather than toward it.")] = False,
    aligned: Annotated[bool, ALIGNED] = False,
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
    from visagist.editing.contact_sheets import table
    from visagist.faces.unaligned import find_squares
    from visagist.latent.traversal import step_fractions, walk_attribute
    from visagist.photos.encode import write_picture
    from visagist.photos.photo import read_photo

    check_output_path(out, [face], overwrite=overwrite)
    alphas = step_fractions(steps)
    editor = load_editor(model, device)
    names = split_names(attributes) or editor.attributes
    photo = read_photo(face)
    rows = walk_attribute(editor, find_squares(editor, [photo], aligned)[0], names, steps, away)
    sign = "−" if away else "+"
    named = [f"{sign} {name.replace('_', ' ')}" for name in names]
    asked = f"walks {'away from' if away else 'toward'} {', '.join(names)}"
    step = make_step("edited", editor, asked)
    with allow_replacing(*[out] * overwrite):
        write_picture(table(rows, named, [f"{alpha:.2g}" for alpha in alphas]), out, step, photo)
    facts = {"model": editor.name, "face": str(face), "attributes": list(names), "away": away, "steps": steps}
    _print_result({**facts, "out": str(out)}, [out], as_json)


def latent_map(
    model: Annotated[str, MODEL],
    data: Annotated[str, DATA],
    out: Annotated[Path, typer.Option(help="The folder of map.png, map.html and map.json.", show_default=False)],
    number: Annotated[int, typer.Option(help="How many faces, drawn by the seed: a square number, from 9 to 4096.")] = 625,
    split: Annotated[str, typer.Option(help="train, val, test or all.", callback=check_split)] = "test",
    perplexity: Annotated[float | None, typer.Option(help="Of t-SNE; 30, or less for fewer than 91 faces.")] = None,
    seed: Annotated[int, typer.Option(min=0, max=2**32 - 1, help="Of the faces that are drawn, and of t-SNE.")] = 0,
    crop: Annotated[str | None, CROP] = None,
    align: Annotated[bool, ALIGN] = False,
    as_is: Annotated[bool, AS_IS] = False,
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
    from visagist.latent import tsne_grid as mapping
    from visagist.latent.codes import check_has_codes, encode_images
    from visagist.pipelines.align import refuse_unaligned
    from visagist.pipelines.calibrate import sample_for

    mapping.check_number(number)
    if out.exists() and not out.is_dir():
        raise VisagistError(f"{out} is a file: give a folder as --out")
    take_folder(out, ("map.png", "map.html", "map.json"))
    editor = load_editor(model, device)
    check_has_codes(editor, "a map")
    data = aligned_data(data, align)
    every = sample_for(editor.description, data, crop, split, number, seed, progress=True)
    if not (align or as_is):
        refuse_unaligned(every, data, Messages())
    faces = _draw_faces(every, split, number, seed)
    with ProgressBar("encoding") as progress:
        z = encode_images(editor, faces.images, progress).z
    with ProgressBar("t-SNE and assignment"):
        layout = mapping.lay_out(z.flatten(1).numpy(), seed, perplexity)
    facts = _map_facts(editor, faces, split, seed, layout)
    _write_map(out, editor, faces, layout, facts)
    _print_result(facts, [_describe_trust(layout), out / "map.html"], as_json)


def _draw_faces(faces: Faces, split: str, number: int, seed: int) -> Faces:
    import math

    there = len(faces.indices(split))
    if there < number:
        raise VisagistError(
            f"the {split} split has {there} faces, fewer than {number}: give --number {math.isqrt(there) ** 2} or less, "
            "or another --split"
        )
    return faces.take(faces.sample(split, number, seed))


def _write_map(out: Path, editor: Editor, faces: Faces, layout: Map, facts: dict[str, Any]) -> None:
    from visagist.latent.tsne_grid import map_picture
    from visagist.photos.encode import encode_picture
    from visagist.reports.latent_map_page import map_page

    how = f"t-SNE of the codes of {len(faces)} faces, seed {facts['seed']}"
    step = make_step("arranged", editor, how)
    picture = map_picture(faces.images, layout)
    title = f"{len(faces)} faces by their codes in {editor.name}"
    about = f"{facts['source']}, {facts['split']} · {_describe_trust(layout)}"
    names = [faces.files[face] for face in layout.row_by_row]
    write_files(
        out,
        {
            "map.png": encode_picture(picture, ".png", step),
            "map.html": map_page(names, encode_picture(picture, ".jpg", step), title, about),
            "map.json": json_text(facts, 1, ensure_ascii=False) + "\n",
        },
    )


def _describe_trust(layout: Map) -> str:
    trust = layout.trust
    return (
        f"trustworthiness of the grid {trust['grid']:.3f}, of t-SNE's own places {trust['tsne']:.3f}, by lot "
        f"{trust['by_lot']:.3f} ({layout.neighbours} neighbours)"
    )


def _map_facts(editor: Editor, faces: Faces, split: str, seed: int, layout: Map) -> dict[str, Any]:
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
