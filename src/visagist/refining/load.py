"""Find and load refiners: those that ship with visagist, and those of runs and model folders. Torch where it paints."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, cast

from visagist import pretrained
from visagist.checkpoints.folders import read_description
from visagist.errors import VisagistError, nearest
from visagist.refining.onnx_refiner import OnnxRefiner

if TYPE_CHECKING:
    from visagist.methods.base import Trainable
    from visagist.refining.refiner import Refiner

KIND = "refiner"


def lookup(name: str) -> type[Trainable]:
    """The trainable class of a refiner's checkpoint."""
    from visagist.refining.refiner import Refiner

    if name != Refiner.name:
        raise VisagistError(f"no refiner of kind {name!r}: {nearest(name, [Refiner.name])}")
    return Refiner


@lru_cache(maxsize=1)
def _by_guide() -> dict[str, str]:
    """The shipped refiner that was trained on the edits of each shipped model."""
    shipped = {}
    for name in pretrained.zoo(KIND):
        described = read_description(pretrained.find_model(name, KIND).folder)
        shipped.update({str(guide): name for guide in described["config"]["guides"]})
    return shipped


def shipped_refiner(model: str) -> str | None:
    """The name of the shipped refiner of a shipped model's edits; None where there is none."""
    return _by_guide().get(model)


def load_refiner(name: str | Path) -> Refiner:
    """The refiner of this zoo name, or in this model or run folder; VisagistError where there is none."""
    from visagist.checkpoints import checkpoint

    model, _ = checkpoint.load_model(pretrained.find_model(name, KIND).folder, lookup, kind=KIND)
    return cast("Refiner", model)


def load_graphs(name: str | Path) -> OnnxRefiner | None:
    """The refiner of this name by its graph; None where none was exported. VisagistError where it is no refiner."""
    folder = pretrained.find_model(name, KIND).folder
    described = read_description(folder)
    if described["kind"] != KIND:
        raise VisagistError(f"{folder} holds a {described['kind']} ({described['name']}); a {KIND} is needed here")
    return None if described.get("export") is None else OnnxRefiner(folder, described)
