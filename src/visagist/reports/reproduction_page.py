"""The page of reproductions: pictures first, then our figures beside the published ones. One file, nothing loaded."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

from visagist.boundary.schema import json_text
from visagist.errors import VisagistError
from visagist.reports.html import html_page

OWN_STYLE = """
figure img{display:block;max-width:100%;height:auto;border:1px solid var(--line);border-radius:.6rem}
td.verdict{text-align:left;white-space:normal;min-width:14rem}
td.reached{color:var(--accent);font-weight:600}td.short{color:var(--warm)}
code{font-size:.85em;overflow-wrap:anywhere}
"""


def page(entries: Sequence[dict[str, Any]], folder: Path) -> str:
    """The whole page as HTML; pictures are read from `folder`."""
    title = "Reproductions with visagist"
    sections = "".join(_section(entry, folder) for entry in entries)
    body = (
        f"<p class=over>visagist reproduce</p><h1>{title}</h1>"
        "<p class=soft>Edited and generated faces are made by models: they show nobody as they are. Intervals hold 95 %.</p>"
        f"{sections}"
    )
    return html_page(title, body, OWN_STYLE)


def number(value: float) -> str:
    """A figure of a table or of this page, to four places at most."""
    return f"{value:.4f}".rstrip("0").rstrip(".") if abs(value) < 10 else f"{value:.1f}"


def _section(entry: dict[str, Any], folder: Path) -> str:
    faces = entry["data"]["faces"]
    about = (
        f"{entry['source']}. Scale {entry['scale']}, on {entry['data']['source']}: {faces['train']} training faces, "
        f"{faces['test']} test faces."
    )
    other = entry["data"].get("other")
    if other is not None:
        about += f" Measured and drawn on {other['source']}: {other['faces']['test']} test faces."
    return "".join([
        f"<h2>{escape(entry['name'])}: {escape(entry['title'])}</h2><p class=soft>{escape(about)}</p>",
        *(_picture(picture, folder) for picture in entry["pictures"]),
        _table(entry),
        _notes(entry),
        _commands(entry),
        _manifest(entry),
    ])  # fmt: skip


def _picture(picture: dict[str, Any], folder: Path) -> str:
    title, words = escape(picture["title"]), escape(picture["words"])
    if picture["file"] is None:
        return f"<h3>{title}</h3><p class=soft>{words}</p>"
    path = folder / picture["file"]
    try:
        data = base64.b64encode(path.read_bytes()).decode()
    except OSError as error:
        raise VisagistError(f"cannot read {path}: {error.strerror or error}; choose another --out") from error
    return (
        f'<h3>{title}</h3><figure><img alt="{title}" src="data:image/png;base64,{data}">'
        f"<figcaption>{words}</figcaption></figure>"
    )


def _table(entry: dict[str, Any]) -> str:
    body, before = [], None
    for cell in entry["cells"]:
        row = escape(cell["row"]) if cell["row"] != before else ""
        before = cell["row"]
        ours = cell["ours"]
        mine = "–"
        if ours is not None:
            mine = f"{number(ours['value'])}<small>{number(ours['low'])} … {number(ours['high'])}, n = {ours['n']}</small>"
        theirs = "–" if cell["published"] is None else number(cell["published"])
        verdict = escape(cell["verdict"])
        if cell["compared"] is not None and cell["compared"] != cell["verdict"]:
            verdict += f"<small>beside it all the same: {escape(cell['compared'])}</small>"
        kind = {"reached": " reached", "short": " short"}.get(cell["verdict"].partition(" ")[0], "")
        key = f"<code>{escape(cell['key'])}</code><small>{_better(cell['better'])}</small>"
        body.append(
            f"<tr><th scope=row>{row}</th><td>{key}</td>"
            f'<td>{theirs}</td><td>{mine}</td><td class="verdict{kind}">{verdict}</td></tr>'
        )
    heads = "".join(f"<th scope=col>{head}</th>" for head in ("row", "figure", "published", "ours", "verdict"))
    return f"<div class=wide><table><thead><tr>{heads}</tr></thead><tbody>{''.join(body)}</tbody></table></div>"


def _better(way: str) -> str:
    return "equal is wanted" if way == "equal" else f"{way} is better"


def _notes(entry: dict[str, Any]) -> str:
    notes = [f"{note[0].upper()}{note[1:]}." for note in entry["notes"]]
    for row in entry["rows"]:
        if "not_run" in row:
            notes.append(f"{row['row']}: not run: {row['not_run']}.")
        else:
            notes.append(
                f"{row['row']}: recipe {row['recipe']}, {row['images']:,} images seen of the paper's "
                f"{row['published_images']:,}; {row['judged_faces']} test faces, judged by {row['judge']}."
            )
    return "<ul>" + "".join(f"<li>{escape(note)}</li>" for note in notes) + "</ul>"


def _commands(entry: dict[str, Any]) -> str:
    lines = [entry["command"], *(line for row in entry["rows"] for line in row.get("commands", []))]
    return f"<h3>Commands</h3><pre>{escape(lines[0])}</pre>" + (
        f"<details><summary>row by row</summary><pre>{escape(chr(10).join(lines[1:]))}</pre></details>"
    )


def _manifest(entry: dict[str, Any]) -> str:
    kept = {key: value for key, value in entry.items() if key not in ("cells", "pictures")}
    raw = escape(json_text(kept, 1, ensure_ascii=False))
    return f"<details><summary>manifest</summary><pre>{raw}</pre></details>"
