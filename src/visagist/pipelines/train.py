"""A training, from the name of a method or a recipe to a calibrated model: `visagist.train`."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from visagist.boundary.schema import json_text
from visagist.checkpoints import checkpoint
from visagist.checkpoints.run_folder import check_run_folder, remove_run
from visagist.data import load_data
from visagist.data.faces import IDENTIFYING, Faces
from visagist.errors import VisagistError
from visagist.methods.masked_residual import MaskedResidual
from visagist.pipelines.align import align_source, refuse_unaligned
from visagist.pipelines.calibrate import calibrate_run
from visagist.pipelines.factor import factor_run
from visagist.pipelines.plan import DRAWN_FACES, TrainingPlan, build_model, make_plan, training_faces
from visagist.pipelines.refine import provide_teacher, provide_tools
from visagist.progress import Progress, ProgressLike, progress_of
from visagist.refining.refiner import Refiner
from visagist.training.trackers import check_tracker
from visagist.training.trainer import train_model


def train(
    method: str,
    data: str | Faces | None = None,
    *,
    attributes: Sequence[str] | None = None,
    attribute_set: str | None = None,
    out: Path | str,
    recipe: str | None = None,
    images: int | None = None,
    minutes: float | None = None,
    seed: int | None = None,
    resume: bool = False,
    device: str = "auto",
    settings: Mapping[str, Any] | None = None,
    on_bad: str = "skip",
    calibrate: bool | None = None,
    align: bool = False,
    as_is: bool = False,
    tracker: str | None = None,
    deadline: float | None = None,
    progress: ProgressLike = None,
    show: bool = False,
    say: Callable[[str], None] | None = None,
) -> Path:
    """Train a method or `judge` into the run folder `out`; returns its `best/`, or `last/` without validation faces.

    data        a source as for `load_data`, faces already loaded, or None for drawn faces
    attributes  what to learn, in order; the recipe's by default, and for a judge all that the data have
    attribute_set   instead of attributes, a named set such as Facial, to whose balance the training faces are thinned
    images, minutes   the budget, one or the other; seed 0 unless the recipe or the settings say otherwise
    settings    of the data (image_size, crop), of `TrainingConfig` and of the method's `Config`, by field name
    calibrate   fit the strength of edits on the validation faces afterwards, where the calibrating judge can: None, unless
                the model draws no faces yet; True, even then; False, never
    align       of folder:PATH: find the faces of ordinary photographs and align them first, into the cache
    as_is       train on pictures whose faces lie in different places, which is refused otherwise
    tracker     wandb or mlflow, which the figures go to as well, where it is installed
    deadline    a time of `time.monotonic` at which the run is saved and OutOfTime raised
    progress    what follows the work; without it `show` asks for bars on stderr, and `say` takes the lines for a person

    Raises VisagistError for all that a person can put right.
    """
    run = Path(out).expanduser()
    plan = make_plan(
        method, attributes=attributes, attribute_set=attribute_set, recipe=recipe, images=images, minutes=minutes,
        seed=seed, settings=settings, data=data,
    )  # fmt: skip
    check_run_folder(run, resume)
    if tracker is not None:
        check_tracker(tracker)
    with progress_of(progress, show=show, say=say) as shown:
        if align:
            data = align_source(data if isinstance(data, str) else "", shown)
        faces = training_faces(plan, data, on_bad=on_bad, progress=shown)
        if isinstance(data, str) and not (as_is or align):
            refuse_unaligned(faces, data, shown)
        if resume:
            _check_same_data(run / "last", faces)
        model = build_model(plan, faces.names)
        if isinstance(model, Refiner):
            provide_tools(model, faces, device)
        elif isinstance(model, MaskedResidual):
            provide_teacher(model, device)
        before = _description(run / "last")
        with _nothing_left_of_a_failure(run):
            shown.stage("training")
            trained = train_model(
                model, faces, plan.training, run, resume=resume, device=device, progress=shown, tracker=tracker,
                deadline=deadline,
            )  # fmt: skip
            shown.finish()
        if _first_process() and _description(run / "last") != before:
            model.fit_after_training(FinishedRun(run, plan, faces, data, calibrate, device, shown))
    return trained


@dataclass(frozen=True)
class FinishedRun:
    """A run that is trained, and what its fits need; see `visagist.methods.base.TrainedRun`."""

    folder: Path
    plan: TrainingPlan
    faces: Faces
    data: str | Faces | None
    calibrated: bool | None
    device: str
    progress: Progress

    def fit_transport(self) -> None:
        faces, calibrated = self._with_all_labels(), self.calibrated is not False
        factor_run(self.folder, faces, self.progress, device=self.device, calibrated=calibrated)

    def calibrate_strength(self) -> None:
        if self.calibrated is not False:
            insists = self.calibrated is True
            calibrate_run(self.folder, self.faces, self.progress, device=self.device, untrained_too=insists)

    def _with_all_labels(self) -> Faces:
        """The faces of the run, thinned as they were for it, with every label that their source has."""
        every = self.data
        if not isinstance(every, Faces):
            taken = self.plan.data
            every = load_data(every or DRAWN_FACES, image_size=taken.image_size, crop=taken.crop)
        return replace(every, split=self.faces.split)


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
            remove_run(run)
        raise


def _description(folder: Path) -> dict[str, Any] | None:
    return checkpoint.read_description(folder) if checkpoint.model_exists(folder) else None


def _check_same_data(folder: Path, faces: Faces) -> None:
    """A run goes on with the faces that it began with; other ones would be a new run under an old name."""
    stored = _description(folder)
    if stored is None:
        return
    before, now = stored.get("data") or {}, json.loads(json_text(faces.manifest))
    if any(before.get(key) != now.get(key) for key in IDENTIFYING):
        first, second = (f"{m.get('source')}, {m.get('count')} faces, crop {m.get('crop')}" for m in (before, now))
        raise VisagistError(
            f"{folder} was trained on other faces ({first}) than these ({second}): give the same --data, or another --out"
        )
    if before.get("balance") != now.get("balance"):
        first, second = (_balance_in_words(m.get("balance")) for m in (before, now))
        raise VisagistError(
            f"{folder} was trained on {first}, not on {second}: give the same --attribute-set, seed and negatives, "
            "or another --out"
        )


def _balance_in_words(balance: Mapping[str, Any] | None) -> str:
    if balance is None:
        return "all training faces"
    if "attribute_set" not in balance:
        return f"halves by {', '.join(balance['attributes'])} (seed {balance['seed']})"
    return f"the set {balance['attribute_set']} with {balance['negatives']:g} without for each (seed {balance['seed']})"
