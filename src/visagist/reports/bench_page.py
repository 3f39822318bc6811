"""The page of a bench: pictures first, then charts, tables with intervals, the manifest last. One file, nothing loaded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from visagist.boundary.schema import json_text
from visagist.evaluation.context import Images
from visagist.evaluation.metrics.counterfactual import FITTED, PAPER
from visagist.evaluation.statistics import Measure
from visagist.reports.bench_chart import STYLE, line_chart
from visagist.reports.charts import data_uri
from visagist.reports.tables import number

SETTINGS = {
    FITTED: "each at the strength that truth fits",
    PAPER: "each at its paper's own setting",
}


@dataclass(frozen=True)
class Line:
    """A model's edits [n, S, S, 3] of the faces that are shown."""

    method: str
    planted: float
    edited: Images


@dataclass(frozen=True)
class Pictures:
    """Faces [n, S, S, 3], their true counterfactuals, whether they have the attribute [n], and what models make of them."""

    photos: Images
    truth: Images
    present: Any
    lines: Sequence[Line]


def body(result: Mapping[str, Any], pictures: Pictures) -> str:
    """The page's content as HTML."""
    plan = result["manifest"]["plan"]
    edited, other = (escape(name.replace("_", " ")) for name in plan["pair"])
    parts = [
        "<p class=over>visagist bench</p><h1>Which methods confuse attributes?</h1>",
        f"<p>Every model learns <strong>{edited}</strong> from drawn faces among which it goes together with "
        f"<strong>{other}</strong>, of which the model is told nothing. It then edits {edited} in fresh faces whose "
        "attributes are independent. As these faces are drawn, the right result is known exactly.</p>",
        *(f"<p><strong>Note:</strong> {escape(note)}.</p>" for note in result["manifest"]["notes"]),
        *(f"<p><strong>Left out:</strong> {escape(n)}: {escape(why)}.</p>" for n, why in result["left_out"].items()),
        _pictures(pictures, edited),
        _charts(result, edited, other),
        *(_table(result, setting, edited, other) for setting in SETTINGS),
        _trained(result),
        _manifest(result),
    ]
    return "".join(parts)


def page_style() -> str:
    """What this page adds to the style of all pages."""
    return (
        STYLE
        + ".charts{display:grid;grid-template-columns:repeat(auto-fit,minmax(22rem,1fr));gap:1rem}.charts h3{margin:.4rem 0}"
    )


def _pictures(pictures: Pictures, edited: str) -> str:
    planted = list(dict.fromkeys(line.planted for line in pictures.lines))
    names = list(dict.fromkeys(line.method for line in pictures.lines))
    by_place = {(line.planted, line.method): line.edited for line in pictures.lines}
    heads = "".join(f"<th scope=col>{escape(name)}</th>" for name in ("photo", "truth", *names))
    rows = []
    for correlation in planted:
        rows.append(
            f"<tr><th colspan={len(names) + 3} scope=rowgroup>trained where they correlate at {correlation:g}</th></tr>"
        )
        for i, present in enumerate(pictures.present):
            way = "yes → no" if present else "no → yes"
            cells = [("photo", pictures.photos[i]), ("truth", pictures.truth[i])]
            cells += [(name, by_place[correlation, name][i]) for name in names if (correlation, name) in by_place]
            shown = "".join(
                f'<td><img alt="{escape(name, quote=True)}" src="{data_uri(image)}"></td>' for name, image in cells
            )
            rows.append(f"<tr><th scope=row>{edited}: {way}</th>{shown}</tr>")
    return (
        f"<div class=wide><table class=faces><thead><tr><th></th>{heads}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
        "</div><p class=soft>Fresh faces, picked by the seed among those that have both attributes or neither; the same "
        "in every block. Truth is the same face drawn with the attribute flipped. Edits at the strength that truth fits.</p>"
    )


def _points(result: Mapping[str, Any], setting: str, key: str) -> dict[str, dict[float, Measure]]:
    found: dict[str, dict[float, Measure]] = {}
    for line in result["lines"]:
        if key in line["measures"][setting]:
            found.setdefault(line["method"], {})[line["planted"]] = line["measures"][setting][key]
    return found


def _charts(result: Mapping[str, Any], edited: str, other: str) -> str:
    watched = result["manifest"]["plan"]["pair"][1]
    nothing = result["lines"][0]["measures"]["unedited"]["error_of_nothing"]["value"]
    charts = [
        (f"{other} flipped along", f"confusion_true.{watched}", 0.0, "0: none of it; 1: all of its pixels. Blur lowers it."),
        (f"The same, as the model shows {other}", f"confusion.{watched}", 0.0, "In units of the model's own picture of it."),
        (f"Progress toward {edited} flipped", "progress", 0.0, "1: perfect; 0 (dashed): doing nothing."),
        ("Error against the true picture (MSE)", "error", nothing, "Blur included. Dashed: doing nothing."),
    ]
    drawn = [
        f"<figure><h3>{title}</h3>{line_chart(title, points, reference)}<figcaption>{words}</figcaption></figure>"
        for title, key, reference, words in charts
        if (points := _points(result, FITTED, key))
    ]
    return (
        f"<h2>Against the planted correlation</h2><div class=charts>{''.join(drawn)}</div>"
        "<p class=soft>One line a method, each at the strength that truth fits; whiskers hold 95 % over test faces.</p>"
    )


def _table(result: Mapping[str, Any], setting: str, edited: str, other: str) -> str:
    watched = result["manifest"]["plan"]["pair"][1]
    columns = [
        (f"{other} flipped along, in pixels", f"confusion_true.{watched}"),
        ("as the model shows it", f"confusion.{watched}"),
        ("against the correlation", f"confusion.{watched}.against"),
        ("reach", "reach"),
        ("progress", "progress"),
        ("error", "error"),
        ("inside the region", "inside"),
        ("outside", "outside"),
        ("beyond reconstruction", "error_beyond_reconstruction"),
        ("energy in the region", "locality_true"),
    ]
    heads = "".join(f"<th scope=col>{title}</th>" for title, _ in columns)
    rows = "".join(
        f"<tr><th scope=row>{escape(line['method'])}, {line['planted']:g}</th>"
        + "".join(f"<td>{number(line['measures'][setting].get(key))}</td>" for _, key in columns)
        + "</tr>"
        for line in sorted(result["lines"], key=lambda line: line["method"])
    )
    nothing = result["lines"][0]["measures"]["unedited"]["error_of_nothing"]
    return (
        f"<h2>{edited}, {SETTINGS[setting]}</h2>"
        f"<div class=wide><table class=many><thead><tr><th>method, planted correlation</th>{heads}</tr></thead>"
        f"<tbody>{rows}</tbody></table></div><p class=soft>n = {nothing['n']}. Doing nothing has an error of "
        f"{nothing['value']:.4f}. Small figures hold 95 % over test faces, not over trainings.</p>"
    )


def _trained(result: Mapping[str, Any]) -> str:
    heads = (
        "images seen",
        "batch",
        "seconds of training",
        "labels correlate at",
        "blur (MSE)",
        "read from its code, linear",
        "MLP",
        "fitted amounts",
        "edits by",
    )
    rows = []
    for line in sorted(result["lines"], key=lambda line: line["method"]):
        seconds, read = line["training_seconds"], line["measures"].get("code", {})
        cells = (
            f"{line['images']:,}".replace(",", "\u202f"),
            str(line["batch_size"]),
            "–" if seconds is None else f"{seconds:.0f}",
            number(line["correlation_of_training_labels"]),
            number(line["measures"]["unedited"]["error_of_reconstruction"]),
            *(number(read.get(f"{name}.balanced_accuracy")) for name in ("linear", "mlp")),
            " and ".join(f"{amount:g}" for amount in line["amounts"][FITTED]),
            escape(line["edits_by"]),
        )
        title = f"<th scope=row>{escape(line['method'])}, {line['planted']:g}</th>"
        rows.append(f"<tr>{title}{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>")
    head = "".join(f"<th scope=col>{title}</th>" for title in heads)
    return (
        f"<h2>The models</h2><div class=wide><table class=many><thead><tr><th>method, planted correlation</th>{head}</tr>"
        f"</thead><tbody>{''.join(rows)}</tbody></table></div><p class=soft>Read from its code: balanced accuracy of fresh "
        "probes on codes of faces whose attributes are independent, cross-validated; one half is nothing.</p>"
    )


def _manifest(result: Mapping[str, Any]) -> str:
    manifest = result["manifest"]
    facts = [
        *((key, text) for key, text in manifest["definitions"].items()),
        ("command", manifest["command"]),
        ("machine", json_text(manifest["machine"], ensure_ascii=False)),
        ("written", manifest["written"]),
    ]
    items = "".join(f"<dt>{escape(key)}</dt><dd>{escape(str(value))}</dd>" for key, value in facts)
    raw = escape(json_text(manifest, 1, ensure_ascii=False))
    return f"<h2>Manifest</h2><dl>{items}</dl><details><summary>everything, as JSON</summary><pre>{raw}</pre></details>"
