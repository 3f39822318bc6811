"""Attributes read from codes: linear SVMs on the latents of one model, and of several side by side.

    multi-view: the posterior means of all models, one after the other, are a face's features   (Hou et al., 2019, §4.3.4)

One SVM an attribute, fitted on training faces and scored on a split that none of them saw.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import joblib
import numpy as np
from numpy.typing import NDArray
from sklearn.svm import LinearSVC

from visagist.data.faces import Faces
from visagist.editing.editor import Editor
from visagist.errors import VisagistError
from visagist.evaluation.manifest import build_manifest, check_told_apart, data_facts, model_facts
from visagist.evaluation.metrics.classification import agreement
from visagist.evaluation.results import Metric, Metrics, Result
from visagist.evaluation.session import Session
from visagist.evaluation.statistics import balanced_mean_ci, mean_balanced_ci, mean_ci
from visagist.latent.backend import method_name
from visagist.latent.codes import check_has_codes, check_size, encode_images
from visagist.progress import Progress, ProgressLike, progress_of

ALL_VIEWS, MAJORITY, OWN = "all views", "commoner answer", "own classifier"
PENALTY, ITERATIONS = 0.01, 2000  # C of the SVM, for codes of unit variance
METRICS = tuple(
    Metric(f"recognition.{{view}}.{of}{measure}", f"{mean}{measure.replace('_', ' ')}", "share")
    for of, mean in (("{A}.", ""), ("", "mean "))
    for measure in ("accuracy", "balanced_accuracy")
)
Features = NDArray[np.float64]


def recognise(
    session: Session, train: int | None = None, progress: ProgressLike = None, attributes: Sequence[str] | None = None
) -> Result:
    """Accuracy and balanced accuracy of each attribute by each model's codes, and by all of them together.

    attributes  some that the faces are labelled with; None for all

    Keys are `recognition.VIEW.A.accuracy`, `….balanced_accuracy`, and without A their means over attributes; views are
    the models' names, `all views` where there are several, and `commoner answer`, which no face is looked at for. Of a model
    that classifies, such as IFcVAE-GAN by its E_y, `NAME, own classifier` has the attributes that it knows.
    Attributes of which a class is absent in training are left out and named. The SVMs are fitted on at most `train`
    training faces, drawn by the seed; None for all. VisagistError for models without codes, of different sizes or of one
    name, and for a split in training.
    """
    started = time.perf_counter()
    editors, faces, settings = session.editors, session.faces[0], session.settings
    seed = settings.seed
    _check(editors, faces, settings.split)
    if attributes is not None:
        faces = faces.with_attributes(attributes)
    rows = [faces.sample("train", train, seed), faces.sample(settings.split, settings.limit, seed)]
    views: dict[str, list[Features]] = {}
    for editor in editors:
        views[editor.name] = [_codes(editor, faces, part) for part in rows]
    if len(views) > 1:
        views[ALL_VIEWS] = [np.concatenate(parts, axis=1) for parts in zip(*views.values())]
    labels = [np.asarray(faces.labels[part]).astype(bool) for part in rows]
    results = Metrics()
    known = _learnable_columns(faces.names, labels[0], results)
    commoner = labels[0].mean(0) > 0.5
    _score(results, MAJORITY, faces, known, (labels[1] == commoner)[:, known], labels[1], seed)
    with progress_of(progress, "fitting SVMs") as bar:
        bar.stage("fitting SVMs", len(views) * len(known))
        for view, codes in views.items():
            _score(results, view, faces, known, _fit_svms(codes, labels, known, bar), labels[1], seed)
        bar.finish()
    own = _own_classifiers(results, editors, faces, rows[1], seed)
    facts = {
        "views": [MAJORITY, *views, *own],
        "attributes": [faces.names[c] for c in known],
        "models": [
            {**model_facts(e), "method": method_name(e), "latent": views[e.name][0].shape[1]} for e in editors
        ],
        "data": {**data_facts(faces, settings), "n": len(rows[1]), "training_faces": len(rows[0])},
        "svm": {"loss": "squared hinge", "penalty": "l2", "C": PENALTY, "features": "codes, each dimension of variance 1"},
        "seed": seed,
    }  # fmt: skip
    results.manifest = build_manifest(facts, time.perf_counter() - started)
    return Result(results)


def _learnable_columns(names: Sequence[str], labels: NDArray[np.bool_], results: Metrics) -> list[int]:
    """The columns of the training labels [N, A] with both classes; the other attributes are noted in the results."""
    known = []
    for column, name in enumerate(names):
        if labels[:, column].all() or not labels[:, column].any():
            results.not_computed[f"recognition.*.{name}.*"] = "the training faces are all of one class"
        else:
            known.append(column)
    if not known:
        raise VisagistError("the training faces have no attribute with both classes: give more faces")
    return known


def _fit_svms(
    codes: Sequence[Features], labels: Sequence[NDArray[np.bool_]], known: Sequence[int], progress: Progress
) -> NDArray[np.bool_]:
    """Whether an SVM for each column in `known`, fitted on the first codes and labels, is right on the second [N, K]."""
    fitted, scored = _standardise(*codes)
    fits = (joblib.delayed(_correct)(fitted, labels[0][:, c], scored, labels[1][:, c]) for c in known)
    right = []
    for correct in joblib.Parallel(n_jobs=-1, prefer="threads", return_as="generator")(fits):
        right.append(correct)
        progress.advance()
    return np.stack(right, axis=1)


def _own_classifiers(
    results: Metrics, editors: Sequence[Editor], faces: Faces, rows: NDArray[np.int64], seed: int
) -> list[str]:
    """A view for each model that classifies, `NAME, own classifier`, of the attributes it knows; no means over them."""
    views = []
    for editor in editors:
        names = [name for name in editor.attributes if name in faces.names]
        if not editor.can("classify") or not names:
            continue
        views.append(f"{editor.name}, {OWN}")
        parts = [editor.classify(faces.images[part]) for part in _parts(rows)]
        for name in names:
            read = np.concatenate([part[name] for part in parts])
            agreement(results, f"recognition.{views[-1]}.{name}", read, faces.column(name)[rows].astype(bool), seed)
    return views


def _check(editors: Sequence[Editor], faces: Faces, split: str) -> None:
    if split in ("train", "all"):
        raise VisagistError(f"the SVMs are fitted on training faces, so the split {split} says nothing: take test or val")
    check_told_apart(editors)
    for editor in editors:
        check_has_codes(editor, "recognition")
        check_size(editor, faces.images)


def _codes(editor: Editor, faces: Faces, rows: NDArray[np.int64]) -> Features:
    parts = [encode_images(editor, faces.images[part]).z.double().numpy() for part in _parts(rows)]
    return np.concatenate(parts)


def _parts(rows: NDArray[np.int64], size: int = 1024) -> list[NDArray[np.int64]]:
    return [rows[start : start + size] for start in range(0, len(rows), size)]


def _standardise(train: Features, test: Features) -> tuple[Features, Features]:
    """Both with the training codes' mean taken away and divided by their deviation; a dimension that stands still is 0."""
    mean, deviation = train.mean(0), train.std(0)
    scale = np.where(deviation > 1e-8, deviation, np.inf)
    return (train - mean) / scale, (test - mean) / scale


def _correct(train: Features, present: NDArray[np.bool_], test: Features, truth: NDArray[np.bool_]) -> NDArray[np.bool_]:
    svm = LinearSVC(C=PENALTY, dual=False, max_iter=ITERATIONS).fit(train, present)
    return np.asarray(svm.predict(test) == truth)


def _score(
    results: Metrics,
    view: str,
    faces: Faces,
    known: Sequence[int],
    right: NDArray[np.bool_],
    labels: NDArray[np.bool_],
    seed: int,
) -> None:
    """Add the measures of one view: `right` [N, K] for the columns `known` of labels [N, A]."""
    mixed = []
    for number, column in enumerate(known):
        key, truth = f"recognition.{view}.{faces.names[column]}", labels[:, column]
        results.values[f"{key}.accuracy"] = mean_ci(right[:, number], seed)
        if truth.all() or not truth.any():
            results.not_computed[f"{key}.balanced_accuracy"] = "these faces are all of one class"
            continue
        results.values[f"{key}.balanced_accuracy"] = balanced_mean_ci(right[:, number], truth, seed)
        mixed.append(number)
    results.values[f"recognition.{view}.accuracy"] = mean_ci(right.mean(1), seed)
    if mixed:
        truths = labels[:, [known[number] for number in mixed]]
        results.values[f"recognition.{view}.balanced_accuracy"] = mean_balanced_ci(right[:, mixed], truths, seed)
