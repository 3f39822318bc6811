"""Model folders: `config.json`, `model.safetensors` and, to resume, `training_state.*`; no pickles."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import save
from torch import Tensor

from visagist import methods
from visagist.boundary.forks import check_fork
from visagist.boundary.ownership import list_entries, remove_folder
from visagist.boundary.schema import json_text
from visagist.boundary.tensor_files import read_header, read_tensors
from visagist.checkpoints import fresh_networks
from visagist.checkpoints.folders import (
    DAMAGED,
    FORMAT_VERSION,
    HUB_FILES,
    best_checkpoint,
    check_fresh,
    holds_parts,
    is_model,
    model_exists,
    part_of,
    read_description,
    refuse_foreign_model,
)
from visagist.checkpoints.states import hash_of
from visagist.errors import VisagistError
from visagist.files import sha256_of, sync_folder, waiting_path, write_synced
from visagist.methods.base import Method, Trainable

__all__ = [
    "DAMAGED", "FORMAT_VERSION", "HUB_FILES", "Lookup", "best_checkpoint", "build", "check_fresh", "check_savable",
    "describe", "halve_weights", "holds_parts", "inference_weights", "is_model", "load_model", "model_exists",
    "read_description", "read_weights", "recover", "refuse_foreign_model", "save_inference_model", "save_model",
    "write_tensors",
]  # fmt: skip
Lookup = Callable[[str], type[Trainable]]


def describe(trainable: Trainable, **facts: Any) -> dict[str, Any]:
    """The `config.json` of a model; `facts` (crop, training, data, strength, card) are kept as they are."""
    return {
        "format_version": FORMAT_VERSION,
        "kind": trainable.kind,
        "name": trainable.name,
        "config": trainable.config_dict(),
        "attributes": list(trainable.attributes),
        "image_size": trainable.image_size,
        **facts,
    }


def save_model(
    folder: Path,
    description: Mapping[str, Any],
    weights: Mapping[str, Tensor] | None,
    *,
    state: tuple[Mapping[str, Any], Mapping[str, Tensor]] | None = None,
    extra: Mapping[str, str | bytes] | None = None,
) -> None:
    """Write a model folder atomically: at every instant either the old or the new one exists, whole.

    `state` is what resuming needs (JSON facts and tensors); `extra` are files to lie beside, by name. Without weights the
    description has the hash of those that something in `extra` was made of.
    Raises VisagistError, leaving nothing half-written, where the disk is full or may not be written, and where the folder
    holds what is not of a model.
    """
    refuse_foreign_model(folder)
    fresh = waiting_path(folder)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        _clear(fresh)
        fresh.mkdir()
        described = dict(description)
        if weights is not None:
            write_tensors(fresh / "model.safetensors", weights)
            described["weights_sha256"] = sha256_of(fresh / "model.safetensors")
        write_synced(fresh / "config.json", json_text(described, 1) + "\n")
        if state is not None:
            write_tensors(fresh / "training_state.safetensors", state[1])
            facts = {**state[0], "tensors_sha256": sha256_of(fresh / "training_state.safetensors")}
            facts["facts_sha256"] = hash_of(facts)
            write_synced(fresh / "training_state.json", json_text(facts) + "\n")
        for name, text in (extra or {}).items():
            write_synced(fresh / name, text)
        sync_folder(fresh)
        _swap(fresh, folder)
    except (OSError, SafetensorError) as error:
        with contextlib.suppress(OSError):
            _clear(fresh)
        raise VisagistError(f"cannot write {folder}: {error}; free some space or choose another --out") from error


def _clear(folder: Path) -> None:
    """Delete a model folder, whole or not; VisagistError where it holds anything else."""
    remove_folder(folder, part_of(folder))


def _swap(fresh: Path, folder: Path) -> None:
    previous = folder.with_name(f".{folder.name}.previous")
    if folder.exists():
        _clear(previous)
        folder.rename(previous)
    fresh.rename(folder)
    sync_folder(folder.parent)
    _clear(previous)


def recover(folder: Path) -> None:
    """Restore the model after a kill between two renames, and delete unfinished folders.

    Only the process that is about to write `folder` may call it: a reader would delete what a training is writing.
    """
    previous = folder.with_name(f".{folder.name}.previous")
    if is_model(previous) and not folder.exists():
        previous.rename(folder)
    _clear(previous)
    if folder.parent.is_dir():
        for leftover in folder.parent.glob(f".{folder.name}.writing-*"):
            _clear(leftover)


def build(description: Mapping[str, Any], lookup: Lookup = methods.get) -> Trainable:
    """The model that a description speaks of, with fresh weights; VisagistError where its settings make none."""
    return fresh_networks.build(lookup(description["name"]), description)


def load_model(folder: Path, lookup: Lookup = methods.get, kind: str = "method") -> tuple[Trainable, dict[str, Any]]:
    """A model in evaluation mode on the CPU in float32, and its description.

    Networks that only training needs may be absent from the file. Nothing of the model's size is made before what the file
    declares fits the description. Raises VisagistError for a folder that is damaged, of another kind, or of another format.
    """
    check_fork()
    description = read_description(folder)
    if description["kind"] != kind:
        raise VisagistError(f"{folder} holds a {description['kind']} ({description['name']}); a {kind} is needed here")
    cls, path = lookup(description["name"]), _check_weights(folder, description)
    fresh_networks.check_fits(folder, cls, description, read_header(path, DAMAGED))
    weights = read_tensors(path, DAMAGED)
    trainable = fresh_networks.build(cls, description)
    state = trainable.state_dict()
    trainable.load_state_dict({key: value.to(state[key].dtype) for key, value in weights.items()}, strict=False)
    return trainable.eval().requires_grad_(False), description


def read_weights(folder: Path, description: Mapping[str, Any]) -> dict[str, Tensor]:
    """The tensors of `model.safetensors`, checked against the SHA-256 in the description; each number is finite."""
    return read_tensors(_check_weights(folder, description), DAMAGED)


def _check_weights(folder: Path, description: Mapping[str, Any]) -> Path:
    """The file of a model's weights, which is as it was written; else VisagistError."""
    path = folder / "model.safetensors"
    try:
        digest = sha256_of(path)
    except OSError as error:
        raise VisagistError(f"cannot read {path}: {error}; {DAMAGED}") from error
    if digest != description["weights_sha256"]:
        raise VisagistError(f"{path} does not match its SHA-256: {DAMAGED}")
    return path


def write_tensors(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """One safetensors file, readable by whom the umask allows, which `save_file` would make its owner's alone."""
    write_synced(path, save({key: value.detach().cpu().contiguous() for key, value in tensors.items()}))


def save_inference_model(method: Method, description: Mapping[str, Any], card: str | None, folder: Path, half: bool) -> Path:
    """Write a model folder as `Editor.save` says; VisagistError where that would remove a file or a weight does not fit."""
    check_savable(folder)
    weights = inference_weights(method, half)
    kept = {key: value for key, value in description.items() if key != "export"}  # its graphs are not written
    save_model(folder.resolve(), kept, weights, extra={} if card is None else {"README.md": card})
    return folder


def inference_weights(model: Trainable, half: bool) -> dict[str, Tensor]:
    """The weights of the networks that use needs, as `halve_weights` leaves them if `half`."""
    needed = model.inference_networks or tuple(model.networks())
    weights = {k: v for k, v in model.state_dict().items() if k.split(".")[0] in needed}
    return halve_weights(weights) if half else weights


def halve_weights(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights in float16, but for a transport of codes: rounded, its rotation would no longer be undone by its transpose.

    Raises VisagistError where a value does not fit.
    """
    halves = {k: v.half() if v.is_floating_point() and not k.startswith("transport.") else v for k, v in weights.items()}
    large = [k for k, v in halves.items() if v.is_floating_point() and not v.isfinite().all()]
    if large:
        raise VisagistError(f"{large[0]} has values that float16 cannot hold: save without half")
    return halves


def check_savable(folder: Path) -> None:
    """VisagistError where saving a model in a folder would remove a file that is not a model's."""
    if folder.exists() and not folder.is_dir():
        raise VisagistError(f"{folder} is a file: name a folder to save the model in")
    strange = sorted({path.name for path in list_entries(folder)} - set(HUB_FILES))
    if strange:
        raise VisagistError(f"{folder} holds {strange[0]}, which saving would remove: name a new or empty folder")
    refuse_foreign_model(folder.resolve())

