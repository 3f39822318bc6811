"""How far a set of made faces lies from a set of photographs: Fréchet and kernel distances of a network's features.

The network's name is part of the key. With Inception's weights of 2015 the figures stand under `fid.*`, `kid.*` and `is.*`
too. Beside every distance stands the floor: photographs against other photographs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from visagist.evaluation.context import CHUNK, CachedNetwork, EvaluationContext, Images
from visagist.evaluation.extractors.standard_networks import InceptionFeatures
from visagist.evaluation.results import Metric
from visagist.evaluation.statistics import NORMAL, Measure, exact, jackknife, student_reach
from visagist.latent.backend import method_name

Features = NDArray[np.float64]
GROUPS = 10  # of the jackknife
SUBSETS, SUBSET, SPLITS, SEED = 100, 1000, 10, 2020  # as torch-fidelity draws
LEAST = 50  # faces, below which a distance of 512 features says nothing
# Images of the larger and of the smaller set from which on intervals hold the truth within two points of 95 times of 100.
LEAST_WITH_INTERVAL = 400, 130
NO_INTERVAL = (
    f"distances of fewer than {LEAST_WITH_INTERVAL[0]} images, or from fewer than {LEAST_WITH_INTERVAL[1]}, have none: "
    "of 100 to 200 it held the truth 87 to 94 times of 100"
)
HOW = (
    "no feature network: give --features inception:FILE.pth, squeezenet11:FILE.h5 or FILE.onnx "
    "(in Python features=load_features(…))"
)
INCEPTION_IMAGES = 2000  # images, as of Hou et al. (2019)
HOW_CLASSIFIER = "no ImageNet classifier: give --classifier FILE.onnx (in Python classifier=OnnxClassifier('file.onnx'))"
DEFINITION = (
    "Fréchet distance of features' means and covariances, interval by a jackknife over 10 groups; it falls with n, so only "
    "equal n compare. KID: unbiased squared MMD of all images, cubic kernel, interval by its variance over images"
)
METRICS = (
    Metric("realism.{network}.reconstruction.frechet", "{network}: reconstructions to the same photographs, Fréchet",
           better="lower",
           pages={"realism": "", "comparison": "Fréchet distance of reconstructions to the same photographs"}),
    Metric("realism.{network}.reconstruction.kid", "{network}: reconstructions to the same photographs, KID",
           better="lower", pages={"realism": ""}),
    Metric("realism.{network}.reconstruction_to_others.frechet", "{network}: reconstructions to other photographs, Fréchet",
           better="lower", pages={"realism": "", "comparison": "of reconstructions to other photographs"}),
    Metric("realism.{network}.reconstruction_to_others.kid", "{network}: reconstructions to other photographs, KID",
           better="lower", pages={"realism": ""}),
    Metric("realism.{network}.samples.frechet", "{network}: samples, frechet", better="lower", pages={
        "realism": "", "comparison": "of samples",
    }),
    Metric("realism.{network}.samples.kid", "{network}: samples, kid", better="lower", pages={"realism": ""}),
    Metric("realism.{network}.floor.frechet", "{network}: floor, photographs to others, Fréchet", better="lower", pages={
        "realism": "", "comparison": "floor: of photographs to other photographs",
    }),
    Metric("realism.{network}.floor.kid", "{network}: floor, photographs to others, KID", better="lower",
           pages={"realism": ""}),
    *(
        Metric(f"realism.{{network}}.{{A}}.to_{value}.{kind}", f"{{network}}: {{A}}, to {value}, {kind}", better="lower",
               pages={"realism": ""})
        for value in (0, 1) for kind in ("frechet", "kid")
    ),
    Metric("inception.{network}.photographs", "inception score of the photographs by {network}"),
    Metric("inception.{network}.samples", "inception score of samples by {network}"),
    Metric("fid.{what}", "FID, {what}", better="lower", pages={"realism": ""}),
    Metric("kid.{what}", "KID, {what}", better="lower", pages={"realism": ""}),
    Metric("is.{what}", "inception score of {what}", pages={"realism": ""}),
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


def frechet_measure(
    a: Features, b: Features, seed: int = 0, paired: bool = False, alike: bool = False
) -> Measure:
    """The distance with a 95 % interval from leaving out a tenth of either set at a time.

    Where row i of both is of the same face (`paired`), what is left out of both are the same faces. `alike`: both sets are
    known to be of one law, as two sets of photographs are; then the distance is all of second order.
    """
    whole = frechet_distance(a, b)
    rng = np.random.default_rng(seed)
    parts = [rng.permutation(len(x)) % GROUPS for x in (a, b)]
    parts[1] = parts[0] if paired else parts[1]
    left = [frechet_distance(a[parts[0] != g], b[parts[1] != g]) for g in range(GROUPS)]
    return jackknife(whole, left, min(len(a), len(b)), counted=2 if alike else 1)


def kernel_measure(a: Features, b: Features, paired: bool = False, alike: bool = False) -> Measure:
    """Unbiased squared MMD with the kernel (x·y / D + 1)³ of all images (Bińkowski et al., 2018, §4), with a 95 % interval.

    The interval is of the images: of the variance of the projections onto one image, which is what a jackknife or a
    bootstrap over images sees and counts that of pairs twice; with less it holds too seldom. Where the distance is above
    its reach, the interval is of its root, which the MMD is, for the spread grows with the distance. `paired`: row i of both
    is of the same face, and such pairs say nothing of independent images, so they are left out. `alike`: both sets are
    known to be of one law, as two sets of photographs are, and pairs alone vary.
    """
    kernels = [(x @ y.T / x.shape[1] + 1) ** 3 for x, y in ((a, a), (b, b), (a, b))]
    if paired:
        moments = _paired_moments(kernels[0] + kernels[1] - kernels[2] - kernels[2].T)
    else:
        moments = _two_sample_moments(*kernels)
    reach = NORMAL * float(np.sqrt(moments.of_pairs if alike else max(moments.of_images, moments.of_pairs)))
    value = moments.value
    if value > reach and not alike:
        root, half = float(np.sqrt(value)), reach / (2 * float(np.sqrt(value)))
        low, high = (root - half) ** 2, (root + half) ** 2
    else:
        low, high = value - reach, value + reach
    return Measure(value=value, low=low, high=high, n=min(len(a), len(b)))


class _Moments(NamedTuple):
    """The squared MMD, and its variance by images, which counts that of pairs twice, and by pairs alone."""

    value: float
    of_images: float
    of_pairs: float


def _paired_moments(kernel: Features) -> _Moments:
    """Of the mean of a kernel [N, N] of pairs of images off its diagonal."""
    number, (mean, rows, pairs) = len(kernel), _moments(kernel)
    return _Moments(mean, 4 * float(rows.var(ddof=1)) / number, 2 * pairs / (number * (number - 1)))


def _two_sample_moments(xx: Features, yy: Features, xy: Features) -> _Moments:
    """Of two sets that have nothing to do with each other."""
    n, m = xy.shape
    (x, x_rows, x_pairs), (y, y_rows, y_pairs) = _moments(xx), _moments(yy)
    rows, columns, both = xy.mean(1), xy.mean(0), float(xy.mean())
    across = float(np.square(xy - rows[:, None] - columns + both).mean())
    of_images = 4 * float((x_rows - rows).var(ddof=1) / n + (y_rows - columns).var(ddof=1) / m)
    of_pairs = 2 * x_pairs / (n * (n - 1)) + 2 * y_pairs / (m * (m - 1)) + 4 * across / (n * m)
    return _Moments(x + y - 2 * both, of_images, of_pairs)


def _moments(kernel: Features) -> tuple[float, Features, float]:
    """Off the diagonal of a symmetric kernel [N, N]: the mean, means of rows [N], and the variance of pairs alone."""
    number = len(kernel)
    np.fill_diagonal(kernel, 0)
    rows = kernel.sum(1) / (number - 1)
    mean = float(rows.mean())
    centred = kernel - rows[:, None] - rows + mean
    np.fill_diagonal(centred, 0)
    return mean, rows, float(np.square(centred).sum()) / (number * (number - 1))


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
    floor = _photographs(context, features, photos)
    if context.can("autoencode"):
        rebuilt = _read(context, features, context.unedited)
        _compare(context, f"{key}.reconstruction", rebuilt, photos, paired=True)
        _compare_with_others(context, f"{key}.reconstruction_to_others", rebuilt, floor.second, photos)
    else:
        for name in ("reconstruction", "reconstruction_to_others"):
            results.not_computed[f"{key}.{name}.*"] = f"{context.editor.backend.name} has no autoencoder"
    _compare(context, f"{key}.floor", floor.first, floor.second, alike=floor.alike)
    standard = features.network if isinstance(features.network, InceptionFeatures) and features.network.standard else None
    if standard is not None:
        results.values["is.photographs"] = inception_score_of_splits(standard.logits(photos))
    if context.can("generate"):
        samples = _read(context, features, context.samples)
        _compare(context, f"{key}.samples", samples, photos)
        if standard is not None:
            results.values["is.samples"] = inception_score_of_splits(standard.logits(samples))


def _compare_with_others(
    context: EvaluationContext, key: str, rebuilt: Features, others: Features, photos: Features
) -> None:
    """Reconstructions against other photographs, as many: what the printed floor is the floor of."""
    if len(others) == len(photos):
        _compare(context, key, rebuilt, others)
    else:
        context.results.not_computed[f"{key}.*"] = f"it needs {len(photos)} other photographs"


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


def _compare(
    context: EvaluationContext, key: str, a: Features, b: Features, *, paired: bool = False, alike: bool = False
) -> None:
    values, network = context.results.values, context.networks.features
    frechet, kid = frechet_measure(a, b, context.seed, paired, alike), kernel_measure(a, b, paired, alike)
    if not has_interval(len(a), len(b)):
        context.results.not_computed[f"{key}.*: intervals"] = NO_INTERVAL
        frechet, kid = (exact(measure["value"], measure["n"]) for measure in (frechet, kid))
    values[f"{key}.frechet"], values[f"{key}.kid"] = frechet, kid
    if network is not None and isinstance(network.network, InceptionFeatures) and network.network.standard:
        what = key.removeprefix(f"realism.{network.name}.")
        values[f"fid.{what}"] = values[f"{key}.frechet"]
        near, moved = values[f"{key}.kid"], kernel_distance_of_subsets(a, b) - values[f"{key}.kid"]["value"]
        values[f"kid.{what}"] = Measure(
            value=near["value"] + moved, low=near["low"] + moved, high=near["high"] + moved, n=near["n"]
        )


def has_interval(first: int, second: int) -> bool:
    """Whether distances of so many images have an interval that holds what it says."""
    largest, smallest = LEAST_WITH_INTERVAL
    return max(first, second) >= largest and min(first, second) >= smallest


@dataclass(frozen=True)
class _Floor:
    """Two sets of photographs, and whether they are of one law: of the same splits."""

    first: Features
    second: Features
    alike: bool


def _photographs(context: EvaluationContext, features: CachedNetwork, photos: Features) -> _Floor:
    """These photographs and as many of the source's other ones; two halves of these where there are too few others.

    Others of the same splits come first: training faces may be chosen otherwise, and a floor is of one law.
    """
    everything, mine = context.everything or context.faces, set(context.faces.files)
    others = np.array([row for row, file in enumerate(everything.files) if file not in mine], np.int64)
    rng = np.random.default_rng(context.seed)
    same = np.isin(everything.split[others], np.unique(context.faces.split))
    chosen = others[same] if same.sum() >= len(photos) else others
    if len(chosen) >= len(photos):
        rows = np.sort(rng.permutation(chosen)[: len(photos)])
        alike = bool(np.isin(everything.split[rows], np.unique(context.faces.split)).all())
        return _Floor(photos, _read_photographs(context, features, everything.images[rows]), alike)
    order = rng.permutation(len(photos))
    missing = context.results.not_computed
    missing[f"realism.{features.name}.floor at full n"] = "too few other faces: the floor is of two halves of these"
    return _Floor(photos[order[: len(order) // 2]], photos[order[len(order) // 2 :]], True)


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
    results.values[f"{key}.photographs"] = inception_measure(classifier(photographs), context.seed)
    if context.can("generate"):
        results.values[f"{key}.samples"] = inception_measure(classifier(context.samples[:INCEPTION_IMAGES]), context.seed)
    else:
        results.not_computed[f"{key}.samples"] = f"{method_name(context.editor)} does not generate"


def inception_measure(probabilities: NDArray[np.floating], seed: int = 0) -> Measure:
    """The score with a 95 % interval from leaving out a tenth at a time; it grows with n, so only equal n compare."""
    whole = inception_score(probabilities)
    groups = np.random.default_rng(seed).permutation(len(probabilities)) % GROUPS
    left = [inception_score(probabilities[groups != g]) for g in range(GROUPS) if (groups == g).any()]
    return jackknife(whole, left, len(probabilities), least=1.0)


def kernel_distance_of_subsets(
    a: NDArray[np.floating], b: NDArray[np.floating], subsets: int = SUBSETS, size: int = SUBSET, seed: int = SEED
) -> float:
    """KID of features [N, D] and [M, D]: the mean over drawn subsets of the unbiased squared MMD, kernel (x·y / D + 1)³.

    Subsets are drawn as torch-fidelity draws them; where there are fewer than `size` images, all serve.
    """
    size = min(size, len(a), len(b))
    draw, distances = np.random.RandomState(seed), []
    for _ in range(subsets):
        x = np.asarray(a[draw.choice(len(a), size, replace=False)], np.float32)
        y = np.asarray(b[draw.choice(len(b), size, replace=False)], np.float32)
        within = sum(_off_diagonal(kernel(part, part)) for part in (x, y))
        distances.append(within - 2 * float(kernel(x, y).mean(dtype=np.float64)))
        if size == len(a) == len(b):
            break  # every subset is all images
    return float(np.mean(distances))


def kernel(x: NDArray[np.float32], y: NDArray[np.float32]) -> NDArray[np.float32]:
    """(x·y / D + 1)³ of features [N, D] and [M, D]."""
    values: NDArray[np.float32] = (x @ y.T / np.float32(x.shape[1]) + 1) ** 3
    return values


def _off_diagonal(values: NDArray[np.float32]) -> float:
    number = len(values)
    return float((values.sum(dtype=np.float64) - np.trace(values, dtype=np.float64)) / (number * (number - 1)))


def inception_score_of_splits(logits: NDArray[np.floating], splits: int = SPLITS, seed: int = SEED) -> Measure:
    """The inception score of logits [N, K]: its mean over shuffled splits, with a 95 % interval of that mean."""
    order = np.random.RandomState(seed).permutation(len(logits))
    rows = np.asarray(logits, np.float64)[order]
    log_p = rows - np.logaddexp.reduce(rows, axis=1, keepdims=True)
    scores = []
    for i in range(splits):
        part = log_p[i * len(rows) // splits : (i + 1) * len(rows) // splits]
        mean = np.exp(part).mean(0, keepdims=True)
        scores.append(float(np.exp((np.exp(part) * (part - np.log(mean.clip(1e-300)))).sum(1).mean())))
    value, reach = float(np.mean(scores)), float(student_reach(scores))
    return Measure(value=value, low=max(1.0, value - reach), high=value + reach, n=len(rows))
