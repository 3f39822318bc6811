"""visagist trains, judges and uses generative models that edit attributes of faces."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from visagist.version import __version__

if TYPE_CHECKING:
    from visagist.api import compare, evaluate
    from visagist.data import load_data
    from visagist.editing.chains.one_line import edit, edit_faces
    from visagist.editing.editor import Editor
    from visagist.editing.photo_edit import find_faces
    from visagist.errors import VisagistError
    from visagist.pipelines.teaching.teach import teach
    from visagist.pipelines.train import train

__all__ = [
    "Editor", "VisagistError", "__version__", "compare", "edit", "edit_faces", "evaluate", "find_faces", "load_data",
    "teach", "train",
]  # fmt: skip

_HOMES = {
    "Editor": "visagist.editing.editor",
    "VisagistError": "visagist.errors",
    "compare": "visagist.api",
    "edit": "visagist.editing.chains.one_line",
    "edit_faces": "visagist.editing.chains.one_line",
    "evaluate": "visagist.api",
    "find_faces": "visagist.editing.photo_edit",
    "load_data": "visagist.data",
    "teach": "visagist.pipelines.teaching.teach",
    "train": "visagist.pipelines.train",
}


def __getattr__(name: str) -> Any:
    """Import what is asked for only then, so that `import visagist` is quick."""
    if name not in _HOMES:
        raise AttributeError(f"module 'visagist' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


class _Moved:
    """The last finder of modules: for one that had another name before, the error says its name of today."""

    @staticmethod
    def find_spec(name: str, path: object = None, target: object = None) -> None:
        if name.startswith("visagist."):
            table = Path(__file__).with_name("moved.txt").read_text(encoding="utf-8")
            today = dict(line.split() for line in table.splitlines()).get(name)
            if today is not None:
                raise ModuleNotFoundError(f"{name} is called {today} now: import it from there")


if not any(getattr(finder, "__name__", "") == _Moved.__name__ for finder in sys.meta_path):
    sys.meta_path.append(_Moved)
