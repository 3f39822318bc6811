"""`evaluate`: the whole protocol for one model, one judge and one split, in one pass."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from itertools import groupby, product
from operator import attrgetter
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from visagist.attributes import check_attributes, with_derived
from visagist.data.faces import Faces
from visagist.editing.editor import Editor
from visagist.errors import VisagistError
from visagist.evaluation.context import (
    CachedNetwork,
    EvaluationContext,
    Family,
    JudgeLike,
    JudgeScores,
    Networks,
    Stopwatch,
)
from visagist.evaluation.extractors.face_api_judge import FaceApiJudge
from visagist.evaluation.extractors.onnx import Embedder, OnnxClassifier
from visagist.evaluation.extractors.squeezenet import FeatureNetwork
from visagist.evaluation.independence import check_independence
from visagist.evaluation.manifest import describe_evaluation
from visagist.evaluation.metrics import FAMILIES, consistency
from visagist.evaluation.metrics.distribution import DEFINITION
from visagist.evaluation.results import Metrics, Strip
from visagist.evaluation.statistics import exact
from visagist.evaluation.strips import strips
from visagist.files import check_writable
from visagist.progress import ProgressLike, progress_of
from visagist.reports.files import write_report


def evaluate(
    editor: Editor,
    faces: Faces,
    *,
    judge: JudgeLike,
    split: str = "test",
    out: Path | None = None,
    seed: int = 0,
    limit: int | None = None,
    attributes: Sequence[str] | None = None,
    identity: Embedder | None = None,
    features: FeatureNetwork | None = None,
    classifier: OnnxClassifier | None = None,
    second: FaceApiJudge | None = None,
    recovery: int = 0,
    allow_dependent: bool = False,
    progress: ProgressLike = None,
) -> Metrics:
    """Measure a model on the faces of a split, as an independent judge sees it.

    out        folder for `metrics.json`, `metrics.csv` and `report.html`; None writes nothing
    limit      at most so many faces, drawn by the seed
    attributes some of those that the model edits; all by default
    identity   embeddings [N, D] of uint8 faces, such as `OnnxEmbedder("face.onnx")`
    features   a feature network for `realism.*`, such as `load_features("squeezenet11:weights.h5")`
    classifier an ImageNet classifier for `inception.*`, such as `OnnxClassifier("classifier.onnx")`
    second     a judge of another family, such as `load_second("face-api:FOLDER")`
    recovery   train fresh decoders of the code on so many training faces, for what they recover of the attributes; 0: do not
    allow_dependent  measure what is not independent all the same, and say so on top of the report
    progress   True for a bar of its own, or a running rich bar to add a task to

    Raises VisagistError if the judge is not independent, if sizes, labels or attributes do not fit, or if `out` cannot be
    written.
    """
    started = time.perf_counter()
    if recovery < 0:
        raise VisagistError(f"recovery is a number of training faces, 0 or more, got {recovery}")
    asked = editor.attributes if attributes is None else check_attributes(attributes, editor.attributes, editor.name)
    rows = _rows(editor, faces, split, seed, limit)
    others = [network for network in (identity, features, classifier) if network is not None]
    dependent = check_independence(editor, judge, faces, rows, others=others, allowed=allow_dependent)
    chosen = faces.take(rows)
    if out is not None:
        check_writable(out, "metrics")
    once = [None if network is None else CachedNetwork(network) for network in (identity, features)]
    networks = Networks(once[0], once[1], classifier, second)
    clock = Stopwatch()
    with progress_of(progress, "evaluating") as bar:
        bar.stage("evaluating", _units(len(asked), len(chosen)))
        context = EvaluationContext(
            editor, JudgeScores(judge, clock), chosen, asked, seed, bar, clock=clock, networks=networks,
            everything=faces, recovery=recovery,
        )  # fmt: skip
        for name in set(asked) - set(context.labelled):
            context.results.not_computed[f"*.{name}.*"] = "these faces have no label for the attribute"
        measure_families(context)
        pictures = _strips(context)
        bar.describe("evaluated")
        bar.finish()
    seconds = time.perf_counter() - started
    context.results.values["cost.wall_seconds"] = exact(seconds)
    context.results.values["cost.images_per_second"] = exact(context.scorer.images_scored / seconds)
    context.results.manifest = describe_evaluation(context, split, len(faces), limit, seconds, dependent)
    if second is not None:
        context.results.manifest |= {"second_judge": {"name": second.name, "weights_sha256": second.hashes}}
    if features is not None:
        facts = {"name": features.name, "weights_sha256": getattr(features, "sha256", None)}
        context.results.manifest |= {"features": facts}
        context.results.manifest["definitions"] |= {"realism": DEFINITION}
    if out is not None:
        write_report(context.results, pictures, out)
    return context.results


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


def _rows(editor: Editor, faces: Faces, split: str, seed: int, limit: int | None) -> NDArray[np.int64]:
    if faces.image_size != editor.image_size:
        raise VisagistError(
            f"these faces are {faces.image_size} pixels wide, {editor.name} edits {editor.image_size}: "
            f"load them with image_size={editor.image_size}"
        )
    if limit is not None and limit < 1:
        raise VisagistError(f"an evaluation needs at least 1 face, got limit={limit}")
    if editor.attributes and not set(editor.attributes) & set(with_derived(faces.names)):
        raise VisagistError(
            f"these faces have no label for {', '.join(editor.attributes)}, which {editor.name} edits: "
            "give faces that are labelled so"
        )
    return faces.sample(split, limit, seed)


def _units(attributes: int, number: int) -> float:
    """About how many edited images the work on so many attributes is worth; an image judged counts 2.5."""
    subset = min(number, 1000)
    each = 2 * 7 * number + len(consistency.STRENGTHS) * 3.5 * subset + 2 * subset + 2 * number
    return 8 * number + consistency.REPEATS * subset + attributes * each
