"""`visagist compare`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from visagist.cli.console import print_json, print_line, say, show, split_names
from visagist.cli.evaluate import CROP, DATA, DEPENDENT, DEVICE, embedder_of
from visagist.cli.terms import tell_terms_once

if TYPE_CHECKING:
    from visagist.evaluation import Metrics

SHOWN = ("success", "collateral", "identity", "outside", "change")


def compare(
    models: Annotated[list[str], typer.Argument(help="Two models or more, of any methods.", show_default=False)],
    data: Annotated[str, DATA],
    out: Annotated[Path, typer.Option(help="The folder of the report.", show_default=False)],
    attributes: Annotated[str | None, typer.Option(help="Some that a model edits; else all with labels.")] = None,
    split: Annotated[str, typer.Option(help="train, val, test or all.")] = "test",
    limit: Annotated[int | None, typer.Option(help="At most so many faces, drawn by the seed.")] = None,
    each: Annotated[int | None, typer.Option(help="Instead: at most so many with the one attribute, and without.")] = None,
    judge: Annotated[str, typer.Option(help="A shipped judge, or a judge's folder.")] = "judge-64",
    identity: Annotated[Path | None, typer.Option(help="A face embedder as ONNX, for identity.*")] = None,
    identity_box: Annotated[str | None, typer.Option(help="What of the face it sees: left,top,right,bottom in 0–1.")] = None,
    features: Annotated[str | None, typer.Option(help="For realism.*: squeezenet11:FILE.h5 or FILE.onnx.")] = None,
    seed: Annotated[int, typer.Option(help="Of the faces that are drawn, and of intervals.")] = 0,
    crop: Annotated[str | None, CROP] = None,
    device: Annotated[str, DEVICE] = "auto",
    allow_dependent: Annotated[bool, DEPENDENT] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print compare.json.")] = False,
) -> None:
    """Set models side by side on the same faces: what their edits reach, and what it costs, over strength.

    Writes compare.json, .csv and .html, with the picture of success against identity kept and against other attributes that
    flip, and the differences of every two models where both succeed equally often. Models that do not edit take part in the
    general table.

    \b
    Examples:
      visagist compare ifcvae-gan-smiling-64 cvae-gan-smiling-64 --data celeba:~/celeba --out reports/smiles
      visagist compare runs/a runs/b runs/c --data celeba:~/celeba --identity face.onnx --limit 2000 --out reports/three
      visagist compare runs/a runs/b --data celeba:~/celeba --attributes Eyeglasses --each 500 --out reports/glasses
      visagist compare runs/a runs/b --data synthetic:2000 --attributes Smiling --out reports/drawn
    """
    from visagist import api

    tell_terms_once()
    metrics = api.compare(
        models, data, attributes=split_names(attributes), split=split, out=out, limit=limit, each=each, judge=judge,
        identity=embedder_of(identity, identity_box), features=features, seed=seed, crop=crop, device=device,
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
    print_line(out / "compare.html")


def _show(metrics: Metrics, attribute: str) -> None:
    from rich.table import Table

    from visagist.reports.comparison_page import edited, pairs

    title = f"{attribute} at strength ±1: {metrics.manifest['data']['n']} faces"
    table = Table("model", "mode", *SHOWN, title=title)
    for name, mode, prefix in edited(metrics, attribute):
        table.add_row(name, mode, *(_cell(metrics.values.get(f"{prefix}.{key}")) for key in SHOWN))
    show(table)
    rows = pairs(metrics, attribute)
    if rows:
        keys = ("success", *(f"less.{key}" for key in SHOWN[1:-1]))
        table = Table("second less first", "mode", "way", *keys, title=f"{attribute} at equal success")
        for first, second, mode, way, prefix in rows:
            figures = (_cell(metrics.values.get(f"{prefix}.{key}")) for key in keys)
            table.add_row(f"{second} less {first}", mode, way, *figures)
        show(table)


def _cell(measure: Any) -> str:
    return "–" if measure is None else f"{measure['value']:.3f} [{measure['low']:.3f}, {measure['high']:.3f}]"
