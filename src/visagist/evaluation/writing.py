"""Files of a report, each whole or not there."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Mapping
from pathlib import Path

from visagist.errors import VisagistError
from visagist.evaluation.pictures import Strip
from visagist.evaluation.report import page
from visagist.evaluation.results import Metrics


def check_writable(folder: Path) -> None:
    """Raise VisagistError now rather than after minutes of work if the report cannot be written there."""
    write_files(folder, {".writable": ""})
    (folder / ".writable").unlink()


def write_report(metrics: Metrics, strips: list[Strip], folder: Path) -> None:
    """Write `metrics.json`, `metrics.csv` and `report.html`, or none of them. Raises VisagistError."""
    write_files(folder, {**tables(metrics), "report.html": page(metrics, strips)})


def tables(metrics: Metrics) -> dict[str, str]:
    """The texts of `metrics.json` and `metrics.csv`."""
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(("key", "value", "low", "high", "n", "not_computed"))
    writer.writerows(metrics.rows())
    return {
        "metrics.json": json.dumps(metrics.to_json(), indent=1, ensure_ascii=False, allow_nan=False) + "\n",
        "metrics.csv": table.getvalue(),
    }


def write_files(folder: Path, texts: Mapping[str, str]) -> None:
    """Write all texts beside their places, then rename them; raises VisagistError and leaves nothing half-written."""
    waiting = {folder / name: folder / f".{name}.writing-{os.getpid()}" for name in texts}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for fresh, text in zip(waiting.values(), texts.values()):
            with fresh.open("w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
        for place, fresh in waiting.items():
            fresh.replace(place)
    except OSError as error:
        if folder.is_dir():
            for fresh in waiting.values():
                fresh.unlink(missing_ok=True)
        raise VisagistError(f"cannot write {folder}: {error}; free some space or choose another --out") from error
