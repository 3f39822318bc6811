"""Thin the training split to an attribute set, or to as many faces with one attribute as without it."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from visagist.attributes import check_set
from visagist.data.faces import SET_ASIDE, Faces
from visagist.errors import VisagistError
from visagist.files import sha256_of_text

NEGATIVES = 1.0


def balance_to_set(faces: Faces, attribute_set: str, negatives: float = NEGATIVES, seed: int = 0) -> Faces:
    """Keep the labels of a named set, and thin the training faces that have none of its attributes.

    negatives   faces kept that have none of the attributes, for each face that has one or more; all where there are fewer
    seed        of the draw, in which a face's place depends on the seed and its file alone: a partial copy keeps the same
                faces as far as it has them, and a larger ratio keeps those of a smaller one

    Validation and test faces stay as they are. Faces set aside keep their rows, so that mapped images stay mapped; the
    manifest says under `balance` what was kept. Raises VisagistError for an unknown set and for labels that do not fit it.
    """
    if not 0 < negatives < float("inf"):
        raise VisagistError(f"negatives is {negatives:g}: give more than 0, the faces without for each face with")
    faces = faces.with_attributes(check_set(attribute_set))
    rows = faces.indices("train")
    present = faces.labels[rows].any(axis=1)
    lacking, number = rows[~present], round(negatives * int(present.sum()))
    kept = _draw_rows(faces, lacking, number, seed)
    train = np.sort(np.concatenate([rows[present], kept]))
    record: dict[str, Any] = {
        "attribute_set": attribute_set,
        "attributes": list(faces.names),
        "rule": f"of the training split every face with {' or '.join(faces.names)}, and {negatives:g} without for each",
        "negatives": negatives,
        "seed": seed,
        "count": len(train),
        "with": int(present.sum()),
        "without": len(kept),
        "without_in_source": len(lacking),
        "sha256": sha256_of_text("\0".join(faces.files[row] for row in train)),
    }
    return _set_aside(faces, np.setdiff1d(lacking, kept), record)


def balance_classes(faces: Faces, seed: int = 0) -> Faces:
    """Keep all training faces of an attribute's rarer class, and as many of the other.

    Shen and Liu (2017), §4. Draw, other splits and manifest are as for `balanced`. Raises VisagistError for another number
    of attributes than one, and where a class is missing.
    """
    if len(faces.names) != 1:
        raise VisagistError(
            f"halves are of one attribute, got {len(faces.names)}: {', '.join(faces.names)}; name one of them"
        )
    rows = faces.indices("train")
    present = faces.labels[rows, 0] > 0
    half = int(min(present.sum(), (~present).sum()))
    if half == 0:
        raise VisagistError(f"the training faces are all of one class of {faces.names[0]}: both are needed")
    train = np.sort(np.concatenate([_draw_rows(faces, rows[side], half, seed) for side in (present, ~present)]))
    record = {
        "attributes": list(faces.names),
        "rule": f"of the training split all of the rarer class of {faces.names[0]}, and as many of the other",
        "seed": seed,
        "count": len(train),
        "with": half,
        "without": half,
        "without_in_source": int((~present).sum()),
        "with_in_source": int(present.sum()),
        "sha256": sha256_of_text("\0".join(faces.files[row] for row in train)),
    }
    return _set_aside(faces, np.setdiff1d(rows, train), record)


def _draw_rows(faces: Faces, rows: NDArray[np.int64], number: int, seed: int) -> NDArray[np.int64]:
    """Draw `number` of these rows, or all; a larger number includes the rows of a smaller one."""
    return rows[np.argsort([_draw_key(seed, faces.files[row]) for row in rows], kind="stable")[:number]]


def _set_aside(faces: Faces, aside: NDArray[np.int64], record: dict[str, Any]) -> Faces:
    split = faces.split.copy()
    split[aside] = SET_ASIDE
    return replace(faces, split=split, manifest={**faces.manifest, "balance": record})


def _draw_key(seed: int, file: str) -> bytes:
    return hashlib.sha256(f"{seed} {file}".encode(errors="surrogateescape")).digest()
