"""Does z still tell the attribute, and has one dimension it to itself: fresh probes and their floors, and areas (AUROC)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import rankdata

from visagist.attributes import OVERLAPPING, reads_as, related_attributes
from visagist.evaluation.context import EvaluationContext
from visagist.evaluation.results import Metric
from visagist.evaluation.statistics import balanced_difference_ci, balanced_mean_ci, exact
from visagist.latent.probes import LEAST, PROBES, Reading, read_label

Table = NDArray[np.generic]
BOTH = ("linear", "mlp")
STRATA = ("Male", "Young", "Mouth_Slightly_Open")
LEAST_WITHIN = 50  # faces of either class in a stratum; of fewer, an interval is wider than what could be found
PROBE_NAMES = {"linear": "linear probe", "mlp": "MLP probe", "boosted": "boosted trees", "kernel": "kernel probe"}
Training = tuple[Table, NDArray[np.bool_]]


def _floor_metrics(only: str, gain: str, title: str) -> Iterator[Metric]:
    """A floor and the gain over it, of each probe; keys of the linear ones do not name the probe."""
    for probe, words in {"best": "best probe", **PROBE_NAMES}.items():
        own, more = (only, gain) if probe == "linear" else (f"{only}.{probe}", f"{probe}.{gain}")
        pages = {"probes": "", **({"summary": "its gain over the labels"} if more == "gain" else {})}
        yield Metric(f"leakage.{{A}}.{own}.balanced_accuracy", f"{title}, {words}", "share", pages={"probes": ""})
        yield Metric(f"leakage.{{A}}.{more}", f"{words}'s gain over that floor", "share", "lower", pages)


CAPTURED = 0.75
FEWEST = 20  # faces of either class
METRICS = (
    Metric("leakage.{A}.best.balanced_accuracy", "the best probe on z, balanced accuracy", "share", "lower", {
        "probes": "", "tiles": "the best of fresh probes reads {A} from z (50 %: chance)", "summary": "best probe on z",
    }, "The probe is chosen by faces that measure nothing."),
    *(
        Metric(f"leakage.{{A}}.{probe}.balanced_accuracy", f"{words} on z, balanced accuracy", "share", "lower", {
            "probes": "", **({"summary": "linear probe on z"} if probe == "linear" else {}),
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
        Metric(f"leakage.{{A}}.{key}.{probe}", f"{title}, {words}: more than these labels alone", "share",
               "lower", {"beyond": ""} | ({"summary": "beyond the labels, best"} if key + probe == "beyondbest" else {}))
        for key, title in (
            ("beyond", "z and the other labels"), ("beyond_elsewhere", "the same without labels that say much the same"),
        )
        for probe, words in {"best": "best probe", **PROBE_NAMES}.items()
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
    """The other labels of the faces [N, F], and of training faces, under the names of what is measured with them: keys."""

    only: str
    gain: str
    beyond: str
    others: Table
    training: Training | None = None


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
    known = _training_faces(context, attribute)
    training = None if known is None else (known.codes, known.labels)
    read = _read_by_all(context, attribute, context.codes, training)
    for name, reading in read.items():
        _add(context, attribute, f"{name}.balanced_accuracy", right(reading.probabilities, labels))
    context.results.values[f"{key}.linear.chance"] = exact(0.5, len(labels))
    _add(context, attribute, "linear.information_bits", information_bound(read["linear"].probabilities, labels))
    context.results.matrices[f"probes.{attribute}"] = {
        "rows": list(PROBES),
        "columns": ["balanced accuracy on faces kept back"],
        "values": [[read[name].validated] for name in PROBES],
    }
    for floor in _floors(context, attribute, known=known):
        _measure_floor(context, attribute, floor, read, known)
    _measure_samples(context, attribute)
    for stratum in STRATA:
        if stratum in context.faces.names and stratum not in related_attributes(attribute):
            for value in (0, 1):
                _measure_within(context, attribute, stratum, value)
    context.progress.advance(2 * len(labels))


@dataclass(frozen=True)
class _Known:
    """Training faces that probes are fitted to: codes [M, Z], truths [M], and all labels [M, A]."""

    codes: NDArray[np.float32]
    labels: NDArray[np.bool_]
    all_labels: Table


def _training_faces(context: EvaluationContext, attribute: str) -> _Known | None:
    """Training faces that are not measured, as many as there are; None where these are fewer than those measured."""
    if context.training_codes is None or context.everything is None:
        return None
    rows, everything = context.training_rows, context.everything
    return _Known(context.training_codes, everything.column(attribute)[rows].astype(bool), everything.labels[rows])


def _read_by_all(
    context: EvaluationContext, attribute: str, features: Table, training: Training | None
) -> dict[str, Reading]:
    """What each probe reads of an attribute, and under `best` that of the one that was best on faces kept back."""
    labels = context.labels(attribute)
    read = {name: read_label(probe, features, labels, training, context.seed) for name, probe in PROBES.items()}
    return {"best": max(read.values(), key=lambda reading: reading.validated), **read}


def _add(
    context: EvaluationContext, attribute: str, name: str, values: NDArray[Any], rows: NDArray[np.bool_] | None = None
) -> None:
    """Add `leakage.A.NAME`: the class-balanced mean of one number a face, of all faces or of those of `rows`."""
    labels = context.labels(attribute) if rows is None else context.labels(attribute)[rows]
    context.results.values[f"leakage.{attribute}.{name}"] = balanced_mean_ci(values, labels, context.seed)


def _add_gain(
    context: EvaluationContext, attribute: str, name: str, first: NDArray[np.bool_], second: NDArray[np.bool_]
) -> None:
    """Add `leakage.A.NAME`: how much more often the first truths hold, class-balanced, over all faces."""
    measure = balanced_difference_ci(first, second, context.labels(attribute))
    context.results.values[f"leakage.{attribute}.{name}"] = measure


def _floors(
    context: EvaluationContext, attribute: str, without: frozenset[str] = frozenset(), known: _Known | None = None
) -> Iterator[Floor]:
    """All other labels, then those that do not say much the same, if there are such; never the attribute's kin."""
    names, own = context.faces.names, related_attributes(attribute) | without
    sets = [("labels_only", "gain", "beyond", own)]
    if attribute in OVERLAPPING:
        overlapping = own | set(OVERLAPPING[attribute])
        sets.append(("labels_only_elsewhere", "gain_over_elsewhere", "beyond_elsewhere", overlapping))
    for only, gain, beyond, left_out in sets:
        kept = [i for i, name in enumerate(names) if name not in left_out]
        training = None if known is None else (known.all_labels[:, kept], known.labels)
        yield Floor(only, gain, beyond, context.faces.labels[:, kept], training)


def _measure_floor(
    context: EvaluationContext, attribute: str, floor: Floor, read: Mapping[str, Reading], known: _Known | None
) -> None:
    """What each probe reads in the other labels alone, how much more in z, and how much more in both together."""
    labels = context.labels(attribute)
    if not floor.others.shape[1]:
        for name in (f"{floor.only}.balanced_accuracy", floor.gain, f"*.{floor.gain}", f"{floor.beyond}.*"):
            context.results.not_computed[f"leakage.{attribute}.{name}"] = "these faces have no other labels"
        return
    assert context.codes is not None
    training = None
    if known is not None and floor.training is not None:
        training = np.concatenate([known.codes, floor.training[0]], axis=1), known.labels
    floors = _read_by_all(context, attribute, floor.others, floor.training)
    both = _read_by_all(context, attribute, np.concatenate([context.codes, floor.others], axis=1), training)
    for name, alone in floors.items():
        # The linear floor and gain are the oldest figures: their keys do not name the probe.
        only, gain = (floor.only, floor.gain) if name == "linear" else (f"{floor.only}.{name}", f"{name}.{floor.gain}")
        correct = right(alone.probabilities, labels)
        _add(context, attribute, f"{only}.balanced_accuracy", correct)
        _add_gain(context, attribute, gain, right(read[name].probabilities, labels), correct)
        _add_gain(context, attribute, f"{floor.beyond}.{name}", right(both[name].probabilities, labels), correct)


def _measure_samples(context: EvaluationContext, attribute: str) -> None:
    """The same probes on one draw of z a face, which is what a decoder sees in training."""
    if context.drawn_codes is None:
        why = f"{context.editor.backend.name} gives no variance of z to draw from"
        context.results.not_computed[f"leakage.{attribute}.sampled.*"] = why
        return
    labels = context.labels(attribute)
    for name in BOTH:
        correct = right(read_label(PROBES[name], context.drawn_codes, labels, seed=context.seed).probabilities, labels)
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
        correct = right(read_label(PROBES[name], context.codes[rows], labels, seed=context.seed).probabilities, labels)
        _add(context, attribute, f"{key}.{name}.balanced_accuracy", correct, rows)
    for floor in _floors(context, attribute, frozenset({stratum})):
        if floor.others.shape[1]:
            alone = read_label(PROBES["linear"], floor.others[rows], labels, seed=context.seed)
            correct = right(alone.probabilities, labels)
            _add(context, attribute, f"{key}.{floor.only}.balanced_accuracy", correct, rows)


def right(read: NDArray[np.float64], labels: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Whether probabilities [N] are on the side of the label; its class-balanced mean is balanced accuracy."""
    return reads_as(read, labels)


def information_bound(read: NDArray[np.float64], labels: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Bits [N] whose class-balanced mean is H(y) − cross-entropy with the classes at one half each.

    That mean is a lower bound on I(z; y); below 0 it says nothing (Barber and Agakov, 2003).
    """
    probability = np.where(labels, read, 1 - read).clip(1e-6, 1)
    return 1 + np.log2(probability)


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
    # Both are bests of many and jump where an area crosses `CAPTURED`: no interval of them holds what it says.
    tad, captured = total_auroc_difference(aurocs)
    values["entanglement.tad"], values["entanglement.captured"] = exact(tad, len(codes)), exact(captured, len(codes))
    second, best = best_two(aurocs)
    context.results.matrices["entanglement"] = {
        "rows": names,
        "columns": ["best", "second best"],
        "values": np.stack([best, second], 1).tolist(),
    }
