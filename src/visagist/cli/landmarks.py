"""`visagist landmarks`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from visagist.cli.console import print_json, print_line, progress_bar, say, show, split_names, strengths
from visagist.cli.evaluate import CROP, DATA, DEPENDENT, DEVICE, MODEL
from visagist.cli.terms import tell_terms_once
from visagist.errors import VisagistError
from visagist.settings import parse_pairs

if TYPE_CHECKING:
    from visagist.evaluation import Metrics


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
    _show(metrics)
    for note in metrics.manifest["notes"]:
        if note not in metrics.manifest["terms"]:
            say(f"note: {note}")
    for key, why in metrics.not_computed.items():
        say(f"not computed: {key}: {why}")
    print_line(out / "landmarks.html")


def _show(metrics: Metrics) -> None:
    from rich.table import Table

    from visagist.evaluation.landmark_errors import PARTS, SETS
    from visagist.reports.landmark_page import PARTS_SAID

    table = Table("detector", "reference", "points", *SETS, "gain", "gain over rebuilt")
    for comparison in metrics.manifest["comparisons"]:
        _, reference, detector = (key := comparison["key"]).split(".")
        for part in PARTS:
            # The page has the interval of each; here those of the gains fit.
            cells = [_cell(metrics, f"{key}.{name}.{part}_error", ".5f") for name in SETS]
            cells += [_cell(metrics, f"{key}.{part}_{name}", "+.5f", True) for name in ("gain", "gain_over_rebuilt")]
            if any(cell != "–" for cell in cells):
                table.add_row(detector, reference, PARTS_SAID[part], *cells)
    show(table)


def _cell(metrics: Metrics, key: str, form: str, interval: bool = False) -> str:
    if key not in metrics:
        return "–"
    low, value, high = (format(metrics[key][part], form) for part in ("low", "value", "high"))  # type: ignore[literal-required]
    return f"{value} [{low}, {high}]" if interval else value
