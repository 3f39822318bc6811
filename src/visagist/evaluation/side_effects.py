"""`correlate`: one edit of the same faces by several models, and what else it takes along in each.

Shen and Liu (2017, arXiv:1612.05363, §6.3) add a beard to women. Hardly a woman of the training faces has one, so whatever
goes with beards there, short hair above all, may come along. Here that is any edit of any faces that labels tell.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.progress import Progress

from visagist.attributes import BESIDE_THE_NECK, REGIONS, Box, check_offered, counterpart, kin, offered, rules_in_use
from visagist.data.faces import Faces, split_counts
from visagist.editing.editor import Editor
from visagist.environment import machine, versions
from visagist.errors import VisagistError
from visagist.evaluation import statistics
from visagist.evaluation.context import Images, JudgeLike, JudgeScores, Scores, Track
from visagist.evaluation.evaluate import running_bar
from visagist.evaluation.extractors.onnx import Embedder
from visagist.evaluation.independence import check_independence, check_two_judges, independence_facts, notes_on_dependence
from visagist.evaluation.manifest import (
    check_told_apart,
    judge_facts,
    model_facts,
    notes_on_faces,
    notes_on_strength,
    same_rows,
)
from visagist.evaluation.metrics import edits
from visagist.evaluation.metrics.edits import (
    ALIGNED_CROPS,
    THRESHOLD,
    change_inside,
    inside,
    others_flip,
    readings,
    region_is_known,
    share_inside,
)
from visagist.evaluation.metrics.identity import HOW, kept
from visagist.evaluation.results import Metrics
from visagist.evaluation.statistics import correlation_ci, mean_ci, means_ci
from visagist.evaluation.strips import Cell, Strip
from visagist.files import check_writable, write_files
from visagist.latent.codes import check_size
from visagist.reports.files import tables
from visagist.reports.side_effects_page import correlation_page

SHOWN_FACES = 6
Columns = dict[str, NDArray]


@dataclass(frozen=True)
class Question:
    """Which edit, and of which faces.

    attribute, strength   what is edited, and how far, -1 to 1 but not 0: calibrated strength, and the class to edit toward
    among     labels that faces have; besides, they are of the class opposite to the one that is edited toward
    watched   attributes to show; None: those of `among`, and what changes most
    limit     at most so many faces of the split, drawn by the seed
    """

    attribute: str
    strength: float
    among: Mapping[str, int] = field(default_factory=dict)
    watched: tuple[str, ...] | None = None
    split: str = "test"
    seed: int = 0
    limit: int | None = None

    @property
    def target(self) -> int:
        """The class that is edited toward."""
        return int(self.strength > 0)


@dataclass(frozen=True)
class Part:
    """One model's part: what it edits in the place of the attribute, how far, and the faces as it sees them."""

    editor: Editor
    attribute: str
    strength: float
    faces: Faces


def correlate(
    editors: Sequence[Editor],
    faces: Faces | Sequence[Faces],
    question: Question,
    *,
    judge: JudgeLike,
    second: JudgeLike,
    out: Path | None = None,
    identity: Embedder | None = None,
    allow_dependent: bool = False,
    progress: Progress | bool | None = None,
) -> Metrics:
    """Edit the same faces by every model and measure what else changes, in the eyes of two judges and in the pixels.

    faces   of one source: at the size of all models, or one of each model's own size in their order
    second  reads attributes too and has no part in `success`; the judge that calibrates may do it
    out     gets `correlations.json`, `.csv` and `.html`
    allow_dependent  measure what is not judged independently all the same, and say so on top of the report

    Differences to the first model are of each face, then resampled over faces. A model that knows what the attribute is
    derived from, or what is derived from it, edits that. Raises VisagistError where names, sizes, faces or judges do not
    fit.
    """
    started = time.perf_counter()
    check_two_judges(judge, second)
    if question.attribute not in offered(judge.attributes):
        raise VisagistError(f"{judge.name} does not know {question.attribute}: give another judge or attribute")
    seen = [faces] * len(editors) if isinstance(faces, Faces) else list(faces)
    parts = _parts(editors, seen, question)
    others = [] if identity is None else [identity]
    dependent = [
        line
        for part, source in zip(parts, seen)
        for line in check_independence(
            part.editor, judge, source, same_rows(source, part.faces.files), others=others, allowed=allow_dependent
        )
    ]
    if out is not None:
        check_writable(out, "correlations")
    results, scorers, strips = Metrics(), (JudgeScores(judge), JudgeScores(second)), _Strips(question, parts[0].faces)
    tables_of: dict[str, Columns] = {}
    with running_bar(progress) as bar:
        track = Track(bar, sum(len(part.faces) for part in parts))
        for part in parts:
            track.stage(part.editor.name)
            tables_of[part.editor.name] = _measured(part, question, scorers, identity, strips)
            track.advance(len(part.faces))
        track.finish()
    _report(results, tables_of, question.seed)
    _labels_go_together(results, seen[0], question)
    _say_what_is_missing(results, parts[0], identity)
    results.manifest = describe_correlations(
        question, parts, judge, second, seen[0], results, dependent, seconds=time.perf_counter() - started
    )  # fmt: skip
    if out is not None:
        texts = tables(results)
        write_files(out, {
            "correlations.json": texts["metrics.json"], "correlations.csv": texts["metrics.csv"],
            "correlations.html": correlation_page(results, strips.drawn()),
        })  # fmt: skip
    return results


def _parts(editors: Sequence[Editor], faces: Sequence[Faces], question: Question) -> list[Part]:
    """What each model does with which faces; all see the same, each at its own size."""
    check_told_apart(editors)
    if not -1 <= question.strength <= 1 or question.strength == 0:
        raise VisagistError(f"{question.attribute}={question.strength:g}: give a strength from -1 to 1 that is not 0")
    rows = _rows(faces[0], question)
    files, parts = [faces[0].files[int(row)] for row in rows], []
    for editor, source in zip(editors, faces, strict=True):
        check_size(editor, source.images[:1])
        found = counterpart(question.attribute, editor.attributes)
        if not editor.can("edit"):
            hint = f"; visagist vectors {editor.name} gives it one" if editor.can("autoencode") else ""
            raise VisagistError(f"{editor.name} ({editor.backend.name}) has no edit{hint}")
        if found is None:
            known = ", ".join(editor.attributes)
            raise VisagistError(f"{editor.name} edits {known}, neither {question.attribute} nor what says the same")
        name, sign = found
        parts.append(Part(editor, name, sign * question.strength, source.take(same_rows(source, files))))
    return parts


def _rows(faces: Faces, question: Question) -> NDArray[np.int64]:
    """The faces that the question is about, ascending."""
    check_offered([question.attribute, *question.among], faces.names)
    rows = faces.indices(question.split)
    wanted = {question.attribute: 1 - question.target, **question.among}
    for name, label in wanted.items():
        rows = rows[faces.column(name)[rows] == label]
    if not len(rows):
        labels = ", ".join(f"{name}={label}" for name, label in wanted.items())
        raise VisagistError(f"no {question.split} face has {labels}: ask about other faces, or give more")
    if question.limit is not None and question.limit < len(rows):
        if question.limit < 1:
            raise VisagistError(f"a comparison needs at least 1 face, got limit={question.limit}")
        rows = np.sort(np.random.default_rng(question.seed).permutation(rows)[: question.limit])
    return rows


def _measured(
    part: Part, question: Question, scorers: tuple[JudgeScores, JudgeScores], identity: Embedder | None, strips: _Strips
) -> Columns:
    """Everything that is known of each face [N], by key."""
    editor, photos, crop = part.editor, part.faces.images, part.faces.manifest.get("crop")
    unedited = editor.reconstruct_arrays(photos)
    edited = editor.edit_arrays(photos, *editor.setting(**{part.attribute: part.strength}))
    scores = [(scorer.score(unedited), scorer.score(edited)) for scorer in scorers]
    columns: Columns = {}
    for key, images in (("success", scores[0][1]), ("unedited_success", scores[0][0])):
        judged = scorers[0].column(images, question.attribute) >= THRESHOLD
        columns[key] = judged == bool(question.target)
    flipped = others_flip(scorers[0], question.attribute, scores[0][1], scores[0][0])
    if len(flipped):
        columns["err"] = flipped
    for family, scorer, (before, after) in zip(("reads", "second_reads"), scorers, scores):
        for name in offered(scorer.judge.attributes):
            for moment, column in readings(scorer, name, before, after).items():
                columns[f"{family}.{name}.{moment}"] = column
    if identity is not None:
        columns["identity.edit"], columns["identity.drop"] = kept(photos, unedited, edited, identity)
    columns["change"] = change_inside(edited, unedited, [(0.0, 0.0, 1.0, 1.0)])
    if region_is_known(question.attribute, crop):
        columns["outside"] = 1 - inside(edited, unedited, question.attribute, crop)
    if crop in ALIGNED_CROPS:
        columns["beside_the_neck"] = share_inside(edited, unedited, BESIDE_THE_NECK)
        columns["change_beside_the_neck"] = change_inside(edited, unedited, BESIDE_THE_NECK)
    strips.add(part, scorers[0], photos, unedited, edited)
    return columns


def _report(results: Metrics, found: Mapping[str, Columns], seed: int) -> None:
    """Means of every column, and of the differences to the first model, face by face."""
    first = next(iter(found))
    for name, columns in found.items():
        _means(results, f"correlations.{name}", columns, seed)
        if name == first:
            continue
        beside = {key: column for key, column in columns.items() if not key.endswith((".before", ".after"))}
        less = {key: column.astype(float) - found[first][key] for key, column in beside.items() if key in found[first]}
        _means(results, f"correlations.{name}.less.{first}", less, seed)


def _means(results: Metrics, prefix: str, columns: Columns, seed: int) -> None:
    """A mean for each column; cases that are nan, shares of a change that there is not, are left out."""
    whole = {key: column.astype(float) for key, column in columns.items() if not np.isnan(column).any()}
    for key, measure in zip(whole, means_ci(np.stack(list(whole.values()), 1), seed) if whole else []):
        results.values[f"{prefix}.{key}"] = measure
    for key in columns.keys() - whole.keys():
        there = columns[key][~np.isnan(columns[key])]
        if len(there):
            results.values[f"{prefix}.{key}"] = mean_ci(there, seed)
        else:
            results.not_computed[f"{prefix}.{key}"] = "no edit changed a pixel"


def _labels_go_together(results: Metrics, faces: Faces, question: Question) -> None:
    """`labels.A.B.correlation`: Pearson's, of the labels of all faces of the source."""
    for name in question.among:
        key = f"labels.{question.attribute}.{name}.correlation"
        first, second = (faces.column(one) for one in (question.attribute, name))
        if first.min() == first.max() or second.min() == second.max():
            results.not_computed[key] = "these faces are all of one class"
        else:
            results.values[key] = correlation_ci(first, second, question.seed)


def _say_what_is_missing(results: Metrics, part: Part, identity: Embedder | None) -> None:
    missing, crop = results.not_computed, part.faces.manifest.get("crop")
    if identity is None:
        missing["correlations.*.identity.*"] = HOW
    if crop not in ALIGNED_CROPS:
        why = f"regions are known for the crops {' and '.join(ALIGNED_CROPS)}; these faces were cropped {crop!r}"
        missing["correlations.*.outside"] = missing["correlations.*beside_the_neck"] = why
    elif part.attribute not in REGIONS or not region_is_known(part.attribute, crop):
        missing["correlations.*.outside"] = "the attribute's region is not known, or is the whole face"


class _Strips:
    """The same few faces through every model, drawn by the seed before anything is measured."""

    def __init__(self, question: Question, faces: Faces) -> None:
        self.read = next(iter(question.watched or question.among), question.attribute)
        self._question = question
        self._rows = np.random.default_rng(question.seed).permutation(len(faces))[:SHOWN_FACES]
        self._cells: list[list[Cell]] = [[] for _ in self._rows]
        self._unedited: set[bytes] = set()

    def add(self, part: Part, scorer: JudgeScores, photos: Images, unedited: Images, edited: Images) -> None:
        """The photographs, once, and what this model makes of them; unedited only where no other made the same of them."""
        columns = [] if self._cells[0] else [("photo", photos)]
        seen = unedited[self._rows].tobytes()
        if part.editor.can("autoencode") and seen not in self._unedited:
            columns.append((f"{part.editor.name}, unedited", unedited))
            self._unedited.add(seen)
        for title, images in (*columns, (part.editor.name, edited)):
            shown = images[self._rows]
            scores = self._scores(scorer, shown)
            for cells, image, score in zip(self._cells, shown, scores):
                cells.append(Cell(title, image, None if score is None else float(score)))

    def _scores(self, scorer: JudgeScores, images: Images) -> Scores | list[None]:
        return scorer.column(scorer.score(images), self.read) if scorer.knows(self.read) else [None] * len(images)

    def drawn(self) -> list[Strip]:
        question = self._question
        return [Strip(question.attribute, not question.target, cells) for cells in self._cells]


MOST_CHANGED = 8


def describe_correlations(
    question: Question,
    parts: Sequence[Part],
    judge: JudgeLike,
    second: JudgeLike,
    faces: Faces,
    results: Metrics,
    dependent: Sequence[str],
    *,
    seconds: float,
) -> dict[str, Any]:
    """The manifest; `faces` are all of the source, those of `parts` the ones that were edited."""
    return {
        "written": datetime.now(UTC).isoformat(timespec="seconds"),
        "mode": "render",
        "edit": {question.attribute: question.strength},
        "among": {question.attribute: 1 - question.target, **question.among},
        "models": [_model(part) for part in parts],
        "watched": list(_watched(question, parts, judge, results)),
        "data": {
            "source": faces.manifest.get("source"),
            "crop": parts[0].faces.manifest.get("crop"),
            "split": question.split,
            "limit": question.limit,
            "n": len(parts[0].faces),
            "faces_in_source": len(faces),
            "faces_by_split": split_counts(faces.split),
            "derived": rules_in_use((question.attribute, *question.among), faces.names),
        },
        "judge": judge_facts(judge, [question.attribute]),
        "second_judge": judge_facts(second, [question.attribute]),
        "seed": question.seed,
        "independence": [independence_facts(part.editor, judge, dependent) for part in parts],
        "notes": [*notes_on_dependence(list(dict.fromkeys(dependent))), *_notes(question, parts, judge)],
        "definitions": _definitions(question, parts[0]),
        "wall_seconds": round(seconds, 2),
        "machine": machine(),
        "versions": versions(),
    }


def _model(part: Part) -> dict[str, Any]:
    fitted = part.editor.strength_maps[part.attribute]["+1" if part.strength > 0 else "-1"]
    return {**model_facts(part.editor), "edits": {part.attribute: part.strength}, "strength": fitted.to_json()}


def _watched(question: Question, parts: Sequence[Part], judge: JudgeLike, results: Metrics) -> tuple[str, ...]:
    """The attributes to show: those that are named, else those of the faces' labels and what changes most."""
    known = offered(judge.attributes)
    if question.watched is not None:
        return tuple(name for name in question.watched if name in known)

    def most(name: str) -> float:
        keys = [f"correlations.{part.editor.name}.reads.{name}.change" for part in parts]
        return max(abs(results.values[key]["value"]) for key in keys)

    first = tuple(name for name in question.among if name in known)
    rest = sorted(set(known) - {*first, *kin(question.attribute)}, key=lambda name: (-most(name), name))
    return (*first, *rest[:MOST_CHANGED])


def _notes(question: Question, parts: Sequence[Part], judge: JudgeLike) -> list[str]:
    notes = []
    others = {(part.attribute, part.strength) for part in parts if part.attribute != question.attribute}
    for attribute, strength in sorted(others):
        names = ", ".join(part.editor.name for part in parts if part.attribute == attribute)
        notes.append(f"edited by {attribute}={strength:+g} for want of {question.attribute}: {names}")
    for part in parts:
        notes += notes_on_strength(part.editor, part.attribute, ["+1" if part.strength > 0 else "-1"])
        notes += notes_on_faces(part.editor, part.faces, judge)
    if question.split != "test":
        notes.append(f"split {question.split}: models or judges may have been fitted on these faces")
    return list(dict.fromkeys(notes))


def _definitions(question: Question, part: Part) -> dict[str, Any]:
    region = REGIONS.get(question.attribute)
    return {
        "interval": f"percentile bootstrap over faces, {statistics.LEVEL:.0%}, {statistics.RESAMPLES} draws",
        "success": f"share that the judge reads as {question.attribute}={question.target} after the edit, threshold "
        f"{edits.THRESHOLD}; unedited_success: the same without an edit",
        "err": "share of the judge's other attributes whose reading crosses one half, against the unedited reconstruction",
        "reads.B": "the judge's mean score of B on unedited reconstructions (photographs where a method has no code), on "
        "edits, and the mean of each face's change",
        "second_reads.B": "the same by the second judge",
        "less": "the mean of each face's difference to the first model",
        "change": "mean absolute change of a pixel's channels against the unedited, pixels in [0, 1]",
        "outside": "share of the squared change outside the attribute's region"
        + (f" {region}, which is {_area([region]):.1%} of the face" if region else ""),
        "beside_the_neck": f"share of the squared change in {BESIDE_THE_NECK}, {_area(BESIDE_THE_NECK):.1%} of the face, "
        "where long hair falls; change_beside_the_neck: mean absolute change there. CelebA has no label of the length of "
        "hair, so no judge reads it",
        "labels": f"Pearson's correlation of the labels of all faces of {part.faces.manifest.get('source')}",
    }


def _area(boxes: Sequence[Box]) -> float:
    return sum((right - left) * (bottom - top) for left, top, right, bottom in boxes)
