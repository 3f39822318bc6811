"""What makes a training step quicker on this device: layouts, fused optimizers, compiled networks, CUDA graphs.

    python benchmarks/engine_on_gpu.py ifcvae-gan/table3-ours introvac/eyefacial-128 vae-wgan/celeba-64 --device cuda
    python benchmarks/engine_on_gpu.py ifcvae-gan/smiling-64 --device cpu --steps 2 --rounds 1 --batch-size 4

Trains each recipe on noise as `visagist train` does, and as each variant does, in turns in one process: images a second by
the median of the rounds, and the ratio to the engine as it is, with the least and the most. What cannot run here says why.
Ratios decide what the engine should do on a device; figures of an idle device alone say how quick it is. Prints Markdown.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import replace

import torch

from visagist import recipes
from visagist.attributes import check_set
from visagist.errors import VisagistError
from visagist.recipes import Recipe
from visagist.reproduction.budget import trainer_of
from visagist.reproduction.flops import noise_faces, with_random_features
from visagist.training.profiler import synchronise
from visagist.training.trainer import Trainer

WARM = 2
AS_IS = "as it is"


def fuse(trainer: Trainer) -> None:
    adams = [o for o in trainer.updater.optimizers.values() if isinstance(o, torch.optim.Adam)]
    if not adams:
        raise VisagistError("no optimizer of it has a fused form")
    for optimizer in adams:
        for group in optimizer.param_groups:
            group.update(fused=True, foreach=False)


def compile_networks(mode: str | None) -> Callable[[Trainer], None]:
    def compiled(trainer: Trainer) -> None:
        # The engine keeps graphs until a step ends, so that no backward pass may give its buffers away.
        torch._functorch.config.donated_buffer = False
        for network in trainer.trainable.networks().values():
            network.compile(mode=mode)

    return compiled


def choose_kernels(trainer: Trainer) -> None:
    torch.backends.cudnn.benchmark = True


# By name: what changes the recipe's training settings, and what changes the trainer.
VARIANTS: dict[str, tuple[dict[str, object], Callable[[Trainer], None] | None]] = {
    AS_IS: ({}, None),
    "contiguous": ({"channels_last": False}, None),
    "bf16": ({"precision": "bf16"}, None),
    "fused optimizers": ({}, fuse),
    "kernels by trial": ({}, choose_kernels),
    "compiled": ({}, compile_networks(None)),
    "compiled, CUDA graphs": ({}, compile_networks("reduce-overhead")),
}


def make(recipe: Recipe, variant: str, device: str) -> Trainer:
    """A trainer of a recipe on noise, changed as a variant says, warm."""
    settings, change = VARIANTS[variant]
    names = check_set(recipe.attribute_set) if recipe.attribute_set else recipe.attributes
    changed = replace(recipe, training=replace(recipe.training, **settings))
    trainer = trainer_of(changed, names, noise_faces(names, recipe.image_size), device)
    trainer.trainable.train()
    if change is not None:
        change(trainer)
    run(trainer, WARM)
    return trainer


def run(trainer: Trainer, steps: int) -> float:
    """Seconds of so many steps."""
    synchronise(trainer.world.device)
    started = time.perf_counter()
    for _ in range(steps):
        trainer.step()
    synchronise(trainer.world.device)
    return time.perf_counter() - started


def measure(recipe: Recipe, variants: list[str], device: str, steps: int, rounds: int) -> list[str]:
    """The rows of a recipe: in every round each variant beside the engine as it is, one after the other."""
    base, rows = make(recipe, AS_IS, device), []
    for variant in variants:
        try:
            other = make(recipe, variant, device)
            pairs = [(run(base, steps), run(other, steps)) for _ in range(rounds)]
        except (VisagistError, RuntimeError) as error:
            rows.append(f"| `{recipe.name}` | {variant} | – | {str(error).strip().splitlines()[0][:120]} |")
            continue
        finally:
            torch.backends.cudnn.benchmark = False
        ratios = sorted(before / after for before, after in pairs)
        rate = steps * recipe.training.batch_size / statistics.median(after for _, after in pairs)
        ratio = f"{statistics.median(ratios):.2f} [{ratios[0]:.2f}, {ratios[-1]:.2f}]"
        rows.append(f"| `{recipe.name}` | {variant} | {rate:,.0f} | {ratio} |")
    return rows


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipes", nargs="+")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--variants", nargs="+", default=list(VARIANTS), choices=VARIANTS)
    parser.add_argument("--steps", type=int, default=20, help="of each measurement")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batch-size", type=int, help="the recipe's by default")
    given = parser.parse_args()
    print("| recipe | variant | images/s | times the engine as it is |", "|---|---|---|---|", sep="\n", flush=True)
    for name in given.recipes:
        recipe = with_random_features(recipes.get(name))
        if given.batch_size:
            recipe = replace(recipe, training=replace(recipe.training, batch_size=given.batch_size))
        print("\n".join(measure(recipe, given.variants, given.device, given.steps, given.rounds)), flush=True)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except VisagistError as error:
        sys.exit(f"error: {error}")
