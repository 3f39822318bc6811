"""The landmark gains of a reproduction: cells of rows whose models take an attribute away."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from visagist.data.faces import Faces
from visagist.editing.editor import Editor
from visagist.errors import VisagistError
from visagist.evaluation.extractors.landmark_detectors import DEFAULT, LandmarkDetector, load_detectors
from visagist.evaluation.landmark_gain import Removal, measure_landmarks
from visagist.reproduction import Gain, verdicts
from visagist.reproduction.verdicts import Cell

FACES, DRAWN = 1000, 200  # of each class, as in the paper; and drawn ones


def gained(
    gains: Sequence[Gain],
    editors: Mapping[str, Editor],
    faces: Mapping[str, Faces],
    limit: int | None,
    seed: int,
    data: str | None,
    out: Path,
) -> list[Cell]:
    """The cells of the gains whose rows have a model; each one's page lies in `out`, in a folder of its row.

    `editors` and `faces` are by the rows' labels; `limit` is of faces, `data` says why figures from these do not compare.
    """
    cells = []
    detectors: list[LandmarkDetector] = []
    absent = None
    try:
        detectors = load_detectors(DEFAULT)
    except VisagistError as error:
        absent = f"landmark detectors ({error})"
    for gain in gains:
        needs = absent if gain.row in editors else f"the row {gain.row}"
        if needs is not None:
            cells += [verdicts.missing(gain.row, key, published, needs) for key, published in gain.published.items()]
            continue
        plan = Removal(gain.attribute, None, limit=limit or FACES, drawn=min(DRAWN, limit or DRAWN), seed=seed)
        folder = out / gain.row.lower().replace(" ", "-").replace(",", "")
        metrics = measure_landmarks(editors[gain.row], faces[gain.row], detectors, plan, out=folder)
        for key, published in gain.published.items():
            incomparable = gain.incomparable.get(key)
            cells.append(verdicts.decide(gain.row, key, published, metrics, incomparable=incomparable, data=data))
    return cells
