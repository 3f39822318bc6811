"""The table of shipped models: the lowest judge with its ceiling, in the README's rows and in cards."""

from __future__ import annotations

import subprocess
import sys
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).parents[1] / "scripts" / "zoo-table"


@pytest.fixture(scope="module")
def script() -> Any:
    loader = SourceFileLoader("zoo_table", str(SCRIPT))
    spec = spec_from_loader("zoo_table", loader)
    assert spec is not None
    module = module_from_spec(spec)
    loader.exec_module(module)
    return module


def comparison(judges: int = 2, identity: bool = True) -> dict[str, Any]:
    def measure(value: float) -> dict[str, float]:
        return {"value": value, "low": value - 0.02, "high": value + 0.02, "n": 100}

    key, metrics = "compare.a-64.Smiling", {}
    for mode in ("render", "detail"):
        for way, value in (("given", 0.9), ("taken", 0.56)):
            start = f"{key}.{mode}.panel.{way}"
            metrics |= {
                f"{start}.success": measure(value), f"{start}.ceiling": measure(0.73), f"{start}.judges": measure(judges),
                f"{start}.judge-64.success": measure(0.99), f"{start}.geometry.success": measure(value),
            }  # fmt: skip
        if identity:
            metrics[f"{key}.{mode}.identity"] = measure(0.5)
    data = {"n": 200, "split": "test"}
    manifest = {"attributes": ["Smiling"], "models": [{"name": "a-64"}], "data": data, "seed": 0}
    return {"metrics": metrics, "manifest": manifest}


EDITS = "Smiling given 97.1 [96, 98] / 51 %, taken away 99.5 [99, 99] / 22 %; identity 0.06 / 0.88"
ROW = f"| `a-64` | what | 1 MiB | {EDITS}; {{rest}} |\n"


def test_the_figure_of_a_row_is_the_lowest_judge_of_its_ceiling_and_other_attributes_stay(script: Any) -> None:
    table = script.with_row(ROW.format(rest="Eyeglasses given 90 / 80 %; MSE .0098"), "a-64", [comparison()])
    assert "| Smiling given 90 [88, 92] of 73 / 90 %, taken away 56 [54, 58] of 73 / 56 %; identity 0.50 / 0.50; " in table
    assert table.endswith("; Eyeglasses given 90 / 80 %; MSE .0098 |\n")
    assert "97.1" not in table


def test_one_judge_alone_is_marked_and_an_identity_that_was_not_measured_stays(script: Any) -> None:
    table = script.with_row(ROW.format(rest="MSE .0098"), "a-64", [comparison(1, identity=False)])
    assert "given 90 [88, 92] of 73\\*" in table
    assert "identity 0.06 / 0.88; MSE .0098 |" in table


def test_a_card_has_what_each_judge_reads_once_however_often_it_is_written(script: Any, tmp_path: Path) -> None:
    card = tmp_path / "README.md"
    card.write_text("# a-64\n\n## Measured\n\n| metric | value |\n")
    script.write_card(card, "a-64", [comparison()])
    once = card.read_text()
    assert "| panel.Smiling.at_strength.taken.success | 0.5600 | 0.5400 | 0.5800 | 100 |" in once
    assert once.index("## Judges of different kinds") < once.index("## Measured")
    script.write_card(card, "a-64", [comparison()])
    assert card.read_text() == once


def test_a_page_has_what_every_judge_reads_of_the_models_that_it_names(script: Any, tmp_path: Path) -> None:
    page, other = tmp_path / "page.md", tmp_path / "other.md"
    page.write_text("before\n\n<!-- judges: a-64 -->\nold\n<!-- /judges -->\n\nafter\n")
    other.write_text("<!-- judges: b-64 -->\n<!-- /judges -->\n")
    for path in (page, page, other):
        script.write_page(path, [comparison()])
    text = page.read_text()
    assert "| model | edit | faces | lowest judge | judge-64 | geometry |" in text
    assert "| `a-64` | Smiling taken away | 100 | **56 [54, 58] of 73** | 99 | 56 |" in text
    assert (text.startswith("before\n"), text.endswith("\nafter\n"), "old" in text) == (True, True, False)
    assert "a-64" not in other.read_text()


def test_values_of_the_options_that_measure_are_not_taken_for_comparisons() -> None:
    script = Path(__file__).parents[1] / "scripts" / "zoo-table"
    ended = subprocess.run([sys.executable, script, "--data", "celeba:nowhere"], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr.strip()) == (1, "give --out, the folder of the comparisons")
