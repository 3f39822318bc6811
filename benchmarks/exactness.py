"""The recipes of the papers' rows at their published widths and sizes, started: losses, time and memory of some steps.

    python benchmarks/exactness.py --data celeba:~/celeba --out exactness --steps 1000 --minutes 15
    python benchmarks/exactness.py --data celeba:~/celeba --out exactness-bf16 --steps 20 --precision bf16 --distinct
    python benchmarks/exactness.py --out exactness-bf16 --table

Each recipe of `visagist reproduce` is trained once, in a process of its own, one after the other, on the schedule of its
whole budget, for --steps steps. After --minutes it stops, saved, and the same command goes on. --table prints what there is
as Markdown: every loss over the first and over the last tenth of the steps, whether all were finite, seconds of processor
a step (whatever else runs) and the largest resident size of the process. Recipes that need data or weights that are not
there are named and left out. --distinct starts one of each group of recipes that differ in attributes and in weights of
losses alone, which take the same time and memory. --precision is another one than the recipe's, such as bf16.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import resource
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from visagist import recipes
from visagist.data import load_data
from visagist.errors import VisagistError
from visagist.recipes import Recipe
from visagist.reproduction import available, runs
from visagist.reproduction.budget import trainer_of
from visagist.training.trainer import Trainer

SAVE_SECONDS = 60.0


def chosen(names: list[str]) -> list[str]:
    """The recipes of all rows, or of these names of tables and figures or of recipes, each once."""
    every = available()
    asked = [row.recipe for name in (names or every) if name in every for row in every[name].rows]
    asked += [name for name in names if name not in every]
    return list(dict.fromkeys(asked))


def alike(recipe: Recipe) -> tuple[object, ...]:
    """What decides what a step takes: recipes of which this is equal differ in attributes and weights of losses alone."""
    settings = dataclasses.asdict(recipe.config).items()
    sizes = [(key, value) for key, value in settings if not isinstance(value, float) and not key.endswith("_images")]
    return recipe.method, recipe.image_size, recipe.training.batch_size, tuple(sorted(map(str, sizes)))


def distinct(names: list[str]) -> list[str]:
    """The first of each group of recipes that are alike."""
    first: dict[tuple[object, ...], str] = {}
    for name in names:
        first.setdefault(alike(recipes.get(name)), name)
    return list(first.values())


def train(recipe: Recipe, data: str, out: Path, steps: int, seconds: float, device: str) -> None:
    """Go on with a recipe until it has done its steps or the time is up; losses go into `out/losses.jsonl`."""
    started = time.monotonic()
    faces = load_data(data, image_size=recipe.image_size, crop=recipe.crop)
    attributes, lacking = runs.learnable(recipe, faces)
    missing = runs.network_missing(recipe)
    if missing or (lacking and (not attributes or recipe.attribute_set)):
        note(out, {"recipe": recipe.name, "left_out": missing or f"faces labelled {', '.join(lacking)}"})
        return
    trainer = trainer_of(recipe, attributes, faces, device)
    trainer.out = out
    trainer.resume()
    trainer.trainable.train()
    begun, saved, spent = trainer.progress.step, time.monotonic(), trainer.progress.seconds
    with (out / "losses.jsonl").open("a", encoding="utf-8") as log:
        while trainer.progress.step < steps and time.monotonic() - started < seconds:
            before = time.process_time()
            trainer.step()
            trainer.updater.check_losses()
            trainer.progress.seconds += time.process_time() - before
            losses = {key: float(value) for key, value in trainer.trainable.pop_log().items()}
            log.write(json.dumps({"step": trainer.progress.step, **losses}) + "\n")
            log.flush()
            if time.monotonic() - saved > SAVE_SECONDS:
                save(trainer, recipe, out, begun, spent)
                saved = time.monotonic()
    if trainer.progress.step > begun:
        save(trainer, recipe, out, begun, spent)


def save(trainer: Trainer, recipe: Recipe, out: Path, begun: int, spent: float) -> None:
    """Save the run, and the facts of this process."""
    trainer.save("last")
    done = max(1, trainer.progress.step - begun)
    parameters = sum(p.numel() for n in trainer.trainable.networks().values() for p in n.parameters())
    note(out, {
        "recipe": recipe.name, "parameters": parameters, "image_size": recipe.image_size,
        "batch": recipe.training.batch_size, "steps": trainer.progress.step,
        "precision": recipe.training.precision,
        "seconds_a_step": (trainer.progress.seconds - spent) / done,
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    })  # fmt: skip


def note(out: Path, facts: dict[str, Any]) -> None:
    (out / "facts.json").write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")


def describe(folder: Path) -> str | None:
    """The row of the table of one recipe; None where nothing was done."""
    if not (folder / "facts.json").exists():
        return None
    facts = json.loads((folder / "facts.json").read_text(encoding="utf-8"))
    if "left_out" in facts:
        return f"| `{facts['recipe']}` | not run: needs {facts['left_out']} |" + " |" * 8
    lines = [json.loads(line) for line in (folder / "losses.jsonl").read_text(encoding="utf-8").splitlines()]
    by_step = {line.pop("step"): line for line in lines}  # a step that a stop made be done again counts once
    entries = [by_step[step] for step in sorted(by_step) if step <= facts["steps"]]
    window = max(1, len(entries) // 10)
    parts = []
    for key in entries[0]:
        values = np.array([entry[key] for entry in entries if key in entry])
        parts.append(f"{key} {values[:window].mean():.3g} → {values[-window:].mean():.3g}")
    finite = all(math.isfinite(value) for entry in entries for value in entry.values())
    return (
        f"| `{facts['recipe']}` | {facts['parameters'] / 1e6:.1f} M | {facts['image_size']} | {facts['batch']} | "
        f"{facts['steps']} | {facts['precision']} | {facts['seconds_a_step']:.2f} | {facts['peak_mib']:,.0f} | "
        f"{facts['seconds_a_step'] / 3.6:.1f} | {'; '.join(parts)}"
        f"{'' if finite else '; NOT FINITE'} |"
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="of visagist reproduce --list, or recipes; all if none is given")
    parser.add_argument("--data", default="synthetic:1000")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--minutes", type=float, default=15.0, help="of this call")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--precision", help="in place of the recipes' own, which is fp32")
    parser.add_argument("--distinct", action="store_true", help="one of recipes alike but for attributes and weights")
    parser.add_argument("--table", action="store_true")
    parser.add_argument("--alone", action="store_true", help="the one recipe named, in this process")
    given = parser.parse_args()
    names = distinct(chosen(given.names)) if given.distinct else chosen(given.names)
    folders = {name: given.out / name.replace("/", "-") for name in names}
    if given.table:
        print(
            "| recipe | parameters | pixels | batch | steps | in | CPU s a step | peak MiB | core hours of 1 000 steps "
            "| losses, first tenth → last |"
        )
        print("|---" * 10 + "|")
        print("\n".join(row for folder in folders.values() if (row := describe(folder))))
        return 0
    if given.alone:
        ((name, folder),) = folders.items()
        folder.mkdir(parents=True, exist_ok=True)
        recipe = recipes.get(name)
        if given.precision is not None:
            recipe = replace(recipe, training=replace(recipe.training, precision=given.precision))
        train(recipe, given.data, folder, given.steps, 60 * given.minutes, given.device)
        return 0
    end = time.monotonic() + 60 * given.minutes
    for name, folder in folders.items():
        facts = json.loads((folder / "facts.json").read_text()) if (folder / "facts.json").exists() else {}
        left = (end - time.monotonic()) / 60
        if "left_out" in facts or facts.get("steps", 0) >= given.steps or left <= 0:
            continue
        print(f"{name}: {facts.get('steps', 0)} of {given.steps} steps, {left:.0f} minutes left", flush=True)
        command = [sys.executable, __file__, name, "--alone", "--data", given.data, "--out", str(given.out)]
        command += ["--steps", str(given.steps), "--minutes", str(left), "--device", given.device]
        command += [] if given.precision is None else ["--precision", given.precision]
        subprocess.run(command, check=True)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except VisagistError as error:
        sys.exit(f"error: {error}")
