"""A second judge of another family: networks of face-api.js, trained by others on other photographs.

It knows Smiling (from expressions) and Male (from gender), and catches edits that fool the first judge alone. Its weights
are not part of the package.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from visagist.evaluation.context import Study
from visagist.evaluation.extractors.face_api_judge import FaceApiJudge
from visagist.evaluation.metrics.edits import THRESHOLD, Edits
from visagist.evaluation.statistics import balanced_mean_of, mean_of

HOW = "no second judge: give --second face-api:FOLDER, with the weights of face-api.js"








def measure_second(study: Study, attribute: str, edits: Edits, second: FaceApiJudge | None) -> None:
    """`second.A.*`: what the second judge says of photographs, reconstructions and edits to the class the label is not,
    on a subset."""
    missing, key = study.results.not_computed, f"second.{attribute}"
    if second is None:
        missing["second.*"] = HOW
        return
    if attribute not in second.attributes:
        missing[f"{key}.*"] = f"{second.name} knows {', '.join(second.attributes)}: nothing of another family reads this"
        return
    read = second.reader(attribute, study.faces.manifest.get("crop"))
    if read is None:
        missing[f"{key}.*"] = "it is not known where in faces of this crop the face is: it is of CelebA's centre crops"
        return
    study.track.stage(f"{attribute}: the second judge")
    rows = study.subset()
    labels = study.labels(attribute)[rows]
    photos = read.photographs(study.faces.images[rows])[:, 0]
    right = (photos >= THRESHOLD) == labels
    if labels.all() or not labels.any():
        missing[f"{key}.balanced_accuracy"] = "these faces are all of one class"
    else:
        study.results.values[f"{key}.balanced_accuracy"] = balanced_mean_of(right, labels, study.seed)
    _moved(study, key, "base_rate_photo.", photos, labels)
    _moved(study, key, "base_rate_reconstruction.", read(study.unedited[rows])[:, 0], labels)
    paper = read(edits.paper[rows])[:, 0]
    _moved(study, key, "", paper, labels)
    _moved(study, key, "at_strength.", read(edits.ends)[:, 0], labels)
    _agreement(study, key, attribute, edits, paper)


def _moved(study: Study, key: str, prefix: str, scores: NDArray[np.float32], labels: NDArray[np.bool_]) -> None:
    """The shares judged to be of the class that the label is not, from either class."""
    for start, name in ((True, "success_0"), (False, "from_0.success_1")):
        rows = labels == start
        if rows.any():
            done = (scores[rows] >= THRESHOLD) != start
            study.results.values[f"{key}.{prefix}{name}"] = mean_of(done, study.seed)
        else:
            study.results.not_computed[f"{key}.{prefix}{name}"] = f"no face {'has' if start else 'lacks'} the attribute"


def _agreement(study: Study, key: str, attribute: str, edits: Edits, paper: NDArray[np.float32]) -> None:
    """The share of edits at the paper's setting on whose class both judges agree."""
    if not edits.paper_read:
        study.results.not_computed[f"{key}.agreement"] = f"{study.scorer.judge.name} does not know the attribute"
        return
    rows = study.subset()
    toward_0, toward_1 = (study.scorer.column(scores[rows], attribute) for scores in edits.paper_read)
    first = np.where(study.labels(attribute)[rows], toward_0, toward_1)
    same = (first >= THRESHOLD) == (paper >= THRESHOLD)
    study.results.values[f"{key}.agreement"] = mean_of(same, study.seed)
