"""A sketch of the faces that trained a network, to find out later whether it has seen the faces that measure it.

A record holds the SHA-256 of all names, sorted, which tells that a split is the same one, and the names with the smallest
hashes, at most `KEPT` of them (a bottom-k sketch: Broder, 1997): of any other faces, those whose hashes are as small are in
it if and only if they were seen.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from visagist.data.faces import Faces
from visagist.files import sha256_of_text

KEPT = 1024
HASH_BYTES = 6


def membership_sketch(faces: Faces, rows: NDArray[np.integer]) -> dict[str, Any]:
    """Sketch the faces of these rows, for a model's `config.json`."""
    names = _names(faces, rows)
    smallest = sorted(map(_hash, names))[:KEPT]
    return {
        "faces": len(names),
        "names_sha256": _digest(names),
        "sketch": base64.b64encode(b"".join(smallest)).decode(),
    }


def count_members(record: Mapping[str, Any], faces: Faces, rows: NDArray[np.integer]) -> int:
    """Count the faces of these rows that are certainly members of a sketch; both are of one source.

    Exact where the training split of these faces was sketched; else a count among those that the sketch covers.
    """
    rows = np.asarray(rows)
    if record["names_sha256"] == _digest(_names(faces, np.flatnonzero(faces.split == 0))):
        return int((faces.split[rows] == 0).sum())
    sketch = base64.b64decode(record["sketch"])
    known = {sketch[i : i + HASH_BYTES] for i in range(0, len(sketch), HASH_BYTES)}
    return sum(_hash(name) in known for name in _names(faces, rows))


def _names(faces: Faces, rows: NDArray[np.integer]) -> list[str]:
    """Names of faces; drawn ones of another seed are other faces."""
    drawn = str(faces.manifest.get("source", "")).startswith("synthetic:")
    prefix = f"{faces.manifest.get('seed')}/" if drawn else ""
    return [prefix + faces.files[int(row)] for row in rows]


def _hash(name: str) -> bytes:
    return hashlib.blake2b(name.encode(errors="surrogateescape"), digest_size=HASH_BYTES).digest()


def _digest(names: Sequence[str]) -> str:
    return sha256_of_text("\n".join(sorted(names)))
