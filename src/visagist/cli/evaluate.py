"""`visagist evaluate` and `visagist calibrate`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from visagist.cli.console import print_json, print_line, progress_bar, say, show, split_names, strengths, tell_terms_once
from visagist.errors import VisagistError
from visagist.settings import parse_pairs

if TYPE_CHECKING:
    from visagist.evaluation import Metrics, OnnxEmbedder


MODEL = typer.Argument(help="A shipped model, a run or checkpoint folder, or hub:owner/name.", show_default=False)
DATA = typer.Option(help="KIND:PATH, as celeba:PATH.", show_default=False)
CROP = typer.Option(help="A named crop; the model's own for celeba, else the source's.")
DEVICE = typer.Option(help="auto, cpu, cuda, cuda:N or mps.")
DEPENDENT = typer.Option("--allow-dependent", help="Measure what is not judged independently; the report says so on top.")


def evaluate(
    model: Annotated[str, MODEL],
    data: Annotated[str, DATA],
    out: Annotated[Path, typer.Option(help="The folder of the report.", show_default=False)],
    split: Annotated[str, typer.Option(help="train, val, test or all.")] = "test",
    judge: Annotated[str, typer.Option(help="A shipped judge, or a judge's folder.")] = "judge-64",
    identity: Annotated[Path | None, typer.Option(help="A face embedder as ONNX, for identity.*")] = None,
    identity_box: Annotated[str | None, typer.Option(help="What of the face it sees: left,top,right,bottom in 0–1.")] = None,
    features: Annotated[str | None, typer.Option(help="For realism.*: squeezenet11:FILE.h5 or FILE.onnx.")] = None,
    classifier: Annotated[Path | None, typer.Option(help="An ImageNet classifier as ONNX, for inception.*")] = None,
    second: Annotated[str | None, typer.Option(help="A second judge for second.*: face-api:FOLDER.")] = None,
    recovery: Annotated[int, typer.Option(min=0, help="Fresh decoders of z, by so many training faces; 0: none.")] = 0,
    limit: Annotated[int | None, typer.Option(help="At most so many faces.")] = None,
    attributes: Annotated[str | None, typer.Option(help="Some of those that the model edits; else all.")] = None,
    seed: Annotated[int, typer.Option(help="Of subsets, probes and intervals.")] = 0,
    crop: Annotated[str | None, CROP] = None,
    device: Annotated[str, DEVICE] = "auto",
    allow_dependent: Annotated[bool, DEPENDENT] = False,
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
    from rich.table import Table

    from visagist import api

    tell_terms_once()
    embedder = embedder_of(identity, identity_box)
    metrics = api.evaluate(
        model, data, split=split, out=out, judge=judge, identity=embedder, features=features,
        classifier=classifier, second=second, recovery=recovery, limit=limit, attributes=split_names(attributes),
        seed=seed, crop=crop, device=device, allow_dependent=allow_dependent, show=True,
    )  # fmt: skip
    if as_json:
        print_json(metrics.to_json())
        return
    table = Table("metric", "value", "low", "high", "n")
    for key, measure in metrics.values.items():
        table.add_row(key, *(f"{measure[part]:.4g}" for part in ("value", "low", "high")), str(measure["n"]))  # type: ignore[literal-required]
    show(table)
    for note in metrics.manifest.get("notes", ()):
        say(f"note: {note}")
    for key, why in metrics.not_computed.items():
        say(f"not computed: {key}: {why}")
    print_line(out / ("report.html" if (out / "report.html").exists() else "metrics.json"))


def embedder_of(path: Path | None, box: str | None) -> OnnxEmbedder | None:
    """The embedder that --identity and --identity-box name, if any."""
    from visagist.evaluation import OnnxEmbedder

    if path is None:
        if box is not None:
            raise VisagistError("--identity-box says what an embedder sees: give --identity FILE.onnx too")
        return None
    if box is None:
        return OnnxEmbedder(path)
    try:
        left, top, right, bottom = (float(part) for part in box.split(","))
    except ValueError as error:
        raise VisagistError(f"--identity-box is {box!r}: write left,top,right,bottom, as 0.1,0.14,0.9,0.94") from error
    return OnnxEmbedder(path, box=(left, top, right, bottom))


def calibrate(
    model: Annotated[str, MODEL],
    data: Annotated[str, DATA],
    number: Annotated[int, typer.Option(help="Validation faces of each class.")] = 300,
    crop: Annotated[str | None, CROP] = None,
    device: Annotated[str, DEVICE] = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="Print the record.")] = False,
) -> None:
    """Fit what strengths from −1 to 1 mean for a model, on validation faces, with the judge that never scores.

    `visagist train` does so by itself; this is for other data, or a model that was not calibrated.

    \b
    Example:
      visagist calibrate runs/first --data celeba:~/celeba
    """
    from visagist.pipelines import calibrate as fitting

    tell_terms_once()
    record = fitting.calibrate(model, data, number=number, crop=crop, device=device, show=True, say=say)
    if as_json:
        print_json(record)
        return
    for attribute, ways in record.items():
        for way, found in ways.items():
            if not found["calibrated"]:
                print_line(f"{attribute} {way}: not calibrated, the judge does not know it")
                continue
            start, end, real = (found[key] for key in ("median_judge_at_0", "median_judge_at_1", "target_median"))
            far = "does not reach" if not found["reached"] else "reaches" if end >= real else "is sure enough beside"
            print_line(
                f"{attribute} {way}: the judge's median goes from {start:.2f} to {end:.2f}, which {far} that of real "
                f"faces, {real:.2f}"
            )


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


def landmarks(
    model: Annotated[str, MODEL],
    data: Annotated[str, DATA],
    out: Annotated[Path, typer.Option(help="The folder of the report, which shows faces.", show_default=False)],
    setting: Annotated[str, typer.Option("--set", help="What is taken away: ATTRIBUTE=STRENGTH below 0.")] = "Eyeglasses=-1",
    paper_setting: Annotated[
        bool, typer.Option("--paper-setting", help="As far as the paper's own setting goes, not by strength.")
    ] = False,
    detectors: Annotated[
        str | None, typer.Option(help="Of ert68, ert5 and onet, each as NAME or NAME:FILE, with commas; else ert68,ert5.")
    ] = None,
    split: Annotated[str, typer.Option(help="train, val, test or all.")] = "test",
    limit: Annotated[int, typer.Option(help="At most so many faces with, and as many without, drawn by the seed.")] = 1000,
    drawn: Annotated[int, typer.Option(help="Drawn faces, each with and without; 0 for none.")] = 200,
    seed: Annotated[int, typer.Option(help="Of the faces that are drawn, and of intervals.")] = 0,
    crop: Annotated[str | None, CROP] = None,
    device: Annotated[str, DEVICE] = "auto",
    allow_dependent: Annotated[bool, DEPENDENT] = False,
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
    wanted = strengths(parse_pairs([setting]))
    ((attribute, strength),) = wanted.items()
    if not -1 <= strength < 0:
        raise VisagistError(f"--set {setting} takes nothing away: write for instance {attribute}=-1")
    with progress_bar("finding landmarks", "pictures") as told:
        metrics = api.landmarks(
            model, data, attribute=attribute, strength=None if paper_setting else strength,
            detectors=split_names(detectors, "--detectors"), split=split, out=out, limit=limit, drawn=drawn, seed=seed,
            crop=crop, device=device, allow_dependent=allow_dependent, show=True, progress=told,
        )  # fmt: skip
    for term in metrics.manifest["terms"]:
        say(f"terms: {term}")
    if as_json:
        print_json(metrics.to_json())
        return
    _show_landmarks(metrics)
    for note in metrics.manifest["notes"]:
        if note not in metrics.manifest["terms"]:
            say(f"note: {note}")
    for key, why in metrics.not_computed.items():
        say(f"not computed: {key}: {why}")
    print_line(out / "landmarks.html")


def _show_landmarks(metrics: Metrics) -> None:
    from rich.table import Table

    from visagist.evaluation.landmark_gain import PARTS, SETS
    from visagist.reports.landmark_page import PARTS_SAID

    table = Table("detector", "reference", "points", *SETS, "gain", "gain over rebuilt")
    for comparison in metrics.manifest["comparisons"]:
        _, reference, detector = (key := comparison["key"]).split(".")
        for part in PARTS:
            # The page has the interval of each; here those of the gains fit.
            cells = [_cell_landmarks(metrics, f"{key}.{name}.{part}_error", ".5f") for name in SETS]
            gains = ("gain", "gain_over_rebuilt")
            cells += [_cell_landmarks(metrics, f"{key}.{part}_{name}", "+.5f", True) for name in gains]
            if any(cell != "–" for cell in cells):
                table.add_row(detector, reference, PARTS_SAID[part], *cells)
    show(table)


def _cell_landmarks(metrics: Metrics, key: str, form: str, interval: bool = False) -> str:
    if key not in metrics:
        return "–"
    low, value, high = (format(metrics[key][part], form) for part in ("low", "value", "high"))  # type: ignore[literal-required]
    return f"{value} [{low}, {high}]" if interval else value
