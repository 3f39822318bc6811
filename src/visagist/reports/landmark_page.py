"""The page of landmark gain: faces with their points first, then a table for each reference."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from visagist.evaluation.landmark_gain import (
    GAINS,
    PARTS,
    PARTS_IN_WORDS,
    PUBLISHED,
    SETS,
    DetectorPair,
    Points,
    ShownFaces,
)
from visagist.evaluation.results import Metrics
from visagist.reports.html import render, words
from visagist.reports.tables import Table, TableRow, number

SIDE, RADIUS = 192, 3  # pixels
REFERENCE, FOUND = (40, 200, 80), {"with": (230, 40, 40)}
AFTER = (250, 210, 40)
TITLES = {"without": "without", "with": "with", "rebuilt": "with, rebuilt by the model", "removed": "with, taken away"}


def with_points(face: NDArray[np.uint8], layers: Sequence[tuple[Points, tuple[int, int, int]]]) -> NDArray[np.uint8]:
    """A face [S, S, 3] enlarged, with rings of these colours round points [5, 2]; those that are NaN are left out."""
    picture = Image.fromarray(face).resize((SIDE, SIDE), Image.Resampling.BICUBIC)
    draw, scale = ImageDraw.Draw(picture), SIDE / len(face)
    for points, colour in layers:
        for x, y in (points[np.isfinite(points).all(1)] + 0.5) * scale:
            draw.ellipse((x - RADIUS, y - RADIUS, x + RADIUS, y + RADIUS), outline=colour, width=2)
    return np.asarray(picture)


def landmark_page(metrics: Metrics, comparisons: Sequence[DetectorPair], shown: Sequence[ShownFaces]) -> str:
    """Return the page of landmark gain: faces with their points, then a table for each reference."""
    manifest = metrics.manifest
    ((attribute, setting),) = manifest["edit"].items()
    return render(
        "landmarks.html", title=f"Landmarks with {words(attribute)} and without, {manifest['model']['name']}",
        manifest_json=manifest, setting=setting, detector=manifest["detectors"][0]["name"],
        faces=[_faces(group) for group in shown], titles=TITLES,
        tables=[(comparison, _table(metrics, comparison)) for comparison in comparisons], reasons=metrics.not_computed,
    )  # fmt: skip


def is_published(metrics: Metrics, comparison: DetectorPair) -> bool:
    """Whether the paper's figures may stand beside: glasses, its kind of detector, and CelebA's landmarks as truth."""
    celeba = str(metrics.manifest["data"]["source"]).startswith("celeba")
    same = comparison.reference == "truth" and comparison.detector == "ert68"
    return celeba and same and "Eyeglasses" in metrics.manifest["edit"]


def _faces(shown: ShownFaces) -> dict[str, Any]:
    """The faces of a group with their points, by set and row by row."""
    sets = [name for name in ("with", "removed", "rebuilt", "without") if name in shown.images]
    reference = shown.reference
    rows = []
    for index in range(len(shown.images["with"])):
        layers = [] if reference is None else [(reference[index], REFERENCE)]
        rows.append({
            name: with_points(
                shown.images[name][index], [*layers, (shown.points[name][index], FOUND.get(name, AFTER))]
            ) for name in sets
        })  # fmt: skip
    return {"title": shown.title, "sets": sets, "rows": rows, "reference": reference is not None and shown.reference_name}


def _table(metrics: Metrics, comparison: DetectorPair) -> Table:
    published = is_published(metrics, comparison)
    labels = [(TITLES[name], f"{name}.{{}}_error") for name in SETS]
    labels += [(title, f"{{}}_{gain}") for gain, title in GAINS.items()]
    rows: list[TableRow] = []
    for label, pattern in labels:
        keys = [pattern.format(part) for part in PARTS]
        if any(f"{comparison.key}.{key}" in metrics for key in keys):
            figures = [number(metrics.values.get(f"{comparison.key}.{key}")) for key in keys]
            rows.append([label, *figures, *(str(PUBLISHED.get(key, "–")) for key in keys if published)])
    heads = [PARTS_IN_WORDS[part] for part in PARTS]
    return Table(["", *heads, *(f"{head}, published" for head in heads if published)], rows)
