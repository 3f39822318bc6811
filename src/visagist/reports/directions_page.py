"""The page of a comparison of directions: the same faces through every kind, then the tables. One file, nothing loaded."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

from visagist.evaluation.results import Metrics, Strip
from visagist.reports.charts import face_grid
from visagist.reports.evaluation_page import defined, manifest_section, missing_list
from visagist.reports.html import html_page
from visagist.reports.tables import number, share

TITLES = {"at_strength": "At equal judged strength", "at_step": "At equal length"}


def direction_page(metrics: Metrics, strips: Sequence[Strip]) -> str:
    """The whole comparison as HTML."""
    m = metrics.manifest
    title = escape(f"Directions of {m['model']['name']}")
    parts = [_head(metrics)]
    parts += [_attribute(metrics, name, [s for s in strips if s.attribute == name]) for name in m["attributes"]]
    parts += [missing_list(metrics), manifest_section(metrics, defined(metrics))]
    return html_page(title, "".join(parts))


def rows_of(metrics: Metrics, attribute: str, setting: str) -> list[tuple[str, str]]:
    """Label and key of each direction of an attribute that was measured at this setting, after those of no edit."""
    found = [("no edit", f"direction.{attribute}.unedited")]
    for facts in metrics.manifest["directions"]:
        still = "+".join(facts["given"])
        label = facts["kind"] + (f" given {', '.join(facts['given'])}" if still else "")
        key = f"direction.{attribute}.{facts['kind']}.{'given_' + still if still else 'plain'}.{setting}"
        if facts["attribute"] == attribute and any(name.startswith(f"{key}.") for name in metrics.values):
            found.append((label, key))
    return found if len(found) > 1 else []


def columns_of(metrics: Metrics, attribute: str) -> list[tuple[str, str, Any]]:
    """Title, measure and form of the columns that a table of this attribute has."""
    word = attribute.replace("_", " ")
    columns: list[tuple[str, str, Any]] = [
        (f"{word} taken away", "success_0", share),
        (f"{word} added", "from_0.success_1", share),
        ("others flip", "err", share),
    ]
    for other in metrics.manifest["given"]:
        name = other.replace("_", " ")
        columns.append((f"{name} read where both are taken from: change", f"reads.{other}.removing.change", number))
        columns.append((f"{name} read where neither is, on adding: before", f"reads.{other}.adding.before", number))
        columns.append(("after", f"reads.{other}.adding.after", number))
        columns.append(("change", f"reads.{other}.adding.change", number))
        columns.append(("change by the second judge", f"second_reads.{other}.adding.change", number))
    columns.append(("identity lost", "identity.drop", number))
    columns.append(("inside the region", "locality", share))
    columns.append(("length removing", "length.removing", number))
    columns.append(("length adding", "length.adding", number))
    keys = [key for setting in TITLES for _, key in rows_of(metrics, attribute, setting)]
    return [column for column in columns if any(f"{key}.{column[1]}" in metrics for key in keys)]


def _head(metrics: Metrics) -> str:
    m = metrics.manifest
    model, data = m["model"], m["data"]
    about = (
        f"{escape(str(model['method']))} at {model['image_size']} pixels. Directions fitted on "
        f"{data['training_faces_read']} training faces of {escape(str(data['source']))}, measured on {data['n']} "
        f"{escape(data['split'])} faces, judged by {escape(m['judge']['name'])}; strength by {escape(m['calibrated_by'])} "
        f"on up to {m['calibrated_on']} validation faces of each class. Each edit goes to the class opposite to the label; "
        "intervals hold 95 %."
    )
    notes = "".join(f"<p><strong>Note:</strong> {escape(note)}.</p>" for note in m["notes"])
    return f"<p class=over>visagist directions</p><h1>{escape(model['name'])}</h1><p class=soft>{about}</p>{notes}"


def _attribute(metrics: Metrics, name: str, strips: list[Strip]) -> str:
    parts = [f"<h2>{escape(name.replace('_', ' '))}</h2>"]
    if strips:
        judge = escape(metrics.manifest["judge"]["name"])
        note = (
            "Each face edited to the other class, at strength ±1 where it is calibrated, else by the equal step. Under each "
            f"picture: what {judge} gives the attribute. Left: the label. The faces were drawn by the seed, not chosen."
        )
        parts.append(f"{face_grid(strips)}<p class=soft>{note}</p>")
    parts += [_table(metrics, name, setting) for setting in TITLES]
    parts.append(_cosines(metrics, name))
    return "".join(parts)


def _table(metrics: Metrics, name: str, setting: str) -> str:
    rows = rows_of(metrics, name, setting)
    if not rows:
        return ""
    columns = columns_of(metrics, name)
    heads = "".join(f"<th scope=col>{escape(title)}</th>" for title, _, _ in columns)
    body = ""
    for label, key in rows:
        cells = "".join(f"<td>{form(metrics.values.get(f'{key}.{measure}'))}</td>" for _, measure, form in columns)
        body += f"<tr><th scope=row>{escape(label)}</th>{cells}</tr>"
    return (
        f"<h3>{TITLES[setting]}</h3><p class=soft>{escape(metrics.manifest['definitions'][setting])}.</p>"
        f"<div class=wide><table class=many><thead><tr><th></th>{heads}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _cosines(metrics: Metrics, name: str) -> str:
    matrix = metrics.matrices.get(f"cosine.{name}")
    if matrix is None:
        return ""
    heads = "".join(f"<th scope=col>{escape(column)}</th>" for column in matrix["columns"])
    body = "".join(
        f"<tr><th scope=row>{escape(row)}</th>{''.join(f'<td>{value:.2f}</td>' for value in values)}</tr>"
        for row, values in zip(matrix["rows"], matrix["values"])
    )
    return (
        "<h3>How alike they are</h3><p class=soft>Cosines between the directions.</p>"
        f"<div class=wide><table><thead><tr><th></th>{heads}</tr></thead><tbody>{body}</tbody></table></div>"
    )
