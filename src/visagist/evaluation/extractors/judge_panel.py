"""Judges of different kinds behind one interface, so that the lowest of them can be the figure.

    judge-64, judge-128, a folder   attribute judges of this project
    face-api:FOLDER                 the expression and gender networks of face-api.js
    geometry                        the outline of the mouth by dlib's 68 points
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from visagist.errors import VisagistError
from visagist.evaluation.context import Images
from visagist.evaluation.extractors.face_api_judge import FACE_API, FaceApiJudge, box_in, load_second
from visagist.evaluation.extractors.geometry_judge import GeometryJudge
from visagist.judges import Judge, is_judge, load_judge


class PanelJudge(Protocol):
    """A judge of a panel: probabilities [N] of one of its attributes in faces [N, S, S, 3]."""

    @property
    def name(self) -> str: ...
    @property
    def attributes(self) -> tuple[str, ...]: ...
    def read(self, images: Images, attribute: str) -> NDArray[np.float32]: ...


class AttributeReader:
    """An attribute judge of this project; what it reads of one set of faces it reads once for all attributes."""

    def __init__(self, judge: Judge) -> None:
        self.judge, self.name, self.attributes = judge, judge.name, judge.attributes

    def read(self, images: Images, attribute: str) -> NDArray[np.float32]:
        return self.read_all(images)[:, self.attributes.index(attribute)]

    def read_all(self, images: Images) -> NDArray[np.float32]:
        """Probabilities [N, A] of all attributes."""
        return self.judge.score(images)


class FaceApiReader:
    """The networks of face-api.js, which see a box of an aligned face."""

    def __init__(self, judge: FaceApiJudge, crop: str) -> None:
        box = box_in(crop)
        if box is None:
            raise VisagistError(f"face-api.js's networks read faces of CelebA's crops, not {crop}: leave them out")
        self.judge, self.box, self.name, self.attributes = judge, box, judge.name, judge.attributes

    def read(self, images: Images, attribute: str) -> NDArray[np.float32]:
        return self.judge.read(images, attribute, self.box)[:, 0]


def open_panel(names: Sequence[str], crop: str, device: str = "cpu") -> list[PanelJudge]:
    """The judges of these names for faces of one crop; VisagistError for a name that is none, or given twice."""
    panel: list[PanelJudge] = []
    for name in names:
        if name == GeometryJudge.name:
            panel.append(GeometryJudge(crop))
        elif name.startswith(f"{FACE_API}:"):
            panel.append(FaceApiReader(load_second(name), crop))
        elif is_judge(name):
            panel.append(AttributeReader(load_judge(name, device)))
        else:
            raise VisagistError(f"no judge {name!r}: give judge-64, a judge's folder, {FACE_API}:FOLDER or geometry")
    titles = [judge.name for judge in panel]
    if len(set(titles)) < len(titles) or not titles:
        raise VisagistError(f"judges are told apart by their names, got {', '.join(titles) or 'none'}: name each once")
    return panel
