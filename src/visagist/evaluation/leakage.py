"""Does the code z still tell the attribute: fresh probes, the labels-only floor, and a bound on the information."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from visagist.attributes import OVERLAPPING, kin
from visagist.evaluation.intervals import balanced_mean_of, exactly
from visagist.evaluation.study import Study

FOLDS = 5


Probe = Callable[[int, int], LogisticRegression | MLPClassifier]


def linear_probe(seed: int, number: int) -> LogisticRegression:
    """A logistic regression, whatever the number of training faces."""
    return LogisticRegression(C=0.1, max_iter=1000, random_state=seed)


def mlp_probe(seed: int, number: int) -> MLPClassifier:
    """One hidden layer of 64, for a number of training faces, of which a batch cannot hold more."""
    batch = min(64, number)
    return MLPClassifier((64,), alpha=1.0, batch_size=batch, learning_rate_init=2e-3, max_iter=40, random_state=seed)


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


def information_bound(read: NDArray[np.float64], labels: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Bits [N] whose class-balanced mean is H(y) − cross-entropy with the classes at one half each.

    That mean is a lower bound on I(z; y); below 0 it says nothing (Barber and Agakov, 2003).
    """
    told = np.where(labels, read, 1 - read).clip(1e-6, 1)
    return 1 + np.log2(told)


def measure_leakage(study: Study, attribute: str) -> None:
    """`leakage.A.*`: balanced accuracy of a linear and an MLP probe on z, of the floor, and the gain over it."""
    key, labels, seed = f"leakage.{attribute}", study.labels(attribute), study.seed
    values, missing = study.results.values, study.results.not_computed
    if study.codes is None:
        missing[f"{key}.*"] = f"{study.editor.method.name} has no code z"
        return
    rarer = int(min(labels.sum(), (~labels).sum()))
    if rarer < 2 * FOLDS:
        missing[f"{key}.*"] = f"a probe needs {2 * FOLDS} faces of either class, the rarer has {rarer}"
        return
    study.track.stage(f"{attribute}: fresh probes on z")
    linear = out_of_fold(linear_probe, study.codes, labels, seed)
    mlp = out_of_fold(mlp_probe, study.codes, labels, seed)
    values[f"{key}.linear.balanced_accuracy"] = balanced_mean_of(_right(linear, labels), labels, seed)
    values[f"{key}.linear.chance"] = exactly(0.5, len(labels))
    values[f"{key}.linear.information_bits"] = balanced_mean_of(information_bound(linear, labels), labels, seed)
    values[f"{key}.mlp.balanced_accuracy"] = balanced_mean_of(_right(mlp, labels), labels, seed)
    _floor(study, attribute, linear, "labels_only", "gain", ())
    if attribute in OVERLAPPING:
        _floor(study, attribute, linear, "labels_only_elsewhere", "gain_over_elsewhere", OVERLAPPING[attribute])
    study.track.advance(2 * len(labels))


def _floor(
    study: Study, attribute: str, linear: NDArray[np.float64], name: str, gain: str, without: tuple[str, ...]
) -> None:
    key, labels, seed = f"leakage.{attribute}", study.labels(attribute), study.seed
    told = kin(attribute) | set(without)
    others = [i for i, other in enumerate(study.faces.names) if other not in told]
    if not others:
        for missing in (f"{name}.balanced_accuracy", gain):
            study.results.not_computed[f"{key}.{missing}"] = "these faces have no other labels"
        return
    floor = _right(out_of_fold(linear_probe, study.faces.labels[:, others], labels, seed), labels)
    study.results.values[f"{key}.{name}.balanced_accuracy"] = balanced_mean_of(floor, labels, seed)
    study.results.values[f"{key}.{gain}"] = balanced_mean_of(_right(linear, labels).astype(float) - floor, labels, seed)


def _right(read: NDArray[np.float64], labels: NDArray[np.bool_]) -> NDArray[np.bool_]:
    return (read >= 0.5) == labels


def _balanced(rows: NDArray[np.int64], labels: NDArray[np.bool_], rng: np.random.Generator) -> NDArray[np.int64]:
    sides = [rows[labels[rows]], rows[~labels[rows]]]
    most = max(len(side) for side in sides)
    return rng.permutation(np.concatenate([np.resize(rng.permutation(side), most) for side in sides]))
