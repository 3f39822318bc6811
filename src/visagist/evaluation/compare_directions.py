"""`compare_directions`: measure all kinds of directions of a model, at equal judged strength and at equal length."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from visagist.attributes import check_available, with_derived
from visagist.data.faces import Faces, split_counts
from visagist.editing.direction_editor import DirectionEditor, training_codes, with_strength
from visagist.editing.editor import Editor
from visagist.errors import VisagistError
from visagist.evaluation.context import EvaluationContext, JudgeScores
from visagist.evaluation.independence import (
    check_independence,
    check_two_judges,
    check_unseen,
    independence_facts,
    notes_on_dependence,
)
from visagist.evaluation.manifest import (
    INTERVAL,
    JUDGED_AS_1,
    OTHERS_FLIP,
    build_manifest,
    data_facts,
    judge_facts,
    model_facts,
    notes_on_split,
)
from visagist.evaluation.metrics.direction_edits import (
    SETTINGS,
    amounts_of,
    key_of,
    measure_direction,
    measure_unedited,
    to_the_other_class,
)
from visagist.evaluation.metrics.identity import HOW
from visagist.evaluation.results import Cell, Metrics, Strip
from visagist.evaluation.session import Session
from visagist.evaluation.strips import rows_by_class
from visagist.judges.judge import CalibratingJudge
from visagist.latent.backend import optional_method
from visagist.latent.codes import check_has_codes
from visagist.latent.direction_method import RANGE, STEP
from visagist.latent.direction_types import Direction
from visagist.latent.directions import KINDS, PENALTY, conditions, fit_directions, kinds_of
from visagist.progress import ProgressLike, progress_of

# The default condition if the faces are labelled with it: in CelebA it correlates with most attributes.
DEFAULT_GIVEN = ("Male",)
FITTED_ON = 10_000
CALIBRATED_ON = 100
FACES_A_SIDE = 3


@dataclass(frozen=True)
class DirectionSettings:
    """Which directions are fitted, and how they are measured.

    given          attributes to condition on
    fitted_on      at most this many training faces; None for all
    calibrated_on  validation faces of each class for the calibration of strength
    step           the equal length, in standard deviations of the codes along the attribute's mean difference
    """

    attributes: tuple[str, ...]
    given: tuple[str, ...]
    fitted_on: int | None = FITTED_ON
    calibrated_on: int = CALIBRATED_ON
    step: float = STEP


@dataclass(frozen=True)
class DirectionsResult:
    """Metrics, pictures, and the directions with their strength."""

    metrics: Metrics
    strips: Sequence[Strip]
    directions: list[Direction]


def check_direction_settings(
    session: Session, attributes: Sequence[str] | None, given: Sequence[str] | None, **rest: object
) -> DirectionSettings:
    """The settings with checked names; the defaults are the model's attributes and `DEFAULT_GIVEN`."""
    editor, faces = session.editors[0], session.faces[0]
    labelled = with_derived(faces.names)
    names = [name for name in editor.attributes if name in labelled] if attributes is None else attributes
    if not names:
        raise VisagistError(
            f"these faces have no label for {', '.join(editor.attributes)}, which {editor.name} knows: "
            "name attributes that they are labelled with"
        )
    still = [name for name in DEFAULT_GIVEN if name in labelled] if given is None else given
    settings = DirectionSettings(
        check_available(names, faces.names),
        check_available(still, faces.names),
        **rest,  # type: ignore[arg-type]
    )
    if not 0 < settings.step <= RANGE:
        raise VisagistError(f"the equal step is {settings.step:g} units: give more than 0 and at most {RANGE:g}")
    return settings


def compare_directions(session: Session, plan: DirectionSettings, progress: ProgressLike = None) -> DirectionsResult:
    """Fit the directions of a model on training faces, calibrate them on validation faces, measure them on a split.

    Raises VisagistError if the judge is not independent, or if names, sizes or classes do not fit.
    """
    started, seed = time.perf_counter(), session.settings.seed
    editor, faces, judge, calibrator = session.editors[0], session.faces[0], session.judge, session.calibrator
    identity = session.embedder
    rows, dependent = _check(session, plan)
    chosen = faces.take(rows)
    with progress_of(progress, "comparing directions") as bar:
        bar.stage("comparing directions", _units(editor, faces, chosen, plan))
        study = EvaluationContext(editor, JudgeScores(judge), chosen, editor.attributes, seed, bar)
        study.progress.describe("reading the training faces")
        codes = training_codes(editor, faces, plan.fitted_on, seed, lambda done: study.progress.advance(0.5 * done))
        study.progress.describe("fitting")
        directions = fit_directions(optional_method(editor), codes, plan.attributes, plan.given)
        directions = _calibrated(study, directions, calibrator, faces, plan)
        for name in plan.attributes:
            measure_unedited(study, name)
        second = JudgeScores(calibrator)
        for direction in directions:
            measure_direction(study, direction, plan.given, plan.step, identity, second)
        _note_what_is_missing(study, plan, identity)
        _cosines(study.results, directions)
        strips = [strip for name in plan.attributes for strip in _strips(study, name, directions, plan)]
        bar.finish()
    study.results.manifest = describe_comparison(
        session, study, plan, directions, codes_used=len(codes.z), dependent=dependent,
        seconds=time.perf_counter() - started,
    )  # fmt: skip
    return DirectionsResult(study.results, strips, directions)


def _check(session: Session, plan: DirectionSettings) -> tuple[NDArray[np.int64], list[str]]:
    """The rows to measure on, and what makes the metrics dependent; VisagistError if judges or classes do not fit."""
    editor, faces, judge, settings = session.editors[0], session.faces[0], session.judge, session.settings
    check_has_codes(editor, "directions")
    others = [] if session.embedder is None else [session.embedder]
    dependent = check_independence(editor, judge, others=others, allowed=settings.allow_dependent)
    check_two_judges(judge, session.calibrator)
    if not any(name in with_derived(judge.attributes) for name in plan.attributes):
        raise VisagistError(f"{judge.name} knows none of {', '.join(plan.attributes)}: give another judge or attributes")
    _check_classes(faces, plan, session.calibrator)
    rows = faces.sample(settings.split, settings.limit, settings.seed)
    for name, described in ((editor.name, editor.description), (judge.name, judge.description)):
        dependent += check_unseen(name, described, faces, rows, settings.allow_dependent)
    return rows, dependent


def _check_classes(faces: Faces, plan: DirectionSettings, calibrator: CalibratingJudge) -> None:
    """Raise VisagistError before minutes of work if strength cannot be fitted."""
    rows = faces.indices("val")
    for name in plan.attributes:
        labels = faces.column(name)[rows]
        if name in with_derived(calibrator.attributes) and len(set(labels.tolist())) < 2:
            raise VisagistError(
                f"the {len(rows)} validation faces are all {name}={labels[0]}, strength needs both classes: "
                "give more faces, or other attributes"
            )


def _calibrated(
    study: EvaluationContext, directions: list[Direction], judge: CalibratingJudge, faces: Faces, plan: DirectionSettings
) -> list[Direction]:
    """The directions, with strength if the calibrating judge knows the attribute."""
    calibrated = []
    for direction in directions:
        if direction.attribute not in with_derived(judge.attributes):
            study.results.not_computed[f"{key_of(direction, 'at_strength')}.*"] = f"{judge.name} does not know the attribute"
            calibrated.append(direction)
            continue
        study.progress.describe(f"{direction.attribute} by {direction.label}: strength")
        units = _calibration_units(plan) / 2

        def fitted(done: int, of: int, units: float = units) -> None:
            study.progress.advance(units)

        calibrated.append(with_strength(study.editor, direction, judge, faces, plan.calibrated_on, fitted))
    return calibrated


def _note_what_is_missing(study: EvaluationContext, plan: DirectionSettings, identity: object) -> None:
    missing = study.results.not_computed
    for attribute in plan.attributes:
        for kind in KINDS:
            if kind not in kinds_of(optional_method(study.editor), attribute):
                why = "the model has no linear classifier of the attribute on its code"
                missing[f"direction.{attribute}.{kind}.*"] = why
        if not conditions(attribute, plan.given):
            missing[f"direction.{attribute}.*.given_*"] = "no other attribute to hold still: name one to condition on"
        if not any(key.startswith(f"direction.{attribute}.") and key.endswith(".locality") for key in study.results.values):
            missing[f"direction.{attribute}.*.locality"] = "its region is not known for these faces, or is the whole face"
    if identity is None:
        missing["direction.*.identity.*"] = HOW


def _cosines(results: Metrics, directions: list[Direction]) -> None:
    """Add `cosine.A`: the cosines between the directions of an attribute."""
    for attribute in dict.fromkeys(direction.attribute for direction in directions):
        own = [direction for direction in directions if direction.attribute == attribute]
        vectors = np.stack([direction.vector for direction in own])
        labels = [direction.label for direction in own]
        table = np.clip(vectors @ vectors.T, -1, 1).tolist()
        results.matrices[f"cosine.{attribute}"] = {"rows": labels, "columns": labels, "values": table}


def _strips(study: EvaluationContext, attribute: str, directions: list[Direction], plan: DirectionSettings) -> list[Strip]:
    """The same faces edited along every direction, at strength ±1, or by the equal step if strength is not calibrated."""
    if not study.scorer.knows(attribute):
        return []
    labels, rows = study.labels(attribute), np.concatenate(rows_by_class(study, attribute, FACES_A_SIDE))
    photos = study.faces.images[rows]
    columns = [("photo", photos), ("reconstruction", study.unedited[rows])]
    for direction in directions:
        if direction.attribute == attribute:
            amounts = amounts_of(direction, "at_strength", plan.step) or (plan.step / RANGE,) * 2
            editor = DirectionEditor(study.editor, [direction])
            columns.append((direction.label, to_the_other_class(editor, photos, labels[rows], amounts)))
    scored = [(title, images, study.scorer.column(study.scorer.score(images), attribute)) for title, images in columns]
    return [
        Strip(attribute, bool(labels[row]), [Cell(title, images[i], float(read[i])) for title, images, read in scored])
        for i, row in enumerate(rows)
    ]


def _units(editor: Editor, faces: Faces, chosen: Faces, plan: DirectionSettings) -> float:
    """The work in progress units, about one for each image; a judged image counts 2.5."""
    training = split_counts(faces.split)["train"]
    fitted = training if plan.fitted_on is None else min(training, plan.fitted_on)
    work = 0.5 * fitted + 5 * len(chosen)
    for name in plan.attributes:
        ways, judged = (2, 6) if conditions(name, plan.given) else (1, 3.5)
        each = _calibration_units(plan) + len(SETTINGS) * judged * len(chosen)
        work += ways * len(kinds_of(optional_method(editor), name)) * each
    return work


def _calibration_units(plan: DirectionSettings) -> float:
    """The two fits of one direction in progress units, about one for each image."""
    return 2 * 12 * 3.5 * plan.calibrated_on


KINDS_IN_WORDS = {
    "classifier": "the weight of the model's own linear classifier on z",
    "mean": "mean code of the faces that have the attribute less that of those that lack it",
    "logistic": f"normal of logistic regression, classes weighing the same, L2 with C = {PENALTY:g}",
    "svm": f"normal of a linear SVM, squared hinge, classes weighing the same, L2 with C = {PENALTY:g}",
    "lda": "inverse covariance within classes (shrunk by Ledoit and Wolf's rule) times the mean difference",
}


def describe_comparison(
    session: Session,
    study: EvaluationContext,
    plan: DirectionSettings,
    directions: Sequence[Direction],
    *,
    codes_used: int,
    seconds: float,
    dependent: Sequence[str],
) -> dict[str, Any]:
    """The manifest of a comparison that read `codes_used` training faces."""
    faces, editor, judge, settings = study.faces, study.editor, session.judge, session.settings
    named = (*plan.attributes, *plan.given)
    facts = {
        "mode": "render",
        "model": {**model_facts(editor), "attributes": list(editor.attributes)},
        "data": {
            **data_facts(faces, settings, named),
            "n": len(faces),
            "n_with": {name: int(study.labels(name).sum()) for name in named},
            "training_faces_read": codes_used,
        },
        "judge": judge_facts(judge, named),
        "calibrated_by": session.calibrator.name,
        "calibrated_on": plan.calibrated_on,
        "attributes": list(plan.attributes),
        "given": list(plan.given),
        "seed": settings.seed,
        "step": plan.step,
        "range": RANGE,
        "directions": [_described(direction) for direction in directions],
        "independence": independence_facts(editor, judge, dependent),
        "notes": [*notes_on_dependence(dependent), *_notes(directions, settings.split)],
        "definitions": _definitions(plan, directions),
    }
    return build_manifest(facts, seconds)


def _described(direction: Direction) -> dict[str, Any]:
    return {
        "attribute": direction.attribute,
        "kind": direction.kind,
        "given": list(direction.given),
        "stand_ins": list(direction.stand_ins),
        "unit": direction.unit,
        "n_with": direction.n_with,
        "n_without": direction.n_without,
        "strength": direction.strength,
    }


def _notes(directions: Sequence[Direction], split: str) -> list[str]:
    notes = []
    for direction in directions:
        named = f"{direction.attribute} by {direction.label}"
        if direction.stand_ins:
            names = ", ".join(direction.stand_ins)
            notes.append(f"{named}: the classifier does not know {names}; logistic regression found that direction")
        short = [way for way, record in (direction.strength or {}).items() if record["reached"] is False]
        if short:
            notes.append(f"{named}: at strength {' and '.join(short)}, the most that it gives, the class is not reached")
    return [*notes, *notes_on_split(split, "model, directions or judge", "fitted")]


def _definitions(plan: DirectionSettings, directions: Sequence[Direction]) -> dict[str, str]:
    kinds = dict.fromkeys(direction.kind for direction in directions)
    return {
        "interval": INTERVAL,
        "judged_as_1": JUDGED_AS_1,
        "edits": "uint8 images, toward the class opposite to the label; codes are posterior means",
        "unit": "standard deviation of the training codes along the plain mean difference of the attribute; "
        "the same length for all its directions",
        "at_step": f"every direction moves by {plan.step:g} units",
        "at_strength": "every direction moves by the least amount at which the median edited validation face of the "
        f"opposite class reaches the calibrating judge's median of real faces of the class, at most by {RANGE:g} units",
        "given": "the directions of these attributes, of the same kind, are taken out: what is left is at right angles",
        "err": OTHERS_FLIP,
        "reads.B.adding": "the judge's mean score of B on faces with neither, before and after the attribute is added",
        "reads.B.removing": "the same on faces with both, before and after the attribute is removed",
        "second_reads.B": "the same by the calibrating judge, which has read nothing of B for the strength of the edit",
        "identity.drop": "cosine of photograph and reconstruction less that of photograph and edit",
        **{f"kind: {kind}": KINDS_IN_WORDS[kind] for kind in kinds},
    }
