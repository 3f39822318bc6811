"""`evaluate`: the whole protocol for one model, one judge and one split, in one pass."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from rich.progress import Progress

from visagist.attributes import check_attributes, offered
from visagist.data.faces import Faces
from visagist.editing.editor import Editor
from visagist.errors import VisagistError
from visagist.evaluation import control
from visagist.evaluation.classification import measure_classification, measure_judge
from visagist.evaluation.control import measure_calibration, measure_composition, measure_undo
from visagist.evaluation.cost import measure_cost
from visagist.evaluation.counterfactual import measure_counterfactual
from visagist.evaluation.edits import measure_edits
from visagist.evaluation.features import FeatureNetwork
from visagist.evaluation.identity import Embedder, measure_identity
from visagist.evaluation.inception import OnnxClassifier, measure_inception
from visagist.evaluation.independence import check_independence
from visagist.evaluation.intervals import exactly
from visagist.evaluation.leakage import measure_leakage
from visagist.evaluation.manifest import describe_evaluation
from visagist.evaluation.pictures import strips
from visagist.evaluation.realism import DEFINITION, measure_realism
from visagist.evaluation.reconstruction import measure_reconstruction
from visagist.evaluation.results import Metrics
from visagist.evaluation.sharpness import measure_sharpness
from visagist.evaluation.study import JudgeLike, Scorer, Study, Track, progress_bar
from visagist.evaluation.writing import check_writable, write_report


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
    progress: Progress | bool | None = None,
) -> Metrics:
    """Measure a model on the faces of a split, as an independent judge sees it.

    out        folder for `metrics.json`, `metrics.csv` and `report.html`; None writes nothing
    limit      at most so many faces, drawn by the seed
    attributes some of those that the model edits; all by default
    identity   embeddings [N, D] of uint8 faces, such as `OnnxEmbedder("face.onnx")`
    features   a feature network for `realism.*`, such as `load_features("squeezenet11:weights.h5")`
    classifier an ImageNet classifier for `inception.*`, such as `OnnxClassifier("classifier.onnx")`
    progress   True for a bar of its own, or a running rich bar to add a task to

    Raises VisagistError if the judge is not independent, if sizes, labels or attributes do not fit, or if `out` cannot be
    written.
    """
    started = time.perf_counter()
    check_independence(editor, judge)
    asked = editor.attributes if attributes is None else check_attributes(attributes, editor.attributes, editor.name)
    chosen = _chosen(editor, faces, split, seed, limit)
    if out is not None:
        check_writable(out)
    with running_bar(progress) as bar:
        study = Study(editor, Scorer(judge), chosen, asked, seed, Track(bar, _units(len(asked), len(chosen))))
        labelled = [name for name in asked if name in offered(chosen.names)]
        for name in set(asked) - set(labelled):
            study.results.not_computed[f"*.{name}.*"] = "these faces have no label for the attribute"
        measure_reconstruction(study)
        _score_unedited(study)
        per_attribute = measure_judge(study, labelled)
        measure_classification(study, labelled)
        _measure_editing(study, labelled, identity)
        for name in labelled:
            measure_leakage(study, name)
        measure_realism(study, labelled, features, faces)
        measure_sharpness(study)
        measure_inception(study, classifier)
        measure_cost(study)
        pictures = [strip for name in labelled for strip in strips(study, name)] if study.can("edit") else []
        study.track.finish()
    seconds = time.perf_counter() - started
    study.results.values["cost.wall_seconds"] = exactly(seconds)
    study.results.values["cost.images_per_second"] = exactly(study.scorer.images_scored / seconds)
    study.results.manifest = describe_evaluation(study, split, len(faces), limit, per_attribute, seconds)
    if features is not None:
        facts = {"name": features.name, "weights_sha256": getattr(features, "sha256", None)}
        study.results.manifest |= {"features": facts}
        study.results.manifest["definitions"] |= {"realism": DEFINITION}
    if out is not None:
        write_report(study.results, pictures, out)
    return study.results


def _measure_editing(study: Study, labelled: list[str], identity: Embedder | None) -> None:
    missing = study.results.not_computed
    if not study.can("edit"):
        missing["edit.*"] = missing["counterfactual.*"] = f"{study.editor.method.name} does not edit"
        measure_identity(study, [], identity)
        return
    measure_composition(study)
    for name in labelled:
        if study.scorer.knows(name):
            measure_edits(study, name)
            measure_calibration(study, name)
        else:
            missing[f"edit.{name}.success_*"] = f"{study.scorer.judge.name} does not know the attribute"
        measure_undo(study, name)
    measure_identity(study, labelled, identity)
    measure_counterfactual(study, labelled)


def _score_unedited(study: Study) -> None:
    study.track.stage("judging photographs and reconstructions")
    photos, unedited = [], []
    for rows in study.chunks():
        photos.append(study.scorer.score(study.faces.images[rows]))
        unedited.append(study.scorer.score(study.unedited[rows]))
        study.track.advance(5 * len(photos[-1]))
    study.photo_scores, study.unedited_scores = np.concatenate(photos), np.concatenate(unedited)


def _chosen(editor: Editor, faces: Faces, split: str, seed: int, limit: int | None) -> Faces:
    if faces.image_size != editor.image_size:
        raise VisagistError(
            f"these faces are {faces.image_size} pixels wide, {editor.name} edits {editor.image_size}: "
            f"load them with image_size={editor.image_size}"
        )
    if limit is not None and limit < 1:
        raise VisagistError(f"an evaluation needs at least 1 face, got limit={limit}")
    if editor.attributes and not set(editor.attributes) & set(offered(faces.names)):
        raise VisagistError(
            f"these faces have no label for {', '.join(editor.attributes)}, which {editor.name} edits: "
            "give faces that are labelled so"
        )
    return faces.take(faces.drawn(split, limit, seed))


def _units(attributes: int, number: int) -> float:
    """About how many edited images the work on so many attributes is worth; an image judged counts 2.5."""
    subset = min(number, 1000)
    each = 2 * 7 * number + len(control.STRENGTHS) * 3.5 * subset + 2 * subset + 2 * number
    return 8 * number + control.REPEATS * subset + attributes * each


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
