"""Is it still a face, by the landmark network; and the same person, by cosines of a face-recognition embedding."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from visagist.data.crops import template
from visagist.evaluation.context import EvaluationContext, Images
from visagist.evaluation.extractors.onnx import Embedder
from visagist.evaluation.results import Metric
from visagist.evaluation.statistics import Measure, mean_ci, pair_mean_ci
from visagist.faces.landmarks import LANDMARK_MODEL, SURE_FACE, score_faces_at
from visagist.pretrained import shipped_folder

HOW = (
    "no identity embedder: give --identity FACE.onnx (pip install visagist[identity]), or in Python "
    "identity=OnnxEmbedder('face.onnx') or a callable"
)
PAIRS = 2000
LOOKED_AT = 32  # of the subset, for whether they are faces
METRICS = (
    Metric("faces.photographs", "photographs that show a face", "share", pages={"general": ""}),
    Metric("faces.reconstruction", "reconstructions that show a face", "share", pages={
        "general": "", "tiles": "of reconstructions show a face",
    }),
    Metric("faces.{A}.edit", "edits that show a face", "share", pages={"effects": ""}),
    Metric("identity.reconstruction", "identity cosine, photograph and reconstruction", pages={
        "general": "", "comparison": "identity of reconstructions",
    }),
    Metric("identity.same_person", "identity cosine, same person", pages={"general": ""}),
    Metric("identity.different_people", "identity cosine, different people", better="lower", pages={"general": ""}),
    Metric("identity.{A}.edit", "identity cosine, photograph and edit", pages={
        "effects": "", "tiles": "identity cosine of photograph and edit ({A})",
    }),
    Metric("identity.{A}.at_strength.edit", "the same at strength ±1", pages={"effects": ""}),
    Metric("identity.{A}.drop", "drop from the reconstruction's", better="lower", pages={"effects": ""}),
    Metric("identity.{A}.at_strength.drop", "drop from the reconstruction's, at strength ±1", better="lower"),
)  # fmt: skip


def measure_faces(context: EvaluationContext) -> None:
    """`faces.photographs` and `faces.reconstruction`, on some faces: the share in which a landmark network sees a face."""
    if shipped_folder(LANDMARK_MODEL) is None:
        context.results.not_computed["faces.*"] = f"{LANDMARK_MODEL}, which sees faces, is not in the zoo"
        return
    rows, values = context.subset()[:LOOKED_AT], context.results.values
    values["faces.photographs"] = _show_faces(context, context.faces.images[rows])
    if context.can("autoencode"):
        values["faces.reconstruction"] = _show_faces(context, context.unedited[rows])
    else:
        context.results.not_computed["faces.reconstruction"] = f"{context.editor.backend.name} has no autoencoder"


def measure_faces_of_edits(context: EvaluationContext, attribute: str) -> None:
    """`faces.A.edit`, at the paper's setting, to the class that a face is not of."""
    if shipped_folder(LANDMARK_MODEL) is None:
        return
    rows = context.subset()[:LOOKED_AT]
    context.results.values[f"faces.{attribute}.edit"] = _show_faces(context, context.edits(attribute).paper[rows])


def _show_faces(context: EvaluationContext, images: Images) -> Measure:
    usual = template(context.faces.manifest.get("crop"), images.shape[1]).astype(np.float32)
    return mean_ci(score_faces_at(images, usual) >= SURE_FACE, context.seed)


def cosine(a: NDArray[np.floating], b: NDArray[np.floating]) -> NDArray[np.float64]:
    """Cosines [N] between the rows of a and b, both [N, D]."""
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    return (a * b).sum(1) / (np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)).clip(1e-12)


def measure_identity(context: EvaluationContext) -> None:
    """`identity.*` but for edits, on a subset: photograph against reconstruction, what same and different people give."""
    values, embed = context.results.values, context.networks.identity
    if embed is None:
        context.results.not_computed["identity.*"] = HOW
        return
    context.progress.describe("identity")
    rows = context.subset()
    photos = embed.photographs(context.faces.images[rows])
    if context.can("autoencode"):
        values["identity.reconstruction"] = mean_ci(cosine(photos, embed(context.unedited[rows])), context.seed)
    else:
        context.results.not_computed["identity.reconstruction"] = f"{context.editor.backend.name} has no autoencoder"
    _people(context, rows, photos)


def measure_identity_of_edits(context: EvaluationContext, attribute: str) -> None:
    """`identity.A.*`: photograph against edit, at the paper's setting and at strength ±1."""
    embed = context.networks.identity
    if embed is None:
        return
    edits, rows, values = context.edits(attribute), context.subset(), context.results.values
    context.progress.describe(f"{attribute}: identity")
    photos = embed.photographs(context.faces.images[rows])
    unedited = cosine(photos, embed(context.unedited[rows])) if context.can("autoencode") else None
    for key, faces in (("", edits.paper[rows]), ("at_strength.", edits.ends)):
        edited = cosine(photos, embed(faces))
        values[f"identity.{attribute}.{key}edit"] = mean_ci(edited, context.seed)
        if unedited is not None:
            values[f"identity.{attribute}.{key}drop"] = mean_ci(unedited - edited, context.seed)


def _people(context: EvaluationContext, rows: NDArray[np.int64], photos: NDArray[np.float32]) -> None:
    """Cosines between photographs of the same person and of different people, where it is known who is who."""
    if context.faces.identity is None:
        context.results.not_computed["identity.same_person"] = "the data do not say who is who"
        context.results.not_computed["identity.different_people"] = "the data do not say who is who"
        return
    people, rng = context.faces.identity[rows], np.random.default_rng(context.seed)
    first, second = np.triu_indices(len(people), 1)
    same = people[first] == people[second]
    for name, pairs in (("same_person", np.flatnonzero(same)), ("different_people", np.flatnonzero(~same))):
        if len(pairs) == 0:
            context.results.not_computed[f"identity.{name}"] = "no such pair among these faces"
            continue
        drawn = rng.permutation(pairs)[:PAIRS]
        cosines = cosine(photos[first[drawn]], photos[second[drawn]])
        context.results.values[f"identity.{name}"] = pair_mean_ci(
            cosines, people[first[drawn]], people[second[drawn]], context.seed
        )


def kept(photos: Images, unedited: Images, edited: Images, identity: Embedder) -> tuple[NDArray, NDArray]:
    """Cosines [N] of photograph and edit, and what that is less than of photograph and reconstruction."""
    start = identity(photos)
    after = cosine(start, identity(edited))
    return after, cosine(start, identity(unedited)) - after
