"""Files of a report, each whole or not there."""

from __future__ import annotations

import csv
import io

from visagist.boundary.schema import json_text
from visagist.evaluation.results import Metrics


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
