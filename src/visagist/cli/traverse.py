"""`visagist traverse`: what each latent dimension does to a face."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from visagist.boundary.ownership import refuse_source, replacing
from visagist.cli.console import print_json, print_line, progress_bar
from visagist.cli.evaluate import CROP, DEVICE, MODEL
from visagist.cli.output import OVERWRITE, check_place, write_picture
from visagist.cli.terms import tell_terms_once
from visagist.errors import VisagistError
from visagist.photos.provenance import step_by

if TYPE_CHECKING:
    from visagist.editing.editor import Editor
    from visagist.latent.traversal import Ranking
    from visagist.methods.base import Code
    from visagist.photos.photo import PhotoFile


def traverse(
    model: Annotated[str, MODEL],
    out: Annotated[Path, typer.Option(help="The picture to write.", show_default=False)],
    face: Annotated[Path | None, typer.Argument(help="The face; without it, one drawn from the prior.")] = None,
    data: Annotated[str | None, typer.Option(help="KIND:PATH of faces to rank dimensions on; else by this face.")] = None,
    number: Annotated[int, typer.Option(help="At most so many dimensions, those that matter most.")] = 10,
    reach: Annotated[float, typer.Option(help="How far, in standard deviations of the prior.")] = 3.0,
    steps: Annotated[int, typer.Option(help="Values from -reach to +reach.")] = 7,
    split: Annotated[str, typer.Option(help="Of the data: train, val, test or all.")] = "test",
    limit: Annotated[int, typer.Option(help="Of the data: at most so many faces, drawn by the seed.")] = 500,
    seed: Annotated[int, typer.Option(min=0, max=2**63 - 1, help="Of what is drawn.")] = 0,
    crop: Annotated[str | None, CROP] = None,
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
    from visagist.editing.editor import Editor
    from visagist.editing.models import zoo
    from visagist.latent.codes import check_has_codes
    from visagist.latent.traversal import traverse as decode_rows
    from visagist.latent.traversal import values_of
    from visagist.photos.photo import read_photo

    check_place(out, [] if face is None else [face], overwrite=overwrite)
    refuse_source(out, data)
    if number < 1 or limit < 1:
        raise VisagistError(f"--number {number} and --limit {limit} are both at least 1")
    values = values_of(reach, steps)
    if model in zoo():
        tell_terms_once()
    editor = Editor.from_pretrained(model, device)
    check_has_codes(editor, "traversal")
    photo = None if face is None else read_photo(face)
    code = _start(editor, photo, seed)
    ranking = _rank(editor, code, data, crop, split, limit, reach, seed)
    chosen = ranking.order[:number].tolist()
    with progress_bar("traversing") as progress:
        rows = decode_rows(editor, code, chosen, reach, steps, progress)
    with replacing(*[out] * overwrite):
        _write(out, editor, code, ranking, chosen, rows, values.tolist(), seed, photo)
    if as_json:
        print_json(_facts(editor, ranking, chosen, face, seed, out))
        return
    for line in _lines(ranking):
        print_line(line)
    print_line(out)


def _start(editor: Editor, photo: PhotoFile | None, seed: int) -> Code:
    from PIL import Image

    from visagist.latent.codes import encode_images
    from visagist.latent.traversal import prior_code

    if photo is None:
        return prior_code(editor, seed)
    return encode_images(editor, editor.see([Image.fromarray(photo.view())]))


def _rank(
    editor: Editor, code: Code, data: str | None, crop: str | None, split: str, limit: int, reach: float, seed: int
) -> Ranking:
    from visagist.latent.traversal import rank_by_faces, rank_by_movement
    from visagist.pipelines.calibrate import faces_for

    if data is None:
        with progress_bar("ranking dimensions") as progress:
            return rank_by_movement(editor, code, reach, progress)
    faces = faces_for(editor.description, data, crop, show=True)
    rows = faces.drawn(split, limit, seed)
    with progress_bar("ranking dimensions") as progress:
        return rank_by_faces(editor, faces.images[rows], progress)


def _write(
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
    step = step_by(kind, editor.name, editor.description, asked)
    write_picture(table(np.concatenate([unmoved, rows], axis=1), names, columns), out, step, photo)


def _lines(ranking: Ranking) -> list[str]:
    """What was measured, for a person."""
    from visagist.latent.traversal import MEASURES
    from visagist.losses import ACTIVE

    if ranking.active is None:
        return [f"ranked by {MEASURES[ranking.by]}, of this face; give --data to count active dimensions"]
    total, faces = len(ranking.values), ranking.faces
    return [f"{ranking.active} of {total} dimensions are active: {MEASURES[ranking.by]}, above {ACTIVE:g} ({faces} faces)"]


def _facts(editor: Editor, ranking: Ranking, chosen: list[int], face: Path | None, seed: int, out: Path) -> dict[str, Any]:
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
