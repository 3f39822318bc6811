"""Files of a report, each whole or not there."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from visagist.boundary.schema import json_text
from visagist.evaluation.results import Metrics, Strip
from visagist.files import write_files
from visagist.reports.evaluation_page import evaluation_page


def write_report(metrics: Metrics, strips: list[Strip], folder: Path) -> None:
    """Write `metrics.json`, `metrics.csv` and `report.html`, or none of them. Raises VisagistError."""
    write_files(folder, {**tables(metrics), "report.html": evaluation_page(metrics, strips)})


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
