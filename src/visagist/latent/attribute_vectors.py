"""Attribute vectors that are stored with a model, so that one that has a code but no edit of its own edits by them.

    v = mean z of faces with the attribute - mean z of faces without
    step      z + alpha v, which moves all faces alike                                     (Hou et al., 2019, §4.3.2)
    toward    each face moves along v its own way to a place beyond the class it is edited toward, then all on together

Who smiles broadly has a longer way to a straight face than who hardly does: by `toward` fewer edits fail at an equal median.
Mean codes of faces that have an attribute differ in all that goes with it: whoever is bald is a man, and old. `match` names
labels that both classes shall have alike: of each combination of these as many faces with the attribute serve as without.

They lie in the model's config.json, beside the hash of the weights they belong to.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from visagist.attributes import check_available
from visagist.boundary.schema import Mismatch, conform, json_text
from visagist.checkpoints.descriptions import StoredVector
from visagist.checkpoints.folders import read_description
from visagist.errors import VisagistError, nearest
from visagist.files import write_file
from visagist.latent.direction_types import Codes, Direction

if TYPE_CHECKING:
    from visagist.data.faces import Faces

NUMBER = 2000  # faces of each class (Hou et al., 2019)
KIND = "mean"
FACTS = ("attribute", "unit", "length", "n_with", "n_without")
LATER = ("middle", "matched")  # facts that vectors of before do not have
RULES = ("toward", "step")
FIT = 'fit them again, after "vectors" is taken out of config.json'
Encode = Callable[[np.ndarray], Codes]


def read_vectors(description: Mapping[str, Any]) -> list[Direction]:
    """The attribute vectors in a model's description; none where it has none. VisagistError where they are damaged."""
    try:
        stored: tuple[StoredVector, ...] = conform(description.get("vectors") or (), tuple[StoredVector, ...], "vectors")
    except Mismatch as error:
        raise VisagistError(f"the model's attribute vectors are damaged ({error}): {FIT}") from error
    names, lengths = [record.attribute for record in stored], {len(record.vector) for record in stored}
    if len(set(names)) != len(names) or len(lengths) > 1:
        raise VisagistError(
            f"the model's attribute vectors are damaged (they are of {', '.join(names)} and of lengths "
            f"{', '.join(map(str, sorted(lengths)))}, not one of each attribute and all of one length): {FIT}"
        )
    return [
        Direction(
            vector=np.array(record.vector, np.float64),
            kind=KIND,
            matched=record.matched,
            middle=record.middle,
            **{key: getattr(record, key) for key in FACTS},
        )
        for record in stored
    ]


def facts_of(vectors: Sequence[Direction]) -> list[dict[str, Any]]:
    """Attribute vectors as a model's description has them, JSON-able."""
    return [
        {**{key: getattr(vector, key) for key in FACTS + LATER}, "vector": [round(float(v), 6) for v in vector.vector]}
        for vector in vectors
    ]


def write_vectors(folder: Path, vectors: Sequence[Direction]) -> None:
    """Put attribute vectors into a model folder's config.json, whole or not at all, in place of others and strength."""
    described = read_description(folder)
    described.pop("export", None)  # graphs of what edited before
    text = json_text({**described, "vectors": facts_of(vectors), "strength": None}, 1) + "\n"
    write_file(folder / "config.json", text, remedy="copy the model elsewhere")


def fit_vectors(
    faces: Faces,
    encode: Encode,
    attributes: Sequence[str],
    number: int = NUMBER,
    seed: int = 0,
    rule: str = RULES[0],
    match: Sequence[str] = (),
) -> list[Direction]:
    """The vector of each attribute, of at most `number` training faces with it and as many without, drawn by the seed.

    `encode` turns rows of the faces into their codes; each row is encoded once, whatever number of attributes it serves.
    By the `rule` step a vector has no middle. What cannot but change with an attribute is not matched. Raises VisagistError
    for unknown names and rules, and where one class has no training face, or none that matches one of the other.
    """
    if rule not in RULES:
        raise VisagistError(f"no rule of attribute vectors {rule!r}: {nearest(rule, RULES)}")
    if number < 1:
        raise VisagistError(f"an attribute vector is of at least 1 face of each class, got {number}: give thousands")
    names = check_available(attributes, faces.names)
    check_available(match, faces.names)
    # Only fitting needs scikit-learn, which takes longer to import than all of visagist.
    from visagist.latent.directions import conditions, fit_directions

    held = {name: conditions(name, match) for name in names}
    train, chosen = faces.indices("train"), {}
    for name in names:
        chosen[name] = np.sort(_sides(faces, train, name, held[name], number, np.random.default_rng(seed)))
    rows = np.unique(np.concatenate(list(chosen.values())))
    codes, vectors = encode(rows), list[Direction]()
    for name in names:
        part = np.searchsorted(rows, chosen[name])
        some = Codes(codes.z[part], codes.labels[part], codes.names, seed)
        vectors += [replace(vector, matched=held[name]) for vector in fit_directions(None, some, (name,), kinds=(KIND,))]
    return [replace(vector, middle=None) for vector in vectors] if rule == "step" else vectors


def _sides(
    faces: Faces, train: NDArray[np.int64], name: str, match: Sequence[str], number: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Rows of at most `number` training faces with the attribute and as many without, all combinations of `match` alike.

    With nothing to match, each class has its own number.
    """
    present = faces.column(name)[train].astype(bool)
    if present.all() or not present.any():
        raise VisagistError(f"all {len(train)} training faces are {name}={int(present[0])}: a vector needs both classes")
    kinds = np.zeros(len(train), np.int64)
    for other in match:
        kinds = 2 * kinds + faces.column(other)[train]
    rows = [
        {kind: rng.permutation(train[(present == side) & (kinds == kind)]) for kind in np.unique(kinds)} for side in (1, 0)
    ]
    if not match:
        return np.concatenate([side[0][:number] for side in rows])
    pairs = {kind: min(len(side[kind]) for side in rows) for kind in rows[0]}
    total = sum(pairs.values())
    if not total:
        raise VisagistError(
            f"no training face with {name} is like one without in {', '.join(match)}: match fewer attributes, or others"
        )
    share = min(1.0, number / total)
    return np.concatenate([side[kind][: round(share * pairs[kind])] for side in rows for kind in pairs])
