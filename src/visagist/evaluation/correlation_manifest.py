"""What a comparison of correlations was measured on, by whom, and what its words mean."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from visagist.attributes import BESIDE_THE_NECK, REGIONS, Box, kin, offered, rules_in_use
from visagist.data.faces import Faces, split_counts
from visagist.evaluation import statistics
from visagist.evaluation.context import JudgeLike
from visagist.evaluation.independence import independence_facts, notes_on_dependence
from visagist.evaluation.manifest import versions
from visagist.evaluation.metrics import edits
from visagist.evaluation.metrics.cost import machine
from visagist.evaluation.participants import judge_facts, model_facts, notes_on_faces, notes_on_strength
from visagist.evaluation.results import Metrics

if TYPE_CHECKING:
    from visagist.evaluation.side_effects import Part, Question

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
