"""Check that a run may continue a checkpoint: only one that would have written it may."""

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

# Settings that a resumed run may change; all others change its weights.
MAY_CHANGE = {
    "images", "minutes", "precision", "checkpoint_seconds", "keep_every_images", "validate_every_images",
    "validation_faces", "settle_faces", "data_on_device",
}  # fmt: skip
# Settings that may change with a message, as the way on after a loss that is not finite.
REPORTED = {"precision"}
RATE = "learning_rate"  # suffix of all names of learning rates


def as_read_back(description: dict[str, Any]) -> dict[str, Any]:
    """A description after a round trip through JSON: tuples become lists."""
    read: dict[str, Any] = json.loads(json_text(description))
    return read


def check_continues(folder: Path, trainable: Trainable, config: TrainingConfig) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The description of the checkpoint in `folder`, and messages about changed learning rates and precision.

    VisagistError for a checkpoint of another model or other settings.
    """
    before, here = checkpoint.read_description(folder), as_read_back(checkpoint.describe(trainable))
    if before["name"] == here["name"]:
        # A setting of the method that is newer than the run has its default, as when a model is loaded.
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
    # Settings that are newer than the run are not compared.
    trained = before.get("training") or {}
    for key in (settings.keys() & trained.keys()) - MAY_CHANGE:
        if trained[key] != settings[key] and not key.endswith(RATE):
            raise VisagistError(
                f"{folder} was trained with {key} {trained[key]}, this run has {settings[key]}: "
                "give the same to continue it, or use another --out"
            )
    reported = {key for key in settings if key in REPORTED or key.endswith(RATE)}
    return before, (*changes, *_changes(trained, settings, reported))


def _changes(before: Mapping[str, Any], here: Mapping[str, Any], keys: set[str]) -> list[str]:
    return [
        f"goes on with {key} {here[key]}, it had {before[key]}"
        for key in sorted(keys)
        if key in before and before[key] != here[key]
    ]


def _without_rates(config: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in config.items() if not key.endswith(RATE)}
