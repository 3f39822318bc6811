"""Files that are written whole or not at all, and the hash by which one is known."""

from __future__ import annotations

import contextlib
import errno
import filecmp
import hashlib
import importlib.util
import os
from collections.abc import Collection, Mapping
from pathlib import Path

from visagist.boundary.ownership import Owned, carries_mark, refuse_foreign, take_folder
from visagist.boundary.untrusted import open_regular
from visagist.errors import VisagistError, way_out


def in_package(package: str, part: str) -> Path | None:
    """A file of an installed package, which is looked up and not imported; None where there is none."""
    spec = importlib.util.find_spec(package)
    folders = (spec.submodule_search_locations or []) if spec else []
    return next((path for folder in folders if (path := Path(folder) / part).is_file()), None)


def cache_folder() -> Path:
    """Where packs and readings of photographs are kept: $VISAGIST_CACHE, else ~/.cache/visagist."""
    return Path(os.environ.get("VISAGIST_CACHE") or Path.home() / ".cache" / "visagist").expanduser()


def write_files(
    folder: Path,
    contents: Mapping[str, str | bytes],
    remedy: str = "choose another --out",
    *,
    owned: Owned = carries_mark,
) -> None:
    """Write files into a folder, made if need be: all beside their places and to the disk, then each renamed into its own.

    Raises VisagistError, ending with `remedy`, where the folder cannot be written, the disk is full, or a file is there that
    is not `owned` and does not hold the same already. The former files are then as they were, and nothing half-written is
    left.
    """
    waiting = {folder / name: folder / f".{name}.writing-{os.getpid()}" for name in contents}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for fresh, content in zip(waiting.values(), contents.values()):
            with fresh.open("wb") as file:
                file.write(content.encode() if isinstance(content, str) else content)
                file.flush()
                os.fsync(file.fileno())
        for place, fresh in waiting.items():
            if place.is_dir():
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
            if not _same(place, fresh):
                refuse_foreign(place, remedy, owned)
        for place, fresh in waiting.items():
            fresh.replace(place)
    except OSError as error:
        named = folder / next(iter(contents)) if len(contents) == 1 else folder
        raise VisagistError(f"cannot write {named}: {error.strerror or error}; {way_out(error, remedy)}") from error
    finally:
        for fresh in waiting.values():
            with contextlib.suppress(OSError):  # what could not be made need not be cleared away
                fresh.unlink(missing_ok=True)


def write_file(
    path: Path, content: str | bytes, remedy: str = "choose another --out", *, owned: Owned = carries_mark
) -> None:
    """Write one file as `write_files` does."""
    write_files(path.parent, {path.name: content}, remedy, owned=owned)


def put_in_place(fresh: Path, path: Path, remedy: str, *, owned: Owned = carries_mark) -> None:
    """Rename a file that is whole to its place; VisagistError where what is there is not `owned`."""
    refuse_foreign(path, remedy, owned)
    fresh.replace(path)


def _same(path: Path, fresh: Path) -> bool:
    return path.is_file() and not path.is_symlink() and filecmp.cmp(path, fresh, shallow=False)


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file in hexadecimal; raises OSError where it cannot be read, VisagistError where it is no file."""
    with open_regular(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_writable(folder: Path, stem: str) -> None:
    """Raise VisagistError now rather than after minutes of work if the report cannot be written there.

    Nor may it be where the folder holds what is no report of this kind: one with `stem`.json and its like.
    """
    page = "report.html" if stem == "metrics" else f"{stem}.html"
    check_folder(folder, (page, *(f"{stem}.{kind}" for kind in ("json", "csv", "png", "safetensors"))))


def check_folder(folder: Path, names: Collection[str], owned: Owned = carries_mark) -> None:
    """As `check_writable`, for files of these names; `owned` says what else in the folder visagist wrote."""
    take_folder(folder, names, owned)
    probe = f".writable-{os.getpid()}"
    write_files(folder, {probe: ""})
    (folder / probe).unlink()
