"""Operations of a training, counted, and the hours that they would take on a large GPU."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from visagist.attributes import check_set
from visagist.data.faces import Faces
from visagist.networks.pretrained.vgg19 import RANDOM
from visagist.recipes import Recipe
from visagist.reproduction.budget import trainer_of
from visagist.reproduction.scales import critic_steps

COUNTED_BATCH, NOISE_FACES = 2, 16
VGG19 = 9.6e9  # at most, of a face of 64 pixels and what is made of it: two passes there and one back
ASSUMED = 20e12  # operations a second: a third of the 67 Tflop/s of an H200 in fp32 without its tensor cores
ASSUMPTION = f"{ASSUMED / 1e12:.0f} Tflop/s, a third of an H200's fp32 without tensor cores; nothing was run there"


@dataclass(frozen=True)
class Cost:
    """What a training asks for: operations an image and parameters, counted, and hours on a GPU, estimated."""

    flops: float
    parameters: int
    hours: float


def training_cost(recipe: Recipe) -> Cost:
    """Count one step of a recipe at its width and size, on noise with its labels."""
    names = check_set(recipe.attribute_set) if recipe.attribute_set else recipe.attributes
    batch = COUNTED_BATCH * critic_steps(recipe)
    small = replace(recipe, training=replace(recipe.training, batch_size=batch, precision="fp32", ema_decay=None))
    small = with_random_features(small)
    trainer = trainer_of(small, names, noise_faces(names, recipe.image_size), "cpu")
    trainer.trainable.train()
    with _kept_generator(), FlopCounterMode(display=False) as counter:
        trainer.step()
    flops = counter.get_total_flops() / batch
    if hasattr(recipe.config, "feature_weights"):  # counted with a thin network of features
        flops += VGG19 * (recipe.image_size / 64) ** 2
    parameters = sum(p.numel() for network in trainer.trainable.networks().values() for p in network.parameters())
    return Cost(flops, parameters, flops * recipe.training.images / ASSUMED / 3600)


def with_random_features(recipe: Recipe) -> Recipe:
    """The recipe with random weights in place of those of VGG-19, where its loss has some."""
    if not hasattr(recipe.config, "feature_weights"):
        return recipe
    return replace(recipe, config=replace(recipe.config, feature_weights=RANDOM))


def noise_faces(names: tuple[str, ...], image_size: int) -> Faces:
    """Noise as faces, of which every other one has all attributes."""
    draw = np.random.default_rng(0)
    images = draw.integers(0, 256, (NOISE_FACES, image_size, image_size, 3), dtype=np.uint8)
    labels = np.repeat((np.arange(NOISE_FACES) % 2).astype(np.uint8)[:, None], len(names), axis=1)
    files = tuple(f"{number}.png" for number in range(NOISE_FACES))
    return Faces(images, labels, names, np.zeros(NOISE_FACES, np.uint8), files, manifest={"source": "noise"})


@contextmanager
def _kept_generator() -> Iterator[None]:
    state = torch.get_rng_state()
    try:
        yield
    finally:
        torch.set_rng_state(state)


def cost_lines(rows: list[tuple[str, Recipe]]) -> list[str]:
    """The cost of each row for a person, and of all; rows of one recipe are counted once."""
    lines, costs = [], dict[str, Cost]()
    for label, recipe in rows:
        key = repr((recipe.method, dataclasses.asdict(recipe.config), recipe.training.images, recipe.image_size))
        if key in costs:
            lines.append(f"  {label}: shares a model")
            continue
        cost = costs[key] = training_cost(recipe)
        lines.append(
            f"  {label}: {recipe.training.images:,} images of {recipe.image_size} pixels, {cost.flops / 1e9:.1f} Gflop "
            f"each, {cost.parameters / 1e6:.1f} million parameters; about {cost.hours:.1f} hours"
        )
    whole = sum(cost.hours for cost in costs.values())
    return [*lines, f"  all: about {whole:.1f} hours a seed, estimated from these operations at {ASSUMPTION}"]
