"""`visagist compare`, `visagist directions` and `visagist correlations`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from visagist.cli.console import given_values, print_line, show, split_names, strengths, tell_terms_once
from visagist.cli.options import (
    AllowDependent,
    Crop,
    Data,
    Device,
    Features,
    Identity,
    IdentityBox,
    Judge,
    Limit,
    Model,
    Out,
    Seed,
    Split,
    embedder_of,
    interval_cell,
    print_result,
)
from visagist.errors import VisagistError
from visagist.settings import parse_pairs

if TYPE_CHECKING:
    from visagist.evaluation import Metrics


SHOWN = ("success", "collateral", "identity", "outside", "change")


def compare(
    models: Annotated[list[str], typer.Argument(help="Two models or more, of any methods.", show_default=False)],
    data: Data,
    out: Out,
    attributes: Annotated[str | None, typer.Option(help="Some that a model edits; else all with labels.")] = None,
    split: Split = "test",
    limit: Limit = None,
    each: Annotated[int | None, typer.Option(help="Instead: at most so many with the one attribute, and without.")] = None,
    judge: Judge = "judge-64",
    identity: Identity = None,
    identity_box: IdentityBox = None,
    features: Features = None,
    seed: Seed = 0,
    crop: Crop = None,
    device: Device = "auto",
    allow_dependent: AllowDependent = False,
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
        allow_dependent=allow_dependent, progress=True,
    )  # fmt: skip
    print_result(metrics, out / "compare.html", as_json, _show_comparison)


def _show_comparison(metrics: Metrics) -> None:
    for attribute in metrics.manifest["attributes"]:
        _show_attribute(metrics, attribute)


def _show_attribute(metrics: Metrics, attribute: str) -> None:
    from rich.table import Table

    from visagist.reports.comparison_page import edited, pairs

    title = f"{attribute} at strength ±1: {metrics.manifest['data']['n']} faces"
    table = Table("model", "mode", *SHOWN, title=title)
    for name, mode, prefix in edited(metrics, attribute):
        table.add_row(name, mode, *(interval_cell(metrics.values.get(f"{prefix}.{key}")) for key in SHOWN))
    show(table)
    rows = pairs(metrics, attribute)
    if rows:
        keys = ("success", *(f"less.{key}" for key in SHOWN[1:-1]))
        table = Table("second less first", "mode", "way", *keys, title=f"{attribute} at equal success")
        for first, second, mode, way, prefix in rows:
            figures = (interval_cell(metrics.values.get(f"{prefix}.{key}")) for key in keys)
            table.add_row(f"{second} less {first}", mode, way, *figures)
        show(table)


NONE = "none"
LEFT_OUT = ("length", "locality")


def directions(
    model: Model,
    data: Data,
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
    judge: Judge = "judge-64",
    identity: Identity = None,
    identity_box: IdentityBox = None,
    seed: Seed = 0,
    crop: Crop = None,
    device: Device = "auto",
    allow_dependent: AllowDependent = False,
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
        allow_dependent=allow_dependent, progress=True,
    )  # fmt: skip
    print_result(metrics, out / "directions.html", as_json, _show_directions)


def _show_directions(metrics: Metrics) -> None:
    for attribute in metrics.manifest["attributes"]:
        _show_directions_of(metrics, attribute)


def _show_directions_of(metrics: Metrics, attribute: str) -> None:
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
            table.add_row(label, *(_direction_cell(metrics.values.get(f"{key}.{measure}")) for _, measure, _ in columns))
        show(table)


def _direction_cell(measure: Any) -> str:
    if measure is not None and measure["low"] == measure["high"]:
        return f"{measure['value']:.3g}"
    return interval_cell(measure)


def correlations(
    models: Annotated[list[str], typer.Argument(help="Models that edit the attribute.", show_default=False)],
    data: Data,
    edit: Annotated[list[str], typer.Option("--set", help="What to edit, as No_Beard=-1 at calibrated strength.")],
    out: Out,
    among: Annotated[str | None, typer.Option(help="Labels that the faces have, as Male=0,Young=1.")] = None,
    watch: Annotated[str | None, typer.Option(help="Attributes to show; else --among's and what changes most.")] = None,
    directions: Annotated[
        list[Path] | None, typer.Option(help="A directions.safetensors of one of the models: each is compared too.")
    ] = None,
    kinds: Annotated[str | None, typer.Option(help="Of --directions, only these kinds, as classifier,mean.")] = None,
    split: Split = "test",
    limit: Limit = None,
    judge: Judge = "judge-64",
    identity: Identity = None,
    identity_box: IdentityBox = None,
    seed: Seed = 0,
    crop: Crop = None,
    device: Device = "auto",
    allow_dependent: AllowDependent = False,
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
    edits = strengths(parse_pairs(edit))
    if len(edits) != 1:
        raise VisagistError(f"--set names {len(edits)} attributes: a question is about one, as No_Beard=-1")
    ((attribute, strength),) = edits.items()
    if kinds is not None and not directions:
        raise VisagistError("--kinds chooses among the directions of a file: give --directions too")
    labels = {name: int(value) for name, value in given_values(among, "--among").items()}
    metrics = api.correlations(
        models, data, attribute, strength, among=labels,
        watched=split_names(watch, "--watch"), directions=directions or (), kinds=split_names(kinds, "--kinds"), split=split,
        out=out, limit=limit, judge=judge, identity=embedder_of(identity, identity_box), seed=seed, crop=crop, device=device,
        allow_dependent=allow_dependent, progress=True,
    )  # fmt: skip
    print_result(metrics, out / "correlations.html", as_json, _show_side_effects)


def _show_side_effects(metrics: Metrics) -> None:
    from rich.table import Table

    from visagist.reports.side_effects_page import difference_keys, models_of, question_in_words, summary_columns

    for key, measure in metrics.values.items():
        if key.startswith("labels."):
            print_line(f"{key}: {interval_cell(measure)}, n = {measure['n']}")
    columns, names = summary_columns(metrics), models_of(metrics)
    title = f"{question_in_words(metrics)}: {metrics.manifest['data']['n']} faces"
    rows = [(name, f"correlations.{name}") for name in names] + [
        (f"{name} less {names[0]}", key) for name, key in difference_keys(metrics)
    ]
    table = Table("model", *(name for name, _, _ in columns), title=title)
    for label, key in rows:
        table.add_row(label, *(interval_cell(metrics.values.get(f"{key}.{measure}")) for _, measure, _ in columns))
    show(table)
    table = Table("read as", *names, title="change of what is read, by the judge and by the second one")
    for attribute in metrics.manifest["watched"]:
        families = [[f"correlations.{name}.{f}.{attribute}.change" for f in ("reads", "second_reads")] for name in names]
        table.add_row(attribute, *("; ".join(interval_cell(metrics.values.get(key)) for key in pair) for pair in families))
    show(table)
