"""The judges that ship, by name, and how one is run where torch is not there."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from visagist.boundary.schema import conform
from visagist.checkpoints.descriptions import Export
from visagist.checkpoints.folders import read_description
from visagist.errors import VisagistError
from visagist.pixels import to_floats_of
from visagist.pretrained import shipped_folder
from visagist.runtime.graphs import Graph

SCORING_JUDGE = "judge-64"
CALIBRATING_JUDGE = "judge-64-b"
ROBUST_CALIBRATING_JUDGE = "judge-64-robust-b"
SCORING_JUDGES = (SCORING_JUDGE, "judge-64-robust", "judge-128")  # none of them ever calibrates or selects
CALIBRATING_JUDGES = (CALIBRATING_JUDGE, ROBUST_CALIBRATING_JUDGE, "judge-128-b")  # none of them ever scores
JUDGES = (*SCORING_JUDGES, *CALIBRATING_JUDGES)  # none of them is in a training loss


def judges_of_strength() -> tuple[str, ...]:
    """The judges that fit the strength of edits unless others are named; where the robust one ships, it is among them.

    A judge that is not robust takes blur for success or failure; one that is reads glasses and beards so faint that a
    person hardly sees them.
    """
    robust = () if shipped_folder(ROBUST_CALIBRATING_JUDGE) is None else (ROBUST_CALIBRATING_JUDGE,)
    return (*robust, CALIBRATING_JUDGE)


class AnyJudge(Protocol):
    """A judge, whatever runs it."""

    name: str
    description: dict[str, Any]
    attributes: tuple[str, ...]
    image_size: int

    def score(self, images: NDArray[np.uint8], batch_size: int = ...) -> NDArray[np.float32]: ...


class GraphJudge:
    """A judge that onnxruntime runs, in float32. VisagistError where its folder has no graph."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name, self.description = name, read_description(folder)
        self.attributes = tuple(self.description["attributes"])
        self.image_size = int(self.description["image_size"])
        if self.description.get("export") is None:
            raise VisagistError(f"{folder} has no graphs for onnxruntime: write some with `visagist export`")
        stored = conform(self.description["export"], Export, "export").graphs["classify"]
        self._graph = Graph(folder / stored.file, stored.sha256)

    def score(self, images: NDArray[np.uint8], batch_size: int = 64) -> NDArray[np.float32]:
        """Probabilities [N, A] for uint8 images [N, S, S, 3] of any size S."""
        scores = [np.zeros((0, len(self.attributes)), np.float32)]
        for start in range(0, len(images), batch_size):
            part = [_resized(image, self.image_size) for image in images[start : start + batch_size]]
            scores.append(self._graph.run({"images": to_floats_of(np.stack(part))})[0])
        return np.concatenate(scores)


def _resized(image: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    if image.shape[:2] == (side, side):
        return image
    return np.asarray(Image.fromarray(image).resize((side, side), Image.Resampling.BILINEAR))
