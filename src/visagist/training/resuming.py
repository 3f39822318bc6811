"""Whether a checkpoint may be continued by a run: only by one that would have written it."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

from visagist.errors import VisagistError
from visagist.methods.base import Trainable
from visagist.training import checkpoint
from visagist.training.config import TrainingConfig

# A run may be continued with another budget or other habits of saving and watching; all else changes its weights.
MAY_CHANGE = {
    "images", "minutes", "precision", "checkpoint_seconds", "keep_every_images", "validate_every_images",
    "validation_faces", "settle_faces", "data_on_device",
}  # fmt: skip


def as_read_back(description: dict[str, Any]) -> dict[str, Any]:
    """What a description is once it has been JSON: tuples become lists."""
    read: dict[str, Any] = json.loads(json.dumps(description))
    return read


def check_continues(folder: Path, trainable: Trainable, config: TrainingConfig) -> dict[str, Any]:
    """The description of the checkpoint in `folder`; a VisagistError where it is of another model or other settings."""
    before, here = checkpoint.read_description(folder), as_read_back(checkpoint.describe(trainable))
    if before["name"] == here["name"]:
        # A setting of the method that is newer than the run had its default then, as when a model is loaded.
        defaults = as_read_back(dataclasses.asdict(type(trainable.config)()))
        before = {**before, "config": {**defaults, **before["config"]}}
    for key in ("kind", "name", "config", "attributes", "image_size"):
        if before[key] != here[key]:
            raise VisagistError(f"{folder} has {key} {before[key]}, this run has {here[key]}: use another --out")
    settings = as_read_back(dataclasses.asdict(config))
    # A setting that visagist did not have when the run began is no reason against it.
    for key in (settings.keys() & before["training"].keys()) - MAY_CHANGE:
        if before["training"][key] != settings[key]:
            raise VisagistError(
                f"{folder} was trained with {key} {before['training'][key]}, this run has {settings[key]}: "
                "give the same to continue it, or use another --out"
            )
    return before
