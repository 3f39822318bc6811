"""Files that are written whole or not at all, the hashes by which they are known, and the cache folder."""

from __future__ import annotations

import contextlib
import errno
import filecmp
import hashlib
import importlib.util
import os
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import IO, Any

from visagist.boundary.ownership import Owned, carries_mark, refuse_foreign, take_folder
from visagist.boundary.schema import json_text
from visagist.boundary.untrusted import open_regular
from visagist.errors import VisagistError, suggest_remedy


def find_in_package(package: str, part: str) -> Path | None:
    """Find a file of an installed package without importing it; None where there is none."""
    spec = importlib.util.find_spec(package)
    folders = (spec.submodule_search_locations or []) if spec else []
    return next((path for folder in folders if (path := Path(folder) / part).is_file()), None)


def cache_folder() -> Path:
    """The folder of packs and of cached readings: $VISAGIST_CACHE, else ~/.cache/visagist."""
    return Path(os.environ.get("VISAGIST_CACHE") or Path.home() / ".cache" / "visagist").expanduser()


def waiting_path(path: Path) -> Path:
    """Where this process writes a file or a folder before it is renamed to `path`; a long name is hashed."""
    ending = f".writing-{os.getpid()}"
    name = path.name if len(os.fsencode(path.name)) < 254 - len(ending) else sha256_of_text(path.name)[:16]
    return path.with_name(f".{name}{ending}")


def write_synced(path: Path, content: str | bytes) -> None:
    """Write a file and wait until the disk has it; raises OSError."""
    with path.open("wb") as file:
        file.write(content.encode() if isinstance(content, str) else content)
        sync_file(file)


def sync_file(file: IO[bytes]) -> None:
    """Wait until the disk has what was written to an open file; raises OSError."""
    file.flush()
    os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Wait until the disk has the names in a folder; raises OSError. Windows, which opens no folders, does without."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def rename_synced(fresh: Path, path: Path) -> None:
    """Rename a file that the disk has over `path`, and wait until the disk has the name; raises OSError."""
    fresh.replace(path)
    sync_folder(path.parent)


def write_files(
    folder: Path,
    contents: Mapping[str, str | bytes],
    remedy: str = "choose another --out",
    *,
    owned: Owned = carries_mark,
) -> None:
    """Write files into a folder, made if need be: each under a waiting name and to the disk, then all are renamed.

    Raises VisagistError, ending with `remedy`, where the folder cannot be written, the disk is full, or a file exists that
    is not `owned` and has another content. Existing files are then unchanged, and nothing half-written is left.
    """
    waiting = {folder / name: waiting_path(folder / name) for name in contents}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for fresh, content in zip(waiting.values(), contents.values()):
            write_synced(fresh, content)
        for path, fresh in waiting.items():
            if path.is_dir():
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
            if not _same_content(path, fresh):
                refuse_foreign(path, remedy, owned)
        for path, fresh in waiting.items():
            fresh.replace(path)
    except OSError as error:
        named = folder / next(iter(contents)) if len(contents) == 1 else folder
        raise VisagistError(f"cannot write {named}: {error.strerror or error}; {suggest_remedy(error, remedy)}") from error
    finally:
        for fresh in waiting.values():
            with contextlib.suppress(OSError):  # a folder that could not be made holds nothing to clear away
                fresh.unlink(missing_ok=True)


def write_file(
    path: Path, content: str | bytes, remedy: str = "choose another --out", *, owned: Owned = carries_mark
) -> None:
    """Write one file as `write_files` does."""
    write_files(path.parent, {path.name: content}, remedy, owned=owned)


def rename_into_place(fresh: Path, path: Path, remedy: str, *, owned: Owned = carries_mark) -> None:
    """Rename a finished file to `path`; VisagistError where a file exists that is not `owned`."""
    refuse_foreign(path, remedy, owned)
    fresh.replace(path)


def _same_content(path: Path, fresh: Path) -> bool:
    return path.is_file() and not path.is_symlink() and filecmp.cmp(path, fresh, shallow=False)


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file in hexadecimal; raises OSError where it cannot be read, VisagistError where it is no file."""
    with open_regular(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sha256_of_text(text: str) -> str:
    """The SHA-256 of a text in hexadecimal; names of files that are no UTF-8 are taken as their bytes."""
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()


def sha256_of_json(value: Any) -> str:
    """The SHA-256 of a JSON-able value in hexadecimal, whatever the order of its keys."""
    return sha256_of_text(json_text(value, sort_keys=True))


def check_writable(folder: Path, stem: str) -> None:
    """Raise VisagistError where a report cannot be written into a folder: call it before minutes of work.

    A folder that holds other files than a report of this kind (`stem`.json and the like) is refused.
    """
    page = "report.html" if stem == "metrics" else f"{stem}.html"
    check_folder(folder, (page, *(f"{stem}.{kind}" for kind in ("json", "csv", "png", "safetensors"))))


def check_folder(folder: Path, names: Collection[str], owned: Owned = carries_mark) -> None:
    """As `check_writable`, for files of these names; `owned` says what else in the folder visagist wrote."""
    take_folder(folder, names, owned)
    probe = f".writable-{os.getpid()}"
    write_files(folder, {probe: ""})
    (folder / probe).unlink()
