"""What z still tells of one attribute, as a section of a report."""

from __future__ import annotations

from html import escape
from typing import Any

from visagist.evaluation.matrices import bars_with_intervals
from visagist.evaluation.results import Metrics
from visagist.reports.tables import list_table, number, share

Row = tuple[str, str, Any]  # title, key, form of the value
KINDS = (("linear", "linear probe"), ("mlp", "MLP probe"), ("boosted", "boosted trees"))
BARS = (
    ("linear probe on z", "linear"),
    ("MLP probe on z", "mlp"),
    ("boosted trees on z", "boosted"),
    ("the other labels alone", "labels_only"),
    ("without those much the same", "labels_only_elsewhere"),
)


def leakage_section(metrics: Metrics, name: str) -> str:
    """Bars, then probes beside their floors, then what is beyond the labels, within strata, and in a decoder's pictures."""
    beyond = list_table(metrics, [*_beyond(name), *_within(metrics, name), *_recovery(name)])
    return (
        f"<h3>What z still tells</h3>{_bars(metrics, name)}{list_table(metrics, _probes(name))}"
        f"<h3>Beyond what goes with it</h3>{beyond}"
    )


def _bars(metrics: Metrics, name: str) -> str:
    keys = [(title, f"leakage.{name}.{key}.balanced_accuracy") for title, key in BARS]
    rows = [(title, metrics[key]) for title, key in keys if key in metrics]
    if not rows:
        return ""
    drawn = bars_with_intervals(rows, 0.5, f"Balanced accuracy of reading {name.replace('_', ' ')}, from chance on")
    return f"<figure>{drawn}<figcaption>Balanced accuracy; lines hold 95 %, the dashed one is chance.</figcaption></figure>"


def _probes(name: str) -> list[Row]:
    key = f"leakage.{name}"
    rows: list[Row] = [(f"{word} on z, balanced accuracy", f"{key}.{kind}.balanced_accuracy", share) for kind, word in KINDS]
    rows.append(("chance", f"{key}.linear.chance", share))
    for only, gain, title in (
        ("labels_only", "gain", "floor: the other labels alone"),
        ("labels_only_elsewhere", "gain_over_elsewhere", "floor without labels that say much the same"),
    ):
        for kind, word in KINDS:
            own, more = (only, gain) if kind == "linear" else (f"{only}.{kind}", f"{kind}.{gain}")
            rows.append((f"{title}, {word}", f"{key}.{own}.balanced_accuracy", share))
            rows.append((f"{word}'s gain over that floor", f"{key}.{more}", share))
    return [
        *rows,
        *((f"{word} on a draw of z", f"{key}.sampled.{kind}.balanced_accuracy", share) for kind, word in KINDS[:2]),
        ("information of z on the label, at least (bits)", f"{key}.linear.information_bits", number),
        ("the model's own classifier, balanced accuracy", f"classification.{name}.balanced_accuracy", share),
        ("the model's own classifier, accuracy", f"classification.{name}.accuracy", share),
        ("the judge on these photographs, balanced accuracy", f"judge.{name}.balanced_accuracy", share),
        ("the judge on these photographs, accuracy", f"judge.{name}.accuracy", share),
    ]


def _beyond(name: str) -> list[Row]:
    titles = (("beyond", "z and the other labels"), ("beyond_elsewhere", "the same without labels that say much the same"))
    return [
        (f"{title}, {word}: more than these labels alone", f"leakage.{name}.{key}.{kind}", share)
        for key, title in titles
        for kind, word in KINDS[:2]
    ]


def _within(metrics: Metrics, name: str) -> list[Row]:
    words = {**dict(KINDS), "labels_only": "other labels alone", "labels_only_elsewhere": "those not much the same"}
    start, rows = f"leakage.{name}.within.", []
    for key in metrics.values:
        if key.startswith(start):
            stratum, kind = key.removeprefix(start).split(".")[:2]
            rows.append((f"where {escape(stratum.replace('_', ' '))}: {words[kind]}", key, share))
    return rows


def _recovery(name: str) -> list[Row]:
    return [
        (f"the judge on {title}, area under its ROC curve", f"leakage.{name}.{key}.auroc", share)
        for key, title in (
            ("decoder", "pictures by a fresh decoder of z"),
            ("decoder_told", "those by one that is told the label"),
            ("reconstruction", "reconstructions"),
        )
    ]
