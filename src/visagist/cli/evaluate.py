"""`visagist evaluate`, `visagist recognise` and `visagist landmarks`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from visagist.cli.console import print_json, print_line, say, show, split_names, strengths, takes_options, tell_terms_once
from visagist.cli.options import (
    FeatureOptions,
    IndependentOptions,
    MeasureOptions,
    Model,
    check_limit,
    check_models,
    check_split,
    embedder_of,
    interval_cell,
    show_figures,
)
from visagist.errors import VisagistError
from visagist.settings import parse_pairs

if TYPE_CHECKING:
    from visagist.evaluation import Metrics
    from visagist.evaluation.photographs.protocol import PhotographSettings
    from visagist.evaluation.session import EvaluationSettings

SHOWN = 10  # figures of an evaluation on a terminal


@dataclass(frozen=True, kw_only=True)
class EvaluateOptions(FeatureOptions):
    """What `visagist evaluate` is told."""

    model: Model
    classifier: Annotated[Path | None, typer.Option(help="An ImageNet classifier as ONNX, for inception.*")] = None
    second: Annotated[str | None, typer.Option(help="A second judge for second.*: face-api:FOLDER.")] = None
    recovery: Annotated[int, typer.Option(min=0, help="Fresh decoders of z, by so many training faces; 0: none.")] = 0
    without: Annotated[str | None, typer.Option(help="Families of figures to leave out, as leakage,identity.")] = None
    attributes: Annotated[str | None, typer.Option(help="Some of those that the model edits; else all.")] = None

    def settings(self) -> EvaluationSettings:
        """The same, without the families that are left out."""
        return replace(super().settings(), without=split_names(self.without, "--without") or ())


@takes_options(EvaluateOptions)
def evaluate(options: EvaluateOptions) -> None:
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
    metrics = api.evaluate_model(
        options.model, options.data, options.settings(), split_names(options.attributes), options.recovery, options.out,
        progress=True,
    )  # fmt: skip
    page = "report.html" if (options.out / "report.html").exists() else "metrics.json"
    options.print_result(metrics, page, _show_first_metrics, brief=True)


def _show_first_metrics(metrics: Metrics) -> None:
    """The first figures of the page's tiles, or of all where it has none, with what is read so without an edit."""
    from rich.table import Table

    from visagist.evaluation.metrics import METRICS
    from visagist.evaluation.metrics.edits import base_rate_of
    from visagist.evaluation.results import lines_on

    tiles = {line.key: line.title for line in lines_on("tiles", METRICS, metrics.values)}
    shown = list(tiles or metrics.values)[:SHOWN]
    table = Table("", "metric", "value", "low", "high", "ceiling", "without an edit", "n")
    for key in shown:
        measure, base = metrics.values[key], metrics.values.get(base_rate_of(key))
        figures = [f"{measure['value']:.4g}", f"{measure['low']:.4g}", f"{measure['high']:.4g}"]
        ceiling = metrics.values.get(f"{key.removesuffix('success')}ceiling")
        beside = ["" if part is None else f"{part['value']:.4g}" for part in (ceiling, base)]
        table.add_row(tiles.get(key, ""), key, *figures, *beside, str(measure["n"]))
    show(table)
    if len(metrics.values) > len(shown):
        say(f"{len(shown)} of {len(metrics.values)} figures; all are in metrics.csv and metrics.json beside the page")


@dataclass(frozen=True, kw_only=True)
class RecogniseOptions(MeasureOptions):
    """What `visagist recognise` is told."""

    models: Annotated[
        list[str],
        typer.Argument(
            help="Models with a code; of several, all codes together too.", show_default=False, callback=check_models
        ),
    ]
    out: Annotated[Path, typer.Option(help="The folder of the table.", show_default=False)]
    attributes: Annotated[str | None, typer.Option(help="Some that the faces are labelled with; else all.")] = None
    split: Annotated[str, typer.Option(help="What to score on: test or val.", callback=check_split)] = "test"
    limit: Annotated[
        int | None, typer.Option(help="At most so many faces of the split, drawn by the seed.", callback=check_limit)
    ] = None
    train: Annotated[int | None, typer.Option(help="At most so many training faces, drawn by the seed.")] = None


@takes_options(RecogniseOptions)
def recognise(options: RecogniseOptions) -> None:
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
    session = api.open_session(options.models, options.data, options.settings(), progress=True)
    attributes = split_names(options.attributes)
    metrics = api.report_recognition(session, options.train, options.out, attributes=attributes, progress=True)
    options.print_result(metrics, "recognition.html", _show_accuracies)


def _show_accuracies(metrics: Metrics) -> None:
    columns = [(f"mean {name.replace('_', ' ')}", name) for name in ("accuracy", "balanced_accuracy")]
    rows = [([view], f"recognition.{view}") for view in metrics.manifest["views"]]
    show_figures(metrics, ["view"], columns, rows, cell=lambda figure: interval_cell(figure, ".2f", 100, " %"))


@dataclass(frozen=True, kw_only=True)
class LandmarkOptions(IndependentOptions):
    """What `visagist landmarks` is told."""

    model: Model
    out: Annotated[Path, typer.Option(help="The folder of the report, which shows faces.", show_default=False)]
    setting: Annotated[str, typer.Option("--set", help="What is taken away: ATTRIBUTE=STRENGTH below 0.")] = "Eyeglasses=-1"
    paper_setting: Annotated[
        bool, typer.Option("--paper-setting", help="As far as the paper's own setting goes, not by strength.")
    ] = False
    detectors: Annotated[
        str | None, typer.Option(help="Of ert68, ert5 and onet, each as NAME or NAME:FILE, with commas; else ert68,ert5.")
    ] = None
    limit: Annotated[
        int | None, typer.Option(help="At most so many faces with, and as many without, drawn by the seed.")
    ] = 1000
    drawn: Annotated[int, typer.Option(help="Drawn faces, each with and without; 0 for none.")] = 200


@takes_options(LandmarkOptions)
def landmarks(options: LandmarkOptions) -> None:
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
    from visagist.evaluation.extractors.landmark_detectors import DEFAULT, load_detectors
    from visagist.evaluation.landmark_gain import RemovalSettings

    tell_terms_once()
    ((attribute, strength),) = strengths(parse_pairs([options.setting])).items()
    if not -1 <= strength < 0:
        raise VisagistError(f"--set {options.setting} takes nothing away: write for instance {attribute}=-1")
    removal = RemovalSettings(attribute, None if options.paper_setting else strength, options.drawn)
    detectors = load_detectors(split_names(options.detectors, "--detectors") or DEFAULT)
    session = api.open_session([options.model], options.data, options.settings(), progress=True)
    metrics = api.report_landmarks(session, detectors, removal, options.out, progress=True)
    for term in metrics.manifest["terms"]:
        say(f"terms: {term}")
    options.print_result(metrics, "landmarks.html", _show_landmarks)


def _show_landmarks(metrics: Metrics) -> None:
    from rich.table import Table

    from visagist.evaluation.landmark_gain import GAINS, PARTS_IN_WORDS, SETS

    table = Table("detector", "reference", "points", *SETS, "gain", "gain over rebuilt")
    for comparison in metrics.manifest["comparisons"]:
        _, reference, detector = (key := comparison["key"]).split(".")
        for part, words in PARTS_IN_WORDS.items():
            # The page has the interval of each; here those of the gains fit.
            errors = [metrics.values.get(f"{key}.{name}.{part}_error") for name in SETS]
            gains = [metrics.values.get(f"{key}.{part}_{name}") for name in GAINS]
            cells = ["–" if error is None else f"{error['value']:.5f}" for error in errors]
            cells += [interval_cell(gain, "+.5f") for gain in gains]
            if any(cell != "–" for cell in cells):
                table.add_row(detector, reference, words, *cells)
    show(table)


@dataclass(frozen=True, kw_only=True)
class PhotographOptions:
    """What `visagist photographs` is told."""

    models: Annotated[
        list[str], typer.Argument(help="Models that edit.", show_default=False, callback=check_models)
    ]
    data: Annotated[str, typer.Option(help="Aligned pictures of CelebA's size, as celeba:PATH.", show_default=False)]
    out: Annotated[Path, typer.Option(help="The folder of the report, which shows faces.", show_default=False)]
    attributes: Annotated[str | None, typer.Option(help="Some that the models edit; else all.")] = None
    mode: Annotated[str | None, typer.Option(help="photo, detail or render; else the usual one of photographs.")] = None
    strength: Annotated[float, typer.Option(help="How far, above 0 and at most 1.")] = 1.0
    number: Annotated[int, typer.Option(help="Faces of each class of each attribute.", min=1)] = 200
    split: Annotated[
        str, typer.Option(help="val to choose by, test once at the end.", callback=check_split)
    ] = "test"
    judges: Annotated[
        str, typer.Option(help="With commas between: judge-64, a judge's folder, face-api:FOLDER, geometry.")
    ] = "judge-64"
    identity: Annotated[Path | None, typer.Option(help="A face embedder as ONNX, for identity.")] = None
    identity_box: Annotated[
        str | None, typer.Option(help="What of the face it sees: left,top,right,bottom in 0–1.")
    ] = None
    refiner: Annotated[str, typer.Option(help="A refiner, or auto for the shipped one of each model.")] = "auto"
    seed: Annotated[int, typer.Option(help="Of the faces that are drawn, of scenes and of intervals.")] = 0
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:N or mps.")] = "auto"
    allow_dependent: Annotated[
        bool, typer.Option("--allow-dependent", help="Measure what is not judged independently; the report says so.")
    ] = False
    as_json: Annotated[bool, typer.Option("--json", help="Print the JSON file.")] = False

    def settings(self) -> PhotographSettings:
        """What is asked: every field that the command has, with lists taken apart and the embedder opened."""
        from visagist.evaluation.photographs.protocol import PhotographSettings

        same = ("mode", "strength", "number", "split", "refiner", "seed", "device", "allow_dependent")
        attributes = split_names(self.attributes)
        return PhotographSettings(
            None if attributes is None else tuple(attributes), judges=tuple(split_names(self.judges) or ()),
            identity=embedder_of(self.identity, self.identity_box), **{name: getattr(self, name) for name in same},
        )  # fmt: skip


@takes_options(PhotographOptions)
def photographs(options: PhotographOptions) -> None:
    """Edit photographs as a person gets them, and have judges of different kinds read them; the lowest is the figure.

    Faces are laid into photographs, found, edited both ways, pasted back and cut out again. Writes photographs.html, .json
    and .csv.

    \b
    Examples:
      visagist photographs ifcvae-gan-factored-64 --data celeba:~/celeba --out reports/photographs
      visagist photographs ifcvae-gan-factored-64 --data celeba:~/celeba --judges judge-64,geometry --out reports/two
      visagist photographs ifcvae-gan-factored-64 --data celeba:~/celeba --mode detail --split val --out reports/detail
    """
    from visagist import api

    tell_terms_once()
    metrics = api.photographs(options.models, options.data, options.settings(), options.out, progress=True)
    if options.as_json:
        print_json(metrics.to_json())
        return
    columns = [("success", "success"), ("ceiling", "ceiling"), ("others", "others"), ("identity", "identity"),
               ("sharpness", "sharpness")]  # fmt: skip
    rows = [
        ([model, f"{name} {way}"], f"photographs.{model}.{name}.{way}")
        for model, names in metrics.manifest["attributes"].items() for name in names for way in ("given", "taken")
    ]  # fmt: skip
    show_figures(metrics, ["model", "edit"], columns, rows)
    print_line(options.out / "photographs.html")
