"""What networks read in photographs, kept on disk: photographs come again with every model, edits do not.

One file a network, named by the hash of its fingerprint (weights, precision, what computes it); in it, by the hash of their
pixels, what it read in pictures. A file begins with the SHA-256 of the rest: one that is damaged is made anew. It is
replaced whole, so that of two processes that write at once the later wins, and what the other had is read again some day.
"""

from __future__ import annotations

import hashlib
import io
import logging
import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from visagist.errors import VisagistError
from visagist.files import cache_folder, write_file
from visagist.version import __version__

MOST_BYTES = 64 * 2**20  # of one network; what was read first goes first
MOST_FILES = 16  # networks; the file that was written to least recently goes first
KEY_BYTES = 16
Rows = dict[bytes, NDArray[np.float32]]
_NAME = re.compile(r"[0-9a-f]{32}\.rows")
_log = logging.getLogger(__name__)


def readings_folder() -> Path:
    """Where readings are kept, at most `MOST_FILES` times `MOST_BYTES`; it may be deleted at any time."""
    return cache_folder() / "readings"


def fingerprint_of(kind: str, *facts: object) -> str:
    """A network's fingerprint: what it is, and what computes it here, on which the last bits of its numbers depend."""
    return " ".join(map(str, (kind, *facts, torch.__version__, torch.backends.cpu.get_cpu_capability(), __version__)))


def key_of(image: NDArray[np.uint8]) -> bytes:
    """The hash of a picture's shape and pixels."""
    shape = np.array(image.shape[:2], np.int64).tobytes()
    return hashlib.blake2b(np.ascontiguousarray(image).data, digest_size=KEY_BYTES, salt=shape).digest()


class ReadingCache:
    """What one network read in photographs, by the hash of their pixels."""

    def __init__(self, fingerprint: str) -> None:
        name = hashlib.sha256(fingerprint.encode()).hexdigest()[:32]
        self.path = readings_folder() / f"{name}.rows"

    def read(self) -> Rows:
        """All that is kept; nothing where there is none, or it is damaged."""
        try:
            return _unpacked(self.path.read_bytes())
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, KeyError, EOFError) as error:
            _log.warning("%s is damaged and is made anew: %s", self.path, error)
            return {}

    def add(self, fresh: Mapping[bytes, NDArray[np.float32]]) -> None:
        """Keep these as well; where the folder cannot be written they are read again next time."""
        rows = {**self.read(), **fresh}
        size = KEY_BYTES + next(iter(rows.values())).nbytes
        kept = dict(list(rows.items())[-(MOST_BYTES // size) :])
        try:
            write_file(self.path, _packed(kept), "set VISAGIST_CACHE to a folder that can be written", owned=_is_ours)
        except VisagistError as error:
            _log.warning("readings are not kept: %s", error)
            return
        ours = filter(_is_ours, self.path.parent.glob("*.rows"))
        files = sorted(ours, key=lambda file: file.stat().st_mtime, reverse=True)
        for file in files[MOST_FILES:]:
            file.unlink(missing_ok=True)


def _is_ours(path: Path) -> bool:
    """Whether a file has the name of one of readings, which is that of a hash; its content may be damaged."""
    return bool(_NAME.fullmatch(path.name)) and path.is_file() and not path.is_symlink()


def _packed(rows: Mapping[bytes, NDArray[np.float32]]) -> bytes:
    file = io.BytesIO()
    np.savez(file, keys=np.frombuffer(b"".join(rows), np.uint8), rows=np.stack(list(rows.values())))
    content = file.getvalue()
    return hashlib.sha256(content).digest() + content


def _unpacked(content: bytes) -> Rows:
    digest, rest = content[:32], content[32:]
    if hashlib.sha256(rest).digest() != digest:
        raise ValueError("it does not match its SHA-256")
    with np.load(io.BytesIO(rest), allow_pickle=False) as archive:
        keys, rows = archive["keys"].tobytes(), archive["rows"]
    return {keys[KEY_BYTES * i : KEY_BYTES * (i + 1)]: row for i, row in enumerate(rows)}
