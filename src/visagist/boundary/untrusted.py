"""Open files from outside: only regular files of a bounded size, without blocking."""

from __future__ import annotations

import logging
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path

from visagist.errors import VisagistError

MIB = 1 << 20
PEM_BYTES = MIB
JSON_BYTES = 64 * MIB
PHOTO_BYTES = TABLE_BYTES = 1 << 30
WEIGHT_BYTES = 16 << 30
_KINDS = {
    stat.S_IFIFO: "a pipe", stat.S_IFCHR: "a device", stat.S_IFBLK: "a device", stat.S_IFDIR: "a folder",
    stat.S_IFSOCK: "a socket",
}  # fmt: skip
_NONBLOCKING = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0)
_ADDRESS = re.compile(r"(https?|ftp|s3|gs|file|data):", re.IGNORECASE)
_log = logging.getLogger(__name__)


@contextmanager
def open_regular(path: str | Path, limit: int | None = None) -> Iterator[BufferedReader]:
    """A regular file of at most `limit` bytes, open for reading; its `name` is the path.

    VisagistError for a pipe, device, folder or socket, for a larger file, and for an address or `-` in place of a path.
    Other OSErrors, such as FileNotFoundError, are the caller's to word.
    """
    try:
        _check_kind(path, os.stat(path), limit)  # before opening, which can do something to a device
        file = open(path, "rb", opener=_open_without_waiting)  # noqa: SIM115 - closed below
    except (FileNotFoundError, NotADirectoryError):
        refuse_addresses(str(path))
        raise
    except ValueError as error:
        raise VisagistError(f"{str(path)!r} is no path ({error}): check it") from error
    with file:
        _check_kind(path, os.fstat(file.fileno()), limit)
        yield file


def _open_without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | _NONBLOCKING)


def read_regular(path: str | Path, limit: int) -> bytes:
    """The bytes of a regular file; errors as for `open_regular`, and VisagistError where it grows past `limit`."""
    with open_regular(path, limit) as file:
        parts = [file.read(os.fstat(file.fileno()).st_size + 1)]
        while part := file.read(MIB):
            parts.append(part)
            _check_size(path, sum(map(len, parts)), limit)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def read_text(path: str | Path, limit: int = JSON_BYTES) -> str:
    """The UTF-8 text of a regular file; errors as for `read_regular`, and UnicodeDecodeError."""
    return read_regular(path, limit).decode("utf-8")


def check_regular(path: str | Path, limit: int | None = None) -> None:
    """Errors as for `open_regular`, before a library opens the file by its path."""
    with open_regular(path, limit):
        pass


def refuse_addresses(text: str) -> None:
    """VisagistError for `-` and for a URL where a path is expected."""
    if text == "-":
        raise VisagistError("- is no file, and standard input is not read: save it to a file and give its path")
    if _ADDRESS.match(text):
        raise VisagistError(f"{text} is an address, and nothing is fetched: save it to a file and give its path")


def list_files(folder: Path, recursive: bool = True) -> list[Path]:
    """All that is no folder in a folder, sorted, with what its folders hold if `recursive`; hidden folders are left out.

    A folder that cannot be read is warned of and left out. Raises VisagistError where it is `folder` itself.
    """
    paths: list[Path] = []
    for root, folders, names in os.walk(folder, onerror=lambda error: _report_unreadable(folder, error)):
        folders[:] = sorted(name for name in folders if recursive and not name.startswith("."))
        paths += [Path(root) / name for name in names]
    return sorted(paths)


def _report_unreadable(folder: Path, error: OSError) -> None:
    if error.filename is None or Path(error.filename) == folder:
        raise VisagistError(f"cannot read {folder}: {error.strerror or error}; check its rights") from error
    _log.warning("%s is left out: %s", error.filename, error.strerror or error)


def _check_kind(path: str | Path, facts: os.stat_result, limit: int | None) -> None:
    if not stat.S_ISREG(facts.st_mode):
        kind = _KINDS.get(stat.S_IFMT(facts.st_mode), "something else")
        raise VisagistError(f"{path} is {kind}, not a file: give a file on disk")
    _check_size(path, facts.st_size, limit)


def _check_size(path: str | Path, size: int, limit: int | None) -> None:
    if limit is not None and size > limit:
        raise VisagistError(
            f"{path} has {_show_size(size)}, and no such file has more than {_show_size(limit)}: check the path"
        )


def _show_size(size: int) -> str:
    return f"{size / (1 << 30):,.1f} GiB" if size >= 1 << 30 else f"{size / MIB:,.1f} MiB"
