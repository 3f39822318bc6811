"""Labelled faces from anywhere: `load_data("celeba:PATH")` and its kin give `Faces`."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from visagist.data.faces import SPLITS, Faces

if TYPE_CHECKING:
    from visagist.data.sources import load_data, open_data, pack, require_both_classes

__all__ = ["SPLITS", "Faces", "load_data", "open_data", "pack", "require_both_classes"]


def __getattr__(name: str) -> Any:
    """Import the readers of sources, and the libraries they read by, only when they are asked for."""
    if name not in __all__:
        raise AttributeError(f"module 'visagist.data' has no attribute {name!r}")
    return getattr(importlib.import_module("visagist.data.sources"), name)
