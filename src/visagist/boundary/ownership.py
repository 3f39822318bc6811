"""Decide which files may be overwritten: visagist replaces and deletes only what it wrote itself.

A file is recognised by its content, not by its name: pictures and videos by their XMP, pages by their head, tables by their
first line, JSON by its keys. A folder is visagist's where it holds such files of the same command, or nothing. An input file
is never overwritten, by whatever path it is reached.
"""

from __future__ import annotations

import json
import mmap
import os
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from visagist.boundary.untrusted import JSON_BYTES, read_regular
from visagist.errors import VisagistError

JUNK = frozenset({".DS_Store", "Thumbs.db", "desktop.ini"})  # what file managers leave behind; nobody's work
NAMESPACE = "urn:visagist:xmp:1.0/"  # of what pictures and videos say in their XMP
GENERATOR = "<meta name=generator content=visagist>"
# The heads of pages written before they said so.
_PAGES = (
    GENERATOR.encode(),
    "<title>visagist · ".encode(),
    b'<!doctype html>\n<html lang=en><head><meta charset=utf-8><meta name=viewport content="width=device-width, '
    b'initial-scale=1"><title>',
)
_HEAD = 4096
_TABLES = (
    b"key,value,low,high,n,not_computed",
    b"method,planted,seed,setting,key,value,low,high,n",
    b"method,planted,setting,key,value,low,high,n",  # benches before several seeds
    b"file,out,faces,others,",
)
_DIRECTIONS = b"visagist directions "
MODEL_KEYS = frozenset({"format_version", "kind", "weights_sha256"})
_OBJECTS = (
    MODEL_KEYS,
    frozenset({"schema_version", "metrics", "curves", "not_computed", "manifest"}),
    frozenset({"schema_version", "lines", "left_out", "manifest"}),
    frozenset({"schema_version", "reproductions"}),
    frozenset({"model", "weights_sha256", "trustworthiness", "cells"}),
    frozenset({"method", "config", "training", "data", "negatives"}),
    frozenset({"shards", "failed_shards", "pictures_per_second_of_a_process", "settings"}),
)

Owned = Callable[[Path], bool]
_named: ContextVar[frozenset[str]] = ContextVar("_named", default=frozenset())


def carries_mark(path: Path) -> bool:
    """Whether a file says of itself that visagist wrote it; a link, a folder and what cannot be read do not."""
    if path.is_symlink() or not path.is_file():
        return False
    try:
        match path.suffix.lower():
            case ".json":
                content = probe_object(path)
                return any(keys <= content.keys() for keys in _OBJECTS)
            case ".csv":
                return _read_head(path).startswith(_TABLES)
            case ".html":
                return any(mark in _read_head(path) for mark in _PAGES)
            case ".safetensors":
                return _contains(path, _DIRECTIONS)
            case _:
                return _contains(path, NAMESPACE.encode())
    except OSError:
        return False


def probe_object(path: Path) -> dict[str, Any]:
    """The JSON object in a file; an empty one where it holds anything else or cannot be read."""
    try:
        content = json.loads(read_regular(path, JSON_BYTES))
    except (OSError, ValueError, RecursionError, VisagistError):
        return {}
    return content if isinstance(content, dict) else {}


def _read_head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_HEAD)


def _contains(path: Path, mark: bytes) -> bool:
    with path.open("rb") as file:
        if not os.fstat(file.fileno()).st_size:
            return False
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            return content.find(mark) >= 0


def is_same_path(first: Path, second: Path) -> bool:
    """Whether two paths lead to one file or folder: by links of either kind, by `..`, or in names that differ in case."""
    if os.path.realpath(first).casefold() == os.path.realpath(second).casefold():
        return True
    try:
        return first.samefile(second)
    except OSError:
        return False


def refuse_inputs(outputs: Iterable[Path], inputs: Iterable[Path], remedy: str = "choose another --out") -> None:
    """VisagistError where a file that is to be written is one that is read, by whatever name."""
    names, files = set[str](), set[tuple[int, int]]()
    for path in inputs:
        names.add(os.path.realpath(path).casefold())
        files |= _file_identity(path)
    for path in outputs:
        if os.path.realpath(path).casefold() in names or _file_identity(path) & files:
            raise VisagistError(f"{path} is one of the pictures that are read and would be lost: {remedy}")


def refuse_source(path: Path, source: str | None) -> None:
    """VisagistError where a file that is to be written is there, and lies in the source KIND:PATH that is read."""
    read = Path((source or "").partition(":")[2]).expanduser()
    where = os.path.realpath(read.parent if read.is_file() else read)  # labels in a file lie beside their pictures
    if source and path.exists() and os.path.commonpath([where, os.path.realpath(path)]) == where:
        raise VisagistError(f"{path} lies in {source}, which is read, and would be lost: choose another place")


def _file_identity(path: Path) -> set[tuple[int, int]]:
    try:
        facts = path.stat()
    except OSError:
        return set()
    return {(facts.st_dev, facts.st_ino)}


def refuse_outside(path: Path, folder: Path) -> None:
    """VisagistError where a path leads out of the folder of results, by `..` or by a link in it."""
    root = os.path.realpath(folder)
    if path.name == ".." or os.path.commonpath([root, os.path.realpath(path.parent)]) != root:
        raise VisagistError(f"{path} leads out of {folder}: choose another --out")


@contextmanager
def allow_replacing(*paths: Path) -> Iterator[None]:
    """Allow these files, which a person named with --overwrite, to be replaced until the block ends."""
    token = _named.set(frozenset(map(os.path.abspath, paths)))
    try:
        yield
    finally:
        _named.reset(token)


def refuse_foreign(path: Path, remedy: str = "choose another --out", owned: Owned = carries_mark) -> None:
    """Raise VisagistError where a path exists that visagist did not write and that `allow_replacing` does not name."""
    if os.path.abspath(path) in _named.get() and not path.is_dir():
        return
    if os.path.lexists(path) and not owned(path):
        raise VisagistError(f"{path} is there already and visagist did not write it: {remedy}")


def list_entries(folder: Path) -> list[Path]:
    """List a folder, sorted, without the files of file managers; empty where there is no folder.

    Raises VisagistError where the path is a file or cannot be read.
    """
    try:
        return sorted(path for path in folder.iterdir() if path.name not in JUNK)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise VisagistError(f"cannot write {folder}: {error.strerror or error}; choose another --out") from error


def take_folder(folder: Path, names: Collection[str], owned: Owned = carries_mark) -> None:
    """VisagistError unless results of these names may be written into a folder; nothing is changed.

    It is absent or empty, it holds one of them that visagist wrote, or nothing that it did not write. None of those names
    may be of anybody else's file. `owned` says what of its entries visagist wrote.
    """
    held = list_entries(folder)
    for path in held:
        if path.name in names:
            refuse_foreign(path, owned=owned)
    if any(path.name in names for path in held):
        return
    for path in held:
        refuse_foreign(path, owned=owned)


def holds_only(folder: Path, owned: Owned) -> bool:
    """Whether a folder, which is no link, holds nothing but files for which `owned` is true, at any depth."""
    if folder.is_symlink() or not folder.is_dir():
        return False
    for root, folders, files in os.walk(folder):
        paths = [Path(root, name) for name in files if name not in JUNK]
        if any((Path(root) / name).is_symlink() for name in folders) or not all(owned(path) for path in paths):
            return False
    return True


def remove_folder(folder: Path, owned: Owned) -> None:
    """Delete a folder that holds nothing but files for which `owned` is true; one that holds more stays whole.

    Raises VisagistError where it stays, OSError where a file cannot be deleted. A missing folder is no error.
    """
    if not os.path.lexists(folder):
        return
    if not holds_only(folder, owned):
        raise VisagistError(f"{folder} holds what visagist did not write: move it away, or choose another --out")
    for root, folders, files in os.walk(folder, topdown=False):
        for name in files:
            os.unlink(os.path.join(root, name))
        for name in folders:
            os.rmdir(os.path.join(root, name))
    folder.rmdir()
