"""`visagist directions`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from visagist.cli.console import print_json, print_line, say, show, split_names
from visagist.cli.evaluate import CROP, DATA, DEPENDENT, DEVICE, MODEL, embedder_of
from visagist.cli.terms import tell_terms_once

if TYPE_CHECKING:
    from visagist.evaluation import Metrics

NONE = "none"
LEFT_OUT = ("length", "locality")


def directions(
    model: Annotated[str, MODEL],
    data: Annotated[str, DATA],
    out: Annotated[Path, typer.Option(help="The folder of the report and the directions.", show_default=False)],
    attributes: Annotated[str | None, typer.Option(help="Any that the faces are labelled with; else the model's.")] = None,
    condition_on: Annotated[
        str | None, typer.Option(help="Attributes to hold still, or none; else Male, where faces are labelled with it.")
    ] = None,
    split: Annotated[str, typer.Option(help="What to measure on: train, val, test or all.")] = "test",
    limit: Annotated[int, typer.Option(help="At most so many faces of the split, drawn by the seed.")] = 1000,
    train: Annotated[int, typer.Option(help="At most so many training faces, drawn by the seed.")] = 10_000,
    number: Annotated[int, typer.Option(help="Validation faces of each class to fit strength on.")] = 100,
    step: Annotated[float, typer.Option(help="The equal length, in standard deviations of the codes; at most 8.")] = 3.0,
    judge: Annotated[str, typer.Option(help="A shipped judge, or a judge's folder.")] = "judge-64",
    identity: Annotated[Path | None, typer.Option(help="A face embedder as ONNX, for identity.*")] = None,
    identity_box: Annotated[str | None, typer.Option(help="What of the face it sees: left,top,right,bottom in 0–1.")] = None,
    seed: Annotated[int, typer.Option(help="Of the faces that are drawn, and of intervals.")] = 0,
    crop: Annotated[str | None, CROP] = None,
    device: Annotated[str, DEVICE] = "auto",
    allow_dependent: Annotated[bool, DEPENDENT] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print directions.json.")] = False,
) -> None:
    """Compare directions in a model's code: classifier weight, mean difference, logistic regression, SVM, discriminant.

    Each is fitted on training faces, plain and with the directions of other attributes taken out, and moves faces at
    equal judged strength and by an equal length. Writes directions.json, .csv, .html, and .safetensors to use them again.

    \b
    Examples:
      visagist directions runs/introvac --data celeba:~/celeba --out reports/directions
      visagist directions runs/introvac --data celeba:~/celeba --attributes Facial_Hair --condition-on Male,Young --out hair
      visagist directions runs/first --data synthetic:2000 --condition-on Smiling --limit 200 --out reports/drawn
      visagist directions runs/first --data synthetic:2000 --condition-on none --out reports/plain
    """
    from visagist import api

    tell_terms_once()
    named = split_names(attributes)
    given = () if condition_on == NONE else split_names(condition_on, "--condition-on")
    embed = embedder_of(identity, identity_box)
    metrics, _ = api.compare_directions(
        model, data, attributes=named, condition_on=given, split=split, out=out, judge=judge, identity=embed, limit=limit,
        train=train, number=number, step=step, seed=seed, crop=crop, device=device,
        allow_dependent=allow_dependent, show=True,
    )  # fmt: skip
    if as_json:
        print_json(metrics.to_json())
        return
    for attribute in metrics.manifest["attributes"]:
        _show(metrics, attribute)
    for note in metrics.manifest["notes"]:
        say(f"note: {note}")
    for key, why in metrics.not_computed.items():
        say(f"not computed: {key}: {why}")
    print_line(out / "directions.html")


def _show(metrics: Metrics, attribute: str) -> None:
    from rich.table import Table

    from visagist.reports.directions_page import TITLES, columns_of, rows_of

    # The page has them all; these fit a terminal.
    columns = [column for column in columns_of(metrics, attribute) if not column[1].startswith(LEFT_OUT)]
    for setting, title in TITLES.items():
        rows = rows_of(metrics, attribute, setting)
        if not rows:
            continue
        table = Table("direction", *(name for name, _, _ in columns), title=f"{attribute}: {title[0].lower()}{title[1:]}")
        for label, key in rows:
            table.add_row(label, *(_cell(metrics.values.get(f"{key}.{measure}")) for _, measure, _ in columns))
        show(table)


def _cell(measure: Any) -> str:
    if measure is None:
        return "–"
    if measure["low"] == measure["high"]:
        return f"{measure['value']:.3g}"
    return f"{measure['value']:.3f} [{measure['low']:.3f}, {measure['high']:.3f}]"
