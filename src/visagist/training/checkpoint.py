"""A model is a folder: `config.json`, `model.safetensors` and, only to resume, `training_state.*`. No pickle anywhere."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from visagist import methods
from visagist.errors import VisagistError
from visagist.files import sha256_of
from visagist.methods.base import Trainable
from visagist.ownership import MODEL_KEYS, Owned, all_below, entries, read_object, refuse_foreign, remove_folder

FORMAT_VERSION = 1
FILES = ("config.json", "model.safetensors", "README.md", "training_state.json", "training_state.safetensors")
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
    weights: Mapping[str, Tensor],
    *,
    state: tuple[Mapping[str, Any], Mapping[str, Tensor]] | None = None,
    extra: Mapping[str, str] | None = None,
) -> None:
    """Write a model folder so that at every instant either the old or the new one is there, whole.

    `state` is what resuming needs (JSON facts and tensors); `extra` are text files to lie beside, by name.
    Raises VisagistError, leaving nothing half-written, where the disk is full or may not be written, and where the folder
    holds what is not of a model.
    """
    refuse_foreign_model(folder)
    fresh = folder.with_name(f".{folder.name}.writing-{os.getpid()}")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        _clear(fresh)
        fresh.mkdir()
        _write(fresh / "model.safetensors", weights)
        described = {**description, "weights_sha256": sha256_of(fresh / "model.safetensors")}
        (fresh / "config.json").write_text(json.dumps(described, indent=1) + "\n")
        if state is not None:
            _write(fresh / "training_state.safetensors", state[1])
            facts = {**state[0], "tensors_sha256": sha256_of(fresh / "training_state.safetensors")}
            (fresh / "training_state.json").write_text(json.dumps(facts) + "\n")
        for name, text in (extra or {}).items():
            (fresh / name).write_text(text)
        for file in fresh.iterdir():
            _sync(file)
        _sync(fresh)
        _swap(fresh, folder)
    except (OSError, SafetensorError) as error:
        with contextlib.suppress(OSError):
            _clear(fresh)
        raise VisagistError(f"cannot write {folder}: {error}; free some space or choose another --out") from error


def holds_parts(folder: Path) -> bool:
    """Whether a folder, which is no link, holds nothing but files of a model, all of them or some."""
    return all_below(folder, _part_of(folder))


def is_model(folder: Path) -> bool:
    """Whether a folder holds a model, whole or damaged, and no file that is none of it."""
    if not holds_parts(folder):
        return False
    whole = {"config.json", "model.safetensors"} <= {path.name for path in folder.iterdir()}
    return whole or read_object(folder / "config.json").keys() >= MODEL_KEYS


def _part_of(folder: Path) -> Owned:
    def is_part(path: Path) -> bool:
        known = path.name in FILES or path.name.startswith(".config.json.writing-")  # left by a kill
        return known and path.parent == folder and not path.is_symlink()

    return is_part


def _clear(folder: Path) -> None:
    """Delete a model folder, whole or not; VisagistError where it holds anything else."""
    remove_folder(folder, _part_of(folder))


def refuse_foreign_model(folder: Path) -> None:
    """VisagistError where saving a model would replace what is no model: the folder is empty, absent or one."""
    if folder.is_symlink() or entries(folder):
        refuse_foreign(folder, "move it away, or choose another --out", is_model)


def _swap(fresh: Path, folder: Path) -> None:
    previous = folder.with_name(f".{folder.name}.previous")
    if folder.exists():
        _clear(previous)
        folder.rename(previous)
    fresh.rename(folder)
    _sync(folder.parent)
    _clear(previous)


def recover(folder: Path) -> None:
    """Put right what a kill between two renames leaves, and clear away folders that were never finished.

    For the one process that is about to write `folder`: a reader would pull them from under a run that is training.
    """
    previous = folder.with_name(f".{folder.name}.previous")
    if is_model(previous) and not folder.exists():
        previous.rename(folder)
    _clear(previous)
    if folder.parent.is_dir():
        for leftover in folder.parent.glob(f".{folder.name}.writing-*"):
            _clear(leftover)


def _await_swap(folder: Path) -> None:
    """Wait out another process's two renames; if nobody finishes them, it was killed, and the old folder comes back."""
    previous = folder.with_name(f".{folder.name}.previous")
    for _ in range(20):
        if folder.exists() or not is_model(previous):
            return
        time.sleep(0.05)
    previous.rename(folder)


def is_there(folder: Path) -> bool:
    """Whether a model folder is there, be it in the middle of another process's two renames."""
    _await_swap(folder)
    return folder.exists()


def check_fresh(run: Path) -> None:
    """A VisagistError where a run folder already holds a run."""
    if is_model(run / "last"):
        raise VisagistError(f"{run} already holds a run: add --resume to continue it, or choose another --out")


def best_of(run: Path) -> Path:
    """The checkpoint by which a run folder is measured: `best`, else `last`; a checkpoint's own folder is itself."""
    return run if (run / "config.json").exists() else run / ("best" if is_there(run / "best") else "last")


def read_description(folder: Path) -> dict[str, Any]:
    """The `config.json` of a model folder, or a VisagistError that says why it cannot be one."""
    _await_swap(folder)
    path = folder / "config.json"
    try:
        described = json.loads(path.read_text())
    except FileNotFoundError as error:
        raise VisagistError(f"{folder} is no model folder: it has no config.json; name a run's last/ or best/") from error
    except (OSError, ValueError) as error:
        raise VisagistError(f"cannot read {path}: {error}; the file is damaged, take another checkpoint") from error
    version = described.get("format_version") if isinstance(described, dict) else None
    if version != FORMAT_VERSION:
        raise VisagistError(
            f"{folder} has checkpoint format {version!r}; this visagist reads format {FORMAT_VERSION}: "
            "use the visagist that wrote it"
        )
    missing = {"kind", "name", "config", "attributes", "image_size", "weights_sha256"} - described.keys()
    if missing:
        raise VisagistError(f"{path} lacks {', '.join(sorted(missing))}; the file is damaged, take another checkpoint")
    return described


def build(description: Mapping[str, Any], lookup: Lookup = methods.get) -> Trainable:
    """The model that a description speaks of, with fresh weights."""
    cls = lookup(description["name"])
    known = {field.name for field in dataclasses.fields(cls.Config)}
    unknown = description["config"].keys() - known
    if unknown:
        raise VisagistError(f"{description['name']} has no setting {', '.join(sorted(unknown))}: another version wrote it")
    settings = {k: tuple(v) if isinstance(v, list) else v for k, v in description["config"].items()}
    return cls(cls.Config(**settings), tuple(description["attributes"]), description["image_size"])


def load_model(folder: Path, lookup: Lookup = methods.get, kind: str = "method") -> tuple[Trainable, dict[str, Any]]:
    """A model in evaluation mode on the CPU in float32, and its description.

    Networks that only training needs may be absent from the file. Raises VisagistError for a folder that is damaged, of
    another kind, or of another format.
    """
    description = read_description(folder)
    if description["kind"] != kind:
        raise VisagistError(f"{folder} holds a {description['kind']} ({description['name']}); a {kind} is needed here")
    trainable = build(description, lookup)
    weights = read_weights(folder, description)
    needed = set(trainable.inference_networks) or set(trainable.networks())
    state = trainable.state_dict()
    absent = sorted(key for key in state.keys() - weights.keys() if key.split(".")[0] in needed)
    strange = sorted(weights.keys() - state.keys()) + sorted(
        key for key in weights.keys() & state.keys() if weights[key].shape != state[key].shape
    )
    if absent or strange:
        raise VisagistError(f"{folder}: weights do not fit {description['name']}: {', '.join((absent + strange)[:3])} …")
    trainable.load_state_dict({key: value.to(state[key].dtype) for key, value in weights.items()}, strict=False)
    return trainable.eval().requires_grad_(False), description


def read_weights(folder: Path, description: Mapping[str, Any]) -> dict[str, Tensor]:
    """The tensors of `model.safetensors`, checked against the SHA-256 in the description."""
    path = folder / "model.safetensors"
    try:
        if sha256_of(path) != description["weights_sha256"]:
            raise VisagistError(f"{path} does not match its SHA-256: the file is damaged, take another checkpoint")
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise VisagistError(f"cannot read {path}: {error}; the file is damaged, take another checkpoint") from error


def read_state(folder: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """What a checkpoint holds for resuming: JSON facts and tensors."""
    try:
        facts = json.loads((folder / "training_state.json").read_text())
        if facts["tensors_sha256"] != sha256_of(folder / "training_state.safetensors"):
            raise ValueError("training_state.safetensors does not match its SHA-256")
        return facts, load_file(folder / "training_state.safetensors")
    except (OSError, ValueError, KeyError, SafetensorError) as error:
        raise VisagistError(f"cannot resume from {folder}: {error}; start anew without --resume") from error


def pack_state(
    trainable: Trainable, optimizers: Mapping[str, torch.optim.Optimizer], shadow_updates: int | None
) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Raw weights and optimizer state as named tensors; the numbers among them as JSON."""
    tensors = {f"weights/{key}": value for key, value in trainable.state_dict().items()}
    facts: dict[str, Any] = {"optimizers": {}, "shadow_updates": shadow_updates}
    for name, optimizer in optimizers.items():
        saved = optimizer.state_dict()
        numbers: dict[str, dict[str, Any]] = {}
        for index, values in saved["state"].items():
            for key, value in values.items():
                if isinstance(value, Tensor):
                    tensors[f"optimizer/{name}/{index}/{key}"] = value
                else:
                    numbers.setdefault(str(index), {})[key] = value
        facts["optimizers"][name] = {"groups": saved["param_groups"], "numbers": numbers}
    return facts, tensors


def restore_state(
    trainable: Trainable,
    optimizers: Mapping[str, torch.optim.Optimizer],
    facts: Mapping[str, Any],
    tensors: Mapping[str, Tensor],
) -> None:
    """The inverse of `pack_state`; memory layouts follow the parameters, so that arithmetic stays bit for bit the same."""
    trainable.load_state_dict({k.removeprefix("weights/"): v for k, v in tensors.items() if k.startswith("weights/")})
    for name, optimizer in optimizers.items():
        saved = facts["optimizers"][name]
        state: dict[int, dict[str, Any]] = {int(i): dict(values) for i, values in saved["numbers"].items()}
        for key, value in tensors.items():
            kind, *rest = key.split("/")
            if kind == "optimizer" and rest[0] == name:
                state.setdefault(int(rest[1]), {})[rest[2]] = value
        optimizer.load_state_dict({"state": state, "param_groups": saved["groups"]})
        for parameter, values in optimizer.state.items():
            for key, value in values.items():
                if isinstance(value, Tensor) and value.shape == parameter.shape:
                    values[key] = torch.empty_like(parameter).copy_(value)


def _write(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """One safetensors file, readable by whom the umask allows, which `save_file` would make its owner's alone."""
    path.write_bytes(save({key: value.detach().cpu().contiguous() for key, value in tensors.items()}))


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
