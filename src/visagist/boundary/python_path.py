"""Keep the working folder off Python's module path: its files are data and not code.

`python -m` puts the working folder first on the path, and so does an empty entry of PYTHONPATH: a `filelock.py` that lies
beside somebody's photographs would run.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

SAFE = "PYTHONSAFEPATH"
PACKAGE_ROOT = Path(__file__).resolve().parents[2]


def leave_out_working_folder() -> None:
    """Take the working folder off `sys.path`, unless PYTHONPATH names it or this package itself lies in it.

    Processes started after this do not look there either.
    """
    os.environ.update(child_environment(os.environ))
    if "PYTHONPATH" in os.environ and not os.environ["PYTHONPATH"]:
        del os.environ["PYTHONPATH"]
    working = _working_folder()
    named = {Path(entry).resolve() for entry in _entries(os.environ)}
    if working is not None and working != PACKAGE_ROOT and working not in named:
        sys.path[:] = [entry for entry in sys.path if entry and Path(entry).resolve() != working]


def python_command(*arguments: str) -> list[str]:
    """The words that start this Python with `arguments`, without the working folder on its path."""
    return [sys.executable, "-P", *arguments]


def child_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """An environment whose processes, and theirs, look for modules in what PYTHONPATH names but not in the working folder.

    A package that was found in the working folder is still found: its folder is then named.
    """
    entries = _entries(environment)
    if _working_folder() == PACKAGE_ROOT:
        entries.append(str(PACKAGE_ROOT))
    given = {"PYTHONPATH": os.pathsep.join(entries)} if entries or "PYTHONPATH" in environment else {}
    return {**environment, **given, SAFE: "1"}


@contextmanager
def environment_variable(name: str, value: str) -> Iterator[None]:
    """Set a variable of this process, and of those that it starts, in this block; then it is again as it was."""
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before


def safe_children() -> AbstractContextManager[None]:
    """Start what `multiprocessing` starts in this block without the working folder on its path."""
    return environment_variable(SAFE, "1")


def _working_folder() -> Path | None:
    """The working folder; None where it has been removed."""
    try:
        return Path.cwd().resolve()
    except FileNotFoundError:
        return None


def _entries(environment: Mapping[str, str]) -> list[str]:
    """What PYTHONPATH names; an empty entry would be the working folder."""
    return [entry for entry in environment.get("PYTHONPATH", "").split(os.pathsep) if entry]
