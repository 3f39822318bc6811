"""Labelled faces from anywhere: `load_data("celeba:PATH")` and its kin give `Faces`."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from visagist.data.faces import SPLITS, Faces
    from visagist.data.sources import load_data, open_data, pack, require_both_classes

__all__ = ["SPLITS", "Faces", "load_data", "open_data", "pack", "require_both_classes"]


def __getattr__(name: str) -> Any:
    """Import what is asked for only then: the readers of tables take time that an edit of a photograph does not have."""
    if name not in __all__:
        raise AttributeError(f"module 'visagist.data' has no attribute {name!r}")
    home = "visagist.data.faces" if name in ("SPLITS", "Faces") else "visagist.data.sources"
    return getattr(importlib.import_module(home), name)
