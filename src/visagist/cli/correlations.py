"""`visagist correlations`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from visagist.cli.console import given_values, print_json, print_line, say, show, split_names, strengths
from visagist.cli.evaluate import CROP, DATA, DEPENDENT, DEVICE, embedder_of
from visagist.cli.terms import tell_terms_once
from visagist.errors import VisagistError
from visagist.settings import parse_pairs

if TYPE_CHECKING:
    from visagist.evaluation import Metrics


def correlations(
    models: Annotated[list[str], typer.Argument(help="Models that edit the attribute.", show_default=False)],
    data: Annotated[str, DATA],
    edit: Annotated[list[str], typer.Option("--set", help="What to edit, as No_Beard=-1 at calibrated strength.")],
    out: Annotated[Path, typer.Option(help="The folder of the report.", show_default=False)],
    among: Annotated[str | None, typer.Option(help="Labels that the faces have, as Male=0,Young=1.")] = None,
    watch: Annotated[str | None, typer.Option(help="Attributes to show; else --among's and what changes most.")] = None,
    directions: Annotated[
        list[Path] | None, typer.Option(help="A directions.safetensors of one of the models: each is compared too.")
    ] = None,
    kinds: Annotated[str | None, typer.Option(help="Of --directions, only these kinds, as classifier,mean.")] = None,
    split: Annotated[str, typer.Option(help="train, val, test or all.")] = "test",
    limit: Annotated[int | None, typer.Option(help="At most so many faces, drawn by the seed.")] = None,
    judge: Annotated[str, typer.Option(help="A shipped judge, or a judge's folder.")] = "judge-64",
    identity: Annotated[Path | None, typer.Option(help="A face embedder as ONNX, for identity.*")] = None,
    identity_box: Annotated[str | None, typer.Option(help="What of the face it sees: left,top,right,bottom in 0–1.")] = None,
    seed: Annotated[int, typer.Option(help="Of the faces that are drawn, and of intervals.")] = 0,
    crop: Annotated[str | None, CROP] = None,
    device: Annotated[str, DEVICE] = "auto",
    allow_dependent: Annotated[bool, DEPENDENT] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print correlations.json.")] = False,
) -> None:
    """Ask what an edit takes along: the same faces edited by several models, and what else two judges then read.

    The faces are those of the class opposite to the edit that have the labels of --among: a beard for women, glasses for the
    young. Writes correlations.json, .csv and .html; differences between models are of each face.

    \b
    Examples:
      visagist correlations runs/a runs/b --data celeba:~/celeba --set No_Beard=-1 --among Male=0 --out reports/beards
      visagist correlations runs/a runs/b --data celeba:~/celeba --set Eyeglasses=1 --among Young=1 --out reports/glasses
      visagist correlations runs/a --data celeba:~/celeba --set Smiling=1 --directions directions.safetensors --out along
    """
    from visagist import api

    tell_terms_once()
    wanted = strengths(parse_pairs(edit))
    if len(wanted) != 1:
        raise VisagistError(f"--set names {len(wanted)} attributes: a question is about one, as No_Beard=-1")
    ((attribute, strength),) = wanted.items()
    if kinds is not None and not directions:
        raise VisagistError("--kinds chooses among the directions of a file: give --directions too")
    labels = {name: int(value) for name, value in given_values(among, "--among").items()}
    metrics = api.correlations(
        models, data, attribute, strength, among=labels,
        watched=split_names(watch, "--watch"), directions=directions or (), kinds=split_names(kinds, "--kinds"), split=split,
        out=out, limit=limit, judge=judge, identity=embedder_of(identity, identity_box), seed=seed, crop=crop, device=device,
        allow_dependent=allow_dependent, show=True,
    )  # fmt: skip
    if as_json:
        print_json(metrics.to_json())
        return
    _show(metrics)
    for note in metrics.manifest["notes"]:
        say(f"note: {note}")
    for key, why in metrics.not_computed.items():
        say(f"not computed: {key}: {why}")
    print_line(out / "correlations.html")


def _show(metrics: Metrics) -> None:
    from rich.table import Table

    from visagist.reports.side_effects_page import difference_keys, models_of, question_in_words, summary_columns

    for key, measure in metrics.values.items():
        if key.startswith("labels."):
            print_line(f"{key}: {_cell(measure)}, n = {measure['n']}")
    columns, names = summary_columns(metrics), models_of(metrics)
    title = f"{question_in_words(metrics)}: {metrics.manifest['data']['n']} faces"
    rows = [(name, f"correlations.{name}") for name in names] + [
        (f"{name} less {names[0]}", key) for name, key in difference_keys(metrics)
    ]
    table = Table("model", *(name for name, _, _ in columns), title=title)
    for label, key in rows:
        table.add_row(label, *(_cell(metrics.values.get(f"{key}.{measure}")) for _, measure, _ in columns))
    show(table)
    table = Table("read as", *names, title="change of what is read, by the judge and by the second one")
    for attribute in metrics.manifest["watched"]:
        families = [[f"correlations.{name}.{f}.{attribute}.change" for f in ("reads", "second_reads")] for name in names]
        table.add_row(attribute, *("; ".join(_cell(metrics.values.get(key)) for key in pair) for pair in families))
    show(table)


def _cell(measure: Any) -> str:
    return "–" if measure is None else f"{measure['value']:.3f} [{measure['low']:.3f}, {measure['high']:.3f}]"
