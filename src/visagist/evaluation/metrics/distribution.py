"""How far a set of made faces lies from a set of photographs: Fréchet and kernel distances of a network's features.

Called FID only with the standard Inception weights; here the network's name is part of the key. Beside every distance
stands the floor: photographs against other photographs.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from visagist.data.faces import Faces
from visagist.evaluation.context import CHUNK, Images, Once, Study
from visagist.evaluation.extractors.onnx import OnnxClassifier
from visagist.evaluation.metrics.edits import Edits
from visagist.evaluation.statistics import Measure, jackknifed, mean_of

Features = NDArray[np.float64]
GROUPS = 10  # of the jackknife
KERNEL_SETS, KERNEL_SIZE = 50, 500
LEAST = 50  # faces, below which a distance of 512 features says nothing
HOW = "no feature network: give --features squeezenet11:FILE.h5 or FILE.onnx (in Python features=load_features(…))"
DEFINITION = (
    "Fréchet distance of features' means and covariances, interval by a jackknife over 10 groups; it falls with n, so only "
    "equal n compare. KID: unbiased squared MMD, cubic kernel, mean of 50 draws of up to 500, interval over draws"
)


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
    return jackknifed(whole, left, min(len(a), len(b)))


def kernel_distances(a: Features, b: Features, seed: int = 0) -> Features:
    """Unbiased squared MMD with the kernel (x·y / D + 1)³ for each of 50 draws (Bińkowski et al., 2018, §4)."""
    rng, size = np.random.default_rng(seed), min(len(a), len(b), KERNEL_SIZE)
    found = []
    for _ in range(KERNEL_SETS):
        x, y = (part[rng.choice(len(part), size, replace=False)] for part in (a, b))
        xx, yy, xy = ((p @ q.T / p.shape[1] + 1) ** 3 for p, q in ((x, x), (y, y), (x, y)))
        within = (xx.sum() - np.trace(xx) + yy.sum() - np.trace(yy)) / (size * (size - 1))
        found.append(within - 2 * xy.mean())
    return np.array(found)


def measure_realism(study: Study, features: Once | None, everything: Faces) -> Features | None:
    """`realism.NETWORK.*` but for edits: reconstructions and samples against photographs, and these against others.

    Returns the features of the photographs, for what edits are compared with; None where it cannot be computed.
    """
    results = study.results
    if features is None:
        results.not_computed["realism.*"] = HOW
        return None
    if len(study.faces) < LEAST:
        results.not_computed["realism.*"] = f"{len(study.faces)} faces are too few: at least {LEAST} are needed"
        return None
    study.track.stage("realism")
    photos = _read_photographs(study, features, study.faces.images)
    if study.can("autoencode"):
        _compare(study, f"realism.{features.name}.reconstruction", _read(study, features, study.unedited), photos)
    else:
        results.not_computed[f"realism.{features.name}.reconstruction.*"] = f"{study.editor.method.name} has no autoencoder"
    first, second = _photographs(study, features, photos, everything)
    _compare(study, f"realism.{features.name}.floor", first, second)
    if study.can("generate"):
        samples = _read(study, features, study.samples)
        _compare(study, f"realism.{features.name}.samples", samples, photos)
    return photos


def measure_realism_of_edits(study: Study, attribute: str, edits: Edits, features: Once, photos: Features) -> None:
    """`realism.NETWORK.A.*`: edits at the paper's setting against real faces of the class that they are edited to."""
    study.track.stage(f"{attribute}: realism")
    labels = study.labels(attribute)
    for value in (0, 1):
        key, start, goal = f"realism.{features.name}.{attribute}.to_{value}", labels != value, labels == value
        if min(start.sum(), goal.sum()) < LEAST:
            study.results.not_computed[f"{key}.*"] = f"fewer than {LEAST} faces on one side"
        else:
            _compare(study, key, _read(study, features, edits.paper[start]), photos[goal])


def _compare(study: Study, key: str, a: Features, b: Features) -> None:
    study.results.values[f"{key}.frechet"] = frechet_measure(a, b, study.seed)
    kernel = mean_of(kernel_distances(a, b, study.seed), study.seed)
    kernel["n"] = min(len(a), len(b))
    study.results.values[f"{key}.kid"] = kernel


def _photographs(study: Study, features: Once, photos: Features, everything: Faces) -> tuple[Features, Features]:
    """These photographs and as many of the source's other ones; two halves of these where there are too few others."""
    mine = set(study.faces.files)
    others = np.array([row for row, file in enumerate(everything.files) if file not in mine], np.int64)
    rng = np.random.default_rng(study.seed)
    if len(others) >= len(photos):
        rows = np.sort(rng.permutation(others)[: len(photos)])
        return photos, _read_photographs(study, features, everything.images[rows])
    order = rng.permutation(len(photos))
    missing = study.results.not_computed
    missing[f"realism.{features.name}.floor at full n"] = "too few other faces: the floor is of two halves of these"
    return photos[order[: len(order) // 2]], photos[order[len(order) // 2 :]]


def _read(study: Study, features: Once, images: Images) -> Features:
    """Features of images that a model made, which nobody asks about again."""
    parts = []
    for start in range(0, len(images), CHUNK):
        parts.append(np.asarray(features.network(np.ascontiguousarray(images[start : start + CHUNK])), np.float64))
        study.track.advance(2.5 * len(parts[-1]))
    return np.concatenate(parts)


def _read_photographs(study: Study, features: Once, images: Images) -> Features:
    found = features.photographs(images).astype(np.float64)
    study.track.advance(2.5 * len(images))
    return found


NUMBER = 2000  # images, as of Hou et al. (2019)
HOW_inception = "no ImageNet classifier: give --classifier FILE.onnx (in Python classifier=OnnxClassifier('file.onnx'))"




def inception_score(probabilities: NDArray[np.floating]) -> float:
    """The score of class probabilities [N, K]; from 1 to K."""
    p = np.asarray(probabilities, np.float64).clip(1e-12)
    return float(np.exp((p * (np.log(p) - np.log(p.mean(0)))).sum(1).mean()))


def measure_inception(study: Study, classifier: OnnxClassifier | None) -> None:
    """`inception.CLASSIFIER.*`: of samples and of the photographs, of as many of either, at most `NUMBER`."""
    results = study.results
    if classifier is None:
        results.not_computed["inception.*"] = HOW_inception
        return
    key = f"inception.{classifier.name}"
    study.track.stage("inception score")
    photographs = study.faces.images[:NUMBER]
    results.values[f"{key}.photographs"] = _measured(classifier(photographs), study.seed)
    if study.can("generate"):
        results.values[f"{key}.samples"] = _measured(classifier(study.samples[:NUMBER]), study.seed)
    else:
        results.not_computed[f"{key}.samples"] = f"{study.editor.trained.name} does not generate"


def _measured(probabilities: NDArray[np.floating], seed: int) -> Measure:
    """The score with a 95 % interval from leaving out a tenth at a time; it grows with n, so only equal n compare."""
    whole = inception_score(probabilities)
    groups = np.random.default_rng(seed).permutation(len(probabilities)) % GROUPS
    left = [inception_score(probabilities[groups != g]) for g in range(GROUPS) if (groups == g).any()]
    return jackknifed(whole, left, len(probabilities), least=1.0)
