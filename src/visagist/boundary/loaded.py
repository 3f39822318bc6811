"""Modules that are looked at only where something else has imported them, as torch takes seconds."""

from __future__ import annotations

import sys
from typing import Any


def loaded_module(name: str) -> Any:
    """The module of this name; None where nothing has imported it, or another thread is still at it."""
    module = sys.modules.get(name)
    return None if getattr(getattr(module, "__spec__", None), "_initializing", False) else module
