"""`visagist vectors`."""

from __future__ import annotations

from typing import Annotated

import typer

from visagist.cli.console import print_json, say, show, split_names
from visagist.cli.evaluate import CROP, DATA, DEVICE
from visagist.cli.terms import tell_terms_once


def vectors(
    model: Annotated[str, typer.Argument(help="A run or checkpoint folder of yours.", show_default=False)],
    data: Annotated[str, DATA],
    attributes: Annotated[
        str | None, typer.Option(help="Any that the faces are labelled with; else the model's, or all.")
    ] = None,
    number: Annotated[int, typer.Option(help="At most so many training faces of each class for a vector.")] = 2000,
    rule: Annotated[
        str, typer.Option(help="How faces move: toward one place beyond the class, or by one step, z + alpha v.")
    ] = "toward",
    match: Annotated[
        str | None, typer.Option(help="Labels that faces with and without shall have alike, with commas between.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the faces that are drawn.")] = 0,
    crop: Annotated[str | None, CROP] = None,
    device: Annotated[str, DEVICE] = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="Print what was fitted.")] = False,
) -> None:
    """Give a model that has a code but no edit its attribute vectors: mean code with, less mean code without.

    The vectors and the strength of their edits are stored in the model's folder; from then on it edits by them.

    \b
    Examples:
      visagist vectors runs/wgan --data celeba:~/celeba --attributes Smiling,Eyeglasses,Bald
      visagist vectors runs/wgan --data celeba:~/celeba --attributes Bald,Eyeglasses --match Male,Young
      visagist edit runs/wgan face.jpg --set Smiling=1 --out smiling.png
      visagist vectors runs/first --data synthetic:2000 --number 500 --json
    """
    from rich.table import Table

    from visagist.pipelines import calibrate

    tell_terms_once()
    found = calibrate.fit_vectors(
        model,
        data,
        attributes=split_names(attributes),
        number=number,
        rule=rule,
        match=split_names(match, "--match") or (),
        seed=seed,
        crop=crop,
        device=device,
        show=True,
        say=say,
    )
    if as_json:
        print_json([{"attribute": v.attribute, "with": v.n_with, "without": v.n_without, "length": v.length} for v in found])
        return
    table = Table("attribute", "faces with", "faces without", "length", "in deviations of the codes")
    for v in found:
        assert v.length is not None
        table.add_row(v.attribute, f"{v.n_with:,}", f"{v.n_without:,}", f"{v.length:.2f}", f"{v.length / v.unit:.2f}")
    show(table)
