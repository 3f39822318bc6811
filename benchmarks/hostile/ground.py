"""The folder that a case works in, and what a grammar is."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

CANARY = "the-canary-sings-in-the-secret-folder"


@dataclass(frozen=True)
class Ground:
    """Folders of one case.

    given      what a stranger sends
    out        where results go: the only one that may change
    secret     files of the person's that nothing that a stranger sends may lead to
    templates  sound files that a grammar begins with, shared by all cases
    """

    folder: Path
    templates: Path

    @property
    def given(self) -> Path:
        return self.folder / "given"

    @property
    def out(self) -> Path:
        return self.folder / "out"

    @property
    def secret(self) -> Path:
        return self.folder / "secret"

    def lay(self) -> None:
        """Make the folders and the secret files."""
        self.given.mkdir(parents=True)
        self.secret.mkdir()
        (self.secret / "canary.txt").write_text(CANARY + "\n")
        for name in ("face.png", "clip.mp4"):
            shutil.copyfile(self.templates / name, self.secret / name)


@dataclass(frozen=True)
class Grammar:
    """A kind of hostile input.

    build    makes a case's files below `ground.given` (and `out`, where an old result is what is hostile); returns what
             `use` needs, as JSON can say it
    use      gives them to a reader or a command, which may refuse them
    out      whether results, and so changes, are expected in `out`
    secrets  whether a file of the secret folder that is read counts as a fault
    kept     a part of the names in `out` that are somebody's own and stay as they are
    adds     whether --out may be one of the other folders, to which then files are added
    """

    name: str
    build: Callable[[Random, Ground], Any]
    use: Callable[[Ground, Any], Any]
    secrets: bool = True
    kept: str = ""
    adds: bool = False


def make_work_folder() -> Path:
    """A folder for the cases, in memory where there is room."""
    memory = Path("/dev/shm")
    roomy = memory.is_dir() and os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > 4 << 30
    return Path(tempfile.mkdtemp(prefix="visagist-hostile-", dir=memory if roomy else None))
