"""The page of a bench: pictures first, then charts, tables with intervals, the manifest last."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from visagist.boundary.schema import json_text
from visagist.evaluation.metrics.counterfactual import FITTED, PAPER, PHOTOGRAPH
from visagist.evaluation.statistics import Measure
from visagist.reports.charts import line_chart
from visagist.reports.html import render, words
from visagist.reports.tables import Table, TableRow, number

SETTINGS = {
    FITTED: "each at the strength that truth fits",
    PAPER: "each at its paper's own setting",
    PHOTOGRAPH: "at the strength that truth fits, the picture's own pixels kept and the change added",
}
MODEL = "method, planted correlation"


@dataclass(frozen=True)
class BenchEdits:
    """A model's edits [n, S, S, 3] of the faces that are shown."""

    method: str
    planted: float
    edited: NDArray[np.uint8]


@dataclass(frozen=True)
class BenchPictures:
    """Faces [n, S, S, 3], their true counterfactuals, whether they have the attribute [n], and what models make of them."""

    photos: NDArray[np.uint8]
    truth: NDArray[np.uint8]
    present: Any
    models: Sequence[BenchEdits]


def bench_page(result: Mapping[str, Any], pictures: BenchPictures) -> str:
    """Return the page of a bench, from the content of its `bench.json`."""
    manifest = result["manifest"]
    edited, other = map(words, manifest["plan"]["pair"])
    lines = sorted(result["lines"], key=lambda line: line["method"])
    measured = {key: title for key, title in SETTINGS.items() if all(key in line["measures"] for line in lines)}
    tables = [(title, _measures(lines, key, manifest["plan"]["pair"][1], other)) for key, title in measured.items()]
    if result["between_runs"]:
        tables.append(("mean ± deviation between seeds", _between_runs(result, manifest["plan"]["pair"][1], other)))
    return render(
        "bench.html", title="Counterfactual bench", edited=edited, other=other, manifest_json=manifest,
        left_out=result["left_out"], methods=list(dict.fromkeys(model.method for model in pictures.models)),
        correlations=list(dict.fromkeys(model.planted for model in pictures.models)),
        edits={(model.planted, model.method): model.edited for model in pictures.models}, pictures=pictures,
        charts=_charts(result, edited, other), unedited=result["lines"][0]["measures"]["unedited"]["error_of_nothing"],
        tables=tables,
        models=_models(lines),
        facts=[
            *manifest["definitions"].items(),
            ("command", manifest["command"]),
            ("machine", json_text(manifest["machine"], ensure_ascii=False)),
            ("written", manifest["written"]),
        ],
    )  # fmt: skip


def _charts(result: Mapping[str, Any], edited: str, other: str) -> list[tuple[str, Markup, str]]:
    """Title, chart and caption of each measure there is against the planted correlation."""
    attribute, seed = result["manifest"]["plan"]["pair"][1], result["manifest"]["plan"]["seed"]
    nothing = result["lines"][0]["measures"]["unedited"]["error_of_nothing"]["value"]
    charts = [
        (f"{other} flipped along", f"confusion_true.{attribute}", 0, "0: none of it; 1: all of its pixels. Blur lowers it."),
        (f"The same, as the model shows {other}", f"confusion.{attribute}", 0, "In units of the model's own picture of it."),
        (f"Progress toward {edited} flipped", "progress", 0, "1: perfect; 0 (dashed): doing nothing."),
        ("Error against the true picture (MSE)", "error", nothing, "Blur included. Dashed: doing nothing."),
    ]
    return [
        (title, line_chart(title, points, reference), caption)
        for title, key, reference, caption in charts
        if (points := _points([line for line in result["lines"] if line["seed"] == seed], key))
    ]


def _points(lines: Sequence[Mapping[str, Any]], key: str) -> dict[str, dict[float, Measure]]:
    points: dict[str, dict[float, Measure]] = {}
    for line in lines:
        if key in line["measures"][FITTED]:
            points.setdefault(line["method"], {})[line["planted"]] = line["measures"][FITTED][key]
    return points


def _measures(lines: Sequence[Mapping[str, Any]], setting: str, attribute: str, other: str) -> Table:
    columns = {
        f"{other} flipped along, in pixels": f"confusion_true.{attribute}",
        "as the model shows it": f"confusion.{attribute}",
        "against the correlation": f"confusion.{attribute}.against",
        "reach": "reach",
        "progress": "progress",
        "error": "error",
        "inside the region": "inside",
        "outside": "outside",
        "beyond reconstruction": "error_beyond_reconstruction",
        "energy in the region": "locality_true",
    }
    rows: list[TableRow] = [
        [_name(line), *(number(line["measures"][setting].get(key)) for key in columns.values())] for line in lines
    ]
    return Table([MODEL, *columns], rows)


def _models(lines: Sequence[Mapping[str, Any]]) -> Table:
    heads = (
        MODEL, "images seen", "batch", "seconds of training", "labels correlate at", "blur (MSE)",
        "read from its code, linear", "MLP", "fitted amounts", "edits by",
    )  # fmt: skip
    rows: list[TableRow] = []
    for line in lines:
        seconds, code = line["training_seconds"], line["measures"].get("code", {})
        rows.append([
            _name(line),
            f"{line['images']:,}".replace(",", "\u202f"),
            str(line["batch_size"]),
            "–" if seconds is None else f"{seconds:.0f}",
            number(line["correlation_of_training_labels"]),
            number(line["measures"]["unedited"]["error_of_reconstruction"]),
            *(number(code.get(f"{probe}.balanced_accuracy")) for probe in ("linear", "mlp")),
            " and ".join(f"{amount:g}" for amount in line["amounts"][FITTED]),
            line["edits_by"],
        ])  # fmt: skip
    return Table(heads, rows)


def _name(line: Mapping[str, Any]) -> str:
    return f"{line['method']}, {line['planted']:g}, seed {line['seed']}"


def _between_runs(result: Mapping[str, Any], attribute: str, other: str) -> Table:
    """The spread of the main figures between trainings, one line a method, correlation and setting."""
    columns = {f"{other} flipped along, in pixels": f"confusion_true.{attribute}", "reach": "reach", "progress": "progress",
               "error": "error"}  # fmt: skip
    spreads = {(s["method"], s["planted"], s["setting"], s["key"]): s for s in result["between_runs"]}
    rows: list[TableRow] = []
    for method, planted, setting in dict.fromkeys(key[:3] for key in spreads if key[2] in SETTINGS):
        known = [spreads.get((method, planted, setting, key)) for key in columns.values()]
        cells = ["–" if s is None else f"{s['mean']:.3f} ± {s['sd']:.3f}" for s in known]
        rows.append([f"{method}, {planted:g}, {setting}", *cells])
    return Table(["method, planted correlation, setting", *columns], rows)
