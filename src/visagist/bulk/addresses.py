"""Files at addresses, by fsspec: s3://, gs://, az://, and https:// to read from.

A file is read in ranges of the size that it had when it was listed. What fails is tried again a few times, beyond what the
storage's own package tries; what still fails is a `StorageError`, after which a shard is begun anew.
"""

from __future__ import annotations

import importlib
import io
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, TypeAlias, TypeVar

from visagist.boundary.untrusted import open_regular, read_regular
from visagist.errors import VisagistError, first_line

PACKAGES = {
    "s3": "s3fs", "gs": "gcsfs", "gcs": "gcsfs", "az": "adlfs", "abfs": "adlfs", "http": "aiohttp", "https": "aiohttp",
}  # fmt: skip
READ_ONLY = ("http", "https")
KNOWN = "s3://, gs://, az:// or, to read from, https://"
PAUSES = [0.5, 2.0, 8.0]  # seconds before a request is made again
BLOCK = 8 << 20
_SCHEME = re.compile(r"([a-z][a-z0-9+.-]+)://(.*)", re.IGNORECASE | re.DOTALL)
T = TypeVar("T")


class StorageError(VisagistError):
    """What an address cannot be asked for now; it may be later."""


@dataclass(frozen=True)
class RemoteFile:
    """A file at an address.

    size     in bytes, when it was listed
    version  changes with the content: the storage's tag of it, or the time of its last change
    """

    address: str
    size: int
    version: str

    def __str__(self) -> str:
        return shown(self.address)

    @property
    def path(self) -> PurePosixPath:
        """Where it lies within its storage; the words after `?` are no part of it."""
        return PurePosixPath("/", shown(self.address).partition("://")[2])

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def suffix(self) -> str:
        return self.path.suffix

    def fresh(self) -> RemoteFile:
        """The file as it is now; StorageError where it is gone."""
        return look_up(self.address)

    def read(self, start: int, end: int) -> bytes:
        """The bytes of a range; StorageError where they do not come."""
        system, path = _system_and_path(self.address)

        def fetch() -> bytes:
            data: bytes = system.cat_file(path, start=start, end=end)
            if len(data) != end - start:
                raise OSError(f"{len(data):,} bytes came in place of {end - start:,}")
            return data

        return retried(f"read {self}", fetch)


Source: TypeAlias = "Path | RemoteFile"


class _Ranges(io.RawIOBase):
    """A remote file as a stream that can be sought in; each read is a request, so it is to be buffered."""

    def __init__(self, file: RemoteFile) -> None:
        self.file, self.position = file, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self.position, io.SEEK_END: self.file.size}[whence]
        self.position = max(base + offset, 0)
        return self.position

    def tell(self) -> int:
        return self.position

    def readinto(self, buffer: Any) -> int:
        end = min(self.position + len(buffer), self.file.size)
        if end <= self.position:
            return 0
        data = self.file.read(self.position, end)
        buffer[: len(data)] = data
        self.position = end
        return len(data)


def scheme_of(text: str) -> str | None:
    """The storage that an address names, None for a path; VisagistError for one that is not known."""
    match = _SCHEME.match(text)
    if match is None:
        return None
    scheme = match[1].lower()
    if scheme not in PACKAGES:
        raise VisagistError(f"no storage {scheme}://: give {KNOWN}, or a path")
    return scheme


def shown(address: str) -> str:
    """An address without what may be a secret: the words after `?`, and those before `@`."""
    scheme, _, rest = address.partition("://")
    if scheme.lower() in READ_ONLY:
        rest = rest.partition("?")[0]
        host, slash, path = rest.partition("/")
        rest = host.rpartition("@")[2] + slash + path
    return f"{scheme}://{rest}"


@lru_cache(maxsize=16)
def file_system(scheme: str) -> Any:
    """The file system of a storage; credentials and the like come from its own settings and environment."""
    try:
        importlib.import_module(PACKAGES[scheme])
        fsspec = importlib.import_module("fsspec")
        return fsspec.filesystem(scheme, use_listings_cache=False)
    except ImportError as error:
        raise VisagistError(f"{scheme}:// needs {PACKAGES[scheme]}: pip install {PACKAGES[scheme]}") from error
    except Exception as error:  # each package has its own for settings that do not fit
        raise VisagistError(f"cannot use {scheme}://: {first_line(error)}; check its settings") from error


def _system_and_path(address: str) -> tuple[Any, str]:
    scheme = scheme_of(address)
    assert scheme is not None
    system = file_system(scheme)
    return system, system._strip_protocol(address)


def retried(act: str, call: Callable[[], T]) -> T:
    """What a request gives, made again where it fails; StorageError in the end. Missing files are raised as they are."""
    for pause in (*PAUSES, None):
        try:
            return call()
        except (FileNotFoundError, FileExistsError, VisagistError):
            raise
        except Exception as error:  # each package has its own
            if pause is None or isinstance(error, PermissionError):
                raise StorageError(f"cannot {act}: {first_line(error)}; check address, rights and network") from error
            time.sleep(pause)
    raise AssertionError


def look_up(address: str) -> RemoteFile:
    """A file as it is now; StorageError where there is none."""
    system, path = _system_and_path(address)
    try:
        info = retried(f"read {shown(address)}", lambda: system.info(path))
    except FileNotFoundError as error:
        raise StorageError(f"there is no {shown(address)}: check the address") from error
    return _file(address, info)


def _file(address: str, info: dict[str, Any]) -> RemoteFile:
    if info.get("size") is None:
        raise VisagistError(f"{shown(address)} does not say how large it is: fetch it first")
    names = ("ETag", "etag", "md5Hash", "generation", "LastModified", "last_modified", "updated", "mtime")
    return RemoteFile(address, int(info["size"]), next((str(info[name]) for name in names if info.get(name)), ""))


def list_remote(argument: str) -> list[RemoteFile]:
    """The files that an address, a folder or a pattern stands for, sorted, without hidden ones."""
    scheme = scheme_of(argument)
    system, path = _system_and_path(argument)
    if scheme in READ_ONLY:
        return [look_up(argument)]
    pattern = any(sign in path for sign in "*?")
    folder = path if not pattern else re.split(r"[*?]", path, maxsplit=1)[0].rpartition("/")[0]
    try:
        infos: dict[str, Any] = retried(f"list {argument}", lambda: system.find(folder, detail=True))
    except FileNotFoundError:
        return []
    names = [name for name in infos if not pattern or _matches(name, path)]
    plain = [name for name in names if name == path or not _is_hidden(name.removeprefix(folder))]
    return [_file(f"{scheme}://{name}", infos[name]) for name in sorted(plain)]


def _matches(name: str, pattern: str) -> bool:
    """As a shell matches: `*` is no `/`, but for `**`."""
    parts = (("[^/]*" if part == "*" else ".*" if part == "**" else "[^/]" if part == "?" else re.escape(part))
             for part in re.split(r"(\*\*|\*|\?)", pattern))  # fmt: skip
    return re.fullmatch("".join(parts), name) is not None


def _is_hidden(name: str) -> bool:
    return any(part.startswith(".") for part in name.split("/"))


@contextmanager
def open_source(source: Source, block: int = BLOCK) -> Iterator[BinaryIO]:
    """A file to read from; errors of a path as `open_regular`, StorageError of an address."""
    if isinstance(source, RemoteFile):
        with io.BufferedReader(_Ranges(source), block) as file:
            yield file
    else:
        with open_regular(source) as opened:
            yield opened


def read_source(source: Source, limit: int) -> bytes:
    """The bytes of a file; errors as `open_source`, and VisagistError of more than `limit`."""
    if not isinstance(source, RemoteFile):
        return read_regular(source, limit)
    if source.size > limit:
        raise VisagistError(f"{source} has {source.size:,} bytes, more than {limit:,}: leave it out")
    return source.read(0, source.size) if source.size else b""


def facts_of(source: Source) -> tuple[int | None, object]:
    """The size of a file and what changes with its content; None and None of a missing one."""
    if isinstance(source, RemoteFile):
        return source.size, source.version
    facts = source.stat() if source.exists() else None
    return (facts.st_size, facts.st_mtime_ns) if facts else (None, None)
