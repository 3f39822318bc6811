"""The manifest of every protocol: what was measured, on what, by whom, without which no figure can be read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from visagist.attributes import OVERLAPPING, REGIONS, THRESHOLD, rules_in_use, with_derived
from visagist.data.faces import Faces
from visagist.editing.editor import Editor
from visagist.environment import describe_machine, package_versions
from visagist.errors import VisagistError
from visagist.evaluation import statistics
from visagist.evaluation.context import SUBSET, EvaluationContext, JudgeLike
from visagist.evaluation.independence import (
    calibrating_judges,
    independence_facts,
    notes_on_dependence,
    notes_on_source,
    relation,
)
from visagist.evaluation.metrics import consistency, counterfactual, decoder_recovery
from visagist.evaluation.metrics.classification import judge_accuracies
from visagist.evaluation.results import Metrics
from visagist.evaluation.session import EvaluationSettings
from visagist.latent.probes import FOLDS

INTERVAL = (
    f"{statistics.LEVEL:.0%}: of means by percentile bootstrap over faces, {statistics.RESAMPLES} draws; of shares by "
    "Wilson; of areas under ROC curves by DeLong; of distances by jackknife"
)
JUDGED_AS_1 = f"score of at least {THRESHOLD}"
OTHERS_FLIP = (
    "share of the judge's other attributes that flip against its reading of the unedited reconstruction; "
    "the parts of a derived attribute are not other ones"
)


def build_manifest(facts: Mapping[str, Any], wall_seconds: float, **counts: Any) -> dict[str, Any]:
    """The manifest of a protocol: its facts and counts, and when, for how long and where it ran."""
    return {
        "written": datetime.now(UTC).isoformat(timespec="seconds"),
        **facts,
        "wall_seconds": round(wall_seconds, 2),
        **counts,
        "machine": describe_machine(),
        "versions": package_versions(),
    }


def network_facts(network: object | None, **attributes: str) -> dict[str, Any] | None:
    """The name of a network and what it has under `attributes`, by the key in the manifest; None for no network."""
    if network is None:
        return None
    name = getattr(network, "name", type(network).__name__)
    return {"name": name, **{key: getattr(network, attribute, None) for key, attribute in attributes.items()}}


def describe_evaluation(
    study: EvaluationContext, split: str, available: int, limit: int | None, seconds: float, dependent: list[str]
) -> dict[str, Any]:
    """The manifest of a report; `dependent` is what `check_independence` found."""
    faces, editor = study.faces, study.editor
    counts = {name: int(study.labels(name).sum()) for name in study.attributes if name in with_derived(faces.names)}
    facts = {
        "mode": "render",
        "model": _model(study),
        "data": {
            "source": faces.manifest.get("source"),
            "trained_on": _training_source(editor.description.get("data")),
            "relation_to_training": relation(editor.description.get("data"), faces.manifest),
            "sha256": faces.manifest.get("sha256") or faces.manifest.get("images", {}).get("sha256"),
            "split": split,
            "crop": faces.manifest.get("crop"),
            "filter": faces.manifest.get("filter"),
            "image_size": faces.image_size,
            "faces_in_source": available,
            "limit": limit,
            "n": len(faces),
            "derived": _label_rules(study),
            "n_with": counts,
            "n_without": {name: len(faces) - number for name, number in counts.items()},
        },
        "judge": _judge(study, judge_accuracies(study)),
        "calibration_judges": calibrating_judges(editor),
        "strength": {
            name: {way: strength.to_json() for way, strength in ways.items()} for name, ways in editor.strength_maps.items()
        },
        "independence": independence_facts(editor, study.scorer.judge, dependent),
        "notes": [*notes_on_dependence(dependent), *_notes(study, split)],
        "definitions": _definitions(study),
        "seed": study.seed,
    }
    return build_manifest(
        facts,
        seconds,
        seconds=study.clock.seconds(),
        images_judged=study.scorer.images_scored,
        photographs_judged_before=study.scorer.images_found,
    )


def _model(study: EvaluationContext) -> dict[str, Any]:
    editor, described = study.editor, study.editor.description
    return {
        "name": editor.name,
        "method": editor.backend.name,
        "attributes": list(editor.attributes),
        "measured": list(study.attributes),
        "image_size": editor.image_size,
        "weights_sha256": described.get("weights_sha256"),
        "config": described.get("config"),
        "paper_amount": editor.backend.paper_amount,
        "training": described.get("training"),
        "data": described.get("data"),
    }


def _judge(study: EvaluationContext, accuracies: dict[str, float]) -> dict[str, Any]:
    judge, values = study.scorer.judge, study.results.values
    own = {
        name: {
            part: values[f"judge.{name}.{part}"]["value"]
            for part in ("accuracy", "balanced_accuracy")
            if f"judge.{name}.{part}" in values
        }
        for name in study.attributes
    }
    return {
        "name": judge.name,
        "image_size": judge.image_size,
        "precision": getattr(judge, "precision", None),
        "weights_sha256": judge.description.get("weights_sha256"),
        "card": judge.description.get("card"),
        "derived": rules_in_use(study.attributes, judge.attributes),
        "on_these_faces": own,
        "mean_accuracy_on_these_faces": float(np.mean(list(accuracies.values()))) if accuracies else None,
        "attributes_compared": len(accuracies),
        "trained_on": judge.description.get("data"),
    }


def _label_rules(study: EvaluationContext) -> dict[str, str]:
    """The rules of labels that were derived: here, or before these faces were handed over."""
    faces, attributes = study.faces, study.attributes
    before = {**faces.manifest.get("facts", {}).get("derived", {}), **faces.manifest.get("derived", {})}
    return {name: rule for name, rule in before.items() if name in attributes} | rules_in_use(attributes, faces.names)


def _training_source(facts: dict[str, Any] | None) -> dict[str, Any] | None:
    """Where the faces that trained a model came from; None where that is not recorded."""
    return {key: facts.get(key) for key in ("source", "crop", "count")} if facts and facts.get("source") else None


def _notes(study: EvaluationContext, split: str) -> list[str]:
    judge = study.scorer.judge
    notes = notes_on_source(
        study.editor.description.get("data"), judge.description.get("data"), judge.name, study.faces.manifest
    )  # fmt: skip
    for name, ways in study.editor.strength_maps.items():
        if not all(strength.calibrated for strength in ways.values()):
            notes.append(f"the strength of {name} is not calibrated: ±1 is the end of the method's range")
    notes += notes_on_split(split, "model or judge", "trained or calibrated")
    if study.scorer.judge.image_size != study.faces.image_size:
        notes.append(f"the judge reads {study.scorer.judge.image_size} pixels; images were resized to that for it")
    if not study.can("autoencode"):
        notes.append("the method has no autoencoder: photographs stand where reconstructions would")
    return notes


def _definitions(study: EvaluationContext) -> dict[str, Any]:
    return {
        "interval": INTERVAL,
        "judged_as_1": JUDGED_AS_1,
        "reconstruction": "float decodes, pixels in [0, 1]; SSIM with a Gaussian window of 11 pixels, sigma 1.5",
        "edits": "uint8 images; collateral, locality, undo and identity from edits toward the class opposite to the label",
        "err": OTHERS_FLIP,
        **_derived(study),
        "subset": f"{min(SUBSET, len(study.faces))} faces "
        "for the calibration curve, monotonicity, null edits, undo and identity",
        "monotonic": f"the score never falls by more than {consistency.TOLERANCE} between neighbouring strengths",
        "null": "repeated reconstruction, distance (MSE) to the photograph",
        "leakage": f"probes on posterior means, standardised, classes balanced, {FOLDS}-fold cross-validated on these faces "
        "or fitted to training faces, whichever is better on faces kept back, by which they are regularised and stopped; "
        "best: the probe that is best on these",
        "recovery": decoder_recovery.DEFINITION,
        "labels_only_elsewhere": {
            name: f"without {', '.join(OVERLAPPING[name])}" for name in study.attributes if name in OVERLAPPING
        },
        "counterfactual": counterfactual.DEFINITION,
        "regions": {
            name: {"box": REGIONS[name], "area": round((r[2] - r[0]) * (r[3] - r[1]), 4)}
            for name in study.attributes
            if (r := REGIONS.get(name))
        },
    }


def _derived(study: EvaluationContext) -> dict[str, str]:
    """How the judge's reading of derived attributes is made, where there are any."""
    rules = rules_in_use(study.attributes, study.scorer.judge.attributes)
    read = "; ".join(f"{name}: {rule}, the largest of the judge's probabilities of these" for name, rule in rules.items())
    return {"derived": read} if read else {}


def check_told_apart(editors: Sequence[Editor]) -> None:
    """VisagistError where no model is given, or two have one name."""
    names = [editor.name for editor in editors]
    if not names or len(set(names)) < len(names):
        raise VisagistError(f"models are told apart by their names, got {', '.join(names) or 'none'}: name each once")


def same_rows(faces: Faces, files: Sequence[str]) -> NDArray[np.int64]:
    """The rows of these files, in their order; VisagistError where one is not among the faces."""
    places = {file: row for row, file in enumerate(faces.files)}
    missing = [file for file in files if file not in places]
    if missing:
        raise VisagistError(
            f"{len(missing)} faces, {missing[0]} first, are not there at every model's size: give the faces of one source"
        )
    return np.array([places[file] for file in files])


def model_facts(editor: Editor) -> dict[str, Any]:
    """What a manifest says of each model."""
    return {
        "name": editor.name,
        "method": editor.backend.name,
        "image_size": editor.image_size,
        "weights_sha256": editor.description.get("weights_sha256"),
        "trained_on": (editor.description.get("data") or {}).get("source"),
        **training_facts(editor.description),
    }


def training_facts(description: Mapping[str, Any]) -> dict[str, Any]:
    """In what precision, on what kind of machine and by which code a model was trained, as far as it is recorded."""
    recorded = description.get("training") or {}
    return {"computed_in": recorded.get("computed_in"), "machine": recorded.get("machine"), "code": description.get("code")}


def data_facts(faces: Faces, settings: EvaluationSettings, attributes: Iterable[str] = ()) -> dict[str, Any]:
    """What a manifest says of the faces and their choice, and how labels of these attributes are derived."""
    return {
        "source": faces.manifest.get("source"),
        "crop": faces.manifest.get("crop"),
        "split": settings.split,
        "limit": settings.limit,
        "derived": rules_in_use(attributes, faces.names),
    }


def judge_facts(judge: JudgeLike, attributes: Iterable[str]) -> dict[str, Any]:
    """What a manifest says of a judge, and how it reads those of the attributes that are derived."""
    return {
        "name": judge.name,
        "weights_sha256": judge.description.get("weights_sha256"),
        "derived": rules_in_use(attributes, judge.attributes),
    }


def notes_on_strength(editor: Editor, attribute: str, ways: Iterable[str]) -> list[str]:
    """What a reader must know of a model's strength of this attribute in directions "+1" and "-1"; mostly nothing."""
    notes = []
    if editor.description.get("untrained"):
        notes.append(f"{editor.name} is untrained: it drew no faces when its training ended, and success says nothing")
    for way in ways:
        fitted = editor.strength_maps[attribute][way]
        if not fitted.calibrated:
            notes.append(f"the strength of {editor.name} is not calibrated for {attribute}: ±1 is the end of its range")
        elif fitted.reached is False:
            notes.append(f"{editor.name}: {attribute} at strength {way}, the most that it gives, the class is not reached")
    return notes


def notes_on_split(split: str, who: str, made: str) -> list[str]:
    """What a reader must know of figures from another split than that of the test."""
    return [] if split == "test" else [f"split {split}: {who} may have been {made} on these faces"]


def notes_on_results(metrics: Metrics, attributes: Sequence[str]) -> list[str]:
    """What makes figures look better than a model is: it draws no faces, or what is edited to is read without an edit."""
    notes = []
    photographs, shown = metrics.values.get("faces.photographs"), metrics.values.get("faces.reconstruction")
    if photographs is not None and shown is not None and shown["high"] < photographs["low"] / 2:
        notes.append(
            f"this model does not draw faces: the landmark network sees one in {shown['value']:.0%} of its reconstructions "
            f"and in {photographs['value']:.0%} of the photographs; what a judge reads of them, success too, says nothing"
        )
    for attribute, (goal, act) in product(attributes, (("success_0", "taken away"), ("from_0.success_1", "given"))):
        done = metrics.values.get(f"edit.{attribute}.{goal}")
        base = metrics.values.get(f"edit.{attribute}.base_rate_reconstruction.{goal}")
        if done is not None and base is not None and base["value"] >= 0.5 and base["high"] >= done["low"]:
            notes.append(
                f"{attribute} {act}: {done['value']:.0%} of the edits are read so, but {base['value']:.0%} of the "
                "reconstructions are without an edit"
            )
    return notes


def notes_on_faces(editor: Editor, faces: Faces, judge: JudgeLike) -> list[str]:
    """What a reader must know of where these faces come from beside those that trained the model and the judge."""
    trained, read_by = editor.description.get("data"), judge.description.get("data")
    notes = notes_on_source(trained, read_by, judge.name, faces.manifest)
    return [note if note.startswith(judge.name) else f"{editor.name}: {note}" for note in notes]
