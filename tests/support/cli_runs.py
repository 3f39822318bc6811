"""Running the command in this process, as `main` runs it for a person."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pytest

from visagist.cli import main

TINY = ["--set", "image_size=16", "--set", "width=4", "--set", "batch_size=8", "--set", "latent=8"]
DRAWN = "synthetic:40"


SEPARATOR = "=== the next command ==="
# Several commands in one process of their own, since each process imports torch anew: for what only a process has, such as
# the encoding of its streams or modules of its environment. Prints what they print, with a line between.
ONE_PROCESS = f"""
import json, sys
from visagist.cli import main
for words in json.loads(sys.argv[1]):
    try:
        main(words)
    except SystemExit as end:
        if end.code:
            raise
    print("{SEPARATOR}")
"""


class Result(NamedTuple):
    """How a command ended, and what it printed."""

    status: int
    out: str
    err: str

    @property
    def error(self) -> str:
        """The one line that says what is wrong."""
        assert self.status == 2, self
        assert "Traceback" not in self.err
        lines = [line for line in self.err.splitlines() if line.startswith("error: ")]
        assert len(lines) == 1, self.err
        return lines[0]


class Command:
    """`command("edit", ...)` runs `visagist edit ...`."""

    def __init__(self, capfd: pytest.CaptureFixture[str]) -> None:
        self.capfd = capfd

    def __call__(self, *arguments: object) -> Result:
        self.capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            main([str(argument) for argument in arguments])
        return Result(int(ended.value.code or 0), *self.capfd.readouterr())


def train_arguments(out: Path, data: str = DRAWN, method: str = "ifcvae-gan", images: int = 16) -> list[str]:
    """A training of two steps on drawn faces of 16 pixels."""
    chosen = ["train", method, "--data", data, "--out", str(out), "--images", str(images), "--device", "cpu"]
    return [*chosen, "--attributes", "Smiling", *TINY] if method != "judge" else [*chosen, *TINY[:2], *TINY[4:6]]


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, hidden ones too."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}
