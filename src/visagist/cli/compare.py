"""`visagist compare`, `visagist directions` and `visagist correlations`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from visagist.cli.console import (
    given_values,
    print_line,
    show,
    split_names,
    strengths,
    takes_options,
    tell_terms_once,
)
from visagist.cli.options import (
    FeatureOptions,
    JudgedOptions,
    Model,
    check_limit,
    check_models,
    check_split,
    interval_cell,
    show_figures,
)
from visagist.errors import VisagistError
from visagist.settings import parse_pairs

if TYPE_CHECKING:
    from visagist.evaluation import Metrics


SHOWN = ("success", "collateral", "identity", "outside", "change")
LOWEST = [(f"{way}, {title}", f"panel.{way}.{key}") for way in ("given", "taken")
          for title, key in (("lowest judge", "success"), ("its ceiling", "ceiling"))]  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class CompareOptions(FeatureOptions):
    """What `visagist compare` is told."""

    models: Annotated[
        list[str],
        typer.Argument(help="Two models or more, of any methods.", show_default=False, callback=check_models),
    ]
    attributes: Annotated[str | None, typer.Option(help="Some that a model edits; else all with labels.")] = None
    each: Annotated[
        int | None, typer.Option(help="Instead: at most so many with the one attribute, and without.")
    ] = None
    full_strength: Annotated[
        bool, typer.Option("--full-strength", help="Strength ±1 alone: no curves, nothing at equal success, much faster.")
    ] = False
    seeds: Annotated[int, typer.Option(help="Runs of each model with {seed} in its name, from 0 on.")] = 1


@takes_options(CompareOptions)
def compare(options: CompareOptions) -> None:
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
      visagist compare 'runs/a-{seed}' 'runs/b-{seed}' --seeds 3 --data celeba:~/celeba --out reports/seeds
    """
    from visagist import api
    from visagist.evaluation.compare import CompareSettings, models_of_seeds

    tell_terms_once()
    models, groups = models_of_seeds(options.models, options.seeds)
    asked = CompareSettings(split_names(options.attributes), options.each, groups, not options.full_strength)
    session = api.open_session(models, options.data, options.settings(), progress=True)
    metrics = api.report_comparison(session, asked, options.out, progress=True)
    options.print_result(metrics, "compare.html", _show_comparison)


def _show_comparison(metrics: Metrics) -> None:
    from visagist.reports.comparison_page import edited, pairs

    equal = ("success", *(f"less.{key}" for key in SHOWN[1:-1]))
    for attribute in metrics.manifest["attributes"]:
        title = f"{attribute} at strength ±1: {metrics.manifest['data']['n']} faces"
        rows: list[tuple[tuple[str, str], str]] = [((name, mode), key) for name, mode, key in edited(metrics, attribute)]
        show_figures(metrics, ("model", "mode"), LOWEST, rows, title)
        show_figures(metrics, ("model", "mode"), [(key, key) for key in SHOWN], rows, f"{attribute} by the judge")
        differences = [((f"{b} less {a}", mode, way), prefix) for a, b, mode, way, prefix in pairs(metrics, attribute)]
        if differences:
            heads, title = ("second less first", "mode", "way"), f"{attribute} at equal success"
            show_figures(metrics, heads, [(key, key) for key in equal], differences, title)
        _show_seeds(metrics, attribute)


def _show_seeds(metrics: Metrics, attribute: str) -> None:
    """The mean and the deviation between trainings of the models that were named by their seed."""
    from rich.table import Table

    from visagist.reports.reproduction_page import spread

    if metrics.manifest["between_runs"]:
        table = Table("model", "mode", *SHOWN, title=f"{attribute} at strength ±1: mean ± deviation between trainings")
        for group, spreads in metrics.manifest["between_runs"].items():
            for mode in metrics.manifest["modes"]:
                known = [spreads.get(f"compare.{attribute}.{mode}.{key}") for key in SHOWN]
                table.add_row(group, mode, *("–" if between is None else spread(between) for between in known))
        show(table)


NONE = "none"
LEFT_OUT = ("length", "locality")


@dataclass(frozen=True, kw_only=True)
class DirectionOptions(JudgedOptions):
    """What `visagist directions` is told."""

    model: Model
    out: Annotated[Path, typer.Option(help="The folder of the report and the directions.", show_default=False)]
    attributes: Annotated[
        str | None, typer.Option(help="Any that the faces are labelled with; else the model's.")
    ] = None
    condition_on: Annotated[
        str | None, typer.Option(help="Attributes to hold still, or none; else Male, where faces are labelled with it.")
    ] = None
    split: Annotated[
        str, typer.Option(help="What to measure on: train, val, test or all.", callback=check_split)
    ] = "test"
    limit: Annotated[
        int | None, typer.Option(help="At most so many faces of the split, drawn by the seed.", callback=check_limit)
    ] = 1000
    train: Annotated[int, typer.Option(help="At most so many training faces, drawn by the seed.")] = 10_000
    number: Annotated[int, typer.Option(help="Validation faces of each class to fit strength on.")] = 100
    step: Annotated[float, typer.Option(help="The equal length, in standard deviations of the codes; at most 8.")] = 3.0


@takes_options(DirectionOptions)
def directions(options: DirectionOptions) -> None:
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
    from visagist.evaluation.compare_directions import check_direction_settings

    tell_terms_once()
    still = options.condition_on
    given = () if still == NONE else split_names(still, "--condition-on")
    attributes, settings = split_names(options.attributes), options.settings()
    session = api.open_session([options.model], options.data, settings, progress=True)
    asked = check_direction_settings(
        session, attributes, given, fitted_on=options.train, calibrated_on=options.number, step=options.step
    )
    metrics, _ = api.report_directions(session, asked, options.out, progress=True)
    options.print_result(metrics, "directions.html", _show_directions)


def _show_directions(metrics: Metrics) -> None:
    from visagist.reports.directions_page import TITLES, columns_of, rows_of

    for attribute in metrics.manifest["attributes"]:
        # The page has all columns; these fit a terminal.
        columns = [(name, key) for name, key, _ in columns_of(metrics, attribute) if not key.startswith(LEFT_OUT)]
        for setting, title in TITLES.items():
            rows = [([label], key) for label, key in rows_of(metrics, attribute, setting)]
            if rows:
                title = f"{attribute}: {title[0].lower()}{title[1:]}"
                show_figures(metrics, ["direction"], columns, rows, title, _direction_cell)


def _direction_cell(measure: Any) -> str:
    if measure is not None and measure["low"] == measure["high"]:
        return f"{measure['value']:.3g}"
    return interval_cell(measure)


@dataclass(frozen=True, kw_only=True)
class CorrelationOptions(JudgedOptions):
    """What `visagist correlations` is told."""

    models: Annotated[
        list[str], typer.Argument(help="Models that edit the attribute.", show_default=False, callback=check_models)
    ]
    edit: Annotated[list[str], typer.Option("--set", help="What to edit, as No_Beard=-1 at calibrated strength.")]
    among: Annotated[str | None, typer.Option(help="Labels that the faces have, as Male=0,Young=1.")] = None
    watch: Annotated[str | None, typer.Option(help="Attributes to show; else --among's and what changes most.")] = None
    directions: Annotated[
        list[Path] | None, typer.Option(help="A directions.safetensors of one of the models: each is compared too.")
    ] = None
    kinds: Annotated[str | None, typer.Option(help="Of --directions, only these kinds, as classifier,mean.")] = None


@takes_options(CorrelationOptions)
def correlations(options: CorrelationOptions) -> None:
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
    from visagist.evaluation.side_effects import SideEffectSettings

    tell_terms_once()
    edits = strengths(parse_pairs(options.edit))
    if len(edits) != 1:
        raise VisagistError(f"--set names {len(edits)} attributes: a question is about one, as No_Beard=-1")
    ((attribute, strength),) = edits.items()
    if options.kinds is not None and not options.directions:
        raise VisagistError("--kinds chooses among the directions of a file: give --directions too")
    labels = {name: int(value) for name, value in given_values(options.among, "--among").items()}
    asked = SideEffectSettings(attribute, strength, labels, split_names(options.watch, "--watch"))
    kinds, settings = split_names(options.kinds, "--kinds"), options.settings()
    session = api.open_side_effect_session(
        options.models, options.data, settings, attribute, options.directions or (), kinds, progress=True
    )
    metrics = api.report_side_effects(session, asked, options.out, progress=True)
    options.print_result(metrics, "correlations.html", _show_side_effects)


def _show_side_effects(metrics: Metrics) -> None:
    from rich.table import Table

    from visagist.reports.side_effects_page import difference_keys, question_in_words, summary_columns
    from visagist.reports.tables import models_of

    for key, measure in metrics.values.items():
        if key.startswith("labels."):
            print_line(f"{key}: {interval_cell(measure)}, n = {measure['n']}")
    columns, names = [(name, key) for name, key, _ in summary_columns(metrics)], models_of(metrics)
    title = f"{question_in_words(metrics)}: {metrics.manifest['data']['n']} faces"
    rows = [([name], f"correlations.{name}") for name in names] + [
        ([f"{name} less {names[0]}"], key) for name, key in difference_keys(metrics)
    ]
    show_figures(metrics, ["model"], columns, rows, title)
    table = Table("read as", *names, title="change of what is read, by the judge and by the second one")
    for attribute in metrics.manifest["watched"]:
        families = [[f"correlations.{name}.{f}.{attribute}.change" for f in ("reads", "second_reads")] for name in names]
        table.add_row(attribute, *("; ".join(interval_cell(metrics.values.get(key)) for key in pair) for pair in families))
    show(table)
