"""What lies in a folder, told so that two moments can be compared, and which files were read since."""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path

_HASHED_BYTES = 64 << 20
_LONG_AGO = 86400  # an access time older than the file's own is written anew by the next reader, under relatime too


def describe_tree(folder: Path, skip: frozenset[str] = frozenset()) -> dict[str, str]:
    """Every entry below a folder with its kind, mode and content; links are not followed, `skip` are names at the top."""
    entries: dict[str, str] = {}
    for parent, folders, files in os.walk(folder):
        if parent == str(folder):
            folders[:] = [name for name in folders if name not in skip]
            files = [name for name in files if name not in skip]
        for name in (*folders, *files):
            path = os.path.join(parent, name)
            entries[os.path.relpath(path, folder)] = describe_entry(path)
    return entries


def describe_entry(path: str | Path) -> str:
    """Kind, mode and content of one entry; the content of a regular file as its hash, of a very large one as its size."""
    facts = os.lstat(path)
    kind = stat.filemode(facts.st_mode)
    if stat.S_ISLNK(facts.st_mode):
        return f"{kind} {os.readlink(path)}"
    if not stat.S_ISREG(facts.st_mode):
        return kind
    if facts.st_size > _HASHED_BYTES:
        return f"{kind} {facts.st_size} bytes of {facts.st_mtime_ns}"
    with open(path, "rb") as file:
        return f"{kind} {hashlib.file_digest(file, 'sha256').hexdigest()}"


def list_changes(before: dict[str, str], after: dict[str, str]) -> list[str]:
    """What became of the entries of a tree, in words."""
    gone = [f"{name} is gone" for name in before if name not in after]
    changed = [f"{name} was changed" for name in before if name in after and before[name] != after[name]]
    return gone + changed + [f"{name} appeared" for name in after if name not in before]


def mark_unread(folder: Path) -> None:
    """Set the access times of all files back, so that the next read shows."""
    for path in _files(folder):
        os.utime(path, (_LONG_AGO, path.stat().st_mtime))


def list_read(folder: Path) -> list[str]:
    """The files that have been read since `mark_unread`; never any on a file system that keeps no access times."""
    return [str(path.relative_to(folder)) for path in _files(folder) if path.stat().st_atime != _LONG_AGO]


def _files(folder: Path) -> list[Path]:
    return [path for path in sorted(folder.rglob("*")) if path.is_file() and not path.is_symlink()]
