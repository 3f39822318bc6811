"""Settings of a run; what changes while it runs is in the state of the trainer."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, TypedDict

from visagist.errors import VisagistError


@dataclass(frozen=True)
class TrainingConfig:
    """Budget and settings of a run; amounts are in images seen, so that they do not depend on the batch size.

    A run ends at `images`, or after `minutes` of training where that is given. `batch_size` is the global batch, over
    all processes and `accumulate` parts of it.
    """

    images: int = 200_000
    minutes: float | None = None
    batch_size: int = 64
    accumulate: int = 1
    schedule: Literal["constant", "linear", "cosine", "halving"] = "constant"
    final_learning_rate: float = 0.01  # share of the first, for linear and cosine
    halve_at: tuple[float, ...] = (0.4, 0.6, 0.8)  # shares of the budget, for halving
    warmup_images: int = 0
    ema_decay: float | None = None
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    channels_last: bool = True
    sync_batch_norm: bool = True  # of several processes: batch statistics are those of the global batch
    data_on_device: Literal["auto", "always", "never"] = "auto"  # the training faces; auto: on CUDA where they fit
    horizontal_flip: bool = True
    seed: int = 0
    checkpoint_seconds: float = 30.0
    keep_every_images: int = 0
    validate_every_images: int = 0  # 0: twenty times in a run
    validation_faces: int = 1000
    settle_faces: int = 0  # plain training faces to recompute the batch-norm statistics of best/ from; 0: none


def check_budget(images: int | None, minutes: float | None) -> None:
    """VisagistError for a budget in both units, and for none."""
    if images is not None and minutes is not None:
        raise VisagistError(f"the budget is given twice, {images} images and {minutes:g} minutes: give one")
    if minutes is not None and minutes <= 0:
        raise VisagistError(f"minutes is {minutes:g}: give more than 0")


class _AsPrinted(TypedDict):
    precision: Literal["fp32"]
    horizontal_flip: bool


# Of recipes of papers: none of the four mirrors its faces, and all are older than arithmetic in bfloat16.
AS_PRINTED: _AsPrinted = {"precision": "fp32", "horizontal_flip": False}


def learning_rate_factor(config: TrainingConfig, images_seen: int, progress: float) -> float:
    """The factor of the base learning rate; `progress` in [0, 1] is the share of the budget that is spent."""
    warm = min(1.0, (images_seen + config.batch_size) / config.warmup_images) if config.warmup_images else 1.0
    return warm * _decay(config, min(max(progress, 0.0), 1.0))


def _decay(config: TrainingConfig, progress: float) -> float:
    floor = config.final_learning_rate
    match config.schedule:
        case "constant":
            return 1.0
        case "linear":
            return 1.0 - (1.0 - floor) * progress
        case "cosine":
            return floor + (1.0 - floor) * 0.5 * (1.0 + math.cos(math.pi * progress))
        case "halving":
            return 0.5 ** sum(progress >= mark for mark in config.halve_at)
