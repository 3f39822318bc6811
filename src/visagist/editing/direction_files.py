"""Directions in a safetensors file: the vectors as tensors, all else as JSON beside them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from visagist.boundary.schema import json_text, parse_json
from visagist.boundary.tensor_files import read_header, read_tensors
from visagist.editing.strength import DIRECTIONS as WAYS
from visagist.editing.strength import StrengthMap
from visagist.errors import VisagistError
from visagist.files import write_file
from visagist.latent.direction_types import Direction

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
    notes = {"format": FORMAT, "weights_sha256": weights_sha256 or "", "directions": json_text(facts)}
    write_file(path, save(tensors, notes))
    return path


def load_directions(path: str | Path, weights_sha256: str | None) -> list[Direction]:
    """The directions of a file, for the model whose weights have this hash.

    Raises VisagistError where there is no such file, it holds something else or is damaged, or is of another model.
    """
    notes, tensors = _read(path)
    if notes.get("weights_sha256") != (weights_sha256 or ""):
        raise VisagistError(f"the directions in {path} are those of another model: fit them again for this one")
    named = f"the list of directions in {path}"
    records: tuple[_Stored, ...] = parse_json(notes.get("directions", ""), tuple[_Stored, ...], named, "fit them again")
    try:
        return [_direction(record, tensors) for record in records]
    except (TypeError, ValueError, KeyError) as error:
        raise VisagistError(f"the directions in {path} are damaged ({error}): fit them again") from error


def weights_of(path: str | Path) -> str:
    """The hash of the weights whose directions a file holds, empty where they had none; VisagistError as for loading."""
    return _read(path)[0].get("weights_sha256", "")


def _read(path: str | Path) -> tuple[dict[str, str], dict[str, Any]]:
    """The notes and the tensors of a file of directions."""
    remedy = "fit the directions again"
    try:
        read_header(Path(path), remedy)
        with safe_open(str(path), framework="np") as file:
            notes = file.metadata() or {}
    except FileNotFoundError as error:
        raise VisagistError(
            f"no file {str(path)!r}: name the directions.safetensors that `visagist directions` wrote"
        ) from error
    except (OSError, SafetensorError) as error:
        raise VisagistError(f"cannot read {path} as safetensors ({error}): {remedy}") from error
    if notes.get("format") != FORMAT:
        got = notes.get("format") or "none"
        raise VisagistError(f"{path} is no file of directions ({FORMAT!r}), its format is {got!r}: name another file")
    return notes, {name: value.numpy() for name, value in read_tensors(Path(path), remedy).items()}


@dataclasses.dataclass(frozen=True)
class _Stored:
    """What a file says of one direction beside its vector; `Direction` tells what the fields mean."""

    tensor: str
    attribute: str
    kind: str
    unit: float
    given: tuple[str, ...] = ()
    stand_ins: tuple[str, ...] = ()
    strength: Mapping[str, Any] | None = None
    n_with: int = 0
    n_without: int = 0
    length: float | None = None
    middle: float | None = None
    matched: tuple[str, ...] = ()


def _direction(record: _Stored, tensors: Mapping[str, Any]) -> Direction:
    vector = tensors[record.tensor].astype(np.float64)
    if vector.ndim != 1:
        raise ValueError(f"{record.tensor} has the shape {list(vector.shape)}")
    strength = record.strength
    if strength is not None:
        for way in WAYS:
            StrengthMap.from_json(strength[way])
    facts = {field.name: getattr(record, field.name) for field in dataclasses.fields(record) if field.name != "tensor"}
    return Direction(vector=vector, **facts)
