"""A zoo of two small judges of everything that is drawn, and model folders beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from visagist import pretrained
from visagist.checkpoints import checkpoint
from visagist.data.drawn.labels import ATTRIBUTES
from visagist.judges.attribute import AttributeJudge, AttributeJudgeConfig

TINY_JUDGE = AttributeJudgeConfig(stem=4, widths=(4, 4), depths=(1, 1), hidden=4)


def saved(folder: Path, model: Any, **facts: Any) -> Path:
    checkpoint.save_model(folder, checkpoint.describe(model, **facts), model.state_dict())
    return folder


def use_two_small_judges(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let `folder` be the world: its cache, and a zoo of nothing but these judges."""
    monkeypatch.setenv("VISAGIST_CACHE", str(folder / "cache"))
    for seed, name in enumerate(("judge-64", "judge-64-b")):
        torch.manual_seed(seed)
        saved(folder / "zoo" / name, AttributeJudge(TINY_JUDGE, ATTRIBUTES, 16), zoo_name=name)
    monkeypatch.setattr(pretrained, "ZOO", folder / "zoo")
