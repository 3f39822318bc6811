"""Find and load refiners: those that ship with visagist, and those of runs and model folders."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import cast

from visagist import pretrained
from visagist.checkpoints import checkpoint
from visagist.errors import VisagistError, nearest
from visagist.methods.base import Trainable
from visagist.refining.refiner import Refiner


def lookup(name: str) -> type[Trainable]:
    """The trainable class of a refiner's checkpoint."""
    if name != Refiner.name:
        raise VisagistError(f"no refiner of kind {name!r}: {nearest(name, [Refiner.name])}")
    return Refiner


@lru_cache(maxsize=1)
def _by_guide() -> dict[str, str]:
    """The shipped refiner that was trained on the edits of each shipped model."""
    shipped = {}
    for name in pretrained.zoo("refiner"):
        described = checkpoint.read_description(pretrained.find_model(name, "refiner").folder)
        shipped.update({str(guide): name for guide in described["config"]["guides"]})
    return shipped


def shipped_refiner(model: str) -> str | None:
    """The name of the shipped refiner of a shipped model's edits; None where there is none."""
    return _by_guide().get(model)


def load_refiner(name: str | Path) -> Refiner:
    """The refiner of this zoo name, or in this model or run folder; VisagistError where there is none."""
    model, _ = checkpoint.load_model(pretrained.find_model(name, Refiner.kind).folder, lookup, kind=Refiner.kind)
    return cast(Refiner, model)
