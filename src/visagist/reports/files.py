"""Files of a report, each whole or not there."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Collection
from pathlib import Path

from visagist.boundary.ownership import Owned, carries_mark, take_folder
from visagist.boundary.schema import json_text
from visagist.evaluation.results import Metrics
from visagist.evaluation.strips import Strip
from visagist.files import write_files
from visagist.reports.evaluation_page import page


def check_writable(folder: Path, stem: str) -> None:
    """Raise VisagistError now rather than after minutes of work if the report cannot be written there.

    Nor may it be where the folder holds what is no report of this kind: one with `stem`.json and its like.
    """
    page = "report.html" if stem == "metrics" else f"{stem}.html"
    check_folder(folder, (page, *(f"{stem}.{kind}" for kind in ("json", "csv", "png", "safetensors"))))


def check_folder(folder: Path, names: Collection[str], owned: Owned = carries_mark) -> None:
    """As `check_writable`, for files of these names; `owned` says what else in the folder visagist wrote."""
    take_folder(folder, names, owned)
    probe = f".writable-{os.getpid()}"
    write_files(folder, {probe: ""})
    (folder / probe).unlink()


def write_report(metrics: Metrics, strips: list[Strip], folder: Path) -> None:
    """Write `metrics.json`, `metrics.csv` and `report.html`, or none of them. Raises VisagistError."""
    write_files(folder, {**tables(metrics), "report.html": page(metrics, strips)})


def tables(metrics: Metrics) -> dict[str, str]:
    """The texts of `metrics.json` and `metrics.csv`."""
    metrics = metrics.finite()
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(("key", "value", "low", "high", "n", "not_computed"))
    writer.writerows(metrics.rows())
    return {
        "metrics.json": json_text(metrics.to_json(), 1, ensure_ascii=False) + "\n",
        "metrics.csv": table.getvalue(),
    }
