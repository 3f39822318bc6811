"""`visagist evaluate`, `visagist recognise` and `visagist landmarks`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from visagist.cli.console import say, show, split_names, strengths, tell_terms_once
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


def evaluate(
    model: Model,
    data: Data,
    out: Out,
    split: Split = "test",
    judge: Judge = "judge-64",
    identity: Identity = None,
    identity_box: IdentityBox = None,
    features: Features = None,
    classifier: Annotated[Path | None, typer.Option(help="An ImageNet classifier as ONNX, for inception.*")] = None,
    second: Annotated[str | None, typer.Option(help="A second judge for second.*: face-api:FOLDER.")] = None,
    recovery: Annotated[int, typer.Option(min=0, help="Fresh decoders of z, by so many training faces; 0: none.")] = 0,
    limit: Limit = None,
    attributes: Annotated[str | None, typer.Option(help="Some of those that the model edits; else all.")] = None,
    seed: Seed = 0,
    crop: Crop = None,
    device: Device = "auto",
    allow_dependent: AllowDependent = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print metrics.json.")] = False,
) -> None:
    """Measure how good a model's edits are, as a judge sees it that did not train it.

    Writes metrics.json, metrics.csv and report.html; every figure has a 95 % interval.

    \b
    Examples:
      visagist evaluate ifcvae-gan-smiling-64 --data celeba:~/celeba --out reports/smiling
      visagist evaluate runs/first --data synthetic:2000 --limit 200 --out reports/first
      visagist evaluate ifcvae-gan-smiling-64 --data folder:~/photos --out reports/elsewhere
      visagist evaluate judge-64 --data celeba:~/celeba --out reports/judge
      visagist evaluate runs/first --data celeba:~/celeba --out reports/first --identity embedder.onnx
      visagist evaluate runs/first --data celeba:~/celeba --out reports/first --features squeezenet11:squeezenet.h5
      visagist evaluate runs/first --data celeba:~/celeba --out reports/first --second face-api:~/face-api/weights
    """
    from visagist import api

    tell_terms_once()
    metrics = api.evaluate(
        model, data, split=split, out=out, judge=judge, identity=embedder_of(identity, identity_box), features=features,
        classifier=classifier, second=second, recovery=recovery, limit=limit, attributes=split_names(attributes),
        seed=seed, crop=crop, device=device, allow_dependent=allow_dependent, progress=True,
    )  # fmt: skip
    page = out / "report.html"
    print_result(metrics, page if page.exists() else out / "metrics.json", as_json, _show_metrics)


def _show_metrics(metrics: Metrics) -> None:
    from rich.table import Table

    table = Table("metric", "value", "low", "high", "n")
    for key, measure in metrics.values.items():
        figures = (measure["value"], measure["low"], measure["high"])
        table.add_row(key, *(f"{figure:.4g}" for figure in figures), str(measure["n"]))
    show(table)


def recognise(
    models: Annotated[
        list[str], typer.Argument(help="Models with a code; of several, all codes together too.", show_default=False)
    ],
    data: Data,
    out: Annotated[Path, typer.Option(help="The folder of the table.", show_default=False)],
    attributes: Annotated[str | None, typer.Option(help="Some that the faces are labelled with; else all.")] = None,
    split: Annotated[str, typer.Option(help="What to score on: test or val.")] = "test",
    limit: Annotated[int | None, typer.Option(help="At most so many faces of the split, drawn by the seed.")] = None,
    train: Annotated[int | None, typer.Option(help="At most so many training faces, drawn by the seed.")] = None,
    seed: Seed = 0,
    crop: Crop = None,
    device: Device = "auto",
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
    metrics = api.recognise(
        models, data, attributes=split_names(attributes), split=split, out=out, limit=limit, train=train, seed=seed,
        crop=crop, device=device, progress=True,
    )  # fmt: skip
    print_result(metrics, out / "recognition.html", as_json, _show_accuracies)


def _show_accuracies(metrics: Metrics) -> None:
    from rich.table import Table

    table = Table("view", "mean accuracy", "mean balanced accuracy")
    for view in metrics.manifest["views"]:
        figures = (metrics.values.get(f"recognition.{view}.{name}") for name in ("accuracy", "balanced_accuracy"))
        table.add_row(view, *(interval_cell(figure, ".2f", 100, " %") for figure in figures))
    show(table)


def landmarks(
    model: Model,
    data: Data,
    out: Annotated[Path, typer.Option(help="The folder of the report, which shows faces.", show_default=False)],
    setting: Annotated[str, typer.Option("--set", help="What is taken away: ATTRIBUTE=STRENGTH below 0.")] = "Eyeglasses=-1",
    paper_setting: Annotated[
        bool, typer.Option("--paper-setting", help="As far as the paper's own setting goes, not by strength.")
    ] = False,
    detectors: Annotated[
        str | None, typer.Option(help="Of ert68, ert5 and onet, each as NAME or NAME:FILE, with commas; else ert68,ert5.")
    ] = None,
    split: Split = "test",
    limit: Annotated[int, typer.Option(help="At most so many faces with, and as many without, drawn by the seed.")] = 1000,
    drawn: Annotated[int, typer.Option(help="Drawn faces, each with and without; 0 for none.")] = 200,
    seed: Seed = 0,
    crop: Crop = None,
    device: Device = "auto",
    allow_dependent: AllowDependent = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print landmarks.json.")] = False,
) -> None:
    """Measure how much better eyes, nose and mouth are found once a model has taken the glasses away.

    Errors against the landmarks that the faces come with, and what stands in for them: other detectors, and drawn faces.
    Needs pip install 'visagist\\[landmarks]'. Writes landmarks.html with the points on faces, and .json and .csv.

    \b
    Examples:
      visagist landmarks introvac-eyefacial-64 --data celeba:~/celeba --out reports/landmarks
      visagist landmarks runs/glasses --data celeba:~/celeba --detectors ert68,onet:onet.pt --out reports/landmarks
      visagist landmarks runs/drawn --data synthetic:2000 --limit 100 --out reports/landmarks
    """
    from visagist import api

    tell_terms_once()
    ((attribute, strength),) = strengths(parse_pairs([setting])).items()
    if not -1 <= strength < 0:
        raise VisagistError(f"--set {setting} takes nothing away: write for instance {attribute}=-1")
    metrics = api.landmarks(
        model, data, attribute=attribute, strength=None if paper_setting else strength,
        detectors=split_names(detectors, "--detectors"), split=split, out=out, limit=limit, drawn=drawn, seed=seed,
        crop=crop, device=device, allow_dependent=allow_dependent, progress=True,
    )  # fmt: skip
    for term in metrics.manifest["terms"]:
        say(f"terms: {term}")
    print_result(metrics, out / "landmarks.html", as_json, _show_landmarks)


def _show_landmarks(metrics: Metrics) -> None:
    from rich.table import Table

    from visagist.evaluation.landmark_gain import PARTS, SETS
    from visagist.reports.landmark_page import PARTS_SAID

    table = Table("detector", "reference", "points", *SETS, "gain", "gain over rebuilt")
    for comparison in metrics.manifest["comparisons"]:
        _, reference, detector = (key := comparison["key"]).split(".")
        for part in PARTS:
            # The page has the interval of each; here those of the gains fit.
            errors = [metrics.values.get(f"{key}.{name}.{part}_error") for name in SETS]
            gains = [metrics.values.get(f"{key}.{part}_{name}") for name in ("gain", "gain_over_rebuilt")]
            cells = ["–" if error is None else f"{error['value']:.5f}" for error in errors]
            cells += [interval_cell(gain, "+.5f") for gain in gains]
            if any(cell != "–" for cell in cells):
                table.add_row(detector, reference, PARTS_SAID[part], *cells)
    show(table)
