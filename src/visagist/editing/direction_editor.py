"""An editor that moves a model's code along directions, so that they are used and measured as its own edits are."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from visagist.attributes import equivalent_attribute
from visagist.boundary.schema import json_text, parse_json
from visagist.boundary.tensor_files import read_header, read_tensors
from visagist.data.faces import Faces
from visagist.editing.editor import Editor
from visagist.editing.strength import DIRECTIONS as WAYS
from visagist.editing.strength import StrengthMap, calibrate
from visagist.errors import VisagistError
from visagist.files import write_file
from visagist.judges.judge import CalibratingJudge
from visagist.latent.attribute_vectors import facts_of, fit_vectors
from visagist.latent.backend import trained_method
from visagist.latent.codes import check_has_codes, check_size, encode_images
from visagist.latent.direction_method import DirectionMethod
from visagist.latent.direction_types import Codes, Direction
from visagist.progress import ProgressLike

BATCH = 64


class DirectionEditor(Editor):
    """An `Editor` of the same model and faces whose edits follow directions, one for each attribute.

    Strength, `edit`, `residual`, modes and forms of input are those of `Editor`; an amount of 1 is `RANGE` units. Raises
    VisagistError for a model without a code, for directions of another length, and for two of one attribute.
    """

    def __init__(self, editor: Editor, directions: Sequence[Direction]) -> None:
        _check(editor, directions)
        self.model, self.directions = editor, tuple(directions)
        strength = {d.attribute: dict(d.strength) for d in directions if d.strength is not None}
        described = {
            **editor.description, "attributes": [d.attribute for d in directions], "strength": strength or None,
        }  # fmt: skip
        described.pop("vectors", None)
        labels = " and ".join(sorted({direction.label for direction in directions}))
        method = DirectionMethod(trained_method(editor, "a direction"), directions)
        super().__init__(method, described, name=f"{editor.name} along {labels}", device=str(editor.device))

    @classmethod
    def from_pretrained(
        cls, name_or_folder: str | Path, device: str = "auto", *, refiner: str | Path | None = "auto",
        backend: str | None = None,
    ) -> Editor:
        """Refused: directions come from a file, for a model that is there."""
        raise VisagistError(f"{name_or_folder} is loaded by Editor.from_pretrained; give that to DirectionEditor.from_file")

    @classmethod
    def from_file(
        cls, path: str | Path, editor: Editor, kind: str, given: Sequence[str] = (), attributes: Sequence[str] | None = None
    ) -> DirectionEditor:
        """The directions of one kind that `visagist directions` saved for this model: all, or those of `attributes`."""
        stored = load_directions(path, editor.description.get("weights_sha256"))
        chosen = [
            d for d in stored
            if d.kind == kind and d.given == tuple(given) and (attributes is None or d.attribute in attributes)
        ]  # fmt: skip
        missing = sorted(set(attributes or ()) - {direction.attribute for direction in chosen})
        if not chosen or missing:
            there = ", ".join(f"{d.attribute} by {d.label}" for d in stored)
            raise VisagistError(
                f"{path} has no direction by {Direction('', kind, np.zeros(0), 0, tuple(given)).label}"
                f"{' of ' + ', '.join(missing) if missing else ''}: it has {there}"
            )
        return cls(editor, chosen)

    def save(self, folder: str | Path, *, half: bool = False) -> Path:
        """Refused: the model is as it was, and directions are saved beside it with `save_directions`."""
        raise VisagistError(
            f"directions are no model of their own, so nothing was saved in {folder}: save them with save_directions, "
            "and the model with its own editor"
        )


def saved_for(
    path: str | Path, editors: Sequence[Editor], attribute: str, kinds: Sequence[str] | None = None
) -> list[DirectionEditor]:
    """One editor for each direction of a file that edits the attribute, or what says the same, by one of these models.

    Only directions of these kinds; None is all. Raises VisagistError where the file is of none of the models, or has no such
    direction.
    """
    weights = weights_of(path)
    owner = next((editor for editor in editors if (editor.description.get("weights_sha256") or "") == weights), None)
    if owner is None:
        names = ", ".join(editor.name for editor in editors)
        raise VisagistError(f"the directions in {path} are of none of {names}: name their model too")
    stored = load_directions(path, owner.description.get("weights_sha256"))
    chosen = [
        direction for direction in stored
        if equivalent_attribute(attribute, [direction.attribute]) is not None and (kinds is None or direction.kind in kinds)
    ]  # fmt: skip
    if not chosen:
        there = ", ".join(f"{d.attribute} by {d.label}" for d in stored)
        by_kinds = f" by {', '.join(kinds)}" if kinds is not None else ""
        raise VisagistError(f"{path} has no direction of {attribute}{by_kinds}: it has {there}")
    return [DirectionEditor(owner, [direction]) for direction in chosen]


def by_vectors(editor: Editor, faces: Faces, attributes: Sequence[str], number: int, seed: int = 0) -> Editor:
    """The same model, which has a code, editing by attribute vectors of at most `number` training faces of each class.

    They move by the paper's z + alpha v, and their strength is not calibrated. VisagistError as for
    `visagist.latent.attribute_vectors.fit_vectors`.
    """
    vectors = fit_vectors(faces, lambda rows: codes_of(editor, faces, rows, seed), attributes, number, seed, "step")
    described = {**editor.description, "vectors": facts_of(vectors), "strength": None}
    return Editor(trained_method(editor, "an attribute vector"), described, name=editor.name, device=str(editor.device))


def with_strength(
    editor: Editor,
    direction: Direction,
    judge: CalibratingJudge,
    faces: Faces,
    number: int,
    progress: ProgressLike = None,
) -> Direction:
    """The direction with its maps of strength, fitted as `visagist.editing.strength.calibrate` does for any model."""
    along = DirectionEditor(editor, [replace(direction, strength=None)])
    return replace(direction, strength=calibrate(along, judge, faces, None, number, progress)[direction.attribute])


def training_codes(
    editor: Editor,
    faces: Faces,
    number: int | None = None,
    seed: int = 0,
    progress: Callable[[int], None] | None = None,
) -> Codes:
    """Codes of the training faces: all, or `number` of them drawn by the seed. `progress` is told how many more are done."""
    check_has_codes(editor, "directions")
    if number is not None and number < 2:
        raise VisagistError(f"directions are fitted on at least 2 training faces, got {number}: give thousands")
    return codes_of(editor, faces, faces.sample("train", number, seed), seed, progress)


def codes_of(
    editor: Editor,
    faces: Faces,
    rows: NDArray[np.integer],
    seed: int = 0,
    progress: Callable[[int], None] | None = None,
) -> Codes:
    """Codes of these rows; VisagistError where the faces are not of the model's size."""
    check_size(editor, faces.images)
    parts = []
    for start in range(0, len(rows), BATCH):
        some = rows[start : start + BATCH]
        parts.append(_encoded(editor, faces.images[some]))
        if progress is not None:
            progress(len(some))
    return Codes(np.concatenate(parts), np.asarray(faces.labels[rows]), faces.names, seed)


def _encoded(editor: Editor, images: NDArray[np.uint8]) -> NDArray[np.float64]:
    return encode_images(editor, images).z.double().numpy()


def _check(editor: Editor, directions: Sequence[Direction]) -> None:
    check_has_codes(editor, "directions")
    attributes: list[Any] = [direction.attribute for direction in directions]
    if not attributes or len(set(attributes)) != len(attributes):
        named = ", ".join(attributes) or "none"
        raise VisagistError(f"an editor takes one direction for each attribute, got {named}: name each once")
    blank = np.zeros((1, editor.image_size, editor.image_size, 3), np.uint8)
    latent = _encoded(editor, blank).shape[1]
    for direction in directions:
        if direction.vector.shape != (latent,):
            raise VisagistError(
                f"{direction.attribute} by {direction.label} has {list(direction.vector.shape)} numbers, codes of "
                f"{editor.name} have {latent}: give a direction that was fitted on this model"
            )


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
