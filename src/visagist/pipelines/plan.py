"""What a training run is told, resolved before hours are spent on it: method, recipe, settings, faces, first weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from visagist import methods, recipes
from visagist.attributes import check_available, check_set
from visagist.data import load_data, require_both_classes
from visagist.data.balance import NEGATIVES, balance_classes, balance_to_set
from visagist.data.faces import Faces
from visagist.data.sources import attribute_names
from visagist.errors import VisagistError, nearest
from visagist.faces.finder_training import FaceFinder
from visagist.faces.landmark_training import LandmarkFinder
from visagist.judges import AttributeJudge
from visagist.methods.base import Method, Trainable
from visagist.progress import Progress
from visagist.refining.refiner import Refiner
from visagist.settings import apply_settings
from visagist.training.config import TrainingConfig, check_budget

DRAWN_FACES = "synthetic:8000"


@dataclass(frozen=True)
class DataSettings:
    """How the faces of a source are taken: side in pixels, a named crop or the source's own, and the balance of a set.

    negatives   with an attribute set: training faces kept that have none of it, for each that has; None means 1
    """

    image_size: int = 64
    crop: str | None = None
    negatives: float | None = None


@dataclass(frozen=True)
class TrainingPlan:
    """Everything that a training run is told, resolved from method, recipe and settings before any data is read."""

    trainable: type[Trainable]
    attributes: tuple[str, ...]
    data: DataSettings
    config: Any
    training: TrainingConfig
    attribute_set: str | None = None


def trainables() -> dict[str, type[Trainable]]:
    """All that can be trained, by name: the methods, the judge, the finder, the landmark network, and the refiner."""
    others: tuple[type[Trainable], ...] = (AttributeJudge, FaceFinder, LandmarkFinder, Refiner)
    return {**methods.available(), **{cls.name: cls for cls in others}}


def make_plan(
    method: str,
    *,
    attributes: Sequence[str] | None = None,
    attribute_set: str | None = None,
    recipe: str | None = None,
    images: int | None = None,
    minutes: float | None = None,
    seed: int | None = None,
    settings: Mapping[str, Any] | None = None,
    data: str | Faces | None = None,
) -> TrainingPlan:
    """Resolve what a run is told; parameters as for `train`. Settings go over the recipe, the recipe over defaults."""
    known = trainables()
    if method not in known:
        raise VisagistError(f"no method {method!r}: {nearest(method, known)}")
    base = recipes.get(recipe) if recipe else None
    if base is not None and base.method != method:
        raise VisagistError(f"the recipe {base.name} is for {base.method}, not {method}: write {base.method}")
    size = data.image_size if isinstance(data, Faces) else 64
    learned, chosen_set = _what_to_learn(attributes, attribute_set, base)
    negatives = base.negatives if base and chosen_set else None
    groups = {
        "data": DataSettings(base.image_size, base.crop, negatives) if base else DataSettings(size),
        "training": base.training if base else TrainingConfig(),
        "method": base.config if base else known[method].Config(),
    }
    groups = apply_settings(_with_budget(settings or {}, images, minutes, seed), groups)
    if images is not None:
        groups["training"] = replace(groups["training"], minutes=None)
    _check_budget(groups["training"])
    if groups["data"].negatives is not None and chosen_set is None:
        raise VisagistError("negatives thins the faces of an attribute set, and none is named: add --attribute-set")
    return TrainingPlan(known[method], learned, groups["data"], groups["method"], groups["training"], chosen_set)


def _what_to_learn(
    attributes: Sequence[str] | None, attribute_set: str | None, base: recipes.Recipe | None
) -> tuple[tuple[str, ...], str | None]:
    """The attributes, and the set that they are of; what is given, in either way, replaces what the recipe names."""
    if attributes is not None and attribute_set is not None:
        raise VisagistError(
            f"--attributes and --attribute-set {attribute_set} both say what to learn: a set names its attributes, "
            f"{', '.join(check_set(attribute_set))}; give one of the two"
        )
    if attributes is not None:
        return tuple(attributes), None
    chosen = attribute_set or (base.attribute_set if base else None)
    if chosen is not None:
        return check_set(chosen), chosen
    return (base.attributes if base else ()), None


def _with_budget(settings: Mapping[str, Any], images: int | None, minutes: float | None, seed: int | None) -> dict[str, Any]:
    check_budget(images, minutes)
    given = {"training.images": images, "training.minutes": minutes, "training.seed": seed}
    return {**settings, **{key: value for key, value in given.items() if value is not None}}


def _check_budget(training: TrainingConfig) -> None:
    check_budget(None, training.minutes)
    if training.ema_decay is not None and not 0 < training.ema_decay < 1:
        raise VisagistError(f"ema_decay is {training.ema_decay:g}: give a number between 0 and 1, or none")


def training_faces(
    plan: TrainingPlan, data: str | Faces | None, *, on_bad: str = "skip", progress: Progress | None = None
) -> Faces:
    """The faces of a run with the labels that it needs; each must come in both classes in the training split."""
    progress = progress or Progress()
    if isinstance(data, Faces):
        faces = data
        if faces.image_size != plan.data.image_size:
            raise VisagistError(
                f"the faces are {faces.image_size} pixels wide, {plan.data.image_size} are asked for: load them so"
            )
    else:
        _refuse_nothing_to_learn(plan, data or DRAWN_FACES)
        if data is None:
            progress.message(f"no --data: training on the drawn faces that come with visagist ({DRAWN_FACES})")
        faces = load_data(
            data or DRAWN_FACES,
            image_size=plan.data.image_size,
            crop=plan.data.crop,
            on_bad=on_bad,
            progress=progress,
            attributes=(*plan.attributes, *_labels_beside(plan)) if plan.attributes else None,
        )
    _refuse_nothing_to_learn(plan, faces)
    faces = faces.with_attributes((*_learned_attributes(plan, faces), *check_available(_labels_beside(plan), faces.names)))
    for name, rule in faces.manifest.get("derived", {}).items():
        progress.message(f"{name} is derived: {rule}")
    if plan.attribute_set is not None:
        negatives = NEGATIVES if plan.data.negatives is None else plan.data.negatives
        faces = balance_to_set(faces, plan.attribute_set, negatives, plan.training.seed)
        kept = faces.manifest["balance"]
        progress.message(f"{plan.attribute_set}: {kept['with']} training faces with, {kept['without']} without")
    if plan.trainable.paired:
        faces = balance_classes(faces, plan.training.seed)
        kept = faces.manifest["balance"]
        progress.message(f"{faces.names[0]}: {kept['with']} training faces with, {kept['without']} without")
    rows = faces.indices("train")
    # Only the labels matter here, so the pixels are left where they are.
    require_both_classes(replace(faces, labels=faces.labels[rows]))
    return faces


def _refuse_nothing_to_learn(plan: TrainingPlan, data: str | Faces) -> None:
    """VisagistError for a method that learns attributes where none are named."""
    edits = issubclass(plan.trainable, Method) and plan.trainable.capabilities & {"edit", "classify"}
    if plan.attributes or not (edits or issubclass(plan.trainable, Refiner)):
        return
    names = data.names if isinstance(data, Faces) else attribute_names(data)
    offered = ", ".join(names[:8]) + (", …" if len(names) > 8 else "")
    raise VisagistError(f"{plan.trainable.name} needs attributes to learn: --attributes with some of {offered}")


def _labels_beside(plan: TrainingPlan) -> tuple[str, ...]:
    """The labels that training needs and does not learn; VisagistError for one that it learns."""
    beside = plan.trainable.labels_beside(plan.config)
    if both := set(beside) & set(plan.attributes):
        raise VisagistError(f"{both.pop()} is matched and learned: name it once")
    return beside


def _learned_attributes(plan: TrainingPlan, faces: Faces) -> tuple[str, ...]:
    if plan.attributes:
        return check_available(plan.attributes, faces.names)
    return faces.names if plan.trainable.kind == AttributeJudge.kind else ()


def build_model(plan: TrainingPlan, attributes: tuple[str, ...]) -> Trainable:
    """The model of a plan, of faces with labels of these attributes; its first weights are a function of the seed."""
    beside = _labels_beside(plan)
    attributes = tuple(name for name in attributes if name not in beside)
    torch.manual_seed(plan.training.seed)
    try:
        model = plan.trainable(plan.config, attributes, plan.data.image_size)
        model.optimizers()
    except ValueError as error:
        raise VisagistError(f"{plan.trainable.name} refuses its settings: {error}; change them with --set") from error
    return model
