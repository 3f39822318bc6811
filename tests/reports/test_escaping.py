"""Names from outside stay text on every page."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from visagist.evaluation.results import Cell, Metrics, Strip
from visagist.evaluation.statistics import exact
from visagist.evaluation.strips import Album, AlbumRow
from visagist.reports import html
from visagist.reports.bench_page import BenchEdits, BenchPictures, bench_page
from visagist.reports.comparison_page import comparison_page
from visagist.reports.directions_page import direction_page
from visagist.reports.evaluation_page import evaluation_page
from visagist.reports.landmark_page import landmark_page
from visagist.reports.latent_map_page import map_page
from visagist.reports.recognition_page import recognition_page
from visagist.reports.reproduction_page import reproduction_page
from visagist.reports.side_effects_page import correlation_page

EVIL = "<script>alert(1)</script>"
FILE = "\"quoted\" 'file'<b>.jpg"
FACE = np.zeros((4, 4, 3), np.uint8)
STRIP = Strip(EVIL, True, [Cell(EVIL, FACE, 0.5), Cell(FILE, FACE, None)])
DATA = {
    "source": FILE, "split": EVIL, "n": 2, "n_subset": 2, "training_faces": 2, "training_faces_read": 2, "n_with": 1,
    "n_without": 1, "drawn": 0, "faces_in_source": 2, "trained_on": {"source": FILE, "crop": EVIL, "count": 2},
    "relation_to_training": "other", "crop": EVIL, "image_size": 4, "filter": EVIL,
}  # fmt: skip
MODEL = {
    "name": EVIL, "method": EVIL, "image_size": 4, "measured": [EVIL], "edits": [EVIL], "trained_on": FILE,
    "weights_sha256": None,
}  # fmt: skip


def metrics_of(*keys: str, **manifest: Any) -> Metrics:
    """Measures under these keys, and a manifest whose every name is hostile."""
    named = {
        "data": DATA, "model": MODEL, "models": [MODEL], "notes": [EVIL, FILE], "definitions": {EVIL: FILE, "reads.B": EVIL},
        "judge": {"name": EVIL, "mean_accuracy_on_these_faces": None, "attributes_compared": 0}, "attributes": [EVIL],
        "second_judge": {"name": EVIL}, "calibration_judges": [EVIL], "mode": EVIL, "seed": 0, "written": EVIL,
    }  # fmt: skip
    return Metrics({key: exact(0.5) for key in keys}, {}, {}, {EVIL: FILE}, {**named, **manifest})


def evaluation() -> str:
    metrics = metrics_of(f"edit.{EVIL}.success_0", f"leakage.{EVIL}.linear.balanced_accuracy", "reconstruction.mse")
    metrics.curves[f"edit.{EVIL}.calibration"] = {
        "attribute": EVIL, "strengths": [-1.0, 0.0, 1.0], "all": [exact(0.5)] * 3, "from_0": None, "from_1": None
    }  # fmt: skip
    metrics.matrices["err_each"] = {"rows": [EVIL], "columns": [EVIL, FILE], "values": [[None, 0.5]]}
    return evaluation_page(metrics, [STRIP])


def comparison() -> str:
    key = f"compare.{EVIL}.{EVIL}.render"
    metrics = metrics_of(f"{key}.success", f"{key}.identity")
    metrics.curves[key] = {"strengths": [0.0, 1.0], "success": [exact(0.5)] * 2, "identity": [exact(0.5)] * 2}
    return comparison_page(metrics, [Album(EVIL, [(True, [AlbumRow(EVIL, STRIP.cells)])])])


def directions() -> str:
    metrics = metrics_of(
        f"direction.{EVIL}.{EVIL}.plain.at_step.err", given=[EVIL], calibrated_by=EVIL, calibrated_on=1,
        directions=[{"kind": EVIL, "given": [], "attribute": EVIL}],
        definitions={"at_step": FILE, "at_strength": FILE},
    )  # fmt: skip
    metrics.matrices[f"cosine.{EVIL}"] = {"rows": [EVIL], "columns": [FILE], "values": [[1.0]]}
    return direction_page(metrics, [STRIP])


def side_effects() -> str:
    return correlation_page(
        metrics_of(f"correlations.{EVIL}.success", f"labels.{EVIL}.{EVIL}.correlation", watched=[EVIL], edit={EVIL: 1.0},
                   among={EVIL: 0}), [STRIP]
    )  # fmt: skip


def landmarks() -> str:
    points = np.ones((1, 5, 2), np.float32)
    group = SimpleNamespace(
        title=EVIL, images={"with": FACE[None]}, points={"with": points}, reference=points, reference_name=EVIL
    )
    comparison = SimpleNamespace(reference=EVIL, detector=EVIL, words=FILE, key="landmarks.a.b")
    manifest = metrics_of("landmarks.a.b.with.eye_error", edit={EVIL: FILE}, detectors=[{"name": EVIL}])
    return landmark_page(manifest, [comparison], [group])  # type: ignore[list-item]


def recognition() -> str:
    return recognition_page(metrics_of(f"recognition.{EVIL}.{EVIL}.accuracy", views=[EVIL]))


def reproduction(folder: Path) -> str:
    Image.fromarray(FACE).save(folder / "0.png")
    cell = {"row": EVIL, "key": EVIL, "better": EVIL, "ours": None, "published": None, "verdict": EVIL, "compared": FILE}
    rows = [{"row": EVIL, "not_run": FILE, "commands": [EVIL]}]
    source = {"source": FILE, "faces": {"train": 1, "test": 1}}
    return reproduction_page([{
        "name": EVIL, "title": EVIL, "source": FILE, "scale": EVIL, "data": source, "command": FILE, "notes": [EVIL],
        "pictures": [{"title": EVIL, "file": "0.png", "words": FILE}], "cells": [cell], "rows": rows,
    }], folder)  # fmt: skip


def bench() -> str:
    measures = {"unedited": {"error_of_nothing": exact(1), "error_of_reconstruction": exact(1)}}
    line = {
        "method": EVIL, "planted": 0.5, "measures": {**measures, "fitted": {"progress": exact(0.5)}, "paper": {}},
        "training_seconds": None, "images": 1, "batch_size": 1, "correlation_of_training_labels": exact(0),
        "amounts": {"fitted": [1, 1]}, "edits_by": EVIL, "seed": 0,
    }  # fmt: skip
    manifest = {
        "plan": {"pair": [EVIL, FILE], "seed": 0, "seeds": 1}, "definitions": {EVIL: FILE}, "command": FILE,
        "machine": {EVIL: FILE},
        "written": EVIL, "notes": [EVIL],
    }  # fmt: skip
    result = {"manifest": manifest, "lines": [line], "left_out": {EVIL: FILE}, "between_runs": []}
    return bench_page(result, BenchPictures(FACE[None], FACE[None], [1], [BenchEdits(EVIL, 0.5, FACE[None])]))


def demo() -> str:
    frame = {"strength": EVIL, "score": EVIL, "share": 1.0, "render": EVIL, "detail": EVIL, "residual": EVIL, "change": EVIL}
    return html.render(
        "demo.html", attribute=EVIL, model=EVIL, judge=EVIL, scoring_judge=EVIL, photo=FACE, photo_score="",
        reconstruction=FACE, reconstruction_score="", drawn=1, faces=1, photographs=[(FILE, FACE)],
        sheet=[(EVIL, "", [FACE])], frames=[frame], terms=EVIL, seconds=EVIL,
    )  # fmt: skip


PAGES: dict[str, Callable[[], str]] = {
    "evaluation": evaluation, "comparison": comparison, "directions": directions, "side effects": side_effects,
    "landmarks": landmarks, "recognition": recognition, "bench": bench, "demo": demo,
    "latent map": lambda: map_page([EVIL], b"jpeg", EVIL, FILE),
}  # fmt: skip


def check(page: str) -> None:
    assert "alert(1)" in page
    assert "<script>alert" not in page
    assert "<b>.jpg" not in page
    assert "quoted" in page
    for value in re.findall(r'(?:alt|title|aria-label)="([^"]*)"', page):
        assert "<" not in value
    assert '="' + FILE not in page, "a quote ends an attribute"


@pytest.mark.parametrize("name", PAGES)
def test_a_hostile_model_and_file_name_stay_text(name: str) -> None:
    check(PAGES[name]())


def test_a_hostile_model_and_file_name_stay_text_among_reproductions(tmp_path: Path) -> None:
    check(reproduction(tmp_path))
