"""`measure_side_effects`: one edit of the same faces by several models, and what else it takes along in each.

Shen and Liu (2017, arXiv:1612.05363, §6.3) add a beard to women. Hardly a woman of the training faces has one, so whatever
goes with beards there, short hair above all, may come along. Here that is any edit of any faces that labels tell.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from visagist.attributes import (
    NECK_SIDES,
    REGIONS,
    THRESHOLD,
    Box,
    check_available,
    equivalent_attribute,
    reads_as,
    related_attributes,
    with_derived,
)
from visagist.data.faces import Faces, split_counts
from visagist.editing.editor import Editor
from visagist.errors import VisagistError
from visagist.evaluation.context import Images, JudgeLike, JudgeScores, Scores
from visagist.evaluation.extractors.onnx import Embedder
from visagist.evaluation.independence import check_independence, check_two_judges, independence_facts, notes_on_dependence
from visagist.evaluation.manifest import (
    INTERVAL,
    build_manifest,
    check_told_apart,
    data_facts,
    judge_facts,
    model_facts,
    notes_on_faces,
    notes_on_split,
    notes_on_strength,
    same_rows,
)
from visagist.evaluation.metrics.edits import (
    ALIGNED_CROPS,
    MOMENTS,
    NO_CHANGE,
    change_inside,
    inside,
    others_flip,
    readings,
    region_is_known,
    share_inside,
)
from visagist.evaluation.metrics.identity import HOW, kept
from visagist.evaluation.results import Cell, Metric, Metrics, Result, Strip, metrics_under
from visagist.evaluation.session import EvaluationSettings, Session
from visagist.evaluation.statistics import column_means, correlation_ci, difference_ci
from visagist.latent.codes import check_size
from visagist.progress import ProgressLike, progress_of

_FIGURES = (
    Metric("success", "success", "share"),
    Metric("unedited_success", "success without an edit", "share", "lower"),
    *(
        Metric(f"{judge}.{{B}}.{moment}", f"{{B}} read{by} {moment}", better=better)
        for judge, by in (("reads", ""), ("second_reads", " by the second judge"))
        for moment, better in MOMENTS
    ),
    Metric("err", "others flip", "share", "lower"),
    Metric("identity.edit", "identity kept"),
    Metric("identity.drop", "identity lost", better="lower"),
    Metric("outside", "change outside the region", "share", "lower"),
    Metric("beside_the_neck", "change beside the neck", "share", "lower"),
    Metric("change_beside_the_neck", "its size there", better="lower"),
    Metric("change", "size everywhere", better="nearer to 0"),
)
_SHOWN = {
    "success": "", "reads.{B}.before": "", "reads.{B}.change": "change", "second_reads.{B}.change": "by the second judge",
    "err": "", "identity.edit": "", "identity.drop": "", "outside": "", "beside_the_neck": "", "change_beside_the_neck": "",
    "change": "",
}  # fmt: skip
METRICS = (
    *metrics_under("correlations.{model}.", _FIGURES, "side effects", _SHOWN),
    Metric("labels.{A}.{B}.correlation", "correlation of the labels {A} and {B}", better="equal"),
)
SHOWN_FACES = 6
SHARES = ("err", "outside", "beside_the_neck")  # columns of one share a face
Columns = dict[str, NDArray]


@dataclass(frozen=True)
class SideEffectSettings:
    """Which edit, and of which faces.

    attribute, strength  what is edited, and how far, -1 to 1 but not 0: calibrated strength, and the class to edit toward
    subset            labels that the faces have; besides, they are of the class opposite to the one that is edited toward
    shown_attributes  attributes to show; None: those of `subset`, and what changes most
    """

    attribute: str
    strength: float
    subset: Mapping[str, int] = field(default_factory=dict)
    shown_attributes: tuple[str, ...] | None = None

    @property
    def target(self) -> int:
        """The class that is edited toward."""
        return int(self.strength > 0)


@dataclass(frozen=True)
class ModelRun:
    """One model: what it edits in the place of the attribute, how far, and the faces as it sees them."""

    editor: Editor
    attribute: str
    strength: float
    faces: Faces


def measure_side_effects(session: Session, asked: SideEffectSettings, progress: ProgressLike = None) -> Result:
    """Edit the same faces by every model and measure what else changes, in the eyes of two judges and in the pixels.

    The session's calibrator reads attributes too and has no part in `success`. Differences to the first model are of each
    face, then resampled over faces. A model that knows what the attribute is derived from, or what is derived from it,
    edits that. Raises VisagistError where names, sizes, faces or judges do not fit.
    """
    started, seed = time.perf_counter(), session.settings.seed
    runs, dependent = _check(session, asked)
    scorers = (JudgeScores(session.judge), JudgeScores(session.calibrator))
    results, strips = Metrics(), _Strips(asked, runs[0].faces, seed)
    columns: dict[str, Columns] = {}
    with progress_of(progress, "editing") as bar:
        bar.stage("editing", sum(len(run.faces) for run in runs))
        for run in runs:
            bar.describe(run.editor.name)
            columns[run.editor.name] = _measure(run, asked, scorers, session.embedder, strips)
            bar.advance(len(run.faces))
        bar.finish()
    _add_means(results, columns, seed)
    _add_label_correlations(results, session.faces[0], asked, seed)
    _say_what_is_missing(results, runs[0], session.embedder)
    results.manifest = describe_side_effects(session, asked, runs, results, dependent, time.perf_counter() - started)
    return Result(results, strips.strips())


def _check(session: Session, asked: SideEffectSettings) -> tuple[list[ModelRun], list[str]]:
    """What each model does, and what makes the figures dependent; VisagistError where names, faces or judges do not fit."""
    judge, settings = session.judge, session.settings
    check_two_judges(judge, session.calibrator)
    if asked.attribute not in with_derived(judge.attributes):
        raise VisagistError(f"{judge.name} does not know {asked.attribute}: give another judge or attribute")
    runs = _model_runs(session, asked)
    others = [] if session.embedder is None else [session.embedder]
    dependent = [
        line
        for run, source in zip(runs, session.faces)
        for line in check_independence(
            run.editor, judge, source, same_rows(source, run.faces.files), others=others, allowed=settings.allow_dependent
        )
    ]
    return runs, dependent


def _model_runs(session: Session, asked: SideEffectSettings) -> list[ModelRun]:
    """What each model does with which faces; all see the same, each at its own size."""
    check_told_apart(session.editors)
    if not -1 <= asked.strength <= 1 or asked.strength == 0:
        raise VisagistError(f"{asked.attribute}={asked.strength:g}: give a strength from -1 to 1 that is not 0")
    first = session.faces[0]
    files, runs = [first.files[int(row)] for row in _rows(first, session.settings, asked)], []
    for editor, source in zip(session.editors, session.faces, strict=True):
        check_size(editor, source.images[:1])
        own = equivalent_attribute(asked.attribute, editor.attributes)
        if not editor.can("edit"):
            hint = f"; visagist vectors {editor.name} gives it one" if editor.can("autoencode") else ""
            raise VisagistError(f"{editor.name} ({editor.backend.name}) has no edit{hint}")
        if own is None:
            known = ", ".join(editor.attributes)
            raise VisagistError(f"{editor.name} edits {known}, neither {asked.attribute} nor what says the same")
        name, sign = own
        runs.append(ModelRun(editor, name, sign * asked.strength, source.take(same_rows(source, files))))
    return runs


def _rows(faces: Faces, settings: EvaluationSettings, asked: SideEffectSettings) -> NDArray[np.int64]:
    """The faces of the split with the labels of the subset and the class to edit away from, ascending."""
    check_available([asked.attribute, *asked.subset], faces.names)
    labels = {asked.attribute: 1 - asked.target, **asked.subset}
    rows = faces.sample(settings.split, settings.limit, settings.seed, labels)
    if not len(rows):
        named = ", ".join(f"{name}={label}" for name, label in labels.items())
        raise VisagistError(f"no {settings.split} face has {named}: ask about other faces, or give more")
    return rows


def _measure(
    run: ModelRun,
    asked: SideEffectSettings,
    scorers: tuple[JudgeScores, JudgeScores],
    identity: Embedder | None,
    strips: _Strips,
) -> Columns:
    """Every measure of each face [N], by key."""
    editor, photos, crop = run.editor, run.faces.images, run.faces.manifest.get("crop")
    unedited = editor.reconstruct_arrays(photos)
    edited = editor.edit_arrays(photos, *editor.setting(**{run.attribute: run.strength}))
    scores = [(scorer.score(unedited), scorer.score(edited)) for scorer in scorers]
    columns: Columns = {}
    for key, images in (("success", scores[0][1]), ("unedited_success", scores[0][0])):
        columns[key] = reads_as(scorers[0].column(images, asked.attribute), bool(asked.target))
    flipped = others_flip(scorers[0], asked.attribute, scores[0][1], scores[0][0])
    if len(flipped):
        columns["err"] = flipped
    for family, scorer, (before, after) in zip(("reads", "second_reads"), scorers, scores):
        for name in with_derived(scorer.judge.attributes):
            for moment, column in readings(scorer, name, before, after).items():
                columns[f"{family}.{name}.{moment}"] = column
    if identity is not None:
        columns["identity.edit"], columns["identity.drop"] = kept(photos, unedited, edited, identity)
    columns["change"] = change_inside(edited, unedited, [(0.0, 0.0, 1.0, 1.0)])
    if region_is_known(asked.attribute, crop):
        columns["outside"] = 1 - inside(edited, unedited, asked.attribute, crop)
    if crop in ALIGNED_CROPS:
        columns["beside_the_neck"] = share_inside(edited, unedited, NECK_SIDES)
        columns["change_beside_the_neck"] = change_inside(edited, unedited, NECK_SIDES)
    strips.add(run, scorers[0], photos, unedited, edited)
    return columns


def _add_means(results: Metrics, columns_of: Mapping[str, Columns], seed: int) -> None:
    """Means of every column, and of the differences to the first model, face by face."""
    first = next(iter(columns_of))
    for name, columns in columns_of.items():
        _put_means(results, f"correlations.{name}", columns, seed)
        if name == first:
            continue
        beside = {key: column for key, column in columns.items() if not key.endswith((".before", ".after"))}
        base = columns_of[first]
        prefix = f"correlations.{name}.less.{first}"
        for key in sorted(key for key, column in beside.items() if column.dtype == bool and key in base):
            results.values[f"{prefix}.{key}"] = difference_ci(beside.pop(key), base[key])
        less = {key: column - base[key] for key, column in beside.items() if key in base}
        _put_means(results, prefix, less, seed, ())


def _put_means(results: Metrics, prefix: str, columns: Columns, seed: int, shares: Collection[str] = SHARES) -> None:
    """A mean for each column; cases that are nan, shares of a change that there is not, are left out."""
    for key, measure in column_means(columns, seed, shares).items():
        results.put(f"{prefix}.{key}", measure, NO_CHANGE)


def _add_label_correlations(results: Metrics, faces: Faces, asked: SideEffectSettings, seed: int) -> None:
    """`labels.A.B.correlation`: Pearson's, of the labels of all faces of the source."""
    for name in asked.subset:
        key = f"labels.{asked.attribute}.{name}.correlation"
        first, second = faces.column(asked.attribute), faces.column(name)
        if first.min() == first.max() or second.min() == second.max():
            results.not_computed[key] = "these faces are all of one class"
        else:
            results.values[key] = correlation_ci(first, second, seed)


def _say_what_is_missing(results: Metrics, run: ModelRun, identity: Embedder | None) -> None:
    missing, crop = results.not_computed, run.faces.manifest.get("crop")
    if identity is None:
        missing["correlations.*.identity.*"] = HOW
    if crop not in ALIGNED_CROPS:
        why = f"regions are known for the crops {' and '.join(ALIGNED_CROPS)}; these faces were cropped {crop!r}"
        missing["correlations.*.outside"] = missing["correlations.*beside_the_neck"] = why
    elif run.attribute not in REGIONS or not region_is_known(run.attribute, crop):
        missing["correlations.*.outside"] = "the attribute's region is not known, or is the whole face"


class _Strips:
    """The same few faces through every model, drawn by the seed before anything is measured."""

    def __init__(self, asked: SideEffectSettings, faces: Faces, seed: int) -> None:
        self.read = next(iter(asked.shown_attributes or asked.subset), asked.attribute)
        self._asked = asked
        self._rows = np.random.default_rng(seed).permutation(len(faces))[:SHOWN_FACES]
        self._cells: list[list[Cell]] = [[] for _ in self._rows]
        self._unedited: set[bytes] = set()

    def add(self, run: ModelRun, scorer: JudgeScores, photos: Images, unedited: Images, edited: Images) -> None:
        """The photographs, once, and what this model makes of them; unedited only where no other made the same of them."""
        columns = [] if self._cells[0] else [("photo", photos)]
        seen = unedited[self._rows].tobytes()
        if run.editor.can("autoencode") and seen not in self._unedited:
            columns.append((f"{run.editor.name}, unedited", unedited))
            self._unedited.add(seen)
        for title, images in (*columns, (run.editor.name, edited)):
            shown = images[self._rows]
            scores = self._scores(scorer, shown)
            for cells, image, score in zip(self._cells, shown, scores):
                cells.append(Cell(title, image, None if score is None else float(score)))

    def _scores(self, scorer: JudgeScores, images: Images) -> Scores | list[None]:
        return scorer.column(scorer.score(images), self.read) if scorer.knows(self.read) else [None] * len(images)

    def strips(self) -> list[Strip]:
        return [Strip(self._asked.attribute, not self._asked.target, cells) for cells in self._cells]


MOST_CHANGED = 8


def describe_side_effects(
    session: Session,
    asked: SideEffectSettings,
    runs: Sequence[ModelRun],
    results: Metrics,
    dependent: Sequence[str],
    seconds: float,
) -> dict[str, Any]:
    """The manifest."""
    faces, judge, settings = session.faces[0], session.judge, session.settings
    facts = {
        "mode": "render",
        "edit": {asked.attribute: asked.strength},
        "among": {asked.attribute: 1 - asked.target, **asked.subset},
        "models": [_model(run) for run in runs],
        "watched": list(_shown_attributes(asked, runs, judge, results)),
        "data": {
            **data_facts(runs[0].faces, settings, (asked.attribute, *asked.subset)),
            "n": len(runs[0].faces),
            "faces_in_source": len(faces),
            "faces_by_split": split_counts(faces.split),
        },
        "judge": judge_facts(judge, [asked.attribute]),
        "second_judge": judge_facts(session.calibrator, [asked.attribute]),
        "seed": settings.seed,
        "independence": [independence_facts(run.editor, judge, dependent) for run in runs],
        "notes": [*notes_on_dependence(list(dict.fromkeys(dependent))), *_notes(asked, runs, judge, settings.split)],
        "definitions": _definitions(asked, runs[0]),
    }
    return build_manifest(facts, seconds)


def _model(run: ModelRun) -> dict[str, Any]:
    fitted = run.editor.strength_maps[run.attribute]["+1" if run.strength > 0 else "-1"]
    return {**model_facts(run.editor), "edits": {run.attribute: run.strength}, "strength": fitted.to_json()}


def _shown_attributes(
    asked: SideEffectSettings, runs: Sequence[ModelRun], judge: JudgeLike, results: Metrics
) -> tuple[str, ...]:
    """The attributes to show: those that are named, else those of the subset's labels and what changes most."""
    known = with_derived(judge.attributes)
    if asked.shown_attributes is not None:
        return tuple(name for name in asked.shown_attributes if name in known)

    def greatest_change(name: str) -> float:
        keys = [f"correlations.{run.editor.name}.reads.{name}.change" for run in runs]
        return max(abs(results.values[key]["value"]) for key in keys)

    first = tuple(name for name in asked.subset if name in known)
    rest = sorted(
        set(known) - {*first, *related_attributes(asked.attribute)}, key=lambda name: (-greatest_change(name), name)
    )
    return (*first, *rest[:MOST_CHANGED])


def _notes(asked: SideEffectSettings, runs: Sequence[ModelRun], judge: JudgeLike, split: str) -> list[str]:
    notes = []
    others = {(run.attribute, run.strength) for run in runs if run.attribute != asked.attribute}
    for attribute, strength in sorted(others):
        names = ", ".join(run.editor.name for run in runs if run.attribute == attribute)
        notes.append(f"edited by {attribute}={strength:+g} for want of {asked.attribute}: {names}")
    for run in runs:
        notes += notes_on_strength(run.editor, run.attribute, ["+1" if run.strength > 0 else "-1"])
        notes += notes_on_faces(run.editor, run.faces, judge)
    return [*dict.fromkeys(notes), *notes_on_split(split, "models or judges", "fitted")]


def _definitions(asked: SideEffectSettings, run: ModelRun) -> dict[str, Any]:
    region = REGIONS.get(asked.attribute)
    return {
        "interval": INTERVAL,
        "success": f"share that the judge reads as {asked.attribute}={asked.target} after the edit, threshold "
        f"{THRESHOLD}; unedited_success: the same without an edit",
        "err": "share of the judge's other attributes whose reading crosses one half, against the unedited reconstruction",
        "reads.B": "the judge's mean score of B on unedited reconstructions (photographs where a method has no code), on "
        "edits, and the mean of each face's change",
        "second_reads.B": "the same by the second judge",
        "less": "the mean of each face's difference to the first model",
        "change": "mean absolute change of a pixel's channels against the unedited, pixels in [0, 1]",
        "outside": "share of the squared change outside the attribute's region"
        + (f" {region}, which is {_area([region]):.1%} of the face" if region else ""),
        "beside_the_neck": f"share of the squared change in {NECK_SIDES}, {_area(NECK_SIDES):.1%} of the face, "
        "where long hair falls; change_beside_the_neck: mean absolute change there. CelebA has no label of the length of "
        "hair, so no judge reads it",
        "labels": f"Pearson's correlation of the labels of all faces of {run.faces.manifest.get('source')}",
    }


def _area(boxes: Sequence[Box]) -> float:
    return sum((right - left) * (bottom - top) for left, top, right, bottom in boxes)
