"""What a reproduction will take: every training that is left, at the rate measured here, and how that goes."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from visagist.data.faces import Faces
from visagist.pipelines.plan import build_model, make_plan, training_faces
from visagist.recipes import Recipe
from visagist.reproduction import runs
from visagist.reproduction.outcomes import RowOutcome
from visagist.reproduction.runs import Run
from visagist.training.distributed import World, pick_device
from visagist.training.profiler import synchronise
from visagist.training.trainer import Trainer

WARM_STEPS, LEAST_STEPS, TIMED_SECONDS = 1, 2, 2.0


@dataclass(frozen=True)
class PlannedRun:
    """One training: its row and seed, the images that it has seen and shall see, and how many this device does a second.

    shared   the label of an earlier row of the same model
    """

    row: str
    seed: int
    seen: int
    images: int
    rate: float
    shared: str | None = None

    @property
    def hours(self) -> float:
        """Of training that are left."""
        return 0.0 if self.shared is not None else (self.images - self.seen) / self.rate / 3600


@dataclass(frozen=True)
class Budget:
    """All trainings of a reproduction, in their order."""

    name: str
    planned: tuple[PlannedRun, ...]

    @property
    def hours(self) -> float:
        """Of training that are left."""
        return sum(run.hours for run in self.planned)

    def hours_from(self, row: str, seed: int) -> float:
        """The hours of training from this row's on, as they were when the plan was made."""
        places = [place for place, run in enumerate(self.planned) if (run.row, run.seed) == (row, seed)]
        return sum(run.hours for run in self.planned[places[0] :]) if places else 0.0

    def lines(self) -> list[str]:
        """The plan for a person: a line a row, and the whole."""
        seeds = list(dict.fromkeys(run.seed for run in self.planned))
        lines = []
        for row in dict.fromkeys(run.row for run in self.planned):
            own = [run for run in self.planned if run.row == row]
            first = own[0]
            if first.shared is not None:
                lines.append(f"  {row}: the model of {first.shared}")
                continue
            seen = sum(run.seen for run in own)
            before = f", {seen:,} of them seen already" if seen else ""
            lines.append(
                f"  {row}: {len(own)} × {first.images:,} images{before}; {first.rate:.0f} a second here, "
                f"{in_words(sum(run.hours for run in own))} left"
            )
        rows = len(dict.fromkeys(run.row for run in self.planned))
        whole = f"{self.name}: {rows} rows × {len(seeds)} seeds; {in_words(self.hours)} of training left at measured rates"
        return [whole, *lines]


def in_words(hours: float) -> str:
    """A time to wait, as `40 seconds`, `12 minutes` or `3.5 hours`."""
    if hours < 2 / 60:
        return f"{3600 * hours:.0f} seconds"
    return f"{60 * hours:.0f} minutes" if hours < 2 else f"{hours:.1f} hours"


def make_budget(name: str, of_seeds: Sequence[Sequence[tuple[RowOutcome, Faces]]], device: str) -> Budget:
    """The budget of rows that are prepared, seed by seed; measures the rate of each that is not finished.

    Rows without a run are left out.
    """
    planned, rates, owners = [], dict[str, float](), dict[Path, tuple[str, int]]()
    for outcomes in of_seeds:
        for outcome, faces in outcomes:
            run, label, recipe = outcome.run, outcome.row.label, outcome.recipe
            if run is None:
                continue
            seed, images = recipe.training.seed, recipe.training.images
            seen = images if run.finished() else min(images, runs.images_trained(run))
            owner = owners.setdefault(run.folder, (label, seed))
            shared = None if owner == (label, seed) else owner[0]
            if seen < images and shared is None and label not in rates:
                rates[label] = measure_rate(run, faces, device)
            planned.append(PlannedRun(label, seed, seen, images, rates.get(label, 1.0), shared))
    return Budget(name, tuple(planned))


def measure_rate(run: Run, faces: Faces, device: str) -> float:
    """Images a second of a run's training on this device: some steps of a model that is then thrown away."""
    trainer = trainer_of(run.recipe, run.attributes, faces, device)
    place = trainer.world.device
    trainer.trainable.train()
    for _ in range(WARM_STEPS):
        trainer.step()
    synchronise(place)
    started, steps = time.perf_counter(), 0
    while steps < LEAST_STEPS or time.perf_counter() - started < TIMED_SECONDS:
        trainer.step()
        synchronise(place)
        steps += 1
    return steps * run.recipe.training.batch_size / (time.perf_counter() - started)


def trainer_of(recipe: Recipe, attributes: tuple[str, ...], faces: Faces, device: str) -> Trainer:
    """A trainer of a recipe that writes nothing unless it is told to save."""
    learned = {"attribute_set": recipe.attribute_set} if recipe.attribute_set else {"attributes": attributes}
    plan = make_plan(recipe.method, settings=runs.settings(recipe), data=faces, **learned)
    thinned = training_faces(plan, faces)
    model = build_model(plan, thinned.names)
    return Trainer(model, thinned, plan.training, Path("unwritten"), world=World(0, 1, pick_device(device)))
