"""Settings of a bench, and the recipe of each of its models: small networks and the same budget for all."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from visagist import methods, recipes
from visagist.attributes import check_attributes
from visagist.data.drawn.synthetic import ATTRIBUTES
from visagist.errors import VisagistError, nearest
from visagist.recipes import Recipe
from visagist.reproduction.runs import network_missing
from visagist.reproduction.scales import with_amounts
from visagist.settings import apply_settings
from visagist.training.config import TrainingConfig

# The recipe for two cores of each method; a bench takes networks, batch size and schedule from it.
BASES = {
    "cvae-gan": "cvae-gan/smiling-64",
    "dfc-vae": "dfc-vae/narrow-64-123",
    "ifcvae-gan": "ifcvae-gan/smiling-64",
    "introvac": "introvac/eyefacial-64",
    "residual-gan": "residual-gan/smiling-64",
    "vac": "vac/eyefacial-64",
    "vae": "vae/narrow-64",
    "vae-gan": "vae-gan/narrow-64",
    "vae-wgan": "vae-wgan/narrow-64",
}
IMAGES = 30_000
IMAGES_A_MINUTE = 15_000  # about what one core trains at 32 pixels; turns a budget in minutes into a number of images
VALIDATIONS = 4
WIDEST = 16  # of networks at 32 pixels; it grows with the side
PAIR = ("No_Beard", "Wearing_Hat")
CORRELATIONS = (0.0, 0.5, 0.9)


@dataclass(frozen=True)
class Plan:
    """What a bench compares.

    methods       by name; none means all that edit or have a code
    pair          the attribute to learn and edit, and the one that correlates with it, whose labels no model gets
    correlations  of the two among training faces, one model each
    images, minutes   the budget of each model, one or the other
    faces, test   drawn faces for training (of ten, eight train and one validates) and for measuring
    seeds         trainings of each model, from `seed` on; the faces are the same
    settings      of methods or of training, by field name; a method without the field ignores it
    """

    methods: tuple[str, ...] = ()
    pair: tuple[str, ...] = PAIR
    correlations: tuple[float, ...] = CORRELATIONS
    size: int = 32
    images: int | None = None
    minutes: float | None = None
    faces: int = 4000
    test: int = 300
    seed: int = 0
    seeds: int = 1
    settings: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if len(self.pair) != 2 or self.pair[0] == self.pair[1]:
            given = ",".join(self.pair)
            raise VisagistError(f"--pair {given} is no pair: write the edited attribute and another, as {','.join(PAIR)}")
        check_attributes(self.pair, ATTRIBUTES, "drawn faces")
        if not self.correlations or len(set(self.correlations)) < len(self.correlations):
            raise VisagistError("--correlations needs different numbers with commas between them, as 0,.5,.9")
        for value in self.correlations:
            if not -1 < value < 1:
                raise VisagistError(f"a planted correlation lies between -1 and 1, both excluded, got {value:g}")
        if self.images is not None and self.minutes is not None:
            raise VisagistError(f"the budget is given twice, {self.images} images and {self.minutes:g} minutes: give one")
        if (self.images is not None and self.images < 1) or (self.minutes is not None and self.minutes <= 0):
            raise VisagistError("the budget of a model is more than nothing: give --images or --minutes above 0")
        if self.seeds < 1:
            raise VisagistError(f"--seeds {self.seeds}: a model is trained at least once")
        if self.faces < 40 or self.test < 10:
            raise VisagistError(f"--faces {self.faces} and --test {self.test}: a bench needs at least 40 and 10 drawn faces")

    @property
    def budget(self) -> int:
        """Training images of each model; an estimate where the budget is in minutes."""
        return round((self.minutes or 0) * IMAGES_A_MINUTE) or self.images or IMAGES


def eligible_methods() -> tuple[str, ...]:
    """Methods that edit, or have a code and so can be given attribute vectors."""
    return tuple(name for name, cls in methods.available().items() if cls.capabilities & {"edit", "autoencode"})


def recipes_of(plan: Plan) -> tuple[dict[str, Recipe], dict[str, str]]:
    """A recipe for each method of a plan, and why others are left out. VisagistError for unknown names and settings."""
    known, able = methods.available(), eligible_methods()
    for name in plan.methods:
        if name not in known:
            raise VisagistError(f"no method {name!r}: {nearest(name, known)}")
        if name not in able:
            raise VisagistError(f"{name} has neither an edit nor a code: the bench is for {', '.join(able)}")
    chosen = {name: _recipe(name, plan) for name in plan.methods or able}
    _check_settings(plan, chosen)
    chosen = {name: _with_settings(recipe, plan.settings) for name, recipe in chosen.items()}
    missing = {name: reason for name, recipe in chosen.items() if (reason := network_missing(recipe)) is not None}
    if len(missing) == len(chosen):
        raise VisagistError("; ".join(f"{name} is left out: {reason}" for name, reason in missing.items()))
    return {name: recipe for name, recipe in chosen.items() if name not in missing}, missing


def _recipe(method: str, plan: Plan) -> Recipe:
    config, training = methods.get(method).Config(), TrainingConfig()
    base = Recipe(f"bench/{method}", method, (), config, training, "the method's own settings", 1.0)
    if method in BASES:
        base = recipes.get(BASES[method])
    share = min(1.0, plan.budget / base.training.images)
    own = replace(
        base.training,
        images=plan.budget,
        minutes=plan.minutes,
        warmup_images=round(share * base.training.warmup_images),
        ema_decay=None,  # an average over as many steps as a small budget has would hold its beginning
        validate_every_images=max(1, plan.budget // VALIDATIONS),
        seed=plan.seed,
    )
    return replace(
        base,
        attributes=plan.pair[:1],
        attribute_set=None,
        negatives=None,
        config=with_amounts(_narrow(base.config, WIDEST * max(1, plan.size // 32)), share),
        training=own,
        image_size=plan.size,
        crop=None,
    )


def _narrow(config: Any, widest: int) -> Any:
    widths = {key: value for key, value in dataclasses.asdict(config).items() if key.endswith("width")}
    return replace(config, **{key: min(value, widest) for key, value in widths.items()})


def _fields(recipe: Recipe) -> dict[str, Any]:
    return {"training": recipe.training, "method": recipe.config}


def _has(recipe: Recipe, key: str) -> bool:
    group, dot, name = key.rpartition(".")
    groups = {name: value for name, value in _fields(recipe).items() if not dot or name == group}
    return any(name == setting.name for value in groups.values() for setting in dataclasses.fields(value))


def _check_settings(plan: Plan, chosen: Mapping[str, Recipe]) -> None:
    for key in plan.settings:
        if not any(_has(recipe, key) for recipe in chosen.values()):
            groups = [value for recipe in chosen.values() for value in _fields(recipe).values()]
            names = {setting.name for value in groups for setting in dataclasses.fields(value)}
            raise VisagistError(f"no setting {key!r} of any of these methods: {nearest(key.rpartition('.')[2], names)}")


def _with_settings(recipe: Recipe, settings: Mapping[str, Any]) -> Recipe:
    own = {key: value for key, value in settings.items() if _has(recipe, key)}
    changed = apply_settings(own, _fields(recipe))
    return replace(recipe, training=changed["training"], config=changed["method"])
