"""Scale the recipe of a row down. The whole rule:

paper  the recipe as it is
small  the project's own recipe of the row, where it has one; else the paper's with every width halved, at 64 pixels and
       batches of 32 at most. Then as many images as two cores see in the minutes of one run, by the recipe's hours, the
       halved one at 2 × the saving in pixels of the paper's pace: `TRAINING` of those of a name over the most rows that a
       name of the paper has. All runs of a paper see the images of its slowest row, so that rows compare and names share
       models. A method that deals a batch out to critic steps counts the images of its generator
study  the same narrow recipe, at the paper's image size and with the paper's loss weights for it (`AT_SIZE`), on as many
       images a row as `STUDY_IMAGES` has for the paper, from three seeds: hours a table on two cores
smoke  32 pixels, drawn faces, networks of `TINY`, features of random weights, three steps: a check that everything runs

Settings that are amounts of images (`warmup_images`, `vac_images`) shrink with the images.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass, replace
from typing import Any

from visagist import recipes
from visagist.latent.conditional_sampling import DEFAULT, PAPER, SamplingConfig
from visagist.networks.pretrained.vgg19 import RANDOM
from visagist.recipes import Recipe
from visagist.reproduction.spec import Reproduction, Row, available

DRAWN, DRAWN_ELSEWHERE = "synthetic:100", "synthetic:60?seed=7"
ELSEWHERE = "synthetic:1000"  # the other source, if none is named
MINUTES = 20.0
TRAINING = 0.7  # share of the minutes; the rest is for evaluation
SMALL_SIDE, SMALL_BATCH = 64, 32
SMOKE_SIDE, SMOKE_BATCH, SMOKE_IMAGES = 32, 8, 24
STUDY_IMAGES = {"ifcvae-gan": 100_000, "introvac": 60_000, "residual-gan": 60_000, "vae-wgan": 150_000}
STUDY_ON = {"cifar10": 40_000}  # of names that train on other data
# Weights of sums over pixels, which mean something at one size alone.
AT_SIZE = ("pixel_weight", "perceptual_weight")
TINY = {"width": 4, "discriminator_width": 4, "label_width": 4, "latent": 8, "auxiliary_hidden": 8}
NEVER = 10**12  # images between validations: only the last validation remains


@dataclass(frozen=True)
class Scale:
    """A scale: the number of judged faces (None: the test split), whether strength is fitted, how chains run."""

    name: str
    faces: int | None
    calibrated: bool
    chains: SamplingConfig
    recognised_by: int | None = None  # training faces that SVMs are fitted on; None: all
    seeds: int = 1
    planned: bool = False  # whether rates are measured first and the plan is said; `minutes` then limits a call


SCALES = {
    "paper": Scale("paper", None, True, PAPER, planned=True),
    "study": Scale("study", 1000, True, DEFAULT, 6000, seeds=3, planned=True),
    "small": Scale("small", 500, True, DEFAULT, 6000),
    "smoke": Scale("smoke", 8, False, SamplingConfig(steps=10, confidence=0.05)),
}


def at_scale(row: Row, scale: Scale, reproduction: Reproduction, minutes: float = MINUTES, seed: int = 0) -> Recipe:
    """The recipe of a row at a scale; its `hours` are an estimate for two cores. `minutes` are those of the name."""
    paper = recipes.get(row.recipe)
    if scale.name == "paper":
        scaled = paper
    elif scale.name == "study":
        scaled = _shorten(_narrow(row, paper), study_images(reproduction))
    elif scale.name == "small":
        scaled = _shorten(_small(row, paper), equal_images(reproduction, minutes))
    else:
        scaled = _smoke(paper)
    return replace(scaled, training=replace(scaled.training, seed=seed))


def study_images(reproduction: Reproduction) -> int:
    """Images that the generator of every row sees at the scale study."""
    return STUDY_ON.get(reproduction.trains_on, STUDY_IMAGES[reproduction.name.partition("/")[0]])


def minutes_of_a_run(reproduction: Reproduction, minutes: float) -> float:
    """Minutes of training for each row, the same for all names of a paper."""
    paper = reproduction.name.partition("/")[0]
    most = max(len(other.rows) for other in available().values() if other.name.partition("/")[0] == paper)
    return TRAINING * minutes / most


def equal_images(reproduction: Reproduction, minutes: float) -> int:
    """Images that the generator of every row of a paper sees at the scale small: those that its slowest row has time for."""
    hours, paper = minutes_of_a_run(reproduction, minutes) / 60, reproduction.name.partition("/")[0]
    others = [other for other in available().values() if other.trains_on == reproduction.trains_on]
    rows = [row for other in others if other.name.partition("/")[0] == paper for row in other.rows]
    smalls = [_small(row, recipes.get(row.recipe)) for row in rows]
    return min(round(min(1.0, hours / r.hours) * r.training.images / critic_steps(r)) for r in smalls)


def critic_steps(recipe: Recipe) -> int:
    """Steps of a critic for each of the generator, over which a batch is dealt out."""
    return getattr(recipe.config, "critic_steps", 1)


def _small(row: Row, paper: Recipe) -> Recipe:
    if row.small is None:
        return _halve(paper)
    own = recipes.get(row.small)
    return replace(
        own,
        config=replace(own.config, **row.changes),
        attributes=paper.attributes,
        attribute_set=paper.attribute_set,
        negatives=paper.negatives,
    )


def _narrow(row: Row, paper: Recipe) -> Recipe:
    """The small recipe at the paper's image size."""
    small = _small(row, paper)
    if small.image_size == paper.image_size:
        return small
    weights = {name: getattr(paper.config, name) for name in AT_SIZE if hasattr(paper.config, name)}
    larger = (paper.image_size / small.image_size) ** 2
    return replace(
        small,
        config=replace(small.config, **weights),
        image_size=paper.image_size,
        crop=paper.crop,
        hours=larger * small.hours,
    )


def _halve(recipe: Recipe) -> Recipe:
    widths = {name: max(1, value // 2) for name, value in _numbers(recipe.config).items() if name.endswith("width")}
    side = min(SMALL_SIDE, recipe.image_size)
    faster = 2 * (recipe.image_size / side) ** 2
    return replace(
        recipe,
        config=replace(recipe.config, **widths),
        training=replace(recipe.training, batch_size=min(SMALL_BATCH, recipe.training.batch_size)),
        image_size=side,
        hours=recipe.hours / faster,
    )


def _shorten(recipe: Recipe, images_of_generator: int) -> Recipe:
    """Reduce the images of a recipe to so many of its generator."""
    training, batch = recipe.training, recipe.training.batch_size
    images = batch * max(1, math.ceil(images_of_generator * critic_steps(recipe) / batch))
    share = images / training.images
    return replace(
        recipe,
        config=with_amounts(recipe.config, share),
        training=replace(training, images=images, warmup_images=round(share * training.warmup_images)),
        hours=share * recipe.hours,
    )


def _smoke(recipe: Recipe) -> Recipe:
    share = SMOKE_IMAGES / recipe.training.images
    sizes: dict[str, Any] = {n: min(value, TINY[n]) for n, value in _numbers(recipe.config).items() if n in TINY}
    if hasattr(recipe.config, "feature_weights"):
        sizes["feature_weights"] = RANDOM
    training = replace(
        recipe.training,
        images=SMOKE_IMAGES,
        batch_size=SMOKE_BATCH,
        warmup_images=0,
        ema_decay=None,
        validate_every_images=NEVER,
    )
    return replace(
        recipe,
        config=with_amounts(replace(recipe.config, **sizes), share),
        training=training,
        image_size=SMOKE_SIDE,
        crop=None,
        hours=share * recipe.hours,
    )


def with_amounts(config: Any, share: float) -> Any:
    """Reduce the settings that are numbers of images to this share."""
    amounts = {name: round(share * value) for name, value in _numbers(config).items() if name.endswith("_images")}
    return replace(config, **amounts)


def _numbers(config: Any) -> dict[str, int]:
    """The settings that are whole numbers."""
    return {name: value for name, value in dataclasses.asdict(config).items() if type(value) is int}
