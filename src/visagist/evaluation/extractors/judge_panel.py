"""Judges of different kinds behind one interface, so that the lowest of them can be the figure.

    judge-64, judge-128, a folder   attribute judges of this project
    face-api:FOLDER                 the expression and gender networks of face-api.js
    geometry                        the outline of the mouth by dlib's 68 points
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from visagist.data.faces import Faces
from visagist.editing.editor import Editor
from visagist.errors import VisagistError
from visagist.evaluation.context import Images, JudgeLike, PanelJudge
from visagist.evaluation.extractors.face_api_judge import FACE_API, FaceApiJudge, box_in, load_second
from visagist.evaluation.extractors.geometry_judge import GeometryJudge
from visagist.evaluation.independence import check_independence
from visagist.judges import Judge, is_judge, load_judge


class AttributeReader:
    """An attribute judge of this project; what it reads of one set of faces it reads once for all attributes."""

    def __init__(self, judge: Judge) -> None:
        self.judge, self.name, self.attributes = judge, judge.name, judge.attributes
        self.sha256 = judge.description.get("weights_sha256")

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
        self.sha256 = judge.hashes

    def read(self, images: Images, attribute: str) -> NDArray[np.float32]:
        return self.judge.read(images, attribute, self.box)[:, 0]


def open_panel(judges: Sequence[str | Path | PanelJudge | FaceApiJudge], crop: str, device: str = "cpu") -> list[PanelJudge]:
    """The judges of these names for faces of one crop; VisagistError for a name that is none, or given twice."""
    panel = [_open(judge, crop, device) for judge in judges]
    titles = [judge.name for judge in panel]
    if len(set(titles)) < len(titles) or not titles:
        raise VisagistError(f"judges are told apart by their names, got {', '.join(titles) or 'none'}: name each once")
    return panel


def _open(judge: str | Path | PanelJudge | FaceApiJudge, crop: str, device: str) -> PanelJudge:
    if isinstance(judge, FaceApiJudge):
        return FaceApiReader(judge, crop)
    if not isinstance(judge, (str, Path)):
        return judge
    if judge == GeometryJudge.name:
        return GeometryJudge(crop)
    if str(judge).startswith(f"{FACE_API}:"):
        return FaceApiReader(load_second(str(judge)), crop)
    if is_judge(judge):
        return AttributeReader(load_judge(judge, device))
    raise VisagistError(f"no judge {str(judge)!r}: give judge-64, a judge's folder, {FACE_API}:FOLDER or geometry")


def check_panel(
    editor: Editor, scorer: JudgeLike | None, panel: Sequence[PanelJudge], faces: Faces, rows: NDArray[np.integer],
    allowed: bool = False,
) -> list[str]:
    """What makes the judges of a panel dependent on a model's training; VisagistError for the first, unless `allowed`."""
    if scorer is not None and scorer.name in [judge.name for judge in panel]:
        raise VisagistError(f"{scorer.name} is the judge already: --judges names others beside it")
    own = [judge.judge for judge in panel if isinstance(judge, AttributeReader)]
    return [what for judge in own for what in check_independence(editor, judge, faces, rows, allowed=allowed)]


def panel_facts(panel: Sequence[PanelJudge]) -> list[dict[str, object]]:
    """For a manifest: who judges, by which weights."""
    return [{"name": judge.name, "weights_sha256": getattr(judge, "sha256", None)} for judge in panel]
