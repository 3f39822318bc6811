"""Judges of different kinds read the same edits: the lowest of them is the figure, and beside it stands its ceiling.

A ceiling is the share of faces of the class that is asked for which the same judge reads so where nothing was edited: in
reconstructions, or in photographs where a model passes no code. Blur eats what is judged, so that no edit is read more
often than its ceiling but by overdoing it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from visagist.attributes import reads_as
from visagist.evaluation.context import EvaluationContext, Scores
from visagist.evaluation.results import Metric, Metrics, metrics_under
from visagist.evaluation.statistics import Measure, exact, mean_ci

PANEL = (
    "The lowest of judges of different kinds; its ceiling is the share of unedited faces of the class that is asked for "
    "which the same judge reads so"
)
Truths = NDArray[np.bool_]
READ = (
    Metric("success", "success, the lowest judge", "share"),
    Metric("ceiling", "its ceiling", "share"),
    Metric("judges", "judges that read it"),
    Metric("{judge}.success", "success by {judge}", "share"),
    Metric("{judge}.ceiling", "ceiling of {judge}", "share"),
)
# Which faces, and the class that they are edited toward.
WAYS = {
    "given": (False, True), "taken": (True, False), "given_again": (True, True), "taken_again": (False, False),
}  # fmt: skip
WORDS = {
    "given": "{A} given to faces that have it not", "taken": "{A} taken away from faces that have it",
    "given_again": "{A} given to faces that have it", "taken_again": "{A} taken away from faces that have it not",
}  # fmt: skip
# The keys of `edits` that ask the same of one judge.
SAME_AS = {
    "success_0": "taken", "success_1": "given_again", "from_0.success_1": "given", "from_0.success_0": "taken_again",
}  # fmt: skip
METRICS: tuple[Metric, ...] = tuple(
    metric
    for setting, words in (("", ""), ("at_strength.", ", at strength ±1"))
    for way in (WAYS if not setting else ("given", "taken"))
    for metric in (
        Metric(f"panel.{{A}}.{setting}{way}.success", f"{WORDS[way]}{words}: the lowest judge", "share",
               pages={"panel": ""} | ({"tiles": "", "summary": f"{way}, the lowest judge"}
                                      if not setting and way in ("given", "taken") else {})),
        *metrics_under(f"panel.{{A}}.{setting}{way}.", READ[1:], "panel",
                       {metric.key: f"{WORDS[way]}{words}: {metric.title}" for metric in READ[1:]}),
    )
)  # fmt: skip


def add_panel(results: Metrics, key: str, done: Mapping[str, Truths], unedited: Mapping[str, Truths]) -> str:
    """Add `key.*` of what each judge reads, and of the lowest, whose name is returned.

    done      which edits [N] each judge reads as asked for; at least one judge
    unedited  which unedited faces [M] of the class that is asked for it reads so; none of them: there is no ceiling
    """
    successes = {judge: mean_ci(truths) for judge, truths in done.items()}
    why = "no face of the class that is asked for"
    for judge, success in successes.items():
        results.values[f"{key}.{judge}.success"] = success
        results.put(f"{key}.{judge}.ceiling", mean_ci(unedited[judge]) if len(unedited[judge]) else None, why)
    lowest = min(successes, key=lambda judge: successes[judge]["value"])
    results.values[f"{key}.success"] = successes[lowest]
    results.put(f"{key}.ceiling", results.values.get(f"{key}.{lowest}.ceiling"), why)
    results.values[f"{key}.judges"] = exact(len(successes))
    return lowest


def measure_panel(context: EvaluationContext, attribute: str) -> None:
    """`panel.A.*`: what all judges read of the edits of a subset, at the paper's setting and at strength ±1."""
    judges = [judge for judge in context.judges if attribute in judge.attributes]
    if not judges:
        context.results.not_computed[f"panel.{attribute}.*"] = "no judge knows the attribute"
        return
    edits, rows = context.edits(attribute), context.subset()
    context.progress.describe(f"{attribute}: all judges")
    labels, unedited = context.labels(attribute)[rows], context.unedited[rows]
    again = context.toward(np.ascontiguousarray(context.faces.images[rows]), attribute, labels.astype(np.float32))
    pictures = {"other": edits.paper[rows], "same": again, "ends": edits.ends, "unedited": unedited}
    read = {
        judge.name: {name: judge.read(images, attribute) for name, images in pictures.items()} for judge in judges
    }  # fmt: skip

    def scores_of(name: str) -> dict[str, Scores]:
        return {judge: scores[name] for judge, scores in read.items()}

    for setting, way, name in (
        ("", "given", "other"), ("", "taken", "other"), ("", "given_again", "same"), ("", "taken_again", "same"),
        ("at_strength.", "given", "ends"), ("at_strength.", "taken", "ends"),
    ):  # fmt: skip
        key = f"panel.{attribute}.{setting}{way}"
        add_way(context.results, key, way, scores_of(name), scores_of("unedited"), labels)


def add_way(
    results: Metrics, key: str, way: str, edited: Mapping[str, Scores], unedited: Mapping[str, Scores], labels: Truths
) -> None:
    """Add `key.*` of one of `WAYS`, of what each judge reads [N] in the same faces edited and unedited."""
    present, target = WAYS[way]
    start, of_class = labels == present, labels == target
    if start.any():
        done = {judge: reads_as(scores[start], target) for judge, scores in edited.items()}
        add_panel(results, key, done, {judge: reads_as(scores[of_class], target) for judge, scores in unedited.items()})
    else:
        results.not_computed[f"{key}.*"] = f"no face {'has' if present else 'lacks'} the attribute"


def read_by(results: Metrics, key: str) -> dict[str, tuple[Measure, Measure | None]]:
    """Success and ceiling of each judge, by its name, under `key`, a way's."""
    start, end = f"{key}.", ".success"
    judges = [k.removeprefix(start).removesuffix(end) for k in results.values if k.startswith(start) and k.endswith(end)]
    return {
        judge: (results[f"{start}{judge}{end}"], results.values.get(f"{start}{judge}.ceiling"))
        for judge in judges if judge != end[1:]
    }  # fmt: skip


def notes_on_panel(results: Metrics, attributes: Sequence[str]) -> list[str]:
    """Which of these attributes one judge alone reads."""
    counts = {key: measure["value"] for key, measure in results.values.items() if key.endswith(".judges")}
    alone = [name for name in attributes if any(f".{name}." in key and count == 1 for key, count in counts.items())]
    if not alone:
        return []
    return [f"one judge alone reads {', '.join(alone)}: --judges adds judges of other kinds, and the lowest is the figure"]
