"""Fresh probes: what a classifier that fooled nobody reads in features of faces, and what it reads beyond other features."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

FOLDS = 5
LEAST = 2 * FOLDS  # faces of either class that a probe needs

Probe = Callable[[int, int], "LogisticRegression | MLPClassifier | HistGradientBoostingClassifier"]


def linear_probe(seed: int, number: int) -> LogisticRegression:
    """A logistic regression, whatever the number of training faces."""
    return LogisticRegression(C=0.1, max_iter=1000, random_state=seed)


def mlp_probe(seed: int, number: int) -> MLPClassifier:
    """One hidden layer of 64, for a number of training faces, of which a batch cannot hold more."""
    batch = min(64, number)
    return MLPClassifier((64,), alpha=1.0, batch_size=batch, learning_rate_init=2e-3, max_iter=40, random_state=seed)


def boosted_probe(seed: int, number: int) -> HistGradientBoostingClassifier:
    """A hundred boosted trees of at most 15 leaves, whatever the number of training faces."""
    return HistGradientBoostingClassifier(
        max_iter=100, max_leaf_nodes=15, max_bins=63, early_stopping=False, random_state=seed
    )


PROBES: Mapping[str, Probe] = {"linear": linear_probe, "mlp": mlp_probe, "boosted": boosted_probe}


def out_of_fold(probe: Probe, features: ArrayLike, labels: ArrayLike, seed: int = 0) -> NDArray[np.float64]:
    """Probabilities [N] that a probe gives to faces it has not seen, of features [N, F], by 5-fold cross-validation.

    Features are standardised and classes balanced (the rarer is repeated) inside each training fold.
    """
    x, y = np.asarray(features, np.float64), np.asarray(labels).astype(bool)
    read = np.empty(len(y))
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=seed)
    rng = np.random.default_rng(seed)
    for seen, unseen in folds.split(x, y):
        rows = _balanced(seen, y, rng)
        pipeline = make_pipeline(StandardScaler(), probe(seed, len(rows)))
        with warnings.catch_warnings():
            # The MLP's number of passes is part of its definition; it is not meant to converge.
            warnings.simplefilter("ignore", ConvergenceWarning)
            pipeline.fit(x[rows], y[rows])
        read[unseen] = pipeline.predict_proba(x[unseen])[:, 1]
    return read


def right(read: NDArray[np.float64], labels: NDArray[np.bool_]) -> NDArray[np.float64]:
    """1 where probabilities [N] are on the side of the label, else 0; its class-balanced mean is balanced accuracy."""
    return ((read >= 0.5) == labels).astype(np.float64)


def information_bound(read: NDArray[np.float64], labels: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Bits [N] whose class-balanced mean is H(y) − cross-entropy with the classes at one half each.

    That mean is a lower bound on I(z; y); below 0 it says nothing (Barber and Agakov, 2003).
    """
    told = np.where(labels, read, 1 - read).clip(1e-6, 1)
    return 1 + np.log2(told)


def _balanced(rows: NDArray[np.int64], labels: NDArray[np.bool_], rng: np.random.Generator) -> NDArray[np.int64]:
    sides = [rows[labels[rows]], rows[~labels[rows]]]
    most = max(len(side) for side in sides)
    return rng.permutation(np.concatenate([np.resize(rng.permutation(side), most) for side in sides]))
