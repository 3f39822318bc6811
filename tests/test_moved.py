from __future__ import annotations

import importlib
import importlib.util
from pathlib import Path

import pytest

import visagist

MOVED = dict(line.split() for line in (Path(visagist.__file__).parent / "moved.txt").read_text().splitlines())


def test_every_module_that_moved_is_where_the_table_says() -> None:
    assert len(MOVED) > 150
    for today in MOVED.values():
        assert importlib.util.find_spec(today) is not None, today


@pytest.mark.parametrize("old", ["visagist.editing.photo", "visagist.run", "visagist.evaluation.protocol"])
def test_an_import_by_an_old_name_says_the_new_one(old: str) -> None:
    with pytest.raises(ModuleNotFoundError, match=f"is called {MOVED[old]} now"):
        importlib.import_module(old)
    package, _, module = old.rpartition(".")
    with pytest.raises(ModuleNotFoundError, match=f"is called {MOVED[old]} now"):
        exec(f"from {package} import {module}")


def test_a_module_that_never_was_is_not_found_as_ever() -> None:
    with pytest.raises(ModuleNotFoundError, match=r"No module named 'visagist\.nowhere'"):
        importlib.import_module("visagist.nowhere")
