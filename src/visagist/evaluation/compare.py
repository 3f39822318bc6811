"""`compare`: measure any models on the same faces: success and cost of their edits, over strength and at equal success."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from visagist.attributes import (
    REGIONS,
    THRESHOLD,
    check_available,
    equivalent_attribute,
    related_attributes,
    with_derived,
)
from visagist.data.faces import Faces
from visagist.editing.modes import MODEL_MODES as MODES
from visagist.errors import VisagistError
from visagist.evaluation.context import SUBSET, EvaluationContext, JudgeLike, JudgeScores, PanelJudge
from visagist.evaluation.extractors.judge_panel import check_panel, panel_facts
from visagist.evaluation.independence import check_independence, independence_facts, notes_on_dependence, relation
from visagist.evaluation.manifest import (
    INTERVAL,
    build_manifest,
    check_told_apart,
    data_facts,
    judge_facts,
    model_facts,
    network_facts,
    notes_on_faces,
    notes_on_split,
    notes_on_strength,
    same_rows,
)
from visagist.evaluation.metrics.classification import agreement
from visagist.evaluation.metrics.cost import measure_cost
from visagist.evaluation.metrics.distribution import DEFINITION, measure_realism
from visagist.evaluation.metrics.distribution import HOW as HOW_FEATURES
from visagist.evaluation.metrics.edit_curves import (
    ENDS,
    STRENGTHS,
    AttributeMapping,
    Curves,
    equal_success,
    measure_curves,
    units,
)
from visagist.evaluation.metrics.edits import NO_CHANGE, region_is_known
from visagist.evaluation.metrics.identity import HOW, measure_identity
from visagist.evaluation.metrics.leakage import measure_entanglement
from visagist.evaluation.metrics.panel import PANEL, add_way, notes_on_panel
from visagist.evaluation.metrics.reconstruction import measure_perceptual, measure_reconstruction, measure_sharpness
from visagist.evaluation.results import Metrics
from visagist.evaluation.session import EvaluationSettings, Session
from visagist.evaluation.statistics import BetweenRuns, between_runs, column_means, exact, mean_ci
from visagist.evaluation.strips import Album, album
from visagist.latent.codes import check_size
from visagist.progress import ProgressLike, progress_of

UNEDITED = {"render": ("success", "collateral", "change", "outside"), "detail": ("success",)}
EMBEDDED = 8  # progress units of embedding a photograph and its reconstruction
SHARES = ("collateral", "collateral_from_unedited", "outside_share")  # columns of one share a face
NOT_ASKED = ("cost.training_images_per_second", "cost.edits_per_second")


@dataclass(frozen=True)
class CompareSettings:
    """What is compared.

    attributes  None for every attribute that a model edits and the faces are labelled with
    each        in place of a limit, for a single attribute: at most this many faces with it, and as many without it
    groups      models that differ in the seed of their training alone: a name, and their places among the models
    curves      measure over strength and at equal success; else at full strength alone, which is several times faster
    """

    attributes: tuple[str, ...] | None = None
    each: int | None = None
    groups: tuple[tuple[str, tuple[int, ...]], ...] = ()
    curves: bool = True

    @property
    def strengths(self) -> tuple[float, ...]:
        return STRENGTHS if self.curves else (STRENGTHS[0], STRENGTHS[-1])

    def __post_init__(self) -> None:
        if self.each is not None and self.each < 1:
            raise VisagistError(f"a comparison needs at least 1 face, got each={self.each}")


SEED = "{seed}"


def models_of_seeds(models: Sequence[str], seeds: int) -> tuple[list[str], tuple[tuple[str, tuple[int, ...]], ...]]:
    """Models with `{seed}` in their names once for each seed from 0 on, and where each of these groups is.

    VisagistError where such a name and the number of seeds do not go together.
    """
    if (seeds > 1) != any(SEED in model for model in models):
        raise VisagistError(
            f"--seeds {seeds} is of models named by their seed: write runs/a-{SEED}, and --seeds with a number above 1"
        )
    named: list[str] = []
    groups = []
    for model in models:
        own = [model.replace(SEED, str(seed)) for seed in range(seeds)] if SEED in model else [model]
        if len(own) > 1:
            groups.append((model, tuple(range(len(named), len(named) + len(own)))))
        named += own
    return named, tuple(groups)


@dataclass(frozen=True)
class ComparisonResult:
    """Metrics of every model and pair of models, and the pictures of each attribute."""

    metrics: Metrics
    albums: Sequence[Album]


@dataclass(frozen=True)
class Entry:
    """One model: its evaluation context, and how it edits each attribute that it edits."""

    study: EvaluationContext
    mappings: Mapping[str, AttributeMapping]

    @property
    def name(self) -> str:
        return self.study.editor.name


def compare(session: Session, asked: CompareSettings, progress: ProgressLike = None) -> ComparisonResult:
    """Measure every model on the same faces, over strength and in both modes.

    Models that do not edit are measured by what needs no edit. A model that does not know an attribute edits an equivalent
    one (`equivalent_attribute`). Raises VisagistError if names, sizes, faces, attributes or the judge do not fit.
    """
    started, seed = time.perf_counter(), session.settings.seed
    dependent = _check(session)
    attributes, missing = _attributes(session, asked)
    entries, results = _entries(session, asked, attributes, dependent), Metrics(not_computed=missing)
    curves: dict[str, dict[str, Curves]] = {name: {} for name in attributes}
    with progress_of(progress, "comparing") as bar:
        bar.stage("comparing", sum(_units(entry, len(asked.strengths)) for entry in entries))
        for entry in entries:
            entry.study.progress = bar
            _measure_general(results, entry)
            for attribute, mapping in entry.mappings.items():
                bar.describe(f"{entry.name}: {attribute}")
                curves[attribute][entry.name] = measure_curves(entry.study, mapping, asked.strengths)
        bar.describe("intervals and pictures")
        for attribute, of_models in curves.items():
            for name, model_curves in of_models.items():
                labels = _labels(entries, attribute)
                _report(results, f"compare.{name}.{attribute}", model_curves, labels, asked.strengths, seed)
            if asked.curves:
                _report_pairs(results, attribute, of_models, entries[0].study, seed)
            _report_judge(results, entries[0].study, attribute)
        albums = [album([(e.study, e.mappings[name]) for e in entries if name in e.mappings]) for name in attributes]
        bar.finish()
    _note_what_is_missing(results, entries, attributes, session.embedder, session.features)
    results.manifest = describe_comparison(
        session, asked, entries, attributes, results, time.perf_counter() - started, dependent
    )
    results.manifest["notes"] += notes_on_panel(results, attributes)
    results.manifest["between_runs"] = _between_runs(results, asked.groups, [entry.name for entry in entries])
    return ComparisonResult(results, albums)


def _between_runs(
    results: Metrics, groups: Sequence[tuple[str, Sequence[int]]], names: Sequence[str]
) -> dict[str, dict[str, BetweenRuns]]:
    """By group and by key without the model, what the figures of its models have between them."""
    spreads: dict[str, dict[str, BetweenRuns]] = {}
    for group, places in groups:
        figures: dict[str, list[float]] = {}
        for place in places:
            for kind in ("compare", "general"):
                start = f"{kind}.{names[place]}."
                for key, measure in results.values.items():
                    if key.startswith(start):
                        figures.setdefault(f"{kind}.{key.removeprefix(start)}", []).append(measure["value"])
        spreads[group] = {key: between_runs(values) for key, values in figures.items() if len(values) == len(places)}
    return spreads


def _check(session: Session) -> list[str]:
    """What makes the metrics dependent; raises VisagistError if models, sizes or the judge do not fit."""
    editors, settings = session.editors, session.settings
    if len(editors) == 1:
        raise VisagistError(f"a comparison is of two models or more, got {editors[0].name}: visagist evaluate measures one")
    check_told_apart(editors)
    dependent: list[str] = []
    others = [network for network in (session.embedder, session.features) if network is not None]
    for editor, source in zip(editors, session.faces, strict=True):
        check_size(editor, source.images[:1])
        rows = source.sample(settings.split, settings.limit, settings.seed)
        allowed = settings.allow_dependent
        dependent += check_independence(editor, session.judge, source, rows, others=others, allowed=allowed)
    return dependent


def _attributes(session: Session, asked: CompareSettings) -> tuple[tuple[str, ...], dict[str, str]]:
    """The attributes to compare, and the metric keys that are left out, with the reason."""
    faces, judge = session.faces[0], session.judge
    able = [editor for editor in session.editors if editor.can("edit")]
    known = list(dict.fromkeys(name for editor in able for name in editor.attributes))
    if asked.attributes is not None:
        for name in check_available(asked.attributes, faces.names):
            if not any(equivalent_attribute(name, editor.attributes) for editor in able):
                raise VisagistError(f"no model edits {name}: these edit {', '.join(known) or 'nothing'}")
            if name not in with_derived(judge.attributes):
                raise VisagistError(f"{judge.name} does not know {name}: give another judge or attribute")
        return tuple(asked.attributes), {}
    if not able:
        return (), {"compare.*": "none of these models edits"}
    chosen: list[str] = []
    missing: dict[str, str] = {}
    for name in known:
        if name not in with_derived(faces.names):
            missing[f"*.{name}.*"] = "these faces have no label for the attribute"
        elif name not in with_derived(judge.attributes):
            missing[f"*.{name}.*"] = f"{judge.name} does not know the attribute"
        elif equivalent_attribute(name, chosen) is None:
            chosen.append(name)
    if not chosen:
        raise VisagistError(
            f"nothing to compare of {', '.join(known)}, which these models edit: give faces that are labelled so, and a "
            "judge that knows it"
        )
    shared = [name for name in chosen if sum(bool(equivalent_attribute(name, editor.attributes)) for editor in able) > 1]
    for name in set(chosen) - set(shared) if shared else ():
        missing[f"*.{name}.*"] = "one of these models alone edits it: name it to have it measured"
    return tuple(shared or chosen), missing


def _entries(
    session: Session, asked: CompareSettings, attributes: Sequence[str], dependent: list[str]
) -> list[Entry]:
    """One entry for each model; all have the same faces, each at the size of its model. Adds to what is `dependent`."""
    first, scorer, networks = session.faces[0], JudgeScores(session.judge), session.networks
    rows = _rows(first, session.settings, asked, attributes)
    files = [first.files[int(row)] for row in rows]
    entries, taken, settings = [], {}, session.settings
    panels: dict[str | None, tuple[PanelJudge, ...]] = {}
    for editor, source in zip(session.editors, session.faces):
        if id(source) not in taken:
            taken[id(source)] = source.take(same_rows(source, files))
        crop = source.manifest.get("crop")
        panels[crop] = panels[crop] if crop in panels else session.panel_of(crop)
        dependent += check_panel(
            editor, session.judge, panels[crop], source, same_rows(source, files), settings.allow_dependent
        )
        study = EvaluationContext(
            editor, scorer, taken[id(source)], tuple(attributes), settings.seed, networks=networks, everything=source,
            panel=panels[crop],
        )  # fmt: skip
        equivalents = {name: equivalent_attribute(name, editor.attributes) for name in attributes if editor.can("edit")}
        entries.append(Entry(study, {name: AttributeMapping(name, *own) for name, own in equivalents.items() if own}))
    return entries


def _rows(
    faces: Faces, settings: EvaluationSettings, asked: CompareSettings, attributes: Sequence[str]
) -> NDArray[np.int64]:
    """The rows to compare, ascending: all, at most the limit, or as many of each class of the single attribute."""
    if asked.each is None:
        return faces.sample(settings.split, settings.limit, settings.seed)
    if settings.limit is not None or len(attributes) != 1:
        got = f"limit={settings.limit}" if settings.limit is not None else ", ".join(attributes) or "no attribute"
        raise VisagistError(f"each is of the classes of one attribute, and instead of limit: got {got}; name one attribute")
    return faces.sample_of_each(settings.split, attributes[0], asked.each, settings.seed)


def _labels(entries: Sequence[Entry], attribute: str) -> np.ndarray:
    return entries[0].study.labels(attribute)


def _units(entry: Entry, strengths: int) -> float:
    """The work on one model in progress units, about one for each edited image."""
    study, number, networks = entry.study, len(entry.study.faces), entry.study.networks
    embedded, with_features = networks.identity is not None, networks.features is not None
    subset = min(number, SUBSET)
    curve = units(subset, strengths, embedded) + units(number - subset, len(ENDS), False)
    reads = with_features * (2 + study.can("autoencode") + study.can("generate"))
    general = 2.5 * number * (study.can("autoencode") + reads) + embedded * EMBEDDED * subset
    return general + len(entry.mappings) * curve


def _measure_general(results: Metrics, entry: Entry) -> None:
    """Add `general.MODEL.*`: the metrics of `evaluate` that are not about one attribute."""
    study = entry.study
    measure_reconstruction(study)
    measure_sharpness(study)
    if study.networks.identity is not None:
        measure_identity(study)
        study.progress.advance(EMBEDDED * min(len(study.faces), SUBSET))
    if study.networks.features is not None:
        measure_realism(study)
    measure_perceptual(study)
    measure_entanglement(study)
    measure_cost(study)
    images = (study.editor.description.get("training") or {}).get("images")
    results.put(f"general.{entry.name}.training.images", None if images is None else exact(images), "not recorded")
    for key, measure in study.results.values.items():
        if key not in NOT_ASKED:
            results.values[f"general.{entry.name}.{key}"] = measure
    for key, why in study.results.not_computed.items():
        if key not in NOT_ASKED:
            results.not_computed[f"general.{entry.name}.{key}"] = why


def _report(
    results: Metrics, prefix: str, curves: Curves, labels: np.ndarray, strengths: Sequence[float], seed: int
) -> None:
    """Add `compare.MODEL.A.MODE.*` at strength 1 and without an edit, and the curve of that name."""
    for mode in MODES:
        key, subset, ends = f"{prefix}.{mode}", curves.subset[mode], curves.ends[mode]
        for name, measure in column_means({name: column[:, 1] for name, column in ends.items()}, seed, SHARES).items():
            results.put(f"{key}.{name}", measure, NO_CHANGE)
        for name, measure in column_means({n: ends[n][:, 0] for n in UNEDITED[mode] if n in ends}, seed, SHARES).items():
            results.put(f"{key}.unedited.{name}", measure, NO_CHANGE)
        if "identity" in subset:
            results.values[f"{key}.identity"] = mean_ci(subset["identity"][:, -1], seed)
        for side in (0, 1):
            rows = labels != side
            success = mean_ci(ends["success"][rows, 1], seed) if rows.any() else None
            results.put(f"{key}.to_{side}.success", success, f"no face {'lacks' if side else 'has'} the attribute")
        edited, unedited = ({judge: scores[:, k] for judge, scores in curves.read[mode].items()} for k in (1, 0))
        for way in ("given", "taken"):
            add_way(results, f"{key}.panel.{way}", way, edited, unedited, labels)
        steps = [
            column_means({name: column[:, k] for name, column in subset.items()}, seed, SHARES)
            for k in range(len(strengths))
        ]
        results.curves[key] = {
            "strengths": list(strengths), "n": len(subset["success"]),
            **{name: [step[name] for step in steps] for name in subset},
        }  # fmt: skip


def _report_pairs(
    results: Metrics, attribute: str, curves: Mapping[str, Curves], study: EvaluationContext, seed: int
) -> None:
    """Add `equal.A.MODE.FIRST/SECOND.*` of every two models that edit the attribute, and `to_C.*` of each class."""
    labels = study.labels(attribute)[study.subset()]
    classes = {f"to_{side}.": labels != side for side in (1, 0)}
    every = np.ones(len(labels), bool)
    for mode in MODES:
        for first, second in combinations(curves, 2):
            key = f"equal.{attribute}.{mode}.{first}/{second}"
            for part, rows in {"": every, **classes}.items():
                left, right = (
                    {m: column[rows] for m, column in curves[name].subset[mode].items()} for name in (first, second)
                )
                pair = equal_success(left, right, STRENGTHS, seed) if rows.any() else None
                if pair is None:
                    why = "one of the two gets no further than unedited faces are" if rows.any() else "no such face"
                    results.not_computed[f"{key}.{part}*"] = why
                else:
                    results.values.update({f"{key}.{part}{name}": measure for name, measure in pair.items()})


def _report_judge(results: Metrics, study: EvaluationContext, attribute: str) -> None:
    """Add `judge.A.*`: the judge's own accuracy on these photographs."""
    scores = study.scorer.column(study.scorer.photographs(study.faces.images), attribute)
    agreement(results, f"judge.{attribute}", scores, study.labels(attribute), study.seed)


def _note_what_is_missing(
    results: Metrics, entries: Sequence[Entry], attributes: Sequence[str], identity: object, features: object
) -> None:
    missing = results.not_computed
    for entry in entries:
        for attribute in attributes:
            if attribute not in entry.mappings:
                known = ", ".join(entry.study.editor.attributes) if entry.study.can("edit") else "nothing"
                missing[f"compare.{entry.name}.{attribute}.*"] = f"the model does not edit it: it edits {known}"
    judge, crop = entries[0].study.scorer.judge, entries[0].study.faces.manifest.get("crop")
    for attribute in attributes:
        if not region_is_known(attribute, crop):
            missing[f"*.{attribute}.*.outside*"] = "its region is not known of this crop, or is the whole face"
        if not set(judge.attributes) - related_attributes(attribute):
            missing[f"*.{attribute}.*.collateral*"] = "the judge knows no other attribute"
    if identity is None:
        missing["*.identity*"] = HOW
    if features is None:
        missing["general.*.realism.*"] = HOW_FEATURES


def describe_comparison(
    session: Session,
    asked: CompareSettings,
    entries: Sequence[Entry],
    attributes: Sequence[str],
    results: Metrics,
    seconds: float,
    dependent: Sequence[str],
) -> dict[str, Any]:
    """The manifest of a comparison."""
    judge, features, settings = session.judge, session.features, session.settings
    study, everything = entries[0].study, session.faces[0]
    with_it = {name: int(study.labels(name).sum()) for name in attributes}
    facts = {
        "modes": list(MODES),
        "strengths": list(asked.strengths),
        "attributes": list(attributes),
        "models": [_model(entry) for entry in entries],
        "data": {
            **data_facts(everything, settings, attributes),
            "each": asked.each,
            "n": len(study.faces),
            "n_subset": len(study.subset()),
            "faces_in_source": len(everything),
            "n_with": with_it,
            "n_without": {name: len(study.faces) - number for name, number in with_it.items()},
        },
        "judge": {**judge_facts(judge, attributes), "trained_on": (judge.description.get("data") or {}).get("source")},
        "judges": panel_facts(study.panel),
        "identity": network_facts(session.embedder, box="box"),
        "features": network_facts(session.features, weights_sha256="sha256"),
        "seed": settings.seed,
        "independence": [independence_facts(entry.study.editor, judge, dependent) for entry in entries],
        "notes": [*notes_on_dependence(list(dict.fromkeys(dependent))), *_notes(settings, entries, judge)],
        "definitions": _definitions(attributes, features),
    }  # fmt: skip
    return build_manifest(facts, seconds, images_judged=study.scorer.images_scored)


def _model(entry: Entry) -> dict[str, Any]:
    editor, faces = entry.study.editor, entry.study.faces
    described = editor.description
    return {
        **model_facts(editor),
        "edits": list(editor.attributes) if editor.can("edit") else [],
        "compared": {name: {"edits": mapping.own, "sign": mapping.sign} for name, mapping in entry.mappings.items()},
        "crop": faces.manifest.get("crop"),
        "relation_to_training": relation(described.get("data"), faces.manifest),
        "strength": {
            mapping.own: {side: fitted.to_json() for side, fitted in editor.strength_maps[mapping.own].items()}
            for mapping in entry.mappings.values()
        },
    }


def _notes(settings: EvaluationSettings, entries: Sequence[Entry], judge: JudgeLike) -> list[str]:
    notes = []
    for entry in entries:
        editor, faces = entry.study.editor, entry.study.faces
        notes += notes_on_faces(editor, faces, judge)
        for attribute, mapping in entry.mappings.items():
            if mapping.own != attribute:
                turned = ", the other way round," if mapping.sign < 0 else ""
                notes.append(f"{entry.name}: edited by {mapping.own}{turned} for want of {attribute}")
            notes += notes_on_strength(editor, mapping.own, ("+1", "-1"))
        if not entry.study.can("autoencode") and entry.mappings:
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
    notes += notes_on_split(settings.split, "models or judge", "trained or calibrated")
    return list(dict.fromkeys(notes))


def _definitions(attributes: Sequence[str], features: object) -> dict[str, Any]:
    known = [name for name in attributes if name in REGIONS]
    boxes = "; ".join(f"{name.replace('_', ' ')} {REGIONS[name]}" for name in known)
    return {
        "interval": f"{INTERVAL}, the same for all models",
        "edits": "of each face toward the class opposite to its label, at calibrated strength; strength 0 is the "
        "reconstruction in render and the photograph in detail, which is photograph + edit − reconstruction, clipped",
        "success": f"share of faces that the judge reads as the other class, threshold {THRESHOLD}; to_1: of faces "
        "that lack the attribute, to_0: of faces that have it",
        "panel": PANEL,
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
