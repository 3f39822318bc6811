"""Files of a bench: `bench.html`, `bench.json`, `bench.csv`, and the pictures alone as `bench.png`."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from visagist.boundary.schema import json_text
from visagist.editing.contact_sheets import table
from visagist.files import write_files
from visagist.photos.encode import encode_photo
from visagist.photos.photo import read_photo
from visagist.photos.provenance import Step
from visagist.reports.bench_page import Pictures, body, page_style
from visagist.reports.html import html_page

COLUMNS = ("method", "planted", "setting", "key", "value", "low", "high", "n")


def write_bench(folder: Path, result: Mapping[str, Any], pictures: Pictures) -> None:
    """Write all files, or none. Raises VisagistError."""
    write_files(
        folder,
        {
            "bench.json": json_text(result, 1, ensure_ascii=False) + "\n",
            "bench.csv": _csv(result),
            "bench.png": _png(pictures),
            "bench.html": html_page("Counterfactual bench", body(result, pictures), page_style()),
        },
    )


def _csv(result: Mapping[str, Any]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for line in result["lines"]:
        for setting, measures in line["measures"].items():
            for key, m in measures.items():
                figures = (repr(m[part]) for part in ("value", "low", "high", "n"))
                writer.writerow((line["method"], f"{line['planted']:g}", setting, key, *figures))
    return text.getvalue()


def _png(pictures: Pictures) -> bytes:
    """A face that has the attribute and one that has not: photograph, truth, and every method's edit by correlation."""
    names = list(dict.fromkeys(line.method for line in pictures.lines))
    rows, titles = [], []
    for i in _one_of_each(pictures.present):
        for planted in dict.fromkeys(line.planted for line in pictures.lines):
            edits = [next(x.edited[i] for x in pictures.lines if (x.method, x.planted) == (n, planted)) for n in names]
            rows.append(np.stack([pictures.photos[i], pictures.truth[i], *edits]))
            titles.append(f"trained\nat {planted:g}")
    whole = table(np.stack(rows), titles, ["photo", "truth", *names])
    return encode_photo(read_photo(whole), ".png", Step("edited", settings="drawn faces, by the methods of a bench")).data


def _one_of_each(present: Any) -> list[int]:
    return [int(np.flatnonzero(np.asarray(present) == side)[0]) for side in (1, 0) if (np.asarray(present) == side).any()]
