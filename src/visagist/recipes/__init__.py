"""The registry of experiments: every module beside this one lists its `Recipe` values in `RECIPES`."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from visagist.errors import VisagistError, nearest
from visagist.training.config import TrainingConfig

__all__ = ["Recipe", "available", "get"]


@dataclass(frozen=True)
class Recipe:
    """One experiment; `dataclasses.replace` makes variants.

    name          paper/row, as the command line takes it
    method        a registered method, or `judge`
    attributes    to learn, in order; none means those of the set, or without a set all of the data
    attribute_set in place of attributes: a name of `attributes.ATTRIBUTE_SETS`; training faces are balanced as it says
    negatives     training faces without any attribute of the set, for each with one; None means 1
    config        the method's own settings
    training      budget and optimiser schedule
    expected      published or promised figures, by the keys of `metrics.json`
    hours         of training on two CPU cores, roughly
    source        paper and table row
    """

    name: str
    method: str
    attributes: tuple[str, ...]
    config: Any
    training: TrainingConfig
    source: str
    hours: float
    image_size: int = 64
    crop: str | None = None
    attribute_set: str | None = None
    negatives: float | None = None
    expected: Mapping[str, float] = field(default_factory=dict)
    note: str = ""


def available() -> dict[str, Recipe]:
    """Recipes by name, alphabetically; two of one name are a VisagistError."""
    recipes: dict[str, Recipe] = {}
    for module in pkgutil.iter_modules(__path__):
        for recipe in importlib.import_module(f"{__name__}.{module.name}").RECIPES:
            if recipe.name in recipes:
                raise VisagistError(f"two recipes are called {recipe.name!r}: rename the one in recipes/{module.name}.py")
            recipes[recipe.name] = recipe
    return dict(sorted(recipes.items()))


def get(name: str) -> Recipe:
    """The recipe of this name; VisagistError with the nearest names if there is none."""
    recipes = available()
    if name not in recipes:
        raise VisagistError(f"no recipe {name!r}: {nearest(name, recipes)}")
    return recipes[name]
