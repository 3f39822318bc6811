"""The registry: every module beside this one, and in the folders of $VISAGIST_METHODS, that defines a `Method`."""

from __future__ import annotations

import importlib
import os
import pkgutil

from visagist.errors import VisagistError, nearest
from visagist.methods.base import Method

__all__ = ["available", "get"]

__path__ += [folder for folder in os.environ.get("VISAGIST_METHODS", "").split(os.pathsep) if folder]


def available() -> dict[str, type[Method]]:
    """Methods by name, alphabetically."""
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")
    return dict(sorted(Method.registered.items()))


def get(name: str) -> type[Method]:
    """The method of this name; VisagistError with the nearest names if there is none."""
    methods = available()
    if name not in methods:
        raise VisagistError(f"no method {name!r}: {nearest(name, methods)}")
    return methods[name]
