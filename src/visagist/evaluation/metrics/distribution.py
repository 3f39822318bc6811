"""How far a set of made faces lies from a set of photographs: Fréchet and kernel distances of a network's features.

Called FID only with the standard Inception weights; here the network's name is part of the key. Beside every distance
stands the floor: photographs against other photographs.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from visagist.evaluation.context import CHUNK, CachedNetwork, EvaluationContext, Images
from visagist.evaluation.results import Metric
from visagist.evaluation.statistics import Measure, jackknife, mean_ci
from visagist.latent.backend import method_name

Features = NDArray[np.float64]
GROUPS = 10  # of the jackknife
KERNEL_SETS, KERNEL_SIZE = 50, 500
LEAST = 50  # faces, below which a distance of 512 features says nothing
HOW = "no feature network: give --features squeezenet11:FILE.h5 or FILE.onnx (in Python features=load_features(…))"
INCEPTION_IMAGES = 2000  # images, as of Hou et al. (2019)
HOW_CLASSIFIER = "no ImageNet classifier: give --classifier FILE.onnx (in Python classifier=OnnxClassifier('file.onnx'))"
DEFINITION = (
    "Fréchet distance of features' means and covariances, interval by a jackknife over 10 groups; it falls with n, so only "
    "equal n compare. KID: unbiased squared MMD, cubic kernel, mean of 50 draws of up to 500, interval over draws"
)
METRICS = (
    Metric("realism.{network}.reconstruction.frechet", "{network}: reconstruction, frechet", better="lower", pages={
        "realism": "", "comparison": "Fréchet distance of reconstructions",
    }),
    Metric("realism.{network}.reconstruction.kid", "{network}: reconstruction, kid", better="lower", pages={"realism": ""}),
    Metric("realism.{network}.samples.frechet", "{network}: samples, frechet", better="lower", pages={
        "realism": "", "comparison": "of samples",
    }),
    Metric("realism.{network}.samples.kid", "{network}: samples, kid", better="lower", pages={"realism": ""}),
    Metric("realism.{network}.floor.frechet", "{network}: floor, frechet", better="lower", pages={
        "realism": "", "comparison": "of other photographs",
    }),
    Metric("realism.{network}.floor.kid", "{network}: floor, kid", better="lower", pages={"realism": ""}),
    *(
        Metric(f"realism.{{network}}.{{A}}.to_{value}.{kind}", f"{{network}}: {{A}}, to {value}, {kind}", better="lower",
               pages={"realism": ""})
        for value in (0, 1) for kind in ("frechet", "kid")
    ),
    Metric("inception.{network}.photographs", "inception score of the photographs by {network}"),
    Metric("inception.{network}.samples", "inception score of samples by {network}"),
)  # fmt: skip


def frechet_distance(a: Features, b: Features) -> float:
    """|mean_a − mean_b|² + tr(C_a + C_b − 2 (C_a C_b)^½) of features [N, D] and [M, D] (Heusel et al., 2017, eq. 6)."""
    difference = a.mean(0) - b.mean(0)
    cov_a, cov_b = (np.atleast_2d(np.cov(x, rowvar=False)) for x in (a, b))
    values, vectors = np.linalg.eigh(cov_a)
    root = (vectors * np.sqrt(values.clip(0))) @ vectors.T
    # C_a C_b has the eigenvalues of C_a^½ C_b C_a^½, which is symmetric.
    shared = np.sqrt(np.linalg.eigvalsh(root @ cov_b @ root).clip(0)).sum()
    return float(difference @ difference + np.trace(cov_a) + np.trace(cov_b) - 2 * shared)


def frechet_measure(a: Features, b: Features, seed: int = 0) -> Measure:
    """The distance with a 95 % interval from leaving out a tenth of either set at a time."""
    whole = frechet_distance(a, b)
    rng = np.random.default_rng(seed)
    parts = [rng.permutation(len(x)) % GROUPS for x in (a, b)]
    left = [frechet_distance(a[parts[0] != g], b[parts[1] != g]) for g in range(GROUPS)]
    return jackknife(whole, left, min(len(a), len(b)))


def kernel_distances(a: Features, b: Features, seed: int = 0) -> Features:
    """Unbiased squared MMD with the kernel (x·y / D + 1)³ for each of 50 draws (Bińkowski et al., 2018, §4)."""
    rng, size = np.random.default_rng(seed), min(len(a), len(b), KERNEL_SIZE)
    distances = []
    for _ in range(KERNEL_SETS):
        x, y = (part[rng.choice(len(part), size, replace=False)] for part in (a, b))
        xx, yy, xy = ((p @ q.T / p.shape[1] + 1) ** 3 for p, q in ((x, x), (y, y), (x, y)))
        within = (xx.sum() - np.trace(xx) + yy.sum() - np.trace(yy)) / (size * (size - 1))
        distances.append(within - 2 * xy.mean())
    return np.array(distances)


def measure_realism(context: EvaluationContext) -> None:
    """`realism.NETWORK.*` but for edits: reconstructions and samples against photographs, and these against others."""
    results, features = context.results, context.networks.features
    if features is None:
        results.not_computed["realism.*"] = HOW
        return
    if len(context.faces) < LEAST:
        results.not_computed["realism.*"] = f"{len(context.faces)} faces are too few: at least {LEAST} are needed"
        return
    context.progress.describe("realism")
    key, photos = f"realism.{features.name}", _read_photographs(context, features, context.faces.images)
    if context.can("autoencode"):
        _compare(context, f"{key}.reconstruction", _read(context, features, context.unedited), photos)
    else:
        results.not_computed[f"{key}.reconstruction.*"] = f"{context.editor.backend.name} has no autoencoder"
    first, second = _photographs(context, features, photos)
    _compare(context, f"{key}.floor", first, second)
    if context.can("generate"):
        _compare(context, f"{key}.samples", _read(context, features, context.samples), photos)


def measure_realism_of_edits(context: EvaluationContext, attribute: str) -> None:
    """`realism.NETWORK.A.*`: edits at the paper's setting against real faces of the class that they are edited to."""
    features = context.networks.features
    if features is None or len(context.faces) < LEAST:
        return
    edits, labels = context.edits(attribute), context.labels(attribute)
    context.progress.describe(f"{attribute}: realism")
    photos = features.photographs(context.faces.images).astype(np.float64)
    for value in (0, 1):
        key, start, goal = f"realism.{features.name}.{attribute}.to_{value}", labels != value, labels == value
        if min(start.sum(), goal.sum()) < LEAST:
            context.results.not_computed[f"{key}.*"] = f"fewer than {LEAST} faces on one side"
        else:
            _compare(context, key, _read(context, features, edits.paper[start]), photos[goal])


def _compare(context: EvaluationContext, key: str, a: Features, b: Features) -> None:
    context.results.values[f"{key}.frechet"] = frechet_measure(a, b, context.seed)
    kernel = mean_ci(kernel_distances(a, b, context.seed), context.seed)
    kernel["n"] = min(len(a), len(b))
    context.results.values[f"{key}.kid"] = kernel


def _photographs(context: EvaluationContext, features: CachedNetwork, photos: Features) -> tuple[Features, Features]:
    """These photographs and as many of the source's other ones; two halves of these where there are too few others."""
    everything, mine = context.everything or context.faces, set(context.faces.files)
    others = np.array([row for row, file in enumerate(everything.files) if file not in mine], np.int64)
    rng = np.random.default_rng(context.seed)
    if len(others) >= len(photos):
        rows = np.sort(rng.permutation(others)[: len(photos)])
        return photos, _read_photographs(context, features, everything.images[rows])
    order = rng.permutation(len(photos))
    missing = context.results.not_computed
    missing[f"realism.{features.name}.floor at full n"] = "too few other faces: the floor is of two halves of these"
    return photos[order[: len(order) // 2]], photos[order[len(order) // 2 :]]


def _read(context: EvaluationContext, features: CachedNetwork, images: Images) -> Features:
    """Features of images that a model made, which nobody asks about again."""
    parts = []
    for start in range(0, len(images), CHUNK):
        parts.append(np.asarray(features.network(np.ascontiguousarray(images[start : start + CHUNK])), np.float64))
        context.progress.advance(2.5 * len(parts[-1]))
    return np.concatenate(parts)


def _read_photographs(context: EvaluationContext, features: CachedNetwork, images: Images) -> Features:
    read = features.photographs(images).astype(np.float64)
    context.progress.advance(2.5 * len(images))
    return read


def inception_score(probabilities: NDArray[np.floating]) -> float:
    """The score of class probabilities [N, K]; from 1 to K."""
    p = np.asarray(probabilities, np.float64).clip(1e-12)
    return float(np.exp((p * (np.log(p) - np.log(p.mean(0)))).sum(1).mean()))


def measure_inception(context: EvaluationContext) -> None:
    """`inception.CLASSIFIER.*`: of samples and of the photographs, the same number of both."""
    results, classifier = context.results, context.networks.classifier
    if classifier is None:
        results.not_computed["inception.*"] = HOW_CLASSIFIER
        return
    key = f"inception.{classifier.name}"
    context.progress.describe("inception score")
    photographs = context.faces.images[:INCEPTION_IMAGES]
    results.values[f"{key}.photographs"] = _measured(classifier(photographs), context.seed)
    if context.can("generate"):
        results.values[f"{key}.samples"] = _measured(classifier(context.samples[:INCEPTION_IMAGES]), context.seed)
    else:
        results.not_computed[f"{key}.samples"] = f"{method_name(context.editor)} does not generate"


def _measured(probabilities: NDArray[np.floating], seed: int) -> Measure:
    """The score with a 95 % interval from leaving out a tenth at a time; it grows with n, so only equal n compare."""
    whole = inception_score(probabilities)
    groups = np.random.default_rng(seed).permutation(len(probabilities)) % GROUPS
    left = [inception_score(probabilities[groups != g]) for g in range(GROUPS) if (groups == g).any()]
    return jackknife(whole, left, len(probabilities), least=1.0)
