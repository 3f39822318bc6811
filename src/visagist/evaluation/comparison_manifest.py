"""What a comparison was measured on, by whom, and what its words mean."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from visagist.attributes import REGIONS, rules_in_use
from visagist.editing.editor import MODES
from visagist.evaluation import statistics
from visagist.evaluation.context import JudgeLike
from visagist.evaluation.independence import independence_facts, notes_on_dependence
from visagist.evaluation.manifest import versions
from visagist.evaluation.metrics import edits
from visagist.evaluation.metrics.cost import machine
from visagist.evaluation.metrics.distribution import DEFINITION
from visagist.evaluation.metrics.edit_curves import STRENGTHS
from visagist.evaluation.participants import judge_facts, model_facts, notes_on_faces, notes_on_strength
from visagist.evaluation.results import Metrics
from visagist.evaluation.sources import relation

if TYPE_CHECKING:
    from visagist.evaluation.compare import Comparison, Entry


def describe_comparison(
    comparison: Comparison,
    entries: Sequence[Entry],
    attributes: Sequence[str],
    judge: JudgeLike,
    results: Metrics,
    identity: object,
    features: object,
    seconds: float,
    dependent: Sequence[str],
) -> dict[str, Any]:
    """The manifest of a comparison that is measured."""
    study, everything = entries[0].study, entries[0].source
    with_it = {name: int(study.labels(name).sum()) for name in attributes}
    return {
        "written": datetime.now(UTC).isoformat(timespec="seconds"),
        "modes": list(MODES),
        "strengths": list(STRENGTHS),
        "attributes": list(attributes),
        "models": [_model(entry) for entry in entries],
        "data": {
            "source": study.faces.manifest.get("source"),
            "split": comparison.split,
            "limit": comparison.limit,
            "each": comparison.each,
            "n": len(study.faces),
            "n_subset": len(study.subset()),
            "faces_in_source": len(everything),
            "derived": rules_in_use(attributes, everything.names),
            "n_with": with_it,
            "n_without": {name: len(study.faces) - number for name, number in with_it.items()},
        },
        "judge": {**judge_facts(judge, attributes), "trained_on": (judge.description.get("data") or {}).get("source")},
        "identity": None if identity is None else {
            "name": getattr(identity, "name", type(identity).__name__), "box": getattr(identity, "box", None)
        },
        "features": None if features is None else {
            "name": getattr(features, "name", None), "weights_sha256": getattr(features, "sha256", None)
        },
        "seed": comparison.seed,
        "independence": [independence_facts(entry.study.editor, judge, dependent) for entry in entries],
        "notes": [*notes_on_dependence(list(dict.fromkeys(dependent))), *_notes(comparison, entries, judge)],
        "definitions": _definitions(attributes, features),
        "wall_seconds": round(seconds, 2),
        "images_judged": study.scorer.images_scored,
        "machine": machine(),
        "versions": versions(),
    }  # fmt: skip


def _model(entry: Entry) -> dict[str, Any]:
    editor, faces = entry.study.editor, entry.study.faces
    described = editor.description
    return {
        **model_facts(editor),
        "edits": list(editor.attributes) if "edit" in editor.method.capabilities else [],
        "compared": {name: {"edits": way.own, "sign": way.sign} for name, way in entry.ways.items()},
        "crop": faces.manifest.get("crop"),
        "relation_to_training": relation(described.get("data"), faces.manifest),
        "strength": {
            way.own: {side: fitted.to_json() for side, fitted in editor.strength_maps[way.own].items()}
            for way in entry.ways.values()
        },
    }


def _notes(comparison: Comparison, entries: Sequence[Entry], judge: JudgeLike) -> list[str]:
    notes = []
    for entry in entries:
        editor, faces = entry.study.editor, entry.study.faces
        notes += notes_on_faces(editor, faces, judge)
        for attribute, way in entry.ways.items():
            if way.own != attribute:
                turned = ", the other way round," if way.sign < 0 else ""
                notes.append(f"{entry.name}: edited by {way.own}{turned} for want of {attribute}")
            notes += notes_on_strength(editor, way.own, ("+1", "-1"))
        if not entry.study.can("autoencode") and entry.ways:
            notes.append(f"{entry.name} has no autoencoder: photographs stand where reconstructions would")
    crops = {entry.name: str(entry.study.faces.manifest.get("crop")) for entry in entries}
    if len(set(crops.values())) > 1:
        named = ", ".join(f"{name} {crop}" for name, crop in crops.items())
        notes.append(f"the models see different crops of the same faces, so pixels do not compare: {named}")
    sizes = {entry.study.editor.image_size for entry in entries}
    if len(sizes) > 1:
        notes.append("the models differ in size: sharpness and squared errors are each of a model's own size")
    if sizes != {judge.image_size}:
        notes.append(f"the judge reads {judge.image_size} pixels; images of another size were resized to that for it")
    if comparison.split != "test":
        notes.append(f"split {comparison.split}: models or judge may have been trained or calibrated on these faces")
    return list(dict.fromkeys(notes))


def _definitions(attributes: Sequence[str], features: object) -> dict[str, Any]:
    known = [name for name in attributes if name in REGIONS]
    boxes = "; ".join(f"{name.replace('_', ' ')} {REGIONS[name]}" for name in known)
    return {
        "interval": f"percentile bootstrap over faces, {statistics.LEVEL:.0%}, {statistics.RESAMPLES} draws, the same for all "
        "models",
        "edits": "of each face toward the class opposite to its label, at calibrated strength; strength 0 is the "
        "reconstruction in render and the photograph in detail, which is photograph + edit − reconstruction, clipped",
        "success": f"share of faces that the judge reads as the other class, threshold {edits.THRESHOLD}; to_1: of faces "
        "that lack the attribute, to_0: of faces that have it",
        "collateral": "share of the judge's other attributes, parts and wholes of the edited one left out, whose reading "
        "differs from that of the photograph; from_unedited: from that of strength 0",
        "identity": "cosine of the embeddings of photograph and edit",
        "change": "mean absolute difference of a pixel's channels to the photograph, pixels in [0, 1]; from_unedited: to "
        "strength 0",
        "outside": "the same outside the attribute's region; outside_share: share of the squared change from strength 0 "
        f"that lies there{f' ({boxes}, in fractions of the face)' if boxes else ''}",
        "equal": "each model's curve, straight between strengths, where it first has the smaller of both greatest "
        "successes; less: the second less the first; the level is found anew in each draw; to_1, to_0: of faces that lack, "
        "or have, the attribute",
        **({} if features is None else {"realism": DEFINITION}),
    }  # fmt: skip
