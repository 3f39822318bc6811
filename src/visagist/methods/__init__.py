"""The registry: every module beside this one, and in the folders of $VISAGIST_METHODS, that defines a `Method`."""

from __future__ import annotations

import importlib
import logging
import os
import pkgutil
from functools import cache
from pathlib import Path

from visagist.errors import VisagistError, first_line, nearest
from visagist.methods.base import Method

__all__ = ["available", "get"]

_log = logging.getLogger(__name__)
_own = list(__path__)
_others = [folder for folder in os.environ.get("VISAGIST_METHODS", "").split(os.pathsep) if folder]
__path__ += _others


def available() -> dict[str, type[Method]]:
    """Methods by name, alphabetically; what lies in $VISAGIST_METHODS and cannot be imported is warned of."""
    for module in pkgutil.iter_modules(_own):
        importlib.import_module(f"{__name__}.{module.name}")
    _import_others()
    return dict(sorted(Method.registered.items()))


def get(name: str) -> type[Method]:
    """The method of this name; VisagistError with the nearest names, and with what could not be imported, without one.

    Of $VISAGIST_METHODS no more is imported than it takes to find it.
    """
    for module in pkgutil.iter_modules(_own):
        importlib.import_module(f"{__name__}.{module.name}")
    if name in Method.registered:
        return Method.registered[name]
    broken = _import_others()
    if name not in Method.registered:
        also = f"; not imported: {'; '.join(broken)}" if broken else ""
        raise VisagistError(f"no method {name!r}: {nearest(name, Method.registered)}{also}")
    return Method.registered[name]


@cache
def _import_others() -> tuple[str, ...]:
    """Import the modules of $VISAGIST_METHODS; warnings of those that cannot be, and of folders that are not there."""
    broken = [f"$VISAGIST_METHODS names {folder}, which is no folder" for folder in _others if not Path(folder).is_dir()]
    for module in pkgutil.iter_modules(_others):
        try:
            importlib.import_module(f"{__name__}.{module.name}")
        except Exception as error:  # a stranger's module raises anything
            path = Path(getattr(module.module_finder, "path", "")) / f"{module.name}.py"
            broken.append(f"{path} of $VISAGIST_METHODS fails: {type(error).__name__}: {first_line(error)}")
    for line in broken:
        _log.warning("%s", line)
    return tuple(broken)
