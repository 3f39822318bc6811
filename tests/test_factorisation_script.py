"""`scripts/factorisation`: the table of reports and the picture of what forgetting costs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

SCRIPT = Path(__file__).parents[1] / "scripts/factorisation"
KEYS = {
    "reconstruction.mse": 0.0097,
    "edit.Smiling.success_0": 0.99,
    "edit.Smiling.from_0.success_1": 0.97,
    "edit.Smiling.err": 0.046,
    "identity.Smiling.edit": 0.058,
    "leakage.Smiling.linear.balanced_accuracy": 0.85,
    "leakage.Smiling.mlp.balanced_accuracy": 0.84,
}


def report(folder: Path, **changes: float) -> Path:
    folder.mkdir()
    values = KEYS | {key.replace("__", "."): value for key, value in changes.items()}
    metrics = {key: {"value": v, "low": 0.98 * v, "high": 1.02 * v, "n": 100} for key, v in values.items()}
    (folder / "metrics.json").write_text(json.dumps({"metrics": metrics}))
    return folder


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, SCRIPT, *map(str, arguments)], capture_output=True, text=True, check=False)


def test_each_report_is_a_row_with_intervals_and_a_letter_in_each_panel(tmp_path: Path) -> None:
    one, two = report(tmp_path / "one"), report(tmp_path / "two", leakage__Smiling__linear__balanced_accuracy=0.52)
    found = run(f"paper & all={one}", f"moved={two}", "--attribute", "Smiling", "--out", tmp_path / "picture.svg")
    assert found.returncode == 0, found.stderr
    rows = found.stdout.splitlines()[2:]
    assert rows[0].startswith("| paper & all | 0.00970 [0.00951, 0.00989] | 99.0 [97.0, 101.0] |")
    assert "| 52.0 [51.0, 53.0] |" in rows[1]
    assert rows[0].endswith("| – | – | – |"), "boosted trees and what is beyond the labels were not asked"
    texts = [text.text for text in ElementTree.parse(tmp_path / "picture.svg").iter() if text.tag.endswith("}text")]
    assert texts.count("A") == texts.count("B") == 3


def test_drawn_faces_add_a_table_and_a_panel(tmp_path: Path) -> None:
    one, two = report(tmp_path / "one"), tmp_path / "two"
    two.mkdir()
    measures = {
        "paper": {"error_beyond_reconstruction": 0.002, "progress": 0.8},
        "code": {"linear.balanced_accuracy": 0.51, "mlp.balanced_accuracy": 0.52},
    }
    told = {s: {k: {"value": v, "low": v, "high": v, "n": 9} for k, v in m.items()} for s, m in measures.items()}
    lines = [{"planted": 0.9, "measures": {}}, {"planted": 0, "measures": told}]
    (two / "bench.json").write_text(json.dumps({"lines": lines}))
    drawn = ("--drawn", f"moved={two}", "--attribute", "Smiling", "--out", tmp_path / "picture.svg")
    found = run(f"paper={one}", *drawn)
    assert found.returncode == 0, found.stderr
    cells = found.stdout.splitlines()[-1].split(" | ")
    assert cells[:3] == ["| moved", "0.00200 [0.00200, 0.00200]", "0.800 [0.800, 0.800]"]
    assert cells[3:] == ["–", "–", "–", "51.0 [51.0, 51.0]", "52.0 [52.0, 52.0]", "– |"]
    texts = [text.text for text in ElementTree.parse(tmp_path / "picture.svg").iter() if text.tag.endswith("}text")]
    assert (texts.count("A"), texts.count("B")) == (3, 1)
    refused = run(f"paper={one}", *drawn, "--planted", "0.5")
    assert refused.returncode == 2
    assert "has 0 models at 0.5, one is needed" in refused.stderr


def test_a_report_that_is_not_named_is_refused(tmp_path: Path) -> None:
    found = run(report(tmp_path / "one"), "--attribute", "Smiling")
    assert found.returncode == 2
    assert "is not NAME=FOLDER" in found.stderr
