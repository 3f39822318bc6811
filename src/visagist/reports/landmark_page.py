"""The page of landmark gain: faces with their points first, then a table for each reference. One file, nothing loaded."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import numpy as np
from numpy.typing import NDArray
from PIL import ImageDraw

from visagist.editing.contact_sheets import enlarged
from visagist.evaluation.landmark_gain import PARTS, PUBLISHED, SETS, DetectorPair, Points, ShownFaces
from visagist.evaluation.results import Metrics
from visagist.reports.charts import data_uri
from visagist.reports.evaluation_page import manifest_section, missing_list
from visagist.reports.html import html_page
from visagist.reports.tables import number

SIDE, RADIUS = 192, 3  # pixels
OWN_STYLE = "table.faces img{width:10rem;height:10rem}"
REFERENCE, FOUND = (40, 200, 80), {"with": (230, 40, 40)}
AFTER = (250, 210, 40)
TITLES = {"without": "without", "with": "with", "rebuilt": "with, rebuilt by the model", "removed": "with, taken away"}
PARTS_SAID = {"eye": "eyes", "rest": "nose and mouth"}




def with_points(face: NDArray[np.uint8], layers: Sequence[tuple[Points, tuple[int, int, int]]]) -> NDArray[np.uint8]:
    """A face [S, S, 3] enlarged, with rings of these colours round points [5, 2]; those that are NaN are left out."""
    picture = enlarged(face, SIDE)
    draw, scale = ImageDraw.Draw(picture), SIDE / len(face)
    for points, colour in layers:
        for x, y in (points[np.isfinite(points).all(1)] + 0.5) * scale:
            draw.ellipse((x - RADIUS, y - RADIUS, x + RADIUS, y + RADIUS), outline=colour, width=2)
    return np.asarray(picture)


def landmark_page(metrics: Metrics, comparisons: Sequence[DetectorPair], shown: Sequence[ShownFaces]) -> str:
    """The whole page as HTML."""
    m = metrics.manifest
    ((attribute, setting),) = m["edit"].items()
    title = f"Landmarks with {escape(attribute.replace('_', ' '))} and without, {escape(m['model']['name'])}"
    about = (
        f"{m['data']['n_with']:,} {escape(m['data']['split'])} faces of {escape(str(m['data']['source']))} with, "
        f"{m['data']['n_without']:,} without, and {m['data']['drawn']:,} drawn ones; at {m['model']['image_size']} pixels, "
        f"edited at {escape(setting)}. Errors are distances over the distance between the eyes, intervals hold 95 %."
    )
    notes = "".join(f"<p><strong>Note:</strong> {escape(note)}.</p>" for note in m["notes"])
    tables = "".join(_table(metrics, one) for one in comparisons)
    body = (
        f"<p class=over>visagist landmarks</p><h1>{title}</h1><p class=soft>{about}</p>{notes}"
        f"{''.join(_faces(part, m['detectors'][0]['name']) for part in shown)}{tables}{missing_list(metrics)}"
        f"{manifest_section(metrics)}"
    )
    return html_page(title, body, OWN_STYLE)


def is_published(metrics: Metrics, one: DetectorPair) -> bool:
    """Whether the paper's figures may stand beside: glasses, its kind of detector, and CelebA's landmarks as truth."""
    celeba = str(metrics.manifest["data"]["source"]).startswith("celeba")
    return celeba and one.reference == "truth" and one.detector == "ert68" and "Eyeglasses" in metrics.manifest["edit"]


def _faces(shown: ShownFaces, detector: str) -> str:
    sets = [name for name in ("with", "removed", "rebuilt", "without") if name in shown.images]
    heads = "".join(f"<th scope=col>{TITLES[name]}</th>" for name in sets)
    rows = ""
    for i in range(len(shown.images["with"])):
        cells = ""
        for name in sets:
            layers = [] if shown.reference is None else [(shown.reference[i], REFERENCE)]
            face = with_points(shown.images[name][i], [*layers, (shown.points[name][i], FOUND.get(name, AFTER))])
            cells += f'<td><img alt="{TITLES[name]}" src="{data_uri(face)}"></td>'
        rows += f"<tr>{cells}</tr>"
    green = f"Green: {escape(shown.reference_name)}. " if shown.reference is not None else ""
    caption = f"{green}Red: {escape(detector)} on the face with; yellow: on the others. Drawn by the seed, not chosen."
    return (
        f"<h2>{escape(shown.title)}</h2><div class=wide><table class=faces><thead><tr>{heads}</tr></thead>"
        f"<tbody>{rows}</tbody></table></div><p class=soft>{caption}</p>"
    )


def _table(metrics: Metrics, one: DetectorPair) -> str:
    beside = is_published(metrics, one)
    heads = "".join(f"<th scope=col>{PARTS_SAID[part]}</th>" for part in PARTS)
    heads += "".join(f"<th scope=col>{PARTS_SAID[part]}, published</th>" for part in PARTS) if beside else ""
    lines = ""
    rows = [(TITLES[name], f"{name}.{{}}_error") for name in SETS]
    rows += [("gain: with − taken away", "{}_gain"), ("gain: rebuilt − taken away", "{}_gain_over_rebuilt")]
    for label, pattern in rows:
        keys = [pattern.format(part) for part in PARTS]
        if not any(f"{one.key}.{key}" in metrics for key in keys):
            continue
        cells = "".join(f"<td>{number(metrics.values.get(f'{one.key}.{key}'))}</td>" for key in keys)
        if beside:
            cells += "".join(f"<td>{PUBLISHED.get(key, '–')}</td>" for key in keys)
        lines += f"<tr><th scope=row>{label}</th>{cells}</tr>"
    return (
        f"<h2>{escape(one.detector)}: {escape(one.reference)}</h2><p class=soft>{escape(one.words)}.</p><div class=wide>"
        f"<table><thead><tr><th></th>{heads}</tr></thead><tbody>{lines}</tbody></table></div>"
    )
