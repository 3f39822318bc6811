"""What a comparison of directions was measured on, by whom, and what its words mean."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from visagist.attributes import rules_in_use
from visagist.evaluation import statistics
from visagist.evaluation.context import Study
from visagist.evaluation.independence import independence_facts, notes_on_dependence
from visagist.evaluation.manifest import versions
from visagist.evaluation.metrics import edits
from visagist.evaluation.metrics.cost import machine
from visagist.latent.direction_method import RANGE
from visagist.latent.direction_types import Direction
from visagist.latent.directions import PENALTY

if TYPE_CHECKING:
    from visagist.evaluation.compare_directions import Comparison

KINDS_IN_WORDS = {
    "classifier": "the weight of the model's own linear classifier on z",
    "mean": "mean code of the faces that have the attribute less that of those that lack it",
    "logistic": f"normal of logistic regression, classes weighing the same, L2 with C = {PENALTY:g}",
    "svm": f"normal of a linear SVM, squared hinge, classes weighing the same, L2 with C = {PENALTY:g}",
    "lda": "inverse covariance within classes (shrunk by Ledoit and Wolf's rule) times the mean difference",
}


def describe_comparison(
    study: Study, plan: Comparison, directions: Sequence[Direction], *, codes_used: int, calibrator: str, seconds: float,
    dependent: Sequence[str],
) -> dict[str, Any]:
    """The manifest of a comparison; `codes_used` training faces were read."""
    faces, editor, judge = study.faces, study.editor, study.scorer.judge
    return {
        "written": datetime.now(UTC).isoformat(timespec="seconds"),
        "mode": "render",
        "model": {
            "name": editor.name,
            "method": editor.method.name,
            "attributes": list(editor.attributes),
            "image_size": editor.image_size,
            "weights_sha256": editor.description.get("weights_sha256"),
        },
        "data": {
            "source": faces.manifest.get("source"),
            "crop": faces.manifest.get("crop"),
            "split": plan.split,
            "limit": plan.limit,
            "n": len(faces),
            "n_with": {name: int(study.labels(name).sum()) for name in (*plan.attributes, *plan.given)},
            "training_faces_read": codes_used,
            "derived": rules_in_use((*plan.attributes, *plan.given), faces.names),
        },
        "judge": {
            "name": judge.name,
            "weights_sha256": judge.description.get("weights_sha256"),
            "derived": rules_in_use((*plan.attributes, *plan.given), judge.attributes),
        },
        "calibrated_by": calibrator,
        "calibrated_on": plan.calibrated_on,
        "attributes": list(plan.attributes),
        "given": list(plan.given),
        "seed": plan.seed,
        "step": plan.step,
        "range": RANGE,
        "directions": [_described(direction) for direction in directions],
        "independence": independence_facts(editor, judge, dependent),
        "notes": [*notes_on_dependence(dependent), *_notes(directions, plan)],
        "definitions": _definitions(plan, directions),
        "wall_seconds": round(seconds, 2),
        "machine": machine(),
        "versions": versions(),
    }


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


def _notes(directions: Sequence[Direction], plan: Comparison) -> list[str]:
    notes = []
    for direction in directions:
        named = f"{direction.attribute} by {direction.label}"
        if direction.stand_ins:
            names = ", ".join(direction.stand_ins)
            notes.append(f"{named}: the classifier does not know {names}; logistic regression found that direction")
        short = [way for way, record in (direction.strength or {}).items() if record["reached"] is False]
        if short:
            notes.append(f"{named}: at strength {' and '.join(short)}, the most that it gives, the class is not reached")
    if plan.split != "test":
        notes.append(f"split {plan.split}: model, directions or judge may have been fitted on these faces")
    return notes


def _definitions(plan: Comparison, directions: Sequence[Direction]) -> dict[str, str]:
    kinds = dict.fromkeys(direction.kind for direction in directions)
    return {
        "interval": f"percentile bootstrap over faces, {statistics.LEVEL:.0%}, {statistics.RESAMPLES} draws",
        "judged_as_1": f"score of at least {edits.THRESHOLD}",
        "edits": "uint8 images, toward the class opposite to the label; codes are posterior means",
        "unit": "standard deviation of the training codes along the plain mean difference of the attribute; "
        "the same length for all its directions",
        "at_step": f"every direction moves by {plan.step:g} units",
        "at_strength": "every direction moves by the least amount at which the median edited validation face of the "
        f"opposite class reaches the calibrating judge's median of real faces of the class, at most by {RANGE:g} units",
        "given": "the directions of these attributes, of the same kind, are taken out: what is left is at right angles",
        "err": "share of the judge's other attributes that flip against its reading of the unedited reconstruction; "
        "the parts of a derived attribute are not other ones",
        "reads.B.adding": "the judge's mean score of B on faces with neither, before and after the attribute is added",
        "reads.B.removing": "the same on faces with both, before and after the attribute is removed",
        "second_reads.B": "the same by the calibrating judge, which has read nothing of B for the strength of the edit",
        "identity.drop": "cosine of photograph and reconstruction less that of photograph and edit",
        **{f"kind: {kind}": KINDS_IN_WORDS[kind] for kind in kinds},
    }
