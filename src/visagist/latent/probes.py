"""Fresh classifiers that say how much a code tells of a label: each tunes itself on faces that it is not fitted to.

An over-fitted probe understates what a code tells. So of the faces that a probe is given a fifth is kept back: by these its
regularisation is chosen and its training stopped. They say too which probe is the best, before it meets the faces that
measure it.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.preprocessing import StandardScaler
from sklearn.utils.class_weight import compute_sample_weight

Numbers = NDArray[np.float64]
Truths = NDArray[np.bool_]
Predict = Callable[[Numbers], Numbers]

FOLDS = 5
LEAST = 2 * FOLDS  # faces of either class that a probe needs
KEPT_BACK = 0.2
STRENGTHS = (1e-3, 1e-2, 0.1, 1.0)  # C of the logistic regression
DECAYS = (0.1, 1.0, 10.0)  # of the MLP's weights
PASSES, PATIENCE = 40, 3  # of the MLP over its faces; without anything gained before it stops
LARGE = 5000  # faces, from which batches are larger
WAVES = 512  # random Fourier features
SCALES = (0.5, 1.0, 2.0)  # of the kernel's width, in median distances
BINS = 63  # of a feature, that boosted trees see
RIDGES = (1e-4, 1e-3, 1e-2, 1e-1)  # of the kernel's, per face
EPSILON = 1e-6


@dataclass(frozen=True)
class Fitted:
    """A probe that is fitted: probabilities [N] of features [N, F], and its balanced accuracy on the faces kept back."""

    predict: Predict
    validated: float


Probe = Callable[[Numbers, Truths, int], Fitted]


@dataclass(frozen=True)
class Reading:
    """What a probe says [N] of faces that it has not seen, and how good it was on other faces before."""

    probabilities: Numbers
    validated: float


def linear_probe(x: Numbers, y: Truths, seed: int) -> Fitted:
    """A logistic regression."""
    seen, kept = _split(y, seed)
    fits = []
    for strength in STRENGTHS:
        fits.append((_logistic(x[seen], y[seen], strength), strength))
    losses = [_loss(_says(fit)(x[kept]), y[kept]) for fit, _ in fits]
    best, strength = fits[int(np.argmin(losses))]
    return Fitted(_says(_logistic(x, y, strength)), _accuracy(_says(best)(x[kept]), y[kept]))


def _logistic(x: Numbers, y: Truths, strength: float) -> LogisticRegression:
    return LogisticRegression(C=strength, class_weight="balanced", max_iter=500).fit(x, y)


def mlp_probe(x: Numbers, y: Truths, seed: int) -> Fitted:
    """One hidden layer of 64, stopped where it gets no better on the faces kept back."""
    seen, kept = _split(y, seed)
    rows = _balanced(seen, y, np.random.default_rng(seed))
    tried = [_stopped_early(x, y, rows, kept, decay, seed) for decay in DECAYS]
    predict, _ = min(tried, key=lambda fit: fit[1])
    return Fitted(predict, _accuracy(predict(x[kept]), y[kept]))


def _stopped_early(
    x: Numbers, y: Truths, rows: NDArray[np.int64], kept: NDArray[np.int64], decay: float, seed: int
) -> tuple[Predict, float]:
    """An MLP as it was when its loss on the faces kept back was least, and that loss."""
    batch = min(256 if len(rows) > LARGE else 64, len(rows))
    network = MLPClassifier((64,), alpha=decay, batch_size=batch, learning_rate_init=2e-3, max_iter=1, random_state=seed)
    rng, best, waited = np.random.default_rng(seed), np.inf, 0
    weights: tuple[list[Any], list[Any]] = ([], [])
    for _ in range(PASSES):
        order = rng.permutation(rows)
        network.partial_fit(x[order], y[order], classes=[False, True])
        loss = _loss(_says(network)(x[kept]), y[kept])
        if loss < best:
            best, waited = loss, 0
            weights = [part.copy() for part in network.coefs_], [part.copy() for part in network.intercepts_]
        else:
            waited += 1
            if waited == PATIENCE:
                break
    network.coefs_, network.intercepts_ = weights
    return _says(network), best


def boosted_probe(x: Numbers, y: Truths, seed: int) -> Fitted:
    """Boosted trees of at most 15 leaves, as many as make it better on the faces kept back."""
    seen, kept = _split(y, seed)
    bins = _bins(x[seen], compute_sample_weight("balanced", y[seen]))
    trees = HistGradientBoostingClassifier(
        max_iter=100, max_leaf_nodes=15, max_bins=BINS, learning_rate=0.15, l2_regularization=1.0, class_weight="balanced",
        early_stopping=True, n_iter_no_change=5, random_state=seed,
    ).fit(bins(x[seen]), y[seen], X_val=bins(x[kept]), y_val=y[kept])  # fmt: skip

    def predict(features: Numbers) -> Numbers:
        return _says(trees)(bins(features))

    return Fitted(predict, _accuracy(predict(x[kept]), y[kept]))


@dataclass(frozen=True)
class _Binned:
    """The bins [N, F] of features [N, F] between each feature's thresholds; features without any stay as they are."""

    thresholds: tuple[Numbers | None, ...]

    def __call__(self, x: Numbers) -> Numbers:
        binned = x.copy()
        for column, edges in enumerate(self.thresholds):
            if edges is not None:
                binned[:, column] = np.searchsorted(edges, x[:, column])
        return binned


def _bins(x: Numbers, weights: Numbers) -> _Binned:
    """The bins that scikit-learn gives weighted features, found in a hundredth of its time: the trees are the same.

    It takes a weighted quantile at a time, with averages where one falls between two faces.
    """
    ranks = np.linspace(0, 100, num=BINS + 1)[1:-1] / 100
    return _Binned(tuple(_thresholds(column, weights, ranks) for column in x.T))


def _thresholds(column: Numbers, weights: Numbers, ranks: Numbers) -> Numbers | None:
    order = np.argsort(column)
    values, below = column[order], np.cumsum(weights[order])
    if np.count_nonzero(np.diff(values)) < BINS:
        return None
    sought = ranks * below[-1]
    at = np.searchsorted(below, sought).clip(0, len(values) - 1)
    following = (at + 1).clip(0, len(values) - 1)
    between = below[at] - sought <= np.finfo(np.float64).eps
    return np.unique(np.where(between, (values[at] + values[following]) / 2, values[at]))


def kernel_probe(x: Numbers, y: Truths, seed: int) -> Fitted:
    """A ridge regression on random Fourier features of a Gaussian kernel (Rahimi and Recht, 2007)."""
    seen, kept = _split(y, seed)
    rng = np.random.default_rng(seed)
    some = x[rng.permutation(len(x))[:500]]
    distance = float(np.sqrt(np.median(np.square(some[: len(some) // 2] - some[-(len(some) // 2) :]).sum(1)))) or 1.0
    tried = []
    for scale in SCALES:
        waves = rng.normal(size=(x.shape[1], WAVES)) / (scale * distance)
        lift = _Waves(waves, rng.uniform(0, 2 * np.pi, WAVES))
        tried += [(lift, *fit) for fit in _ridges(lift(x[seen]), y[seen], lift(x[kept]), y[kept])]
    lift, coefficients, _ = min(tried, key=lambda fit: fit[2])

    def predict(features: Numbers) -> Numbers:
        return np.asarray((lift(features) @ coefficients).clip(0, 1))

    return Fitted(predict, _accuracy(predict(x[kept]), y[kept]))


@dataclass(frozen=True)
class _Waves:
    """Random Fourier features [N, W + 1] of features [N, F], the last of them 1."""

    waves: Numbers
    shifts: Numbers

    def __call__(self, x: Numbers) -> Numbers:
        return np.concatenate([np.cos(x @ self.waves + self.shifts) * np.sqrt(2 / WAVES), np.ones((len(x), 1))], 1)


def _ridges(x: Numbers, y: Truths, beyond: Numbers, truth: Truths) -> Iterable[tuple[Numbers, float]]:
    """For each ridge the coefficients [F] of a class-balanced regression to 0 and 1, and their squared error beyond."""
    weight = _weights(y)
    values, vectors = np.linalg.eigh((x * weight[:, None]).T @ x)
    projected = vectors.T @ (x.T @ (weight * y))
    error = _weights(truth)
    for ridge in RIDGES:
        coefficients = vectors @ (projected / (values.clip(0) + ridge))
        yield coefficients, float((error * np.square(beyond @ coefficients - truth)).sum())


PROBES: Mapping[str, Probe] = {
    "linear": linear_probe, "mlp": mlp_probe, "boosted": boosted_probe, "kernel": kernel_probe,
}  # fmt: skip


def out_of_fold(probe: Probe, features: ArrayLike, labels: ArrayLike, seed: int = 0) -> Numbers:
    """Probabilities [N] that a probe gives to faces it has not seen, of features [N, F], by 5-fold cross-validation."""
    return read_label(probe, features, labels, seed=seed).probabilities


def read_label(
    probe: Probe,
    features: ArrayLike,
    labels: ArrayLike,
    training: tuple[ArrayLike, ArrayLike] | None = None,
    seed: int = 0,
) -> Reading:
    """What a probe reads of faces it has not seen, of features [N, F]: at least `LEAST` of either class.

    It is fitted to the other faces of 5 folds and, where there are `training` features and labels of other faces, to these
    too, apart; the fit that is better on the faces kept back from it counts. Features are standardised by its own faces.
    """
    x, y = np.asarray(features, np.float64), np.asarray(labels).astype(bool)
    read, validated = np.empty(len(y)), []
    for seen, unseen in StratifiedKFold(FOLDS, shuffle=True, random_state=seed).split(x, y):
        read[unseen], accuracy = _fit_and_read(probe, x[seen], y[seen], x[unseen], seed)
        validated.append(accuracy)
    folded = Reading(read, float(np.mean(validated)))
    if training is None:
        return folded
    known, truth = np.asarray(training[0], np.float64), np.asarray(training[1]).astype(bool)
    if min(truth.sum(), (~truth).sum()) < LEAST:
        return folded
    apart = Reading(*_fit_and_read(probe, known, truth, x, seed))
    return apart if apart.validated > folded.validated else folded


def _fit_and_read(probe: Probe, x: Numbers, y: Truths, beyond: Numbers, seed: int) -> tuple[Numbers, float]:
    scaler = StandardScaler().fit(x)
    with warnings.catch_warnings():
        # A probe is stopped by the faces kept back, not by convergence.
        warnings.simplefilter("ignore", ConvergenceWarning)
        fitted = probe(scaler.transform(x), y, seed)
    return fitted.predict(scaler.transform(beyond)), fitted.validated


def _split(y: Truths, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The rows to fit to and those kept back, with as many of either class in proportion."""
    seen, kept = train_test_split(np.arange(len(y)), test_size=KEPT_BACK, stratify=y, random_state=seed)
    return seen, kept


def _says(fit: Any) -> Predict:
    return lambda features: np.asarray(fit.predict_proba(features)[:, 1], np.float64)


def _weights(labels: Truths) -> Numbers:
    """Weights [N] of sum 1, one half for either class."""
    return np.where(labels, 0.5 / max(1, labels.sum()), 0.5 / max(1, (~labels).sum()))


def _loss(read: Numbers, labels: Truths) -> float:
    """The class-balanced cross-entropy of probabilities [N]."""
    right = np.where(labels, read, 1 - read).clip(EPSILON, 1)
    return float(-(_weights(labels) * np.log(right)).sum())


def _accuracy(read: Numbers, labels: Truths) -> float:
    return float((_weights(labels) * ((read >= 0.5) == labels)).sum())


def _balanced(rows: NDArray[np.int64], labels: Truths, rng: np.random.Generator) -> NDArray[np.int64]:
    """The rows with the rarer class repeated until both are as many."""
    sides = [rows[labels[rows]], rows[~labels[rows]]]
    most = max(len(side) for side in sides)
    return np.concatenate([np.resize(rng.permutation(side), most) for side in sides])
