"""A second judge of another family: networks of face-api.js, trained by others on other photographs.

It knows Smiling (from expressions) and Male (from gender), and catches edits that fool the first judge alone. Its weights
are not part of the package.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from visagist.data.crops import CROPS
from visagist.editing.inputs import ALIGNED_SIZE
from visagist.errors import VisagistError
from visagist.evaluation.context import Images, Once, Scores, Study
from visagist.evaluation.metrics.edits import THRESHOLD, Edits
from visagist.evaluation.metrics.identity import Box, seen_through
from visagist.evaluation.reading_cache import fingerprint_of
from visagist.evaluation.statistics import balanced_mean_of, mean_of
from visagist.files import sha256_of
from visagist.networks.pretrained import face_api

FACE_API = "face-api"
BATCH = 64
CHANNEL = {"Smiling": face_api.EXPRESSIONS.index("happy"), "Male": 0}
SHIPPED = {"Smiling": face_api.EXPRESSION, "Male": face_api.GENDER}
READ: dict[str, Callable[[Path], nn.Module]] = {"Smiling": face_api.read_expression, "Male": face_api.read_gender}
HOW = "no second judge: give --second face-api:FOLDER, with the weights of face-api.js"


def load_second(which: str) -> FaceApiJudge:
    """The second judge of `face-api:FOLDER`; VisagistError where that is something else."""
    kind, _, folder = which.partition(":")
    if kind != FACE_API or not folder:
        raise VisagistError(f"no second judge {which!r}: give {FACE_API}:FOLDER, with the weights of face-api.js")
    return FaceApiJudge(Path(folder).expanduser())


class FaceApiJudge:
    """Probabilities of `attributes` in uint8 faces; those whose files are in the folder."""

    name = FACE_API

    def __init__(self, folder: Path) -> None:
        self._networks: dict[str, nn.Module] = {}
        self.hashes: dict[str, list[str]] = {}
        for attribute, name in SHIPPED.items():
            if (folder / f"{name}-weights_manifest.json").is_file():
                network = READ[attribute](folder)
                self._networks[attribute] = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
                self.hashes[attribute] = [sha256_of(path) for path in sorted(folder.glob(f"{name}*"))]
        if not self._networks:
            names = " or ".join(f"{name}-weights_manifest.json" for name in SHIPPED.values())
            raise VisagistError(f"{folder} has no {names}: name the folder of the weights of face-api.js")
        self.attributes = tuple(self._networks)

    def reader(self, attribute: str, crop: str | None) -> Once | None:
        """Probabilities [N, 1] of an attribute it knows in faces of this crop; None where in them the face is not known."""
        box = box_in(crop)
        if box is None:
            return None
        own = fingerprint_of(FACE_API, *self.hashes[attribute], box)
        return Once(lambda images: self.read(images, attribute, box), own)

    def read(self, images: Images, attribute: str, box: Box) -> Scores:
        """Probabilities [N, 1] of an attribute in uint8 faces [N, S, S, 3]; `box` says what of each is shown."""
        found, which = [], CHANNEL[attribute]
        for start in range(0, len(images), BATCH):
            shown = np.stack([seen_through(image, box, face_api.SIDE) for image in images[start : start + BATCH]])
            x = torch.from_numpy(shown).permute(0, 3, 1, 2).float().contiguous(memory_format=torch.channels_last)
            with torch.inference_mode():
                found.append(self._networks[attribute](x)[:, which : which + 1].numpy())
        return np.concatenate(found)


def box_in(crop: str | None) -> Box | None:
    """What of a face of this crop the networks are shown, in shares of it; None for crops of other pictures than aligned."""
    if crop is None or not crop.startswith("centre") or crop not in CROPS:
        return None
    left, top, right, bottom = CROPS[crop](*ALIGNED_SIZE)
    across, down = right - left, bottom - top
    x, y, side = face_api.ALIGNED_BOX
    return (x - left) / across, (y - top) / down, (x + side - left) / across, (y + side - top) / down


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
