"""Libraries that report their use to their makers are told not to, before they are imported."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

LOADED = """
import os, sys
from visagist.runtime.graphs import load_onnxruntime
assert "onnxruntime" not in sys.modules
load_onnxruntime()
print(os.environ["ORT_DISABLE_TELEMETRY"])
"""


def test_onnxruntime_is_loaded_without_reports_and_leaves_nothing_behind(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    environment = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    environment |= {"TMPDIR": str(tmp_path), "HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", LOADED], env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "1\n"
    assert list(tmp_path.iterdir()) == []


def test_nobody_imports_onnxruntime_past_the_function_that_silences_it() -> None:
    source = Path(__file__).parents[2] / "src" / "visagist"
    words = ('import_module("onnxruntime")', "import onnxruntime\n")
    users = [file.name for file in source.rglob("*.py") if any(word in file.read_text() for word in words)]
    assert users == ["graphs.py"]
