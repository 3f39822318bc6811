"""Directions in a safetensors file: the vectors as tensors, all else as JSON beside them."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from visagist.editing.directions import Direction
from visagist.editing.strength import DIRECTIONS as WAYS
from visagist.editing.strength import StrengthMap
from visagist.errors import VisagistError
from visagist.files import write_file
from visagist.untrusted import WEIGHT_BYTES, check_regular

FORMAT = "visagist directions 1"


def save_directions(path: str | Path, directions: Sequence[Direction], weights_sha256: str | None) -> Path:
    """Write directions of the model whose weights have this hash, whole or not at all."""
    path = Path(path)
    tensors, facts = {}, []
    for direction in directions:
        name = f"{direction.attribute}.{direction.label.replace(', ', '+').replace(' ', '.')}"
        tensors[name] = direction.vector.astype(np.float32)
        described = {f.name: getattr(direction, f.name) for f in dataclasses.fields(direction) if f.name != "vector"}
        facts.append({"tensor": name, **described})
    notes = {"format": FORMAT, "weights_sha256": weights_sha256 or "", "directions": json.dumps(facts)}
    write_file(path, save(tensors, notes))
    return path


def load_directions(path: str | Path, weights_sha256: str | None) -> list[Direction]:
    """The directions of a file, for the model whose weights have this hash.

    Raises VisagistError where there is no such file, it holds something else or is damaged, or is of another model.
    """
    notes, tensors = _read(path)
    if notes.get("weights_sha256") != (weights_sha256 or ""):
        raise VisagistError(f"the directions in {path} are those of another model: fit them again for this one")
    try:
        return [_direction(record, tensors) for record in json.loads(notes["directions"])]
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        raise VisagistError(f"the directions in {path} are damaged ({error}): fit them again") from error


def weights_of(path: str | Path) -> str:
    """The hash of the weights whose directions a file holds, empty where they had none; VisagistError as for loading."""
    return _read(path)[0].get("weights_sha256", "")


def _read(path: str | Path) -> tuple[dict[str, str], dict[str, Any]]:
    """The notes and the tensors of a file of directions."""
    try:
        check_regular(path, WEIGHT_BYTES)
        with safe_open(str(path), framework="np") as file:
            notes = file.metadata() or {}
            names = file.keys()
            tensors = {name: file.get_tensor(name) for name in names}
    except FileNotFoundError as error:
        raise VisagistError(
            f"no file {str(path)!r}: name the directions.safetensors that `visagist directions` wrote"
        ) from error
    except (OSError, SafetensorError) as error:
        raise VisagistError(f"cannot read {path} as safetensors ({error}): fit the directions again") from error
    if notes.get("format") != FORMAT:
        got = notes.get("format") or "none"
        raise VisagistError(f"{path} is no file of directions ({FORMAT!r}), its format is {got!r}: name another file")
    return notes, tensors


def _direction(record: dict[str, Any], tensors: dict[str, Any]) -> Direction:
    vector = tensors[record["tensor"]].astype(np.float64)
    strength = record["strength"]
    for way in WAYS if strength is not None else ():
        StrengthMap.from_json(strength[way])
    names: dict[str, Any] = {key: tuple(record.get(key, ())) for key in ("given", "stand_ins", "matched")}
    rest = {key: value for key, value in record.items() if key not in ("tensor", *names)}
    return Direction(vector=vector, **names, **rest)
