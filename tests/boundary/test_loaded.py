"""What is looked at only where it is imported is not looked at while it is being imported."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

import pytest

from visagist.boundary.loaded import loaded_module


def test_a_module_that_another_thread_imports_is_not_there_yet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "slow_to_import.py").write_text(
        "import threading\nbegun, go = threading.Event(), threading.Event()\nbegun.set()\ngo.wait()\nready = True\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    assert loaded_module("slow_to_import") is None
    importer = threading.Thread(target=__import__, args=["slow_to_import"])
    importer.start()
    while "slow_to_import" not in sys.modules or not hasattr(sys.modules["slow_to_import"], "go"):
        pass
    assert loaded_module("slow_to_import") is None
    sys.modules["slow_to_import"].go.set()
    importer.join()
    assert loaded_module("slow_to_import").ready
    monkeypatch.delitem(sys.modules, "slow_to_import")
