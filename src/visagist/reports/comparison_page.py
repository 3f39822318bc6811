"""The page of a comparison: faces, Pareto pictures, tables of each attribute, then what is general. Nothing is loaded."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from visagist.evaluation.results import Metrics
from visagist.evaluation.statistics import Measure
from visagist.evaluation.strips import RESIDUAL_GAIN, Album, Row
from visagist.reports import pareto, tables
from visagist.reports.charts import picture_cell
from visagist.reports.evaluation_page import defined, manifest_section, missing_list
from visagist.reports.html import html_page
from visagist.reports.pareto import Axis, Series, chip, models_legend, modes_legend, pareto_svg
from visagist.reports.tables import SCRIPT, Column, number, share, sortable

MODES = ("render", "detail")
WAYS = {"both": "", "given": ".to_1", "taken away": ".to_0"}
OPEN_FACES = 2
AXES = {
    "identity": Axis("identity", "identity kept", True),
    "collateral": Axis("others that flip", "fewer others flip", False),
}
OWN_STYLE = f"""{pareto.STYLE}{tables.STYLE}
a{{color:var(--accent)}}
.faces tbody th[scope=row]{{min-width:6.5rem;max-width:8rem;overflow-wrap:anywhere}}
.faces tbody th[scope=rowgroup]{{color:var(--ink);font-weight:600;padding-top:.9rem;max-width:none}}
.faces .chip,.sortable .chip{{margin-right:.4rem}}
.sortable tbody th{{min-width:14rem}}
@media (max-width:40rem){{.faces tbody th[scope=row]{{min-width:2.2rem}}.faces .name{{display:none}}
.sortable tbody th{{min-width:9rem}}}}
"""
EDITED: tuple[Column, ...] = (
    ("success", "success", share),
    ("others flip, from the photo", "collateral", share),
    ("identity kept", "identity", number),
    ("change outside the region, from the photo", "outside", number),
    ("change of a pixel, from the photo", "change", number),
    ("success of giving it", "to_1.success", share),
    ("success of taking it away", "to_0.success", share),
    ("read as the other class without an edit", "unedited.success", share),
    ("others flip, from the unedited", "collateral_from_unedited", share),
    ("change outside, from the unedited", "outside_from_unedited", number),
    ("change of a pixel, from the unedited", "change_from_unedited", number),
    ("share of the change outside", "outside_share", share),
)
GENERAL: tuple[Column, ...] = (
    ("images seen in training", "training.images", number),
    ("reconstruction MSE", "reconstruction.mse", number),
    ("sharpness of reconstructions", "sharpness.reconstruction", number),
    ("of samples", "sharpness.samples", number),
    ("identity of reconstructions", "identity.reconstruction", number),
    ("parameters", "cost.parameters", number),
    ("ms an edit", "cost.ms_per_edit", number),
    ("ms a reconstruction", "cost.ms_per_reconstruction", number),
    ("ms a sample", "cost.ms_per_sample", number),
)


def comparison_page(metrics: Metrics, albums: Sequence[Album]) -> str:
    """The whole comparison as HTML."""
    names = models_of(metrics)
    title = escape(f"{len(names)} models, {metrics.manifest['data']['n']} faces")
    parts = [_head(metrics, title), *(_pictures(metrics, one) for one in albums)]
    if metrics.manifest["attributes"]:
        parts.append(f"<h2>Success against its cost</h2>{models_legend(names)}{modes_legend()}")
    parts += [_paretos(metrics, name) for name in metrics.manifest["attributes"]]
    parts += [_tables(metrics, name) for name in metrics.manifest["attributes"]]
    parts += [
        _general(metrics), _notes(metrics), missing_list(metrics), manifest_section(metrics, defined(metrics)), SCRIPT,
    ]  # fmt: skip
    return html_page(title, "".join(parts), OWN_STYLE)


def models_of(metrics: Metrics) -> list[str]:
    """The models' names in their order."""
    return [model["name"] for model in metrics.manifest["models"]]


def there(metrics: Metrics, columns: Iterable[Column], prefixes: Sequence[str]) -> list[Column]:
    """The columns of which there is a figure under one of these prefixes."""
    return [column for column in columns if any(f"{prefix}.{column[1]}" in metrics for prefix in prefixes)]


def edited(metrics: Metrics, attribute: str) -> list[tuple[str, str, str]]:
    """Model, mode and prefix of everything that edits the attribute."""
    found = [(name, mode, f"compare.{name}.{attribute}.{mode}") for name in models_of(metrics) for mode in MODES]
    return [one for one in found if f"{one[2]}.success" in metrics]


def pairs(metrics: Metrics, attribute: str) -> list[tuple[str, str, str, str, str]]:
    """First and second model, mode, way and prefix of every comparison at equal success."""
    names = models_of(metrics)
    found = [
        (first, second, mode, way, f"equal.{attribute}.{mode}.{first}/{second}{part}")
        for i, first in enumerate(names) for second in names[i + 1 :] for mode in MODES for way, part in WAYS.items()
    ]  # fmt: skip
    return [one for one in found if f"{one[4]}.success" in metrics]


def _words(attribute: str) -> str:
    return escape(attribute.replace("_", " "))


def _head(metrics: Metrics, title: str) -> str:
    m = metrics.manifest
    data, notes = m["data"], m["notes"]
    about = (
        f"All on the same {escape(data['split'])} faces of {escape(str(data['source']))}, judged by "
        f"{escape(m['judge']['name'])}. Each face is edited toward the class that "
        "it is not of. Intervals hold 95 %."
    )
    many = f"{len(notes)} notes that a reader must know are" if len(notes) > 1 else "A note that a reader must know is"
    below = f' <a href="#notes">{many} below the tables.</a>' if notes else ""
    legend = models_legend(models_of(metrics))
    return f"<p class=over>visagist compare</p><h1>{title}</h1>{legend}<p class=soft>{about}{below}</p>"


def _pictures(metrics: Metrics, one: Album) -> str:
    if not one.faces:
        return ""
    judge = escape(metrics.manifest["judge"]["name"])
    first, rest = one.faces[:OPEN_FACES], one.faces[OPEN_FACES:]
    more = f"<details><summary>more faces: {len(rest)}</summary>{_faces(metrics, one, rest)}</details>" if rest else ""
    note = (
        f"Under each picture: what {judge} gives the attribute, 0 to 1. Edits run from strength ¼ to 1 toward the other "
        f"class; the residual is the last less the reconstruction, times {RESIDUAL_GAIN}, around grey, and heat is its "
        "size, from black over red to white. The faces were drawn by the seed, not chosen."
    )
    return f"<h2>{_words(one.attribute)}</h2>{_faces(metrics, one, first)}{more}<p class=soft>{note}</p>"


def _faces(metrics: Metrics, one: Album, faces: Sequence[tuple[bool, list[Row]]]) -> str:
    names, cells = models_of(metrics), faces[0][1][0].cells
    titles = "".join(f"<th scope=col>{escape(cell.title)}</th>" for cell in cells)
    body = ""
    for present, rows in faces:
        word = _words(one.attribute)
        way = f"labelled {word}: taken away" if present else f"labelled not {word}: given"
        body += f"<tr><th scope=rowgroup colspan={len(cells) + 1}>{way}</th></tr>"
        for row in rows:
            pictures = "".join(picture_cell(cell, f"{way}, {row.model}") for cell in row.cells)
            body += f"<tr><th scope=row>{_named(names, row.model)}</th>{pictures}</tr>"
    return f"<div class=wide><table class=faces><thead><tr><th></th>{titles}</tr></thead><tbody>{body}</tbody></table></div>"


def _paretos(metrics: Metrics, attribute: str) -> str:
    n = metrics.manifest["data"]["n_subset"]
    note = (
        f"{n} faces. Up and to the right is better. Dots: strengths 0, ¼, ½, ¾ and 1; letter and 95 % cross are at 1. "
        "Others that flip: share of the judge's other attributes that it reads otherwise than of the photograph."
    )
    apart = "".join(_figures_of(metrics, attribute, [mode], near=True) for mode in MODES)
    return (
        f"<h3>{_words(attribute)}</h3><div class=paretos>{_figures_of(metrics, attribute, MODES)}</div>"
        f"<details><summary>{_words(attribute)}, each mode on a scale of its own</summary><div class=paretos>{apart}</div>"
        f"</details><p class=soft>{note}</p>"
    )


def _figures_of(metrics: Metrics, attribute: str, modes: Sequence[str], near: bool = False) -> str:
    """The Pareto pictures of these modes together, one a cost."""
    figures, names = "", models_of(metrics)
    for key, axis in AXES.items():
        series = [
            Series(names.index(name), name, mode, curve["strengths"], curve["success"], curve[key])
            for name, mode, prefix in edited(metrics, attribute)
            if mode in modes and key in (curve := metrics.curves[prefix])
        ]
        if series:
            figures += f"<figure>{pareto_svg(series, axis, _words(attribute), near)}</figure>"
    return figures


def _tables(metrics: Metrics, attribute: str) -> str:
    names, rows, word = models_of(metrics), edited(metrics, attribute), _words(attribute)
    columns = there(metrics, EDITED, [prefix for _, _, prefix in rows])
    table = sortable(("model", "mode"), columns, [
        ((_named(names, name), mode), _figures(metrics, prefix, columns)) for name, mode, prefix in rows
    ])  # fmt: skip
    without = [name for name in names if name not in {name for name, _, _ in rows}]
    absent = f"<p>Not edited by {escape(', '.join(without))}.</p>" if without else ""
    own = metrics.values.get(f"judge.{attribute}.balanced_accuracy")
    right = "" if own is None else f" The judge's own balanced accuracy on the photographs: {100 * own['value']:.1f} %."
    note = (
        f"At strength ±1, on all faces; identity on {metrics.manifest['data']['n_subset']}. Unedited: the reconstruction in "
        f"render, the photograph in detail.{right} Click a head to sort."
    )
    return (
        f"<h2>{word}, in figures</h2>{table}{absent}<p class=soft>{note}</p>{_equal(metrics, attribute)}"
        f"{_curve_table(metrics, attribute)}"
    )


def _equal(metrics: Metrics, attribute: str) -> str:
    names, rows = models_of(metrics), pairs(metrics, attribute)
    if not rows:
        return ""
    measures = (("identity", "identity", number), ("others flip", "collateral", share), ("outside", "outside", number))
    columns: list[Column] = [("equal success", "success", share)]
    columns += [(f"{title}: second less first", f"less.{key}", _difference) for title, key, _ in measures]
    columns += [(f"strength, {one}", f"{one}.strength", _strength) for one in ("first", "second")]
    columns += [(f"{title}, {one}", f"{one}.{key}", form) for title, key, form in measures for one in ("first", "second")]
    columns = there(metrics, columns, [prefix for *_, prefix in rows])
    table = sortable(("first", "second", "mode", "way"), columns, [
        ((_named(names, first), _named(names, second), mode, way), _figures(metrics, prefix, columns))
        for first, second, mode, way, prefix in rows
    ])  # fmt: skip
    note = (
        "Each model at the strength at which it first has the success that both reach, straight between the measured "
        "strengths, of all faces and of those of one class alone. Others that flip and the change outside are against the "
        "photograph. Bold: the interval of the difference, of the same faces for "
        "both, does not hold 0."
    )
    return f"<h3>At equal success</h3>{table}<p class=soft>{note}</p>"


def _curve_table(metrics: Metrics, attribute: str) -> str:
    names, rows = models_of(metrics), edited(metrics, attribute)
    wanted: list[Column] = [(title, key, form) for title, key, form in EDITED if "." not in key]
    columns = [column for column in wanted if any(column[1] in metrics.curves[prefix] for _, _, prefix in rows)]
    lines = []
    for name, mode, prefix in rows:
        curve = metrics.curves[prefix]
        for step, strength in enumerate(curve["strengths"]):
            figures = [curve[key][step] if key in curve else None for _, key, _ in columns]
            lines.append(((_named(names, name), mode, f"{strength:g}"), figures))
    table = sortable(("model", "mode", "strength"), columns, lines)
    return f"<details><summary>{_words(attribute)} at every strength</summary>{table}</details>"


def _general(metrics: Metrics) -> str:
    models = metrics.manifest["models"]
    prefixes = [f"general.{model['name']}" for model in models]
    network = (metrics.manifest.get("features") or {}).get("name")
    distances: list[Column] = [
        ("Fréchet distance of reconstructions", f"realism.{network}.reconstruction.frechet", number),
        ("of samples", f"realism.{network}.samples.frechet", number),
        ("of other photographs", f"realism.{network}.floor.frechet", number),
    ]
    columns = there(metrics, (*GENERAL[:5], *distances, *GENERAL[5:]), prefixes)
    rows = []
    for model, prefix in zip(models, prefixes):
        labels = (
            _named(models_of(metrics), model["name"]), escape(model["method"]), f"{model['image_size']} px",
            escape(", ".join(model["edits"]) or "nothing"), escape(str(model["trained_on"] or "unknown")),
        )  # fmt: skip
        rows.append((labels, _figures(metrics, prefix, columns)))
    heads = ("model", "method", "size", "edits", "trained on")
    note = "Times are of one face at a time on the machine that the manifest names, with whatever else it was doing."
    return f"<h2>In general</h2>{sortable(heads, columns, rows)}<p class=soft>{note}</p>"


def _notes(metrics: Metrics) -> str:
    notes = "".join(f"<li>{escape(note)}</li>" for note in metrics.manifest["notes"])
    return f"<h2 id=notes>Notes</h2><ul>{notes}</ul>" if notes else ""


def _named(names: Sequence[str], name: str) -> str:
    return f"{chip(names.index(name))}<span class=name>{escape(name)}</span>"


def _figures(metrics: Metrics, prefix: str, columns: Iterable[Column]) -> list[Measure | None]:
    return [metrics.values.get(f"{prefix}.{key}") for _, key, _ in columns]


def _strength(measure: Measure | None) -> str:
    return "–" if measure is None else f"{measure['value']:.2f}<small>{measure['low']:.2f} … {measure['high']:.2f}</small>"


def _difference(measure: Measure | None) -> str:
    """A difference with its sign, bold where the interval does not hold 0."""
    if measure is None:
        return "–"
    value, low, high = (f"{measure[part]:+.4f}".replace("-", "−") for part in ("value", "low", "high"))  # type: ignore[literal-required]
    told = measure["low"] > 0 or measure["high"] < 0
    return f"{f'<b>{value}</b>' if told else value}<small>{low} … {high}</small>"
