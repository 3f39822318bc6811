"""What a checkpoint holds so that its run can go on: JSON facts and tensors, which are checked before they are believed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import torch
from torch import Tensor

from visagist.boundary.schema import Bounds, Count, Open, Sha256, read_object
from visagist.boundary.tensor_files import read_tensors
from visagist.errors import VisagistError, first_line
from visagist.files import sha256_of, sha256_of_json
from visagist.methods.base import Trainable


@dataclass
class TrainingProgress:
    """What changes while a run trains."""

    step: Count = 0
    images: Count = 0
    seconds: Annotated[float, Bounds(0)] = 0.0
    best: float | None = None
    finished: bool = False


@dataclass(frozen=True)
class OptimizerFacts:
    """Of one optimizer: the settings of its groups, and what it keeps of each parameter that is no tensor."""

    groups: tuple[Mapping[str, Any], ...]
    numbers: Mapping[str, Mapping[str, float | bool | None]]


@dataclass(frozen=True)
class StateFacts(Open):
    """`training_state.json`; older ones have no hash of their own."""

    optimizers: Mapping[str, OptimizerFacts]
    shadow_updates: Count | None
    progress: TrainingProgress
    tensors_sha256: Sha256
    facts_sha256: Sha256 | None = None


def hash_of(facts: Mapping[str, Any]) -> str:
    """The SHA-256 of the facts of a state, but for the hash itself and the time that training took.

    Two runs of the same settings have the same hash; the time is compared with that in config.json.
    """
    kept = {key: value for key, value in facts.items() if key != "facts_sha256"}
    kept["progress"] = {key: value for key, value in (facts.get("progress") or {}).items() if key != "seconds"}
    return sha256_of_json(kept)


def remedy_for(folder: Path) -> str:
    """What to do about a state that cannot be resumed."""
    return f"start anew without --resume in another --out, or delete {folder} first"


def read_state(folder: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """What a checkpoint holds for resuming, JSON facts and tensors; VisagistError where either is not what was written."""
    remedy = remedy_for(folder)
    path, tensors = folder / "training_state.json", folder / "training_state.safetensors"
    try:
        facts = read_object(path, StateFacts, remedy)
        if facts.get("facts_sha256") not in (None, hash_of(facts)):
            raise VisagistError(f"{path} does not match its SHA-256; {remedy}")
        if facts["tensors_sha256"] != sha256_of(tensors):
            raise VisagistError(f"{tensors} does not match its SHA-256; {remedy}")
        return facts, read_tensors(tensors, remedy)
    except OSError as error:
        raise VisagistError(f"cannot resume from {folder}: {error}; {remedy}") from error
    except VisagistError as error:
        raise VisagistError(f"cannot resume from {folder}: {error}") from error


def check_progress(folder: Path, progress: TrainingProgress, description: Mapping[str, Any], batch_size: int) -> None:
    """Raise VisagistError where a run cannot have come as far as its state says, or its config.json says otherwise."""
    problem = None
    if progress.images != progress.step * batch_size:
        problem = f"{progress.images:,} images are not {progress.step:,} steps of {batch_size}"
    recorded = description.get("training") or {}
    for key in ("step", "images", "seconds", "best", "finished"):
        if not problem and key in recorded and recorded[key] != getattr(progress, key):
            problem = f"{key} is {getattr(progress, key)} in training_state.json and {recorded[key]} in config.json"
    if problem:
        raise VisagistError(f"cannot resume from {folder}: it is damaged, {problem}; {remedy_for(folder)}")


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
    """The inverse of `pack_state`; memory layouts follow the parameters, so that arithmetic stays bit for bit the same.

    Raises VisagistError where the state is of other networks or optimizers.
    """
    try:
        weights = {k.removeprefix("weights/"): v for k, v in tensors.items() if k.startswith("weights/")}
        differing = sorted(weights.keys() ^ trainable.state_dict().keys())  # torch lets counters of batch norms be absent
        if differing:
            raise ValueError(f"{differing[0]} is there in one of them only")
        trainable.load_state_dict(weights)
        for name, optimizer in optimizers.items():
            _restore_optimizer(name, optimizer, facts["optimizers"][name], tensors)
    except (KeyError, IndexError, RuntimeError, TypeError, ValueError) as error:
        raise VisagistError(
            f"the training state does not fit {trainable.name} ({first_line(error)}): start anew in another --out"
        ) from error


def _restore_optimizer(
    name: str, optimizer: torch.optim.Optimizer, saved: Mapping[str, Any], tensors: Mapping[str, Tensor]
) -> None:
    state: dict[int, dict[str, Any]] = {int(i): dict(values) for i, values in saved["numbers"].items()}
    for key, value in tensors.items():
        kind, *rest = key.split("/")
        if kind == "optimizer" and rest[0] == name:
            state.setdefault(int(rest[1]), {})[rest[2]] = value
    # A step with the state of another shape would fail within torch, or broadcast.
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    for index, values in state.items():
        for key, value in values.items():
            if isinstance(value, Tensor) and value.dim() and value.shape != parameters[index].shape:
                raise ValueError(f"optimizer/{name}/{index}/{key} has shape {list(value.shape)}")
    _check_groups(name, saved["groups"], optimizer.state_dict()["param_groups"])
    optimizer.load_state_dict({"state": state, "param_groups": saved["groups"]})
    for parameter, values in optimizer.state.items():
        for key, value in values.items():
            if isinstance(value, Tensor) and value.shape == parameter.shape:
                values[key] = torch.empty_like(parameter).copy_(value)


def _check_groups(name: str, saved: Any, own: Any) -> None:
    """Raise ValueError where the groups of an optimizer have other settings than those it is made with; rates may differ."""
    if len(saved) != len(own):
        raise ValueError(f"the optimizer {name} has {len(saved)} groups, not {len(own)}")
    for before, here in zip(saved, own):
        for key in (here.keys() & before.keys()) - {"lr", "initial_lr"}:
            value = list(here[key]) if isinstance(here[key], tuple) else here[key]
            if before[key] != value:
                raise ValueError(f"the optimizer {name} has {key} {str(before[key])[:40]}, not {str(value)[:40]}")


def not_finite(values: Mapping[str, Any]) -> str | None:
    """The name of the first of these tensors that has a value that is not finite; None where there is none."""
    for name, value in values.items():
        if isinstance(value, Tensor) and value.is_floating_point() and not bool(torch.isfinite(value).all()):
            return name
        if isinstance(value, float) and not math.isfinite(value):
            return name
    return None
