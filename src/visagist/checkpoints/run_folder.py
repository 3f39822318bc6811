"""Decide whether a training may write into a run folder: one that is absent, empty, or holds a run."""

from __future__ import annotations

import contextlib
import json
import re
from pathlib import Path

from visagist.boundary.ownership import carries_mark, holds_only, list_entries, refuse_foreign, remove_folder
from visagist.checkpoints import checkpoint
from visagist.errors import VisagistError

_LONGEST_ROW = 1 << 20  # bytes
_UNFINISHED_SHEET = re.compile(r"\.\d{9}\.png\.writing-\d+")
_PNG = b"\x89PNG\r\n\x1a\n"
LOG, LOCK, BOARD, SAMPLES = "log.jsonl", ".lock", "tensorboard", "samples"
_MODEL = r"(?:best|last|images-\d{9,})"
_MODELS = re.compile(_MODEL)
_UNFINISHED = re.compile(rf"\.({_MODEL})\.(?:previous|writing-\d+)")


def check_run_folder(run: Path, resume: bool) -> None:
    """VisagistError, with nothing changed, where a training would write over what is not of a run, or over a run anew."""
    held = list_entries(run)
    if not resume:
        checkpoint.check_fresh(run)
    for path in held:
        if _MODELS.fullmatch(path.name):
            checkpoint.refuse_foreign_model(path)
        elif _UNFINISHED.fullmatch(path.name) or path.name in (LOG, LOCK) or _is_linked(path):
            refuse_foreign(path, owned=_is_part)
    if not any(_is_run(path) for path in held):
        for path in held:
            refuse_foreign(path, owned=_is_part)


def recover_run(run: Path) -> None:
    """Put right what a kill left of each model and sheet of a run; only for the process that holds the run."""
    for path in list_entries(run):
        if left := _UNFINISHED.fullmatch(path.name):
            checkpoint.recover(run / left[1])
    for path in list_entries(run / SAMPLES):
        if _is_unfinished_sheet(path):
            path.unlink()


def _is_unfinished_sheet(path: Path) -> bool:
    """Whether a file is what a kill left of a sheet: called so, and the beginning of a PNG, if only an empty one."""
    if not _UNFINISHED_SHEET.fullmatch(path.name) or path.is_symlink() or not path.is_file():
        return False
    with path.open("rb") as file:
        return _PNG.startswith(file.read(len(_PNG)))


def remove_run(run: Path) -> None:
    """Delete a run folder that holds nothing but what a training writes; one that holds more stays."""
    with contextlib.suppress(OSError, VisagistError):
        remove_folder(run, lambda path: _is_part(path if path.parent == run else path.parent))


def _is_run(path: Path) -> bool:
    """Whether an entry of a folder shows that it is that of a run."""
    if path.name == LOG:
        return path.stat().st_size > 0 and _is_log(path)
    return bool(_MODELS.fullmatch(path.name) or _UNFINISHED.fullmatch(path.name)) and checkpoint.is_model(path)


def _is_part(path: Path) -> bool:
    """Whether an entry of a run folder is what a training writes there, finished or not."""
    if path.is_symlink():
        return False
    if path.name == LOG:
        return _is_log(path)
    if path.name == LOCK:
        return path.is_file() and not path.stat().st_size
    if path.name == BOARD:
        return holds_only(path, lambda file: file.name.startswith("events.out.tfevents."))
    if path.name == SAMPLES:
        return holds_only(path, lambda file: carries_mark(file) or _is_unfinished_sheet(file))
    known = _MODELS.fullmatch(path.name) or _UNFINISHED.fullmatch(path.name)
    return bool(known) and checkpoint.holds_parts(path)


def _is_log(path: Path) -> bool:
    """Whether the first line is a row of a run's log, or one that a kill cut; later lines may be damaged."""
    if path.is_symlink() or not path.is_file():
        return False
    with path.open("rb") as file:
        first, newline, _ = file.readline(_LONGEST_ROW).partition(b"\n")
    return _is_row(first) or (not newline and first[:9] == b'{"kind": '[: len(first)])


def _is_linked(path: Path) -> bool:
    return path.name in (BOARD, SAMPLES) and path.is_symlink()


def _is_row(line: bytes) -> bool:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return False
    return isinstance(row, dict) and {"kind", "images"} <= row.keys()
