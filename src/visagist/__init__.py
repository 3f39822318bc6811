"""visagist trains, judges and uses generative models that edit attributes of faces."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from visagist.version import __version__

if TYPE_CHECKING:
    from visagist.api import compare, evaluate
    from visagist.data import load_data
    from visagist.editing.editor import Editor
    from visagist.editing.photo_edit import find_faces
    from visagist.errors import VisagistError
    from visagist.pipelines.train import train

__all__ = ["Editor", "VisagistError", "__version__", "compare", "evaluate", "find_faces", "load_data", "train"]

_HOMES = {
    "Editor": "visagist.editing.editor",
    "VisagistError": "visagist.errors",
    "compare": "visagist.api",
    "evaluate": "visagist.api",
    "find_faces": "visagist.editing.photo_edit",
    "load_data": "visagist.data",
    "train": "visagist.pipelines.train",
}


def __getattr__(name: str) -> Any:
    """Import what is asked for only then, so that `import visagist` is quick."""
    if name not in _HOMES:
        raise AttributeError(f"module 'visagist' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
