"""What the commands do, as functions: `visagist.train` and `visagist.evaluate`."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from rich.console import Console
from rich.progress import Progress

from visagist import judges, methods, recipes
from visagist.attributes import check_attributes
from visagist.data import load_data, require_both_classes
from visagist.data.crops import CROPS
from visagist.data.faces import Faces
from visagist.errors import VisagistError, nearest
from visagist.judges import CALIBRATING_JUDGE, SCORING_JUDGE, AttributeJudge, load_judge
from visagist.methods.base import Method, Trainable
from visagist.settings import apply_settings
from visagist.training import checkpoint
from visagist.training.config import TrainingConfig
from visagist.training.distributed import pick_device
from visagist.training.trainer import train_model

if TYPE_CHECKING:
    from visagist.evaluation import Metrics

DRAWN_FACES = "synthetic:8000"
Say = Callable[[str], None]


def _silent(line: str) -> None:
    """Where lines for a person go when nobody reads them."""


@dataclass(frozen=True)
class DataSettings:
    """How the faces of a source are taken: side in pixels, and a named crop or the source's own."""

    image_size: int = 64
    crop: str | None = None


@dataclass(frozen=True)
class Plan:
    """Everything that a training run is told, resolved from method, recipe and settings before any data is read."""

    trainable: type[Trainable]
    attributes: tuple[str, ...]
    data: DataSettings
    config: Any
    training: TrainingConfig

    @property
    def is_method(self) -> bool:
        return issubclass(self.trainable, Method)


def train(
    method: str,
    data: str | Faces | None = None,
    *,
    attributes: Sequence[str] | None = None,
    out: Path | str,
    recipe: str | None = None,
    images: int | None = None,
    minutes: float | None = None,
    seed: int | None = None,
    resume: bool = False,
    device: str = "auto",
    settings: Mapping[str, Any] | None = None,
    on_bad: str = "skip",
    calibrate: bool = True,
    show: bool = False,
    say: Say = _silent,
) -> Path:
    """Train a method or `judge` into the run folder `out`; returns its `best/`, or `last/` without validation faces.

    data        a source as for `load_data`, faces already loaded, or None for drawn faces
    attributes  what to learn, in order; the recipe's by default, and for a judge all that the data have
    images, minutes   the budget, one or the other; seed 0 unless the recipe or the settings say otherwise
    settings    of the data (image_size, crop), of `TrainingConfig` and of the method's `Config`, by field name
    calibrate   fit the strength of edits on the validation faces afterwards, where the calibrating judge can
    show, say   a progress bar on stderr; where lines for a person go

    Raises VisagistError for all that a person can put right.
    """
    run = Path(out).expanduser()
    plan = make_plan(
        method, attributes=attributes, recipe=recipe, images=images, minutes=minutes, seed=seed, settings=settings, data=data
    )
    faces = training_faces(plan, data, on_bad=on_bad, show=show, say=say)
    if resume:
        _check_same_data(run / "last", faces)
    model = build_model(plan, faces.names)
    before = _description(run / "last")
    with _nothing_left_of_a_failure(run):
        trained = train_model(model, faces, plan.training, run, resume=resume, device=device, show=show, say=say)
    if calibrate and plan.is_method and _first_process() and _description(run / "last") != before:
        calibrate_run(run, faces, device=device, show=show, say=say)
    return trained


def _first_process() -> bool:
    return os.environ.get("RANK", "0") == "0"


@contextmanager
def _nothing_left_of_a_failure(run: Path) -> Iterator[None]:
    """A run that fails before its first checkpoint leaves no folder behind that was not there."""
    fresh = not run.exists()
    try:
        yield
    except (VisagistError, OSError):
        if fresh and _first_process() and not (run / "last").exists():
            shutil.rmtree(run, ignore_errors=True)
        raise


def trainables() -> dict[str, type[Trainable]]:
    """All that can be trained, by name: the methods, and the judge."""
    return {**methods.available(), AttributeJudge.name: AttributeJudge}


def make_plan(
    method: str,
    *,
    attributes: Sequence[str] | None = None,
    recipe: str | None = None,
    images: int | None = None,
    minutes: float | None = None,
    seed: int | None = None,
    settings: Mapping[str, Any] | None = None,
    data: str | Faces | None = None,
) -> Plan:
    """Resolve what a run is told; parameters as for `train`. Settings go over the recipe, the recipe over defaults."""
    known = trainables()
    if method not in known:
        raise VisagistError(f"no method {method!r}: {nearest(method, known)}")
    base = recipes.get(recipe) if recipe else None
    if base is not None and base.method != method:
        raise VisagistError(f"the recipe {base.name} is for {base.method}, not {method}: write {base.method}")
    size = data.image_size if isinstance(data, Faces) else 64
    groups = {
        "data": DataSettings(base.image_size, base.crop) if base else DataSettings(size),
        "training": base.training if base else TrainingConfig(),
        "method": base.config if base else known[method].Config(),
    }
    groups = apply_settings(_with_budget(settings or {}, images, minutes, seed), groups)
    if images is not None:
        groups["training"] = replace(groups["training"], minutes=None)
    _check_budget(groups["training"])
    wanted = tuple(attributes) if attributes is not None else base.attributes if base else ()
    return Plan(known[method], wanted, groups["data"], groups["method"], groups["training"])


def _with_budget(
    settings: Mapping[str, Any], images: int | None, minutes: float | None, seed: int | None
) -> dict[str, Any]:
    if images is not None and minutes is not None:
        raise VisagistError(f"the budget is given twice, {images} images and {minutes:g} minutes: give one")
    given = {"training.images": images, "training.minutes": minutes, "training.seed": seed}
    return {**settings, **{key: value for key, value in given.items() if value is not None}}


def _check_budget(training: TrainingConfig) -> None:
    if training.minutes is not None and training.minutes <= 0:
        raise VisagistError(f"minutes is {training.minutes:g}: give more than 0")
    if training.ema_decay is not None and not 0 < training.ema_decay < 1:
        raise VisagistError(f"ema_decay is {training.ema_decay:g}: give a number between 0 and 1, or none")


def training_faces(
    plan: Plan, data: str | Faces | None, *, on_bad: str = "skip", show: bool = False, say: Say = _silent
) -> Faces:
    """The faces of a run with the labels that it learns; each must come in both classes in the training split."""
    if isinstance(data, Faces):
        faces = data
        if faces.image_size != plan.data.image_size:
            raise VisagistError(
                f"the faces are {faces.image_size} pixels wide, {plan.data.image_size} are asked for: load them so"
            )
    else:
        if data is None:
            say(f"no --data: training on the drawn faces that come with visagist ({DRAWN_FACES})")
        faces = load_data(
            data or DRAWN_FACES,
            image_size=plan.data.image_size,
            crop=plan.data.crop,
            on_bad=on_bad,
            progress=show,
            attributes=plan.attributes or None,
        )
    faces = faces.with_attributes(_wanted(plan, faces))
    rows = faces.indices("train")
    # Only the labels matter here, so the pixels are left where they are.
    require_both_classes(replace(faces, labels=faces.labels[rows]))
    return faces


def _wanted(plan: Plan, faces: Faces) -> tuple[str, ...]:
    if plan.attributes:
        return check_attributes(plan.attributes, faces.names)
    if issubclass(plan.trainable, Method) and plan.trainable.capabilities & {"edit", "classify"}:
        offered = ", ".join(faces.names[:8]) + (", …" if len(faces.names) > 8 else "")
        raise VisagistError(f"{plan.trainable.name} needs attributes to learn: --attributes with some of {offered}")
    return faces.names if not plan.is_method else ()


def build_model(plan: Plan, attributes: tuple[str, ...]) -> Trainable:
    """The model of a plan; its first weights are a function of the training seed."""
    torch.manual_seed(plan.training.seed)
    try:
        model = plan.trainable(plan.config, attributes, plan.data.image_size)
        model.optimizers()
    except ValueError as error:
        raise VisagistError(f"{plan.trainable.name} refuses its settings: {error}; change them with --set") from error
    return model


def _description(folder: Path) -> dict[str, Any] | None:
    checkpoint.recover(folder)
    return checkpoint.read_description(folder) if folder.exists() else None


def _check_same_data(folder: Path, faces: Faces) -> None:
    """A run goes on with the faces that it began with; other ones would be a new run under an old name."""
    there = _description(folder)
    if there is None:
        return
    before, now = there.get("data") or {}, json.loads(json.dumps(faces.manifest))
    for key in ("source", "crop", "image_size", "count", "sha256", "images"):
        if before.get(key) != now.get(key):
            raise VisagistError(
                f"{folder} was trained on {before.get('source')}, whose {key} was {before.get(key)}, not {now.get(key)}: "
                "give the same --data, or another --out"
            )


def calibrate_run(run: Path, faces: Faces, *, device: str = "auto", show: bool = False, say: Say = _silent) -> None:
    """Fit the strength of a run's best/ and last/ on the validation faces, or say why it cannot be."""
    known = load_judge(CALIBRATING_JUDGE).attributes if (judges.ZOO / CALIBRATING_JUDGE / "config.json").exists() else ()
    if not known:
        say(f"strength is not calibrated: {CALIBRATING_JUDGE} is not in the zoo")
        return
    rows = np.flatnonzero(faces.split == 1)
    both = [name for name in faces.names if len(set(faces.column(name)[rows].tolist())) == 2]
    wanted = [name for name in both if name in known]
    if not wanted:
        why = f"{CALIBRATING_JUDGE} does not know {', '.join(both)}" if both else "no validation faces of both classes"
        say(f"strength is not calibrated: {why}")
        return
    calibrate(run, faces, attributes=wanted, device=device, show=show, say=say)


def calibrate(
    model: str | Path,
    data: str | Faces,
    *,
    attributes: Sequence[str] | None = None,
    number: int = 300,
    crop: str | None = None,
    device: str = "auto",
    show: bool = False,
    say: Say = _silent,
) -> dict[str, Any]:
    """Fit what strengths from -1 to 1 mean for a model, and store it in the model's folder; returns the record.

    It is fitted on up to `number` validation faces of each class, with the judge that never scores. Of a run folder both
    best/ and last/ are fitted, each by its own weights; the record is that of best/.
    """
    from visagist.editing import strength
    from visagist.editing.editor import Editor

    folders = _own_folders(model)
    records: dict[str, dict[str, Any]] = {}
    judge = load_judge(CALIBRATING_JUDGE, str(pick_device(device)))
    for folder in folders:
        description = checkpoint.read_description(folder)
        weights = description["weights_sha256"]
        if weights not in records:
            editor = Editor.from_pretrained(folder, device)
            faces = _faces_for(editor.description, data, crop, show)
            with Progress(console=Console(stderr=True), disable=not show) as bar:
                task = bar.add_task(f"calibrating {folder.name}", total=None)
                records[weights] = strength.calibrate(
                    editor, judge, faces, attributes, number,
                    lambda done, of, task=task: bar.update(task, completed=done, total=of),  # type: ignore[misc]
                )  # fmt: skip
        strength.write_strength(folder, records[weights])
        say(f"{folder}: strength calibrated for {', '.join(records[weights])} by {CALIBRATING_JUDGE}")
    return next(iter(records.values()))


def _own_folders(model: str | Path) -> list[Path]:
    """The model folders that a run folder or a model folder holds; only those on this disk can be written."""
    from visagist.editing.models import HUB, find_model

    if str(model).startswith(HUB):
        raise VisagistError(f"{model} is a download: save it to a folder with Editor.save and calibrate that")
    found = find_model(model).folder
    parts = [Path(model) / part for part in ("best", "last")]
    return [part for part in parts if part.is_dir()] if found in parts else [found]


def _faces_for(description: Mapping[str, Any], data: str | Faces, crop: str | None, show: bool) -> Faces:
    """The faces as a model sees them: at its size; of CelebA's pictures in its own crop, unless another is named."""
    if isinstance(data, Faces):
        return data
    trained = description.get("crop")
    if crop is None and data.startswith("celeba:") and trained in CROPS:
        crop = trained
    return load_data(data, image_size=description["image_size"], crop=crop, progress=show)


def evaluate(
    model: str | Path,
    data: str | Faces,
    *,
    split: str = "test",
    out: Path | str | None = None,
    judge: str | Path = SCORING_JUDGE,
    limit: int | None = None,
    seed: int = 0,
    crop: str | None = None,
    device: str = "auto",
    show: bool = False,
) -> Metrics:
    """Measure a model on the faces of a split; writes `metrics.json`, `metrics.csv` and `report.html` into `out`.

    model   zoo name, run or checkpoint folder, or hub:owner/name
    limit   at most so many faces, drawn by the seed
    crop    of the data; by default the model's own for CelebA's pictures, else the source's
    Returns the metrics, each with value, low, high and n. Raises VisagistError for all that a person can put right.
    """
    from visagist.editing.editor import Editor
    from visagist.evaluation import evaluate as measure

    editor = Editor.from_pretrained(model, device)
    faces = _faces_for(editor.description, data, crop, show)
    scorer = load_judge(judge, str(pick_device(device)))
    folder = None if out is None else Path(out).expanduser()
    return measure(editor, faces, judge=scorer, split=split, out=folder, seed=seed, limit=limit, progress=show)
