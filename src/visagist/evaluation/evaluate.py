"""`evaluate`: the whole protocol for one model, one judge and one split, in one pass."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.progress import Progress

from visagist.attributes import check_attributes, with_derived
from visagist.data.faces import Faces
from visagist.editing.editor import Editor
from visagist.errors import VisagistError
from visagist.evaluation.context import (
    CachedNetwork,
    EvaluationContext,
    JudgeLike,
    JudgeScores,
    Stopwatch,
    Track,
    progress_bar,
)
from visagist.evaluation.extractors.face_api_judge import FaceApiJudge
from visagist.evaluation.extractors.onnx import Embedder, OnnxClassifier
from visagist.evaluation.extractors.squeezenet import FeatureNetwork
from visagist.evaluation.independence import check_independence
from visagist.evaluation.manifest import describe_evaluation
from visagist.evaluation.metrics import consistency
from visagist.evaluation.metrics.classification import measure_classification, measure_judge
from visagist.evaluation.metrics.consistency import measure_calibration, measure_composition, measure_undo
from visagist.evaluation.metrics.cost import measure_cost
from visagist.evaluation.metrics.counterfactual import measure_counterfactual
from visagist.evaluation.metrics.decoder_recovery import measure_recovery
from visagist.evaluation.metrics.distribution import (
    DEFINITION,
    Features,
    measure_inception,
    measure_realism,
    measure_realism_of_edits,
)
from visagist.evaluation.metrics.edits import edit_faces, measure_edits
from visagist.evaluation.metrics.entanglement import measure_entanglement
from visagist.evaluation.metrics.identity import Recognised, measure_identity, measure_identity_of_edits
from visagist.evaluation.metrics.leakage import measure_leakage
from visagist.evaluation.metrics.reconstruction import measure_perceptual, measure_reconstruction, measure_sharpness
from visagist.evaluation.metrics.sampling import measure_acceptance
from visagist.evaluation.metrics.second_judge import measure_second
from visagist.evaluation.results import Metrics, Strip
from visagist.evaluation.statistics import exact
from visagist.evaluation.strips import strips
from visagist.files import check_writable
from visagist.reports.files import write_report


@dataclass(frozen=True)
class Networks:
    """What reads faces besides the judge; none of them reads the same pixels twice."""

    identity: CachedNetwork | None
    features: CachedNetwork | None
    classifier: OnnxClassifier | None
    second: FaceApiJudge | None


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
    progress: Progress | bool | None = None,
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
    with running_bar(progress) as bar:
        track = Track(bar, _units(len(asked), len(chosen)))
        context = EvaluationContext(editor, JudgeScores(judge, clock), chosen, asked, seed, track, clock=clock)
        pictures = _measure(context, networks, faces, recovery)
        track.finish()
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


def _measure(context: EvaluationContext, networks: Networks, everything: Faces, recovery: int) -> list[Strip]:
    """Every family of metrics, into the results; returns the pictures."""
    labelled = [name for name in context.attributes if name in with_derived(context.faces.names)]
    for name in set(context.attributes) - set(labelled):
        context.results.not_computed[f"*.{name}.*"] = "these faces have no label for the attribute"
    of = context.clock.of
    with of("reconstruction"):
        measure_reconstruction(context)
    with of("classification"):
        _score_unedited(context)
        measure_judge(context, labelled)
        measure_classification(context, labelled)
    with of("identity"):
        people = measure_identity(context, networks.identity)
    with of("realism"):
        photographs = measure_realism(context, networks.features, everything)
        measure_perceptual(context, None if networks.features is None else networks.features.network)
    _measure_editing(context, labelled, networks, people, photographs)
    with of("leakage"):
        for name in labelled:
            measure_leakage(context, name)
    with of("recovery"):
        measure_recovery(context, labelled, everything, recovery)
    with of("entanglement"):
        measure_entanglement(context)
    with of("sampling"):
        for name in labelled:
            measure_acceptance(context, name)
    with of("sharpness"):
        measure_sharpness(context)
    with of("inception"):
        measure_inception(context, networks.classifier)
    with of("cost"):
        measure_cost(context)
    with of("pictures"):
        return [strip for name in labelled for strip in strips(context, name)] if context.can("edit") else []


def _measure_editing(
    context: EvaluationContext,
    labelled: list[str],
    networks: Networks,
    people: Recognised | None,
    photographs: Features | None,
) -> None:
    missing, of = context.results.not_computed, context.clock.of
    if not context.can("edit"):
        missing["edit.*"] = missing["counterfactual.*"] = f"{context.editor.backend.name} does not edit"
        return
    with of("composition"):
        measure_composition(context)
    for name in labelled:
        with of("edits"):
            edits = edit_faces(context, name)
            if context.scorer.knows(name):
                measure_edits(context, name, edits)
                measure_calibration(context, name, edits)
            else:
                missing[f"edit.{name}.success_*"] = f"{context.scorer.judge.name} does not know the attribute"
        with of("second judge"):
            measure_second(context, name, edits, networks.second)
        with of("composition"):
            measure_undo(context, name, edits)
        if networks.identity is not None and people is not None:
            with of("identity"):
                measure_identity_of_edits(context, name, edits, networks.identity, people)
        if networks.features is not None and photographs is not None:
            with of("realism"):
                measure_realism_of_edits(context, name, edits, networks.features, photographs)
    with of("counterfactual"):
        measure_counterfactual(context, labelled)


def _score_unedited(context: EvaluationContext) -> None:
    context.track.stage("judging photographs and reconstructions")
    context.photo_scores = context.scorer.photographs(context.faces.images)
    context.track.advance(2.5 * len(context.faces))
    unedited = []
    for rows in context.chunks():
        unedited.append(context.scorer.score(context.unedited[rows]))
        context.track.advance(2.5 * len(unedited[-1]))
    context.unedited_scores = np.concatenate(unedited)


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


@contextlib.contextmanager
def running_bar(progress: Progress | bool | None) -> Iterator[Progress | None]:
    """The bar to draw on: the one that is given, one of its own for True, else none."""
    if isinstance(progress, Progress):
        yield progress
    elif progress:
        with progress_bar() as bar:
            yield bar
    else:
        yield None
