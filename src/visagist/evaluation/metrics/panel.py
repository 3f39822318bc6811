"""Judges of different kinds read the same edits: the lowest of them is the figure, and beside it stands its ceiling.

A ceiling is the share of faces of the class that is asked for which the same judge reads so where nothing was edited: in
reconstructions, or in photographs where a model passes no code. Blur eats what is judged, so that no edit is read more
often than its ceiling but by overdoing it.

`second.*` has more of one such judge: networks of face-api.js, trained by others on other photographs, which know Smiling
(from expressions) and Male (from gender). Their weights are not part of the package.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from visagist.attributes import reads_as
from visagist.evaluation.context import EvaluationContext, Scores
from visagist.evaluation.metrics.edits import flips, success_from_either
from visagist.evaluation.results import Metric, Metrics, metrics_under
from visagist.evaluation.statistics import Measure, balanced_mean_ci, exact, lowest_share_ci, mean_ci

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
HOW = "no second judge: give --second face-api:FOLDER, with the weights of face-api.js"
SECOND_METRICS = (
    *(
        Metric(f"second.{{A}}.{setting}{goal}", f"{title}{words}", "share", pages=pages)
        for setting, words, pages in (
            ("", "", {"second judge": ""}), ("at_strength.", ", at strength ±1", {"second judge": ""}),
            ("base_rate_reconstruction.", ", unedited", {"second judge": ""}),
            ("base_rate_photo.", ", photographs", {}),
        )
        for title, goal in (("taken away, judged 0", "success_0"), ("given, judged 1", "from_0.success_1"))
    ),
    Metric("second.{A}.agreement", "edits on whose class both judges agree", "share", pages={"second judge": ""}),
    Metric("second.{A}.balanced_accuracy", "its own balanced accuracy on the photographs", "share",
           pages={"second judge": ""}),
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
    results.values[f"{key}.success"] = lowest_share_ci(list(successes.values()))
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


def measure_second(context: EvaluationContext, attribute: str) -> None:
    """`second.A.*`: what the second judge says of photographs, reconstructions and edits to the class the label is not,
    on a subset."""
    missing, key, second = context.results.not_computed, f"second.{attribute}", context.networks.second
    if second is None:
        missing["second.*"] = HOW
        return
    if attribute not in second.attributes:
        missing[f"{key}.*"] = f"{second.name} knows {', '.join(second.attributes)}: nothing of another family reads this"
        return
    read = second.reader(attribute, context.faces.manifest.get("crop"))
    if read is None:
        missing[f"{key}.*"] = "it is not known where in faces of this crop the face is: it is of CelebA's centre crops"
        return
    edits = context.edits(attribute)
    context.progress.describe(f"{attribute}: the second judge")
    rows = context.subset()
    labels = context.labels(attribute)[rows]
    photos = read.photographs(context.faces.images[rows])[:, 0]
    right = reads_as(photos, labels)
    if labels.all() or not labels.any():
        missing[f"{key}.balanced_accuracy"] = "these faces are all of one class"
    else:
        context.results.values[f"{key}.balanced_accuracy"] = balanced_mean_ci(right, labels, context.seed)
    unedited, paper, ends = (read(images)[:, 0] for images in (context.unedited[rows], edits.paper[rows], edits.ends))
    for prefix, judged in (
        (f"{key}.base_rate_photo", photos),
        (f"{key}.base_rate_reconstruction", unedited),
        (key, paper),
        (f"{key}.at_strength", ends),
    ):
        success_from_either(context.results, prefix, judged, labels, context.seed)
    _agreement(context, key, attribute, paper)


def _agreement(context: EvaluationContext, key: str, attribute: str, paper: NDArray[np.float32]) -> None:
    """The share of edits at the paper's setting on whose class both judges agree."""
    edits = context.edits(attribute)
    if not edits.paper_read:
        context.results.not_computed[f"{key}.agreement"] = f"{context.scorer.judge.name} does not know the attribute"
        return
    rows = context.subset()
    toward_0, toward_1 = (context.scorer.column(scores[rows], attribute) for scores in edits.paper_read)
    first = np.where(context.labels(attribute)[rows], toward_0, toward_1)
    same = ~flips(first, paper)
    context.results.values[f"{key}.agreement"] = mean_ci(same, context.seed)
