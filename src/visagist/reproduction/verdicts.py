"""Compare our figures with published ones."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from fnmatch import fnmatch
from typing import Any

from visagist.data.faces import Faces, split_counts
from visagist.evaluation import judge_accuracy, landmark_gain, recognition, side_effects
from visagist.evaluation.metrics import METRICS
from visagist.evaluation.metrics.panel import SAME_AS, read_by
from visagist.evaluation.results import Better, Metrics, find_metric
from visagist.evaluation.session import LEFT_OUT
from visagist.evaluation.statistics import Measure, between_runs, student_reach
from visagist.reproduction.spec import TRAINED_ON

DECLARED = (*METRICS, *landmark_gain.METRICS, *side_effects.METRICS, *recognition.METRICS, *judge_accuracy.METRICS)
REACHED = "reached"
IGNORED = 1.1  # of success_0 + success_1, below which one edit ends as the other does
UNPUBLISHED = "not comparable because no value is published"
INCEPTION = "FID's own weights: --features inception:FILE.pth"
FEATURES = "a feature network: --features squeezenet11:FILE.h5 or FILE.onnx"
_ROUNDING = 1e-9


@dataclass(frozen=True)
class VerdictCell:
    """One figure of one row.

    key       of `metrics.json`
    verdict   `reached`, `short by X`, `not comparable because …` or `not run: needs …`
    compared  `reached` or `short by X` as it would be if the figures compared; None without two figures of one kind
    judges    of successes, what each judge reads; `ours` is the lowest of them
    ceiling   that of the lowest judge
    """

    row: str
    key: str
    published: float | None
    ours: Measure | None
    verdict: str
    compared: str | None = None
    judges: Mapping[str, Measure] = field(default_factory=dict)
    ceiling: Measure | None = None

    def to_json(self) -> dict[str, Any]:
        """A cell of `verdicts.json`."""
        return {
            "row": self.row,
            "key": self.key,
            "better": better(self.key),
            "published": self.published,
            "ours": self.ours,
            "verdict": self.verdict,
            "compared": self.compared,
            **({"judges": dict(self.judges), "ceiling": self.ceiling} if self.judges else {}),
        }


def better(key: str) -> Better:
    """Which way a figure is better; KeyError for a key that no METRICS declare."""
    metric = find_metric(key, DECLARED)
    if metric is None:
        raise KeyError(f"no METRICS declare {key}")
    return metric.better


def compare(key: str, published: float, ours: Measure) -> str:
    """`reached` if the better end of our interval is as good as the published value, else `short by` the difference.

    A figure that should be equal is reached if our interval holds the published value.
    """
    way = better(key)
    ahead = {
        "lower": published - ours["low"],
        "higher": ours["high"] - published,
        "nearer to 0": abs(published) - max(ours["low"], -ours["high"], 0),
        "equal": min(published - ours["low"], ours["high"] - published),
    }[way]
    if ahead >= -_ROUNDING:
        return REACHED
    return f"short by {abs(ours['value'] - published):.3g}"


def add_between_runs(cells: list[dict[str, Any]], of_seeds: list[list[VerdictCell]]) -> None:
    """Add `between_runs` to cells of the first seed: the mean and the deviation of its figure over the seeds that have it.

    Where there are at least two, the verdict is of the mean, with Student's interval of the seeds where that is wider than
    the interval of the faces.
    """
    for cell in cells:
        same = [other for seed in of_seeds for other in seed if (other.row, other.key) == (cell["row"], cell["key"])]
        values = [other.ours["value"] for other in same if other.ours is not None]
        if len(values) < 2 or cell["ours"] is None:
            continue
        between = between_runs(values)
        cell["between_runs"] = between
        if cell["compared"] is not None:
            ours = cell["ours"]
            reach = max(student_reach(values), (ours["high"] - ours["low"]) / 2)
            mean = Measure(value=between["mean"], low=between["mean"] - reach, high=between["mean"] + reach, n=ours["n"])
            verdict = compare(cell["key"], cell["published"], mean)
            cell["verdict"] = verdict if cell["verdict"] == cell["compared"] else cell["verdict"]
            cell["compared"] = verdict


def other_data(faces: Faces, training_faces: int, kind: str = "celeba") -> str | None:
    """Why figures from these faces do not compare with those of the paper's, of this kind of source; None if they do."""
    source, name = str(faces.manifest.get("source")), TRAINED_ON[kind]
    if faces.manifest.get("crop") == "drawn":
        return "drawn faces"
    if not source.startswith(kind):
        return f"other faces, {source}"
    here = split_counts(faces.split)["train"]
    if here < training_faces:
        return f"a part of {name}, {here} of {training_faces} training faces"
    return None


def decide(
    row: str,
    key: str,
    published: float | None,
    metrics: Metrics,
    *,
    incomparable: str | None = None,
    data: str | None = None,
) -> VerdictCell:
    """The cell of an evaluated row; a star in `key` stands for any text.

    incomparable   why the published figure was measured differently
    data           why the faces are not the paper's
    """
    match = next((name for name in metrics.values if fnmatch(name, key)), None)
    if match is None:
        return missing(row, key, published, _needs(key, metrics))
    way = _way_of(match)
    judges = {} if way is None else {judge: success for judge, (success, _) in read_by(metrics, way).items()}
    ours = metrics[f"{way}.success"] if len(judges) > 1 else metrics[match]
    ceiling = metrics.values.get(f"{way}.ceiling")
    cell = VerdictCell(row, match, published, ours, UNPUBLISHED, judges=judges, ceiling=ceiling)
    if published is None:
        return cell
    if incomparable is not None:
        return replace(cell, verdict=f"not comparable because {incomparable}")
    ignored = _ignored_label(match, metrics)
    if ignored is not None:
        return replace(cell, verdict=f"not comparable because {ignored}")
    compared = compare(match, published, ours)
    return replace(cell, verdict=f"not comparable because {data}" if data else compared, compared=compared)


def _way_of(key: str) -> str | None:
    """Under which key all judges read what a success at the paper's setting is of; None for other keys."""
    match = re.fullmatch(r"edit\.([^.]+)\.(.+)", key)
    return f"panel.{match[1]}.{SAME_AS[match[2]]}" if match is not None and match[2] in SAME_AS else None


def _ignored_label(key: str, metrics: Metrics) -> str | None:
    """Why a success says nothing: both edits of a face end alike, so that one of the two is right by itself."""
    start, _, name = key.rpartition(".")
    together = metrics.values.get(f"{start}.success_sum")
    if name not in ("success_0", "success_1") or together is None or together["high"] >= IGNORED:
        return None
    return f"the model ignores the label: both successes add up to {together['value']:.2f}"


def missing(row: str, key: str, published: float | None, needs: str) -> VerdictCell:
    """The cell of a figure that was not measured."""
    return VerdictCell(row, key, published, None, f"not run: needs {needs}")


def _needs(key: str, metrics: Metrics) -> str:
    if key.startswith("realism.") and "features" not in metrics.manifest:
        return FEATURES
    if key.startswith(("fid.", "is.")):
        return INCEPTION
    reasons = metrics.not_computed
    why = next((reasons[pattern] for pattern in reasons if fnmatch(key, pattern) or fnmatch(pattern, key)), None)
    if why == LEFT_OUT:
        return f"a report with it ({LEFT_OUT})"
    return f"other faces ({why or 'the evaluation does not give it'})"
