"""A second judge of another family: networks of face-api.js, trained by others on other photographs.

It knows Smiling (from expressions) and Male (from gender), and catches edits that fool the first judge alone. Its weights
are not part of the package.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from visagist.attributes import reads_as
from visagist.evaluation.context import EvaluationContext
from visagist.evaluation.metrics.edits import flips, success_from_either
from visagist.evaluation.results import Metric
from visagist.evaluation.statistics import balanced_mean_ci, mean_ci

HOW = "no second judge: give --second face-api:FOLDER, with the weights of face-api.js"
METRICS = (
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
