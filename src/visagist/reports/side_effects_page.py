"""The page of what an edit takes along: the same faces through every model, then the tables. One file, nothing loaded."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

from visagist.evaluation.results import Metrics, Strip
from visagist.evaluation.statistics import Measure
from visagist.reports.charts import face_grid
from visagist.reports.evaluation_page import defined, manifest_section, missing_list
from visagist.reports.html import html_page
from visagist.reports.tables import number, share

Column = tuple[str, str, Any]
OWN_STYLE = ".faces thead th{white-space:normal;max-width:6rem;overflow-wrap:anywhere}"


def correlation_page(metrics: Metrics, strips: Sequence[Strip]) -> str:
    """The whole comparison as HTML."""
    title = escape(question_in_words(metrics))
    judge = escape(metrics.manifest["judge"]["name"])
    shown = escape(str(next(iter(metrics.manifest["watched"]), "")).replace("_", " "))
    parts = [_head(metrics, title)]
    if strips:
        note = f"Under each picture: what {judge} gives {shown}, 0 to 1. The faces were drawn by the seed, not chosen."
        parts.append(f"{face_grid(list(strips))}<p class=soft>{note}</p>")
    parts += [
        "<h2>The edit, and what else changes</h2>",
        _table(metrics, summary_columns(metrics), [(name, f"correlations.{name}") for name in models_of(metrics)]),
        _labels(metrics),
        "<h2>How attributes are read</h2>",
        f"<p class=soft>{escape(metrics.manifest['definitions']['reads.B'])}. Small: the interval; then the change by the "
        "second judge.</p>",
        _readings(metrics),
        _differences(metrics),
        missing_list(metrics),
        manifest_section(metrics, defined(metrics)),
    ]
    return html_page(title, "".join(parts), OWN_STYLE)


def question_in_words(metrics: Metrics) -> str:
    """`No_Beard=-1 among Male=0, No_Beard=1`."""
    m = metrics.manifest
    edit = ", ".join(f"{name}={value:+g}" for name, value in m["edit"].items())
    return f"{edit} among {', '.join(f'{name}={label}' for name, label in reversed(m['among'].items()))}"


def models_of(metrics: Metrics) -> list[str]:
    """The models' names in their order."""
    return [model["name"] for model in metrics.manifest["models"]]


def summary_columns(metrics: Metrics) -> list[Column]:
    """Title, measure and form of what is said of every model in one line; only what there is."""
    first = metrics.manifest["watched"][:1]
    columns: list[Column] = [("success", "success", share)]
    for name in first:
        word = name.replace("_", " ")
        columns += [
            (f"{word} read before", f"reads.{name}.before", number),
            ("change", f"reads.{name}.change", number),
            ("by the second judge", f"second_reads.{name}.change", number),
        ]
    columns += [
        ("others flip", "err", share),
        ("identity kept", "identity.edit", number),
        ("identity lost", "identity.drop", number),
        ("change outside the region", "outside", share),
        ("change beside the neck", "beside_the_neck", share),
        ("its size there", "change_beside_the_neck", number),
        ("size everywhere", "change", number),
    ]
    names = models_of(metrics)
    return [column for column in columns if any(f"correlations.{name}.{column[1]}" in metrics for name in names)]


def difference_keys(metrics: Metrics) -> list[tuple[str, str]]:
    """Name and key of the differences of every model to the first."""
    first, *others = models_of(metrics)
    return [(name, f"correlations.{name}.less.{first}") for name in others]


def _head(metrics: Metrics, title: str) -> str:
    m = metrics.manifest
    about = (
        f"{m['data']['n']} {escape(m['data']['split'])} faces of {escape(str(m['data']['source']))}, the same for all "
        f"models, at calibrated strength. Judged by {escape(m['judge']['name'])}; {escape(m['second_judge']['name'])} reads "
        "beside it. Intervals hold 95 %."
    )
    notes = "".join(f"<p><strong>Note:</strong> {escape(note)}.</p>" for note in m["notes"])
    return f"<p class=over>visagist correlations</p><h1>{title}</h1><p class=soft>{about}</p>{notes}"


def _table(metrics: Metrics, columns: Sequence[Column], rows: Sequence[tuple[str, str]]) -> str:
    heads = "".join(f"<th scope=col>{escape(title)}</th>" for title, _, _ in columns)
    body = ""
    for label, key in rows:
        cells = "".join(f"<td>{form(metrics.values.get(f'{key}.{measure}'))}</td>" for _, measure, form in columns)
        body += f"<tr><th scope=row>{escape(label)}</th>{cells}</tr>"
    return f"<div class=wide><table class=many><thead><tr><th></th>{heads}</tr></thead><tbody>{body}</tbody></table></div>"


def _labels(metrics: Metrics) -> str:
    found = {key: measure for key, measure in metrics.values.items() if key.startswith("labels.")}
    lines = ""
    for key, measure in found.items():
        _, first, second, _ = key.split(".")
        lines += (
            f"<p>Labels of {escape(first.replace('_', ' '))} and {escape(second.replace('_', ' '))} go together by "
            f"{_plain(measure)}: Pearson's correlation over all {measure['n']} faces of the source.</p>"
        )
    return lines


def _readings(metrics: Metrics) -> str:
    names = models_of(metrics)
    heads = "".join(f"<th scope=col>{escape(name)}</th>" for name in names)
    body = ""
    for attribute in metrics.manifest["watched"]:
        cells = ""
        for name in names:
            values = [metrics.values.get(f"correlations.{name}.{f}.{attribute}.change") for f in ("reads", "second_reads")]
            beside = "" if values[1] is None else f"<small>{_plain(values[1])}</small>"
            cells += f"<td>{number(values[0])}{beside}</td>"
        body += f"<tr><th scope=row>{escape(attribute.replace('_', ' '))}</th>{cells}</tr>"
    return f"<div class=wide><table class=many><thead><tr><th></th>{heads}</tr></thead><tbody>{body}</tbody></table></div>"


def _differences(metrics: Metrics) -> str:
    rows = difference_keys(metrics)
    if not rows:
        return ""
    first = escape(models_of(metrics)[0])
    columns = [column for column in summary_columns(metrics) if not column[1].endswith(".before")]
    note = f"What each model has more of than {first}, face by face. An interval that holds 0 tells no difference."
    return f"<h2>Beside {first}</h2><p class=soft>{note}</p>{_table(metrics, columns, rows)}"


def _plain(measure: Measure) -> str:
    return f"{measure['value']:+.3f} [{measure['low']:+.3f}, {measure['high']:+.3f}]"
