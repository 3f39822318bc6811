"""`evaluate`: the whole protocol for one model, one judge and one split, in one pass."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from itertools import groupby, product
from operator import attrgetter

import numpy as np
from numpy.typing import NDArray

from visagist.attributes import check_attributes, with_derived
from visagist.data.faces import Faces
from visagist.editing.editor import Editor
from visagist.errors import VisagistError, nearest
from visagist.evaluation.context import (
    EvaluationContext,
    Family,
    JudgeScores,
    Stopwatch,
)
from visagist.evaluation.extractors.judge_panel import check_panel, panel_facts
from visagist.evaluation.independence import check_independence
from visagist.evaluation.manifest import describe_evaluation, notes_on_results
from visagist.evaluation.metrics import FAMILIES, consistency
from visagist.evaluation.metrics.distribution import DEFINITION
from visagist.evaluation.metrics.panel import notes_on_panel
from visagist.evaluation.results import Result, Strip
from visagist.evaluation.session import LEFT_OUT, EvaluationSettings, Session
from visagist.evaluation.statistics import exact
from visagist.evaluation.strips import strips
from visagist.progress import ProgressLike, progress_of


def evaluate(
    session: Session, attributes: Sequence[str] | None = None, recovery: int = 0, progress: ProgressLike = None
) -> Result:
    """Measure the model of a session on the faces of a split, as an independent judge sees it.

    attributes  some of those that the model edits; all by default
    recovery    train fresh decoders of the code on this many training faces, for what they recover of the attributes; 0:
                do not

    Raises VisagistError if the judge is not independent, or if sizes, labels or attributes do not fit.
    """
    started = time.perf_counter()
    if recovery < 0:
        raise VisagistError(f"recovery is a number of training faces, 0 or more, got {recovery}")
    editor, faces, settings, judge = session.editors[0], session.faces[0], session.settings, session.judge
    families = families_but(settings.without)
    asked = editor.attributes if attributes is None else check_attributes(attributes, editor.attributes, editor.name)
    rows = _rows(editor, faces, settings)
    others = [network for network in (session.embedder, session.features, session.classifier) if network is not None]
    dependent = check_independence(editor, judge, faces, rows, others=others, allowed=settings.allow_dependent)
    panel = session.panel_of(faces.manifest.get("crop"))
    dependent += check_panel(editor, judge, panel, faces, rows, settings.allow_dependent)
    chosen, clock = faces.take(rows), Stopwatch()
    with progress_of(progress, "evaluating") as bar:
        bar.stage("evaluating", _units(len(asked), len(chosen)))
        context = EvaluationContext(
            editor, JudgeScores(judge, clock), chosen, asked, settings.seed, bar, clock=clock, networks=session.networks,
            everything=faces, recovery=recovery, panel=panel,
        )  # fmt: skip
        for name in settings.without:
            context.results.not_computed[f"{name}.*"] = LEFT_OUT
        for name in set(asked) - set(context.labelled):
            context.results.not_computed[f"*.{name}.*"] = "these faces have no label for the attribute"
        measure_families(context, families)
        pictures = _strips(context)
        bar.describe("evaluated")
        bar.finish()
    _describe(context, session, time.perf_counter() - started, dependent)
    return Result(context.results, pictures)


def _describe(context: EvaluationContext, session: Session, seconds: float, dependent: list[str]) -> None:
    """Add what all of it took, and the manifest."""
    results, settings, second, features = context.results, session.settings, session.second_judge, session.features
    results.values["cost.wall_seconds"] = exact(seconds)
    results.values["cost.images_per_second"] = exact(context.scorer.images_scored / seconds)
    available = len(session.faces[0])
    results.manifest = describe_evaluation(context, settings.split, available, settings.limit, seconds, dependent)
    results.manifest["notes"] += notes_on_results(results, context.labelled)
    results.manifest["notes"] += notes_on_panel(results, context.labelled)
    results.manifest["judges"] = panel_facts(context.panel)
    if second is not None:
        results.manifest["second_judge"] = {"name": second.name, "weights_sha256": second.hashes}
    if features is not None:
        results.manifest["features"] = {"name": features.name, "weights_sha256": getattr(features, "sha256", None)}
        results.manifest["definitions"]["realism"] = DEFINITION


def families_but(left_out: Sequence[str]) -> list[Family]:
    """All families but those of these names; VisagistError for a name that none has."""
    known = dict.fromkeys(family.name for family in FAMILIES)
    for name in left_out:
        if name not in known:
            raise VisagistError(f"no family of figures {name!r} to leave out: {nearest(name, known)}")
    return [family for family in FAMILIES if family.name not in left_out]


def measure_families(context: EvaluationContext, families: Iterable[Family] = FAMILIES) -> None:
    """Put the figures of every family that the model is capable of into the results of the context."""
    for each, group in groupby(families, attrgetter("each")):
        if each:
            able = [family for family in group if _is_able(context, family)]
            for name, family in product(context.labelled, able):
                with context.clock.of(family.name):
                    family.measure(context, name)
        else:
            for family in group:
                if _is_able(context, family):
                    with context.clock.of(family.name):
                        family.measure(context)


def _is_able(context: EvaluationContext, family: Family) -> bool:
    able = not family.needs or context.can(family.needs)
    if family.missing and not able:
        context.results.not_computed[family.missing] = f"{context.editor.backend.name} does not {family.needs}"
    return able


def _strips(context: EvaluationContext) -> list[Strip]:
    with context.clock.of("pictures"):
        return [strip for name in context.labelled for strip in strips(context, name)] if context.can("edit") else []


def _rows(editor: Editor, faces: Faces, settings: EvaluationSettings) -> NDArray[np.int64]:
    if faces.image_size != editor.image_size:
        raise VisagistError(
            f"these faces are {faces.image_size} pixels wide, {editor.name} edits {editor.image_size}: "
            f"load them with image_size={editor.image_size}"
        )
    if editor.attributes and not set(editor.attributes) & set(with_derived(faces.names)):
        raise VisagistError(
            f"these faces have no label for {', '.join(editor.attributes)}, which {editor.name} edits: "
            "give faces that are labelled so"
        )
    return faces.sample(settings.split, settings.limit, settings.seed)


def _units(attributes: int, number: int) -> float:
    """About how many edited images the work on so many attributes is worth; an image judged counts 2.5."""
    subset = min(number, 1000)
    each = 2 * 7 * number + len(consistency.STRENGTHS) * 3.5 * subset + 2 * subset + 2 * number
    return 8 * number + consistency.REPEATS * subset + attributes * each
