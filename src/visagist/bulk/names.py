"""Keys of samples and names of shards as names of files: none leads out of its folder, and every system can hold them."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import PurePosixPath
from urllib.parse import quote

_MOST_BYTES, _KEPT_BYTES = 180, 140  # of a name, so that endings find room in 255 bytes
_MOST_OF_PATH, _MOST_OF_ENDING = 800, 40
_DEVICES = re.compile(r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?", re.IGNORECASE)
_FORBIDDEN = re.compile(r'[\x00-\x1f\x7f<>:"|?*]|[. ]$|^\.')


def harmless(key: str) -> str:
    """A key as a path inside a folder: what would lead out of it, or that some system forbids, is spelled in hexadecimal.

    A part that is too long is cut, and ends with a hash of all of it.
    """
    parts = key.split("/")
    if "\\" in key or any(part in ("", ".", "..") for part in parts) or len(os.fsencode(key)) > _MOST_OF_PATH:
        return shortened(quoted(key).replace(".", "%2E"))
    return "/".join(shortened(_allowed(part)) for part in parts)


def harmless_ending(ending: str) -> str:
    """What follows the first dot of a name, as part of a name; of a long one the last suffix is kept."""
    safe = _FORBIDDEN.sub(_spelled, quoted(ending))
    if len(safe) <= _MOST_OF_ENDING:
        return safe
    suffix = PurePosixPath(f"_.{safe}").suffix
    return _hash(ending) + (suffix if len(suffix) <= _MOST_OF_ENDING // 2 else "")


def shortened(name: str) -> str:
    """The name itself, or its beginning and a hash of all of it where it is longer than files' names may be."""
    data = os.fsencode(name)
    if len(data) <= _MOST_BYTES:
        return name
    return f"{data[:_KEPT_BYTES].decode(errors='ignore')}-{_hash(name)}"


def quoted(name: str) -> str:
    """A name of letters, digits, dots and dashes alone, all others in hexadecimal."""
    return quote(name, safe="._-", errors="surrogateescape")


def _allowed(part: str) -> str:
    part = _FORBIDDEN.sub(_spelled, part)
    return f"%{ord(part[0]):02X}{part[1:]}" if _DEVICES.fullmatch(part) else part  # a device of Windows, as a file


def _spelled(match: re.Match[str]) -> str:
    return f"%{ord(match[0]):02X}"


def _hash(name: str) -> str:
    return hashlib.sha256(os.fsencode(name)).hexdigest()[:16]
