"""The page of a comparison: faces, Pareto charts, tables of each attribute, then what is general."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from markupsafe import Markup

from visagist.evaluation.metrics import METRICS
from visagist.evaluation.metrics.panel import PANEL, read_by
from visagist.evaluation.results import Metrics
from visagist.evaluation.statistics import Measure
from visagist.evaluation.strips import RESIDUAL_GAIN, Album
from visagist.reports.charts import CostAxis, ParetoCurve, chip, pareto_chart
from visagist.reports.html import definitions, render, words
from visagist.reports.tables import (
    MISSING,
    Column,
    Figure,
    Table,
    TableRow,
    columns_on,
    computed_columns,
    difference,
    measure_table,
    models_of,
    number,
    share,
)  # fmt: skip

MODES = ("render", "detail")
EDIT_DIRECTIONS = {"both": "", "given": ".to_1", "taken away": ".to_0"}
OPEN_FACES = 2
AXES = {
    "identity": CostAxis("identity", "identity kept", True),
    "collateral": CostAxis("others that flip", "fewer others flip", False),
}
EDITED = columns_on("comparison edits", METRICS, "compare.{model}.{A}.render.")


def comparison_page(metrics: Metrics, albums: Sequence[Album]) -> str:
    """Return the page of a comparison of models."""
    manifest, names = metrics.manifest, models_of(metrics)
    return render(
        "comparison.html", title=f"{len(names)} models, {manifest['data']['n']} faces", manifest_json=manifest,
        chips={name: _labelled(names, name) for name in names}, albums=[album for album in albums if album.faces],
        panel=PANEL, open_faces=OPEN_FACES, modes=MODES, gain=RESIDUAL_GAIN,
        paretos={name: [_charts(metrics, name, MODES)] + [_charts(metrics, name, [mode], near=True) for mode in MODES]
                 for name in manifest["attributes"]},
        attributes=[_attribute(metrics, name) for name in manifest["attributes"]], general=_general(metrics),
        reasons=metrics.not_computed, facts=definitions(manifest),
    )  # fmt: skip


def edited(metrics: Metrics, attribute: str) -> list[tuple[str, str, str]]:
    """Model, mode and key of everything that edits the attribute."""
    rows = [(name, mode, f"compare.{name}.{attribute}.{mode}") for name in models_of(metrics) for mode in MODES]
    return [row for row in rows if f"{row[2]}.success" in metrics]


def pairs(metrics: Metrics, attribute: str) -> list[tuple[str, str, str, str, str]]:
    """First and second model, mode, direction of the edit and key of every comparison at equal success."""
    names = models_of(metrics)
    rows = [
        (first, second, mode, direction, f"equal.{attribute}.{mode}.{first}/{second}{part}")
        for i, first in enumerate(names) for second in names[i + 1 :] for mode in MODES
        for direction, part in EDIT_DIRECTIONS.items()
    ]  # fmt: skip
    return [row for row in rows if f"{row[4]}.success" in metrics]


def _charts(metrics: Metrics, attribute: str, modes: Sequence[str], near: bool = False) -> list[Markup]:
    """The Pareto charts of these modes together, one a cost."""
    charts, names = [], models_of(metrics)
    for key, axis in AXES.items():
        curves = [
            ParetoCurve(names.index(name), name, mode, curve["strengths"], curve["success"], curve[key])
            for name, mode, prefix in edited(metrics, attribute)
            if mode in modes and key in (curve := metrics.curves[prefix])
        ]
        if curves:
            charts.append(pareto_chart(curves, axis, words(attribute), near))
    return charts


def _attribute(metrics: Metrics, attribute: str) -> dict[str, Any]:
    """The tables of an attribute: at full strength, at equal success, at every strength; and who does not edit it."""
    names, rows = models_of(metrics), edited(metrics, attribute)
    columns = computed_columns(metrics, EDITED, [key for *_, key in rows])
    figures = measure_table(
        metrics, columns, [((_labelled(names, name), mode), key) for name, mode, key in rows], ("model", "mode"), True
    )
    editing = {name for name, _, _ in rows}
    own = metrics.values.get(f"judge.{attribute}.balanced_accuracy")
    return {
        "name": attribute,
        "figures": figures,
        "absent": [name for name in names if name not in editing],
        "judge": None if own is None else f"{100 * own['value']:.1f} %",
        "judges": _judges_table(metrics, attribute),
        "equal": _equal_table(metrics, attribute),
        "curve": _curve_table(metrics, attribute),
    }


def _judges_table(metrics: Metrics, attribute: str) -> Table:
    """What each judge reads of each model's edits at full strength, beside its own ceiling."""
    lines: list[TableRow] = []
    for name, mode, key in edited(metrics, attribute):
        for way in ("given", "taken"):
            for judge, (success, ceiling) in read_by(metrics, f"{key}.panel.{way}").items():
                lines.append([_labelled(models_of(metrics), name), mode, way, judge, share(success), share(ceiling)])
    return Table(["model", "mode", "way", "judge", "success", "its ceiling"], lines, True)


def _equal_table(metrics: Metrics, attribute: str) -> Table:
    names, rows = models_of(metrics), pairs(metrics, attribute)
    measures = (("identity", "identity", number), ("others flip", "collateral", share), ("outside", "outside", number))
    columns: list[Column] = [("equal success", "success", share)]
    columns += [(f"{title}: second less first", f"less.{key}", difference) for title, key, _ in measures]
    columns += [(f"strength, {side}", f"{side}.strength", _strength) for side in ("first", "second")]
    columns += [
        (f"{title}, {side}", f"{side}.{key}", form) for title, key, form in measures for side in ("first", "second")
    ]
    labels = [
        ((_labelled(names, first), _labelled(names, second), mode, direction), key)
        for first, second, mode, direction, key in rows
    ]
    columns = computed_columns(metrics, columns, [key for *_, key in rows])
    return measure_table(metrics, columns, labels, ("first", "second", "mode", "way"), True)


def _curve_table(metrics: Metrics, attribute: str) -> Table:
    names, rows = models_of(metrics), edited(metrics, attribute)
    possible = [column for column in EDITED if "." not in column[1]]
    columns = [column for column in possible if any(column[1] in metrics.curves[key] for *_, key in rows)]
    lines: list[TableRow] = []
    for name, mode, key in rows:
        curve = metrics.curves[key]
        for step, strength in enumerate(curve["strengths"]):
            figures = [form(curve[measure][step] if measure in curve else None) for _, measure, form in columns]
            lines.append([_labelled(names, name), mode, f"{strength:g}", *figures])
    return Table(["model", "mode", "strength", *(title for title, _, _ in columns)], lines, True)


def _general(metrics: Metrics) -> Table:
    models = metrics.manifest["models"]
    keys = [f"general.{model['name']}" for model in models]
    network = (metrics.manifest.get("features") or {}).get("name")
    columns: list[Column] = [("images seen in training", "training.images", number)]
    columns += columns_on("comparison", METRICS, fields={"network": str(network)})
    columns = computed_columns(metrics, columns, keys)
    rows = []
    for model, key in zip(models, keys):
        label = (
            _labelled(models_of(metrics), model["name"]), model["method"], f"{model['image_size']} px",
            ", ".join(model["edits"]) or "nothing", str(model["trained_on"] or "unknown"),
        )  # fmt: skip
        rows.append((label, key))
    return measure_table(metrics, columns, rows, ("model", "method", "size", "edits", "trained on"), True)


def _labelled(names: Sequence[str], name: str) -> Markup:
    return chip(names.index(name)) + Markup("<span class=name>{}</span>").format(name)


def _strength(measure: Measure | None) -> Figure:
    if measure is None:
        return MISSING
    interval = f"{measure['low']:.2f} … {measure['high']:.2f}"
    return Figure(f"{measure['value']:.2f}", interval, value=measure["value"])
