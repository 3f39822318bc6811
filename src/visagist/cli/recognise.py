"""`visagist recognise`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from visagist.cli.console import print_json, print_line, progress_bar, say, show, split_names
from visagist.cli.evaluate import CROP, DATA, DEVICE
from visagist.cli.terms import tell_terms_once

if TYPE_CHECKING:
    from visagist.evaluation import Metrics


def recognise(
    models: Annotated[
        list[str], typer.Argument(help="Models with a code; of several, all codes together too.", show_default=False)
    ],
    data: Annotated[str, DATA],
    out: Annotated[Path, typer.Option(help="The folder of the table.", show_default=False)],
    attributes: Annotated[str | None, typer.Option(help="Some that the faces are labelled with; else all.")] = None,
    split: Annotated[str, typer.Option(help="What to score on: test or val.")] = "test",
    limit: Annotated[int | None, typer.Option(help="At most so many faces of the split, drawn by the seed.")] = None,
    train: Annotated[int | None, typer.Option(help="At most so many training faces, drawn by the seed.")] = None,
    seed: Annotated[int, typer.Option(help="Of the faces that are drawn, and of intervals.")] = 0,
    crop: Annotated[str | None, CROP] = None,
    device: Annotated[str, DEVICE] = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="Print recognition.json.")] = False,
) -> None:
    """Recognise attributes by linear SVMs on the codes of one model, or of several side by side (multi-view).

    Writes recognition.html with each attribute by each view beside the published table, and .json and .csv.

    \b
    Examples:
      visagist recognise runs/wgan --data celeba:~/celeba --out reports/recognition
      visagist recognise runs/relu1 runs/relu2 runs/relu3 runs/relu4 runs/relu5 --data celeba:~/celeba --out reports/views
      visagist recognise runs/first --data synthetic:2000 --attributes Smiling,Eyeglasses --out reports/drawn
    """
    from visagist import api

    tell_terms_once()
    with progress_bar("fitting SVMs") as told:
        metrics = api.recognise(
            models, data, attributes=split_names(attributes), split=split, out=out, limit=limit, train=train, seed=seed,
            crop=crop, device=device, show=True, progress=told,
        )  # fmt: skip
    if as_json:
        print_json(metrics.to_json())
        return
    _show(metrics)
    for key, why in metrics.not_computed.items():
        say(f"not computed: {key}: {why}")
    print_line(out / "recognition.html")


def _show(metrics: Metrics) -> None:
    from rich.table import Table

    table = Table("view", "mean accuracy", "mean balanced accuracy")
    for view in metrics.manifest["views"]:
        key = f"recognition.{view}"
        table.add_row(view, *(_cell(metrics, f"{key}.{name}") for name in ("accuracy", "balanced_accuracy")))
    show(table)


def _cell(metrics: Metrics, key: str) -> str:
    if key not in metrics:
        return "–"
    low, value, high = (f"{100 * metrics[key][part]:.2f}" for part in ("low", "value", "high"))  # type: ignore[literal-required]
    return f"{value} % [{low}, {high}]"
