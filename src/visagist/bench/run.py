"""`run_bench`: train each method at each planted correlation, measure all beside the truth, write one page."""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from visagist import methods
from visagist.bench.measure import Fresh, choose_rows, draw_fresh_faces, edit_shown_faces, measure_once
from visagist.bench.settings import Plan, recipes_of
from visagist.boundary.schema import json_text
from visagist.checkpoints import checkpoint
from visagist.data.drawn.synthetic import load_synthetic
from visagist.data.faces import Faces, split_counts
from visagist.editing.contact_sheets import table
from visagist.environment import describe_machine, package_versions
from visagist.evaluation.context import Images
from visagist.evaluation.metrics.counterfactual import FITTED
from visagist.evaluation.statistics import LEVEL, RESAMPLES, between_runs, correlation_ci, exact
from visagist.files import check_folder, write_files
from visagist.photos.encode import encode_photo
from visagist.photos.photo import read_photo
from visagist.photos.provenance import Step
from visagist.pipelines.fit_vectors import fit_vectors
from visagist.progress import Progress, ProgressLike, progress_of
from visagist.reports.bench_page import BenchEdits, BenchPictures, bench_page
from visagist.reproduction.runs import Run, describe_elsewhere, holds_runs, run_of, train_once, training_circumstances

LINES = 4
OVERLAP = 0.05


@dataclass
class Model:
    """A model of a bench, and the planted correlation of the faces that trained it."""

    method: str
    planted: float
    run: Run
    trained: bool
    seconds: float
    results: dict[str, Any]

    @property
    def seed(self) -> int:
        return self.run.recipe.training.seed


def run_bench(
    plan: Plan,
    out: Path | str,
    *,
    device: str = "auto",
    any_code: bool = False,
    command: str = "",
    progress: ProgressLike = None,
) -> dict[str, Any]:
    """Train and measure all models of a plan into `out`; returns the content of `out/bench.json`.

    A finished model is neither trained nor measured again, one that was stopped goes on. Raises VisagistError for all that
    a person can put right, and Interrupted where a signal stopped a training, which saved itself.
    """
    started, folder = time.monotonic(), Path(out).expanduser()
    check_folder(folder, [f"bench.{kind}" for kind in ("json", "csv", "png", "html")], owned=holds_runs)
    chosen, left_out = recipes_of(plan)
    with progress_of(progress) as shown:
        for name, reason in left_out.items():
            shown.message(f"{name} is left out: {reason}")
        shown.message(f"drawing {plan.test} faces to measure on, each with every attribute flipped")
        faces = draw_fresh_faces(plan.test, plan.size, plan.seed)
        models, planted, counts, clock = [], {}, dict[str, int](), Clock(plan.seeds * len(chosen) * len(plan.correlations))
        for correlation in plan.correlations:
            seen = _training_faces(plan, correlation, shown)
            planted[correlation], counts = _labels(seen, plan), split_counts(seen.split)
            for (name, recipe), seed in product(chosen.items(), range(plan.seed, plan.seed + plan.seeds)):
                pair = f"{' and '.join(plan.pair)} correlate at {correlation:g}"
                by_seed = f", seed {seed}" if plan.seeds > 1 else ""
                shown.message(f"{clock.position()}: {name}{by_seed}, {pair}; {clock.left()}")
                seeded = replace(recipe, training=replace(recipe.training, seed=seed))
                run = run_of(seeded, recipe.attributes, seen, folder, device, any_code)
                models.append(_model(name, correlation, run, seen, plan, faces, device, shown))
                clock.done(models[-1])
        shown.message("drawing the page")
        rows = choose_rows(faces.test, plan.pair, LINES, plan.seed)
    result = {
        "schema_version": 1,
        "lines": [_line(model, planted[model.planted], folder) for model in models],
        "between_runs": _between_runs(models) if plan.seeds > 1 else [],
        "left_out": left_out,
        "manifest": _manifest(plan, faces, counts, command, time.monotonic() - started),
    }
    write_bench(folder, result, _pictures([model for model in models if model.seed == plan.seed], faces, plan, rows, device))
    return result


class Clock:
    """Count the models, and estimate the time left from those that were trained in this call."""

    def __init__(self, total: int) -> None:
        self.total, self.finished, self.seconds = total, 0, list[float]()

    def position(self) -> str:
        return f"model {self.finished + 1} of {self.total}"

    def left(self) -> str:
        if not self.seconds:
            return "time left unknown until one is trained"
        minutes = float(np.mean(self.seconds)) * (self.total - self.finished) / 60
        return f"at most about {minutes:.0f} minutes left" if minutes >= 1 else "less than a minute left"

    def done(self, model: Model) -> None:
        self.finished += 1
        if model.trained:
            self.seconds.append(model.seconds)


def _training_faces(plan: Plan, correlation: float, progress: Progress) -> Faces:
    edited, other = plan.pair
    planted = {(edited, other): correlation} if correlation else None
    return load_synthetic(plan.faces, image_size=plan.size, seed=plan.seed, correlation=planted, progress=progress)


def _labels(seen: Faces, plan: Plan) -> Any:
    """Measure the correlation of the training labels."""
    rows = seen.indices("train")
    first, second = (seen.column(name)[rows] for name in plan.pair)
    return correlation_ci(first, second, plan.seed)


def _model(
    name: str, correlation: float, run: Run, seen: Faces, plan: Plan, faces: Fresh, device: str, progress: Progress
) -> Model:
    started, edited = time.monotonic(), plan.pair[0]
    unused = describe_elsewhere(run)
    if unused is not None:
        progress.message(unused)
    if run.finished():
        progress.message(f"{run.folder} is trained already")
    trained = train_once(run, seen, device=device, calibrated=False, progress=progress)
    own = "edit" in methods.get(name).capabilities
    if not own and not checkpoint.read_description(run.model).get("vectors"):
        fit_vectors(
            run.folder, seen, attributes=(edited,), seed=plan.seed, device=device, calibrated=False, progress=progress
        )
    results = measure_once(run, faces, edited, device, plan.seed)
    return Model(name, correlation, run, trained, time.monotonic() - started, results)


def _between_runs(models: Sequence[Model]) -> list[dict[str, Any]]:
    """The mean and the deviation between seeds of every figure, by method, correlation and setting."""
    groups: dict[tuple[str, float, str, str], list[float]] = {}
    for model in models:
        for setting, measures in model.results["measures"].items():
            for key, measure in measures.items():
                groups.setdefault((model.method, model.planted, setting, key), []).append(measure["value"])
    names = ("method", "planted", "setting", "key")
    return [{**dict(zip(names, group)), **between_runs(values)} for group, values in groups.items() if len(values) > 1]


def _line(model: Model, planted: Any, out: Path) -> dict[str, Any]:
    recipe, described = model.run.recipe, checkpoint.read_description(model.run.model)
    last = checkpoint.read_description(model.run.folder / "last")["training"]
    return {
        "method": model.method,
        "planted": model.planted,
        "seed": model.seed,
        "circumstances": training_circumstances(model.run),
        "correlation_of_training_labels": planted,
        "edits_by": "its own edit" if "edit" in methods.get(model.method).capabilities else "its attribute vector",
        "recipe": recipe.name,
        "run": str(model.run.folder.relative_to(out)),
        "weights_sha256": described["weights_sha256"],
        "images": last["images"],
        "training_seconds": last.get("seconds"),
        "batch_size": recipe.training.batch_size,
        "config": described["config"],
        "amounts": model.results["amounts"],
        "hidden": exact(model.results["hidden"]),
        "measures": model.results["measures"],
    }


def _pictures(models: Sequence[Model], faces: Fresh, plan: Plan, rows: Any, device: str) -> BenchPictures:
    drawn, edited = faces.test, plan.pair[0]
    shown: list[BenchEdits] = []
    for model in models:
        made: Images = edit_shown_faces(model.run, drawn, edited, rows, model.results["amounts"][FITTED], device)
        shown.append(BenchEdits(model.method, model.planted, made))
    return BenchPictures(drawn.photos[rows], drawn.flipped(edited)[rows], drawn.labels(edited)[rows], shown)


def _manifest(plan: Plan, faces: Fresh, counts: dict[str, int], command: str, seconds: float) -> dict[str, Any]:
    edited, other = plan.pair
    rows = np.arange(min(50, len(faces.test.indices)))
    first, second = (faces.test.region(name, rows) for name in plan.pair)
    overlap = float((first & second).sum() / max(1, min(first.sum(), second.sum())))
    notes = []
    if overlap > OVERLAP:
        notes.append(
            f"the regions of {edited} and {other} overlap by {overlap:.0%} of the smaller one: an edit that falls short of "
            f"{edited} may look as one that confuses {other}; read confusion_true"
        )
    return {
        "written": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": command,
        "plan": asdict(plan),
        "budget_images": plan.budget,
        "training_faces": counts,
        "test_faces": {
            "n": len(faces.test.indices),
            "fit": len(faces.fit.indices),
            "probed": len(faces.probed.indices),
            "sha256": list(faces.sha256),
        },
        "regions_overlap": round(overlap, 4),
        "notes": notes,
        "definitions": {
            "planted": f"correlation of {edited} and {other} among training faces; those that measure have all independent",
            "told": f"every model is told {edited} alone, and nothing of {other}",
            "fitted": "the amounts, of eighths of the method's range, whose edits of other fresh faces come nearest to what "
            "the model makes of the true picture: a strength that truth fits, and no judge",
            "photograph": "at the fitted amounts, the change added to the picture's own pixels, as the mode detail shows "
            "it: held against the pictures themselves, not against reconstructions",
            "paper": "the method's own setting; for attribute vectors, the amount that moves the mean face by the vector",
            "code": "balanced accuracy of fresh probes, cross-validated, on the codes of the probed faces",
            "interval": f"percentile bootstrap over test faces, {LEVEL:.0%}, {RESAMPLES} draws; of shares by Wilson: not "
            "over trainings, whose spread is in between_runs",
        },
        "machine": describe_machine(),
        "versions": package_versions(),
        "wall_seconds": round(seconds, 1),
    }  # fmt: skip


COLUMNS = ("method", "planted", "seed", "setting", "key", "value", "low", "high", "n")


def write_bench(folder: Path, result: Mapping[str, Any], pictures: BenchPictures) -> None:
    """Write all files of a bench, or none; VisagistError where they cannot be written."""
    write_files(
        folder,
        {
            "bench.json": json_text(result, 1, ensure_ascii=False) + "\n",
            "bench.csv": _csv(result),
            "bench.png": _png(pictures),
            "bench.html": bench_page(result, pictures),
        },
    )


def _csv(result: Mapping[str, Any]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for line in result["lines"]:
        for setting, measures in line["measures"].items():
            for key, m in measures.items():
                figures = (repr(m[part]) for part in ("value", "low", "high", "n"))
                writer.writerow((line["method"], f"{line['planted']:g}", line["seed"], setting, key, *figures))
    return text.getvalue()


def _png(pictures: BenchPictures) -> bytes:
    """Draw a face with the attribute and one without: photograph, truth, and each method's edit, a line per correlation."""
    names = list(dict.fromkeys(model.method for model in pictures.models))
    rows, titles = [], []
    for i in _first_of_each_class(pictures.present):
        for planted in dict.fromkeys(model.planted for model in pictures.models):
            edits = [next(x.edited[i] for x in pictures.models if (x.method, x.planted) == (n, planted)) for n in names]
            rows.append(np.stack([pictures.photos[i], pictures.truth[i], *edits]))
            titles.append(f"trained\nat {planted:g}")
    whole = table(np.stack(rows), titles, ["photo", "truth", *names])
    return encode_photo(read_photo(whole), ".png", Step("edited", settings="drawn faces, by the methods of a bench")).data


def _first_of_each_class(present: Any) -> list[int]:
    return [int(np.flatnonzero(np.asarray(present) == side)[0]) for side in (1, 0) if (np.asarray(present) == side).any()]
