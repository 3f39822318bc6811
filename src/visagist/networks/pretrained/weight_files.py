"""Files of published weights: by path, or by an address with the SHA-256 that the file must have."""

from __future__ import annotations

import hashlib
import os
import re
import urllib.request
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor

from visagist.boundary.tensor_files import find_defect, read_tensors
from visagist.boundary.untrusted import MIB, WEIGHT_BYTES, open_regular
from visagist.errors import VisagistError, first_line
from visagist.files import cache_folder, sha256_of

_MARK = "#sha256="
_HASH = re.compile(r"[0-9a-f]{64}")
_MOST_FETCHED = 2 << 30  # bytes
_SECONDS = 60.0  # without a byte


def find_weights(where: str) -> tuple[Path, str]:
    """The file and its SHA-256, of `PATH`, `PATH#sha256=HEX` or `https://…#sha256=HEX`.

    What lies at an address is fetched into the cache, once; nothing else is fetched. VisagistError where the file is not
    there or is another, and for an address without a hash.
    """
    place, mark, expected = where.partition(_MARK)
    if mark and not _HASH.fullmatch(expected.lower()):
        raise VisagistError(f"{where}: after {_MARK} come the 64 hexadecimal digits of the file's SHA-256")
    if place.startswith(("https://", "http://")):
        if not mark:
            raise VisagistError(f"{place} is an address: add {_MARK}HEX, the SHA-256 of its file, or give a path")
        return _fetch(place, expected.lower()), expected.lower()
    path = Path(place).expanduser()
    if not path.is_file():
        raise VisagistError(f"no file {place!r}: give the path of the weights, or https://…{_MARK}HEX")
    digest = sha256_of(path)
    if mark and digest != expected.lower():
        raise VisagistError(f"{path} has the SHA-256 {digest[:12]}…, not {expected[:12]}…: it is another file")
    return path, digest


def _fetch(address: str, expected: str) -> Path:
    path = cache_folder() / "weights" / f"{expected}{Path(address).suffix}"
    if path.is_file() and sha256_of(path) == expected:
        return path
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        digest = _download(address, fresh)
        if digest != expected:
            raise VisagistError(f"{address} has the SHA-256 {digest[:12]}…, not {expected[:12]}…: it is not used")
        fresh.replace(path)
    except OSError as error:
        raise VisagistError(f"cannot fetch {address}: {first_line(error)}; save the file and give its path") from error
    finally:
        with suppress(OSError):
            fresh.unlink(missing_ok=True)
    return path


def _download(address: str, path: Path) -> str:
    """Write what is at an address into a file, and return its SHA-256."""
    digest, size = hashlib.sha256(), 0
    with urllib.request.urlopen(address, timeout=_SECONDS) as source, path.open("wb") as file:
        while part := source.read(MIB):
            size += len(part)
            if size > _MOST_FETCHED:
                raise VisagistError(f"{address} has more than {_MOST_FETCHED >> 30} GiB: it is no file of weights")
            digest.update(part)
            file.write(part)
    return digest.hexdigest()


def read_weights(path: Path, how: str) -> dict[str, Tensor]:
    """The named tensors of a file of torch or safetensors, each number finite; `how` says what to give instead."""
    try:
        if path.suffix == ".safetensors":
            return read_tensors(path, how)
        with open_regular(path, WEIGHT_BYTES) as file:
            loaded: Any = torch.load(file, map_location="cpu", weights_only=True)
    except VisagistError:
        raise
    except Exception as error:  # torch's reader raises any kind of exception for a malformed file
        raise VisagistError(f"cannot read {path} as weights: {error}; {how}") from error
    loaded = loaded.get("model", loaded) if isinstance(loaded, Mapping) else loaded
    if not isinstance(loaded, Mapping) or not all(isinstance(value, Tensor) for value in loaded.values()):
        raise VisagistError(f"{path} holds no named tensors; {how}")
    problem = find_defect(loaded)
    if problem:
        raise VisagistError(f"{path}: {problem}; {how}")
    return dict(cast(Mapping[str, Tensor], loaded))
