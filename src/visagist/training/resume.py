"""Whether a checkpoint may be continued by a run: only by one that would have written it."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from visagist.boundary.schema import json_text
from visagist.checkpoints import checkpoint
from visagist.errors import VisagistError
from visagist.methods.base import Trainable
from visagist.training.config import TrainingConfig

# A run may be continued with another budget or other habits of saving and watching; all else changes its weights.
MAY_CHANGE = {
    "images", "minutes", "precision", "checkpoint_seconds", "keep_every_images", "validate_every_images",
    "validation_faces", "settle_faces", "data_on_device",
}  # fmt: skip
# What may change but is told of, because it makes another run of it: the way on after a loss that is not finite.
TOLD = {"precision"}
RATE = "learning_rate"  # how the names of learning rates end


def as_read_back(description: dict[str, Any]) -> dict[str, Any]:
    """What a description is once it has been JSON: tuples become lists."""
    read: dict[str, Any] = json.loads(json_text(description))
    return read


def check_continues(folder: Path, trainable: Trainable, config: TrainingConfig) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The description of the checkpoint in `folder`, and in words the learning rates and the precision that are others now.

    A VisagistError where it is of another model or other settings.
    """
    before, here = checkpoint.read_description(folder), as_read_back(checkpoint.describe(trainable))
    if before["name"] == here["name"]:
        # A setting of the method that is newer than the run had its default then, as when a model is loaded.
        defaults = as_read_back(dataclasses.asdict(type(trainable.config)()))
        before = {**before, "config": {**defaults, **before["config"]}}
    changes = []
    for key in ("kind", "name", "config", "attributes", "image_size"):
        if key == "config" and before["name"] == here["name"]:
            changes += _changes(before[key], here[key], {name for name in here[key] if name.endswith(RATE)})
            if _without_rates(before[key]) == _without_rates(here[key]):
                continue
        if before[key] != here[key]:
            raise VisagistError(f"{folder} has {key} {before[key]}, this run has {here[key]}: use another --out")
    settings = as_read_back(dataclasses.asdict(config))
    # A setting that visagist did not have when the run began is no reason against it.
    trained = before.get("training") or {}
    for key in (settings.keys() & trained.keys()) - MAY_CHANGE:
        if trained[key] != settings[key] and not key.endswith(RATE):
            raise VisagistError(
                f"{folder} was trained with {key} {trained[key]}, this run has {settings[key]}: "
                "give the same to continue it, or use another --out"
            )
    told = {key for key in settings if key in TOLD or key.endswith(RATE)}
    return before, (*changes, *_changes(trained, settings, told))


def _changes(before: Mapping[str, Any], here: Mapping[str, Any], keys: set[str]) -> list[str]:
    return [
        f"goes on with {key} {here[key]}, it had {before[key]}"
        for key in sorted(keys)
        if key in before and before[key] != here[key]
    ]


def _without_rates(config: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in config.items() if not key.endswith(RATE)}
