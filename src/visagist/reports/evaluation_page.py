"""The page of an evaluation: pictures first, then curves and tables, the manifest at the end."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from markupsafe import Markup

from visagist.evaluation.metrics import METRICS
from visagist.evaluation.metrics.edits import SETTINGS, base_rate_of
from visagist.evaluation.metrics.panel import PANEL, read_by
from visagist.evaluation.results import Metrics, Strip, lines_on
from visagist.evaluation.statistics import exact
from visagist.evaluation.strips import RESIDUAL_GAIN
from visagist.reports.charts import bar_chart, calibration_chart, largest, matrix_chart
from visagist.reports.html import render, words
from visagist.reports.tables import FORMS, MISSING, Column, Figure, Table, TableRow, bar, list_table, share

BARS = (
    ("the best of four probes on z", "best"),
    ("linear probe on z", "linear"),
    ("MLP probe on z", "mlp"),
    ("boosted trees on z", "boosted"),
    ("kernel probe on z", "kernel"),
    ("the other labels alone", "labels_only"),
    ("without those much the same", "labels_only_elsewhere"),
)

SUCCESS = tuple(f"{side}success_{part}" for side in ("", "from_0.") for part in ("0", "1", "sum"))
FLIPS = {"the paper's setting": "err_each", "strength −1 and +1": "err_each.at_strength"}


def evaluation_page(metrics: Metrics, strips: Sequence[Strip]) -> str:
    """Return the page of an evaluation."""
    manifest, names, tiles = metrics.manifest, metrics.manifest["model"]["measured"], _tiles(metrics)
    return render(
        "evaluation.html", title=f"{manifest['model']['name']}, {manifest['data']['n']} faces", manifest_json=manifest,
        gain=RESIDUAL_GAIN, panel=PANEL, tiles=tiles, across=columns_of(len(tiles)),
        summary=_summary(metrics) if len(names) > 1 else None,
        attributes=[_attribute(metrics, name, [strip for strip in strips if strip.attribute == name]) for name in names],
        matrices=list(_matrices(metrics)), general=list_table(metrics, _columns(metrics, "general")),
        distances=list_table(metrics, _columns(metrics, "realism")), reasons=metrics.not_computed, facts=_facts(manifest),
    )  # fmt: skip


def columns_of(tiles: int) -> int:
    """In how many columns, 3 to 5 where there are more, tiles leave the least empty in their last row."""
    return tiles if 0 < tiles <= 5 else min((5, 4, 3), key=lambda columns: -tiles % columns)


def _columns(metrics: Metrics, page: str, attribute: str | None = None) -> list[Column]:
    """Title, key and form of what a table of the page shows: of one attribute, or of all."""
    keys = [key for key in metrics.values if attribute is None or f".{attribute}." in key]
    lines = lines_on(page, METRICS, keys, attribute)
    return [(line.title, line.key, FORMS[line.metric.kind]) for line in lines]


def _tiles(metrics: Metrics) -> list[tuple[Figure, str]]:
    """Figures with their titles; beside success what is read so without an edit."""
    names = metrics.manifest["model"]["measured"]
    groups = [_columns(metrics, "tiles", name) for name in names]
    general = [column for column in _columns(metrics, "tiles") if not any(f".{name}." in column[1] for name in names)]
    shown = [column for group in (general, *groups) for column in group]
    tiles = [(form(metrics[key]), title, key, base_rate_of(key)) for title, key, form in shown]
    return [(replace(figure, aside=_aside(metrics, key, base)), title) for figure, title, key, base in tiles]


def _aside(metrics: Metrics, key: str, base: str) -> str:
    """What stands beside a success: its ceiling, what each judge reads, and what is read so without an edit."""
    parts, way = [], key.removesuffix(".success")
    if f"{way}.ceiling" in metrics:
        parts.append(f"ceiling {share(metrics[f'{way}.ceiling']).text}")
    if key.startswith("panel."):
        parts += [f"{judge} {share(success).text}" for judge, (success, _) in read_by(metrics, way).items()]
    if base in metrics:
        parts.append(f"without an edit {share(metrics[base]).text}")
    return "; ".join(parts)


def _summary(metrics: Metrics) -> Table | None:
    """All attributes in one table; None where nothing of it was computed."""
    names = metrics.manifest["model"]["measured"]
    lines = {name: {title: form(metrics[key]) for title, key, form in _columns(metrics, "summary", name)} for name in names}
    titles = list(dict.fromkeys(title for line in lines.values() for title in line))
    rows: list[TableRow] = [[words(name), *(lines[name].get(title, MISSING) for title in titles)] for name in names]
    return Table(["attribute", *titles], rows, sortable=True) if titles else None


def _attribute(metrics: Metrics, name: str, strips: list[Strip]) -> dict[str, Any]:
    """What the section of an attribute shows; None for what was not computed."""
    curve = metrics.curves.get(f"edit.{name}.calibration")
    rows = [(title, [metrics.values.get(f"edit.{name}.{key}{c}") for c in SUCCESS]) for key, title in SETTINGS.items()]
    pages = ("panel", "second judge", "effects", "truth", "probes", "beyond")
    return {
        "name": name,
        "strips": strips,
        "calibration": None if curve is None else calibration_chart(curve),
        "success": [(title, list(map(share, measures))) for title, measures in rows if any(measures)],
        "flips": _flips(metrics, name),
        "leakage": _leakage_chart(metrics, name),
        "tables": {page: list_table(metrics, _columns(metrics, page, name)) for page in pages},
    }


def _flips(metrics: Metrics, name: str) -> Table | None:
    """How often each of the judge's attributes flips, at both settings."""
    titles = {"the paper's setting": "err_each", "strength ±1": "err_each.at_strength"}
    matrices = {title: m for title, key in titles.items() if name in (m := metrics.matrices.get(key, {})).get("rows", ())}
    if not matrices:
        return None
    shares = [dict(zip(m["columns"], m["values"][m["rows"].index(name)])) for m in matrices.values()]
    first, n = shares[0], metrics.manifest["data"]["n"]
    names = sorted((column for column, value in first.items() if value is not None), key=lambda column: -first[column])
    rows: list[TableRow] = [[words(column), *(bar(exact(values[column], n)) for values in shares)] for column in names]
    return Table(["attribute", *matrices], rows, sortable=True)


def _matrices(metrics: Metrics) -> Iterator[tuple[str, Markup, float]]:
    """Setting, chart and largest share of what flips with what."""
    for setting, key in FLIPS.items():
        if key in metrics.matrices:
            label = f"Share of faces whose reading of each attribute flips, by edited attribute, at {setting}"
            yield setting, matrix_chart(metrics.matrices[key], label), largest(metrics.matrices[key])


def _leakage_chart(metrics: Metrics, name: str) -> Markup | None:
    keys = [(title, f"leakage.{name}.{key}.balanced_accuracy") for title, key in BARS]
    rows = [(title, metrics[key]) for title, key in keys if key in metrics]
    return bar_chart(rows, 0.5, f"Balanced accuracy of reading {words(name)}, from chance on") if rows else None


def _training_faces(data: Mapping[str, Any]) -> str:
    trained = data["trained_on"]
    if trained is None:
        return "not recorded"
    same = "the same source" if data["relation_to_training"] == "same" else "another source than these"
    return f"{trained['source']}, crop {trained['crop']}, {trained['count']} faces: {same}"


def _facts(manifest: Mapping[str, Any]) -> list[tuple[str, object]]:
    judge, data = manifest["judge"], manifest["data"]
    accuracy = judge["mean_accuracy_on_these_faces"]
    own = "unknown" if accuracy is None else f"mean accuracy {accuracy:.1%} over {judge['attributes_compared']} attributes"
    return [
        ("faces", f"{data['source']}, {data['split']} split, {data['n']} of {data['faces_in_source']}"),
        ("the model's training faces", _training_faces(data)),
        ("crop", f"{data['crop']}, {data['image_size']} pixels, filter {data['filter']}"),
        ("judge", f"{judge['name']}; {own} on these photographs"),
        ("strength fitted by", ", ".join(manifest["calibration_judges"]) or "unknown"),
        ("mode", manifest["mode"]),
        ("seed", manifest["seed"]),
        ("weights", manifest["model"]["weights_sha256"] or "unknown"),
        ("written", manifest["written"]),
        *((words(key), text) for key, text in manifest["definitions"].items() if isinstance(text, str)),
    ]
