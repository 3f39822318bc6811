"""The folder of results, on a disk or in a bucket: what is written appears whole under its name, or not at all.

On a disk a file is written aside, in `OUT/.bulk/writing`, and renamed; into a bucket it is put in one request or in parts,
and appears with the last. Each attempt writes under a name of its own, so that two never write into one file.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO, NamedTuple

from visagist.boundary.untrusted import TABLE_BYTES, read_regular
from visagist.bulk.addresses import (
    KNOWN,
    READ_ONLY,
    StorageError,
    file_system,
    look_up,
    retried,
    scheme_of,
    shown,
)
from visagist.errors import VisagistError
from visagist.files import rename_synced, sha256_of, sync_file, write_synced

FOLDER = ".bulk"
WRITING = f"{FOLDER}/writing"
STALE_SECONDS = 86_400.0  # after which what an attempt left is nobody's


class Facts(NamedTuple):
    """The size of a file of results, and what changes with its content where the storage says so."""

    size: int
    version: str


class Written(NamedTuple):
    """What was written: its size and its hash, and what the storage calls this content."""

    size: int
    sha256: str
    version: str


@dataclass
class Output:
    """A file that is being written; `written` says what it has become when it is in its place."""

    file: BinaryIO
    written: Written | None = None


class Store(ABC):
    """Files of results by name, `a/b.tar`, below one folder."""

    @abstractmethod
    def where(self, name: str) -> str:
        """The file of this name, in words for a person."""

    @abstractmethod
    def read(self, name: str) -> bytes:
        """What is in a file; FileNotFoundError where there is none."""

    @abstractmethod
    def write(self, name: str, data: bytes) -> None:
        """Write a file, over what is there."""

    @abstractmethod
    def create(self, name: str, data: bytes) -> bool:
        """Write a file unless there is one; whether there was none."""

    @abstractmethod
    def remove(self, name: str) -> None:
        """Delete a file; a missing one is no error."""

    @abstractmethod
    def names(self, folder: str) -> list[str]:
        """The files in a folder that begin with no dot, sorted; a missing folder has none."""

    @abstractmethod
    def facts(self, name: str) -> Facts | None:
        """What is known of a file without reading it; None of a missing one."""

    @abstractmethod
    def is_as_written(self, name: str, sha256: str, version: str) -> bool:
        """Whether a file is what was written: by its bytes, or by what the storage says of them."""

    @abstractmethod
    def writing(self, name: str) -> contextlib.AbstractContextManager[Output]:
        """A file to write into, which is in its place when the block has ended without an error."""


def open_store(out: str | Path) -> Store:
    """The store at a path or an address; VisagistError for an address that cannot be written."""
    scheme = scheme_of(str(out))
    if scheme is None:
        return LocalStore(Path(out))
    if scheme in READ_ONLY:
        raise VisagistError(f"--out {shown(str(out))} can only be read: give a folder, or {KNOWN.partition(' or,')[0]}")
    return RemoteStore(str(out).rstrip("/"))


class LocalStore(Store):
    """A folder on a disk of this machine, or one that several machines share."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def __str__(self) -> str:
        return str(self.root)

    def where(self, name: str) -> str:
        return str(self.root / name)

    def read(self, name: str) -> bytes:
        return read_regular(self.root / name, TABLE_BYTES)

    def write(self, name: str, data: bytes) -> None:
        with self._aside(name) as waiting:
            write_synced(waiting, data)
            rename_synced(waiting, self._ready(name))

    def create(self, name: str, data: bytes) -> bool:
        with self._aside(name) as waiting:
            write_synced(waiting, data)
            try:
                os.link(waiting, self._ready(name))
            except FileExistsError:
                return False
            except OSError:  # a file system without links
                if os.path.lexists(self.root / name):
                    return False
                rename_synced(waiting, self.root / name)
        return True

    def remove(self, name: str) -> None:
        (self.root / name).unlink(missing_ok=True)

    def names(self, folder: str) -> list[str]:
        try:
            return sorted(name for name in os.listdir(self.root / folder) if not name.startswith("."))
        except FileNotFoundError:
            return []

    def facts(self, name: str) -> Facts | None:
        path = self.root / name
        return Facts(path.stat().st_size, "") if path.exists() else None

    def is_as_written(self, name: str, sha256: str, version: str) -> bool:
        try:
            return sha256_of(self.root / name) == sha256
        except (OSError, VisagistError):
            return False

    @contextmanager
    def writing(self, name: str) -> Iterator[Output]:
        with self._aside(name, clear=True) as waiting:
            with waiting.open("wb") as file:
                output = Output(file)
                yield output
                sync_file(file)
            path = self._ready(name)
            try:
                written = Written(waiting.stat().st_size, sha256_of(waiting), "")
                rename_synced(waiting, path)
            except FileNotFoundError as error:  # cleared away by one that took this process for dead
                raise StorageError(f"{path} was begun anew by another process") from error
            output.written = written

    def _ready(self, name: str) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    @contextmanager
    def _aside(self, name: str, clear: bool = False) -> Iterator[Path]:
        """Where a file is written; `clear` takes away what killed attempts at the same one have left."""
        folder, stem = self.root / WRITING, hashlib.sha256(os.fsencode(name)).hexdigest()[:16]
        folder.mkdir(parents=True, exist_ok=True)
        if clear:
            for left in folder.glob(f"{stem}.*"):
                left.unlink(missing_ok=True)
        waiting = folder / f"{stem}.{secrets.token_hex(4)}.writing"
        try:
            yield waiting
        finally:
            with contextlib.suppress(OSError):  # what could not be made need not be cleared away
                waiting.unlink(missing_ok=True)

    def clear_stale(self) -> None:
        """Delete what attempts that ended long ago have left."""
        for path in (self.root / WRITING).glob("*.writing"):
            with contextlib.suppress(FileNotFoundError):
                if time.time() - path.stat().st_mtime > STALE_SECONDS:
                    path.unlink()


class RemoteStore(Store):
    """A prefix of a bucket."""

    def __init__(self, root: str) -> None:
        self.root = root
        self.system = file_system(str(scheme_of(root)))

    def __str__(self) -> str:
        return self.root

    def where(self, name: str) -> str:
        return f"{self.root}/{name}"

    def _path(self, name: str) -> str:
        path: str = self.system._strip_protocol(self.root)
        return f"{path}/{name}"

    def read(self, name: str) -> bytes:
        data: bytes = retried(f"read {self.where(name)}", lambda: self.system.cat_file(self._path(name)))
        return data

    def write(self, name: str, data: bytes) -> None:
        retried(f"write {self.where(name)}", lambda: self.system.pipe_file(self._path(name), data))

    def create(self, name: str, data: bytes) -> bool:
        """As of any store; what was put by a request whose answer was lost counts as put here."""
        try:
            retried(f"write {self.where(name)}", lambda: self.system.pipe_file(self._path(name), data, mode="create"))
        except FileExistsError:
            return self.read(name) == data
        return True

    def remove(self, name: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            retried(f"remove {self.where(name)}", lambda: self.system.rm_file(self._path(name)))

    def names(self, folder: str) -> list[str]:
        try:
            paths = retried(f"list {self.where(folder)}", lambda: self.system.ls(self._path(folder), detail=False))
        except FileNotFoundError:
            return []
        names = (PurePosixPath(path).name for path in paths)
        return sorted(name for name in names if name and not name.startswith("."))

    def facts(self, name: str) -> Facts | None:
        if not retried(f"read {self.where(name)}", lambda: self.system.exists(self._path(name))):
            return None
        file = look_up(self.where(name))
        return Facts(file.size, file.version)

    def is_as_written(self, name: str, sha256: str, version: str) -> bool:
        facts = self.facts(name)
        return facts is not None and facts.version == version

    @contextmanager
    def writing(self, name: str) -> Iterator[Output]:
        with tempfile.NamedTemporaryFile(prefix="visagist-bulk-") as file:
            output = Output(file)  # type: ignore[arg-type]
            yield output
            file.flush()
            size, sha256 = os.path.getsize(file.name), sha256_of(Path(file.name))
            retried(f"write {self.where(name)}", lambda: self.system.put_file(file.name, self._path(name)))
        facts = self.facts(name)
        if facts is None or facts.size != size:
            raise StorageError(f"{self.where(name)} is not what was put there: run it again")
        output.written = Written(size, sha256, facts.version)
