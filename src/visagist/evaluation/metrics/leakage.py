"""Does z still tell the attribute, and has one dimension it to itself: fresh probes and their floors, and areas (AUROC)."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import rankdata
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from visagist.attributes import OVERLAPPING, reads_as, related_attributes
from visagist.evaluation.context import EvaluationContext
from visagist.evaluation.results import Metric
from visagist.evaluation.statistics import balanced_mean_ci, exact, jackknife

Table = NDArray[np.generic]
BOTH = ("linear", "mlp")
STRATA = ("Male", "Young", "Mouth_Slightly_Open")
LEAST_WITHIN = 50  # faces of either class in a stratum; of fewer, an interval is wider than what could be found
PROBE_NAMES = {"linear": "linear probe", "mlp": "MLP probe", "boosted": "boosted trees"}


def _floor_metrics(only: str, gain: str, title: str) -> Iterator[Metric]:
    """A floor and the gain over it, of each probe; keys of the linear ones do not name the probe."""
    for probe, words in PROBE_NAMES.items():
        own, more = (only, gain) if probe == "linear" else (f"{only}.{probe}", f"{probe}.{gain}")
        pages = {"probes": "", **({"summary": "its gain over the labels"} if more == "gain" else {})}
        yield Metric(f"leakage.{{A}}.{own}.balanced_accuracy", f"{title}, {words}", "share", pages={"probes": ""})
        yield Metric(f"leakage.{{A}}.{more}", f"{words}'s gain over that floor", "share", "lower", pages)


CAPTURED = 0.75
GROUPS = 20  # of the jackknife: the best of many is pushed up by a bootstrap's repeated faces
FEWEST = 20  # faces of either class
METRICS = (
    *(
        Metric(f"leakage.{{A}}.{probe}.balanced_accuracy", f"{words} on z, balanced accuracy", "share", "lower", {
            "probes": "",
            **({"tiles": "a fresh probe reads {A} from z (50 %: chance)", "summary": "linear probe on z"}
               if probe == "linear" else {}),
        })
        for probe, words in PROBE_NAMES.items()
    ),
    Metric("leakage.{A}.linear.chance", "chance", "share", pages={"probes": ""}),
    *_floor_metrics("labels_only", "gain", "floor: the other labels alone"),
    *_floor_metrics("labels_only_elsewhere", "gain_over_elsewhere", "floor without labels that say much the same"),
    *(
        Metric(f"leakage.{{A}}.sampled.{probe}.balanced_accuracy", f"{PROBE_NAMES[probe]} on a draw of z", "share", "lower",
               {"probes": ""})
        for probe in BOTH
    ),
    Metric("leakage.{A}.linear.information_bits", "information of z on the label, at least (bits)", better="lower",
           pages={"probes": ""}),
    *(
        Metric(f"leakage.{{A}}.{key}.{probe}", f"{title}, {PROBE_NAMES[probe]}: more than these labels alone", "share",
               "lower", {"beyond": ""} | ({"summary": "beyond the labels, MLP"} if key + probe == "beyondmlp" else {}))
        for key, title in (
            ("beyond", "z and the other labels"), ("beyond_elsewhere", "the same without labels that say much the same"),
        )
        for probe in BOTH
    ),
    *(
        Metric(f"leakage.{{A}}.within.{{stratum}}.{kind}.balanced_accuracy", f"where {{stratum}}: {words}", "share", "lower",
               {"beyond": ""})
        for kind, words in (
            ("linear", "linear probe"), ("mlp", "MLP probe"), ("labels_only", "other labels alone"),
            ("labels_only_elsewhere", "those not much the same"),
        )
    ),
)  # fmt: skip
ENTANGLEMENT_METRICS = (
    Metric("entanglement.captured", "attributes that a single dimension of z tells", pages={"general": ""}),
    Metric("entanglement.tad", "how much better the best one tells them than the second (TAD)", pages={"general": ""}),
)


@dataclass(frozen=True)
class Floor:
    """The other labels of the faces [N, F] under the names of what is measured with them, which are keys."""

    only: str
    gain: str
    beyond: str
    others: Table


def measure_leakage(context: EvaluationContext, attribute: str) -> None:
    """`leakage.A.*`: what fresh probes read in z, in samples of z, beyond other labels, and where another label is fixed."""
    key, labels = f"leakage.{attribute}", context.labels(attribute)
    missing = context.results.not_computed
    if context.codes is None:
        missing[f"{key}.*"] = f"{context.editor.backend.name} has no code z"
        return
    rarer = int(min(labels.sum(), (~labels).sum()))
    if rarer < LEAST:
        missing[f"{key}.*"] = f"a probe needs {LEAST} faces of either class, the rarer has {rarer}"
        return
    context.progress.describe(f"{attribute}: fresh probes on z")
    read = {name: out_of_fold(probe, context.codes, labels, context.seed) for name, probe in PROBES.items()}
    for name, probabilities in read.items():
        _add(context, attribute, f"{name}.balanced_accuracy", right(probabilities, labels))
        if name == "linear":
            context.results.values[f"{key}.linear.chance"] = exact(0.5, len(labels))
            _add(context, attribute, "linear.information_bits", information_bound(probabilities, labels))
    correct = {name: right(probabilities, labels) for name, probabilities in read.items()}
    for floor in _floors(context, attribute):
        _measure_floor(context, attribute, floor, correct)
    _measure_samples(context, attribute)
    for stratum in STRATA:
        if stratum in context.faces.names and stratum not in related_attributes(attribute):
            for value in (0, 1):
                _measure_within(context, attribute, stratum, value)
    context.progress.advance(2 * len(labels))


def _add(
    context: EvaluationContext, attribute: str, name: str, values: NDArray[np.float64], rows: NDArray[np.bool_] | None = None
) -> None:
    """Add `leakage.A.NAME`: the class-balanced mean of one number a face, of all faces or of those of `rows`."""
    labels = context.labels(attribute) if rows is None else context.labels(attribute)[rows]
    context.results.values[f"leakage.{attribute}.{name}"] = balanced_mean_ci(values, labels, context.seed)


def _floors(context: EvaluationContext, attribute: str, without: frozenset[str] = frozenset()) -> Iterator[Floor]:
    """All other labels, then those that do not say much the same, if there are such; never the attribute's kin."""
    names, own = context.faces.names, related_attributes(attribute) | without
    sets = [("labels_only", "gain", "beyond", own)]
    if attribute in OVERLAPPING:
        overlapping = own | set(OVERLAPPING[attribute])
        sets.append(("labels_only_elsewhere", "gain_over_elsewhere", "beyond_elsewhere", overlapping))
    for only, gain, beyond, left_out in sets:
        others = context.faces.labels[:, [i for i, name in enumerate(names) if name not in left_out]]
        yield Floor(only, gain, beyond, others)


def _measure_floor(context: EvaluationContext, attribute: str, floor: Floor, read: dict[str, NDArray[np.float64]]) -> None:
    """What each probe reads in the other labels alone, how much more in z, and how much more in both together."""
    labels, seed = context.labels(attribute), context.seed
    if not floor.others.shape[1]:
        for name in (f"{floor.only}.balanced_accuracy", floor.gain, f"*.{floor.gain}", f"{floor.beyond}.*"):
            context.results.not_computed[f"leakage.{attribute}.{name}"] = "these faces have no other labels"
        return
    assert context.codes is not None
    for name, probe in PROBES.items():
        alone = right(out_of_fold(probe, floor.others, labels, seed), labels)
        # The linear floor and gain are the oldest figures: their keys do not name the probe.
        only, gain = (floor.only, floor.gain) if name == "linear" else (f"{floor.only}.{name}", f"{name}.{floor.gain}")
        _add(context, attribute, f"{only}.balanced_accuracy", alone)
        _add(context, attribute, gain, read[name] - alone)
        if name in BOTH:
            both = np.concatenate([context.codes, floor.others], axis=1)
            together = right(out_of_fold(probe, both, labels, seed), labels)
            _add(context, attribute, f"{floor.beyond}.{name}", together - alone)


def _measure_samples(context: EvaluationContext, attribute: str) -> None:
    """The same probes on one draw of z a face, which is what a decoder sees in training."""
    if context.drawn_codes is None:
        why = f"{context.editor.backend.name} gives no variance of z to draw from"
        context.results.not_computed[f"leakage.{attribute}.sampled.*"] = why
        return
    labels = context.labels(attribute)
    for name in BOTH:
        correct = right(out_of_fold(PROBES[name], context.drawn_codes, labels, context.seed), labels)
        _add(context, attribute, f"sampled.{name}.balanced_accuracy", correct)


def _measure_within(context: EvaluationContext, attribute: str, stratum: str, value: int) -> None:
    """Probes and linear floors of those faces alone that have, or lack, another attribute."""
    rows = context.labels(stratum) == bool(value)
    labels, key = context.labels(attribute)[rows], f"within.{stratum}={value}"
    rarer = int(min(labels.sum(), (~labels).sum()))
    if rarer < LEAST_WITHIN:
        why = f"needs {LEAST_WITHIN} faces of either class with {stratum} = {value}, the rarer has {rarer}"
        context.results.not_computed[f"leakage.{attribute}.{key}.*"] = why
        return
    assert context.codes is not None
    for name in BOTH:
        correct = right(out_of_fold(PROBES[name], context.codes[rows], labels, context.seed), labels)
        _add(context, attribute, f"{key}.{name}.balanced_accuracy", correct, rows)
    for floor in _floors(context, attribute, frozenset({stratum})):
        if floor.others.shape[1]:
            alone = right(out_of_fold(linear_probe, floor.others[rows], labels, context.seed), labels)
            _add(context, attribute, f"{key}.{floor.only}.balanced_accuracy", alone, rows)


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
    return reads_as(read, labels).astype(np.float64)


def information_bound(read: NDArray[np.float64], labels: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Bits [N] whose class-balanced mean is H(y) − cross-entropy with the classes at one half each.

    That mean is a lower bound on I(z; y); below 0 it says nothing (Barber and Agakov, 2003).
    """
    probability = np.where(labels, read, 1 - read).clip(1e-6, 1)
    return 1 + np.log2(probability)


def _balanced(rows: NDArray[np.int64], labels: NDArray[np.bool_], rng: np.random.Generator) -> NDArray[np.int64]:
    sides = [rows[labels[rows]], rows[~labels[rows]]]
    most = max(len(side) for side in sides)
    return rng.permutation(np.concatenate([np.resize(rng.permutation(side), most) for side in sides]))


def areas(codes: ArrayLike, labels: ArrayLike) -> NDArray[np.float64]:
    """AUROC [Z, A] of each dimension of codes [N, Z] for each of labels [N, A], at least 0.5; both classes must be there."""
    z, y = np.asarray(codes, np.float64), np.asarray(labels).astype(bool)
    with_it, without = y.sum(0), (~y).sum(0)
    # Mann and Whitney: the sum of the ranks of the faces that have it, less its least value, over the number of pairs.
    upward = (rankdata(z, axis=0).T @ y - with_it * (with_it + 1) / 2) / (with_it * without)
    return np.maximum(upward, 1 - upward)


def best_two(aurocs: NDArray[np.float64]) -> NDArray[np.float64]:
    """The second-best and the best [2, A] of areas [Z, A], Z at least 2."""
    return np.sort(aurocs, axis=0)[-2:]


def total_auroc_difference(aurocs: NDArray[np.float64]) -> tuple[float, int]:
    """TAD of areas [Z, A], Z at least 2, and how many attributes are captured: the best area is at least `CAPTURED`.

    TAD = Σ over captured attributes of (best − second best): high where one dimension tells what no other tells (Yeats, Liu,
    Womble and Li, 2022, NashAE, §5).
    """
    second, best = best_two(aurocs)
    captured = best >= CAPTURED
    return float((best - second)[captured].sum()), int(captured.sum())


def measure_entanglement(context: EvaluationContext) -> None:
    """`entanglement.tad`, `entanglement.captured`, over all labels of the faces that are common and rare enough."""
    missing, values, codes = context.results.not_computed, context.results.values, context.codes
    if codes is None:
        missing["entanglement.*"] = f"{context.editor.backend.name} has no code z"
        return
    labels = context.faces.labels.astype(bool)
    usable = np.minimum(labels.sum(0), (~labels).sum(0)) >= FEWEST
    if codes.shape[1] < 2 or not usable.any():
        missing["entanglement.*"] = f"it needs 2 dimensions of z, and {FEWEST} faces of either class of some attribute"
        return
    context.progress.describe("the attributes in single dimensions of z")
    names = [name for name, is_usable in zip(context.faces.names, usable) if is_usable]
    aurocs = areas(codes, labels[:, usable])
    tads, counts = _left_out(codes, labels[:, usable], context.seed)
    whole, captured = total_auroc_difference(aurocs)
    values["entanglement.tad"] = jackknife(whole, tads, len(codes))
    values["entanglement.captured"] = jackknife(captured, counts, len(codes))
    second, best = best_two(aurocs)
    context.results.matrices["entanglement"] = {
        "rows": names,
        "columns": ["best", "second best"],
        "values": np.stack([best, second], 1).tolist(),
    }


def _left_out(codes: NDArray[np.float32], labels: NDArray[np.bool_], seed: int) -> tuple[list[float], list[int]]:
    """TAD and the number captured [GROUPS] without each group of faces in turn."""
    groups = np.random.default_rng(seed).permutation(len(codes)) % GROUPS
    differences = [total_auroc_difference(areas(codes[groups != g], labels[groups != g])) for g in range(GROUPS)]
    return [tad for tad, _ in differences], [number for _, number in differences]
