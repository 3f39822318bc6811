"""A judge by geometry: smiles and open mouths from the outline of the mouth, by dlib's 68 points and no texture.

Lengths are in distances of the eyes, along the line through them and across it. The weights are of logistic regressions on
1 500 training faces of CelebA at 128 pixels, fitted with C = 100. On 800 validation photographs, on which nothing else is
chosen, the areas under the curves are .954 (Smiling) and .943 (Mouth_Slightly_Open), and 88.5 % and 89.2 % are read as
labelled.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from visagist.data.crops import ALIGNED_SIZE, CROPS
from visagist.errors import VisagistError, first_line
from visagist.evaluation.context import CachedNetwork, Images
from visagist.evaluation.extractors.landmark_detectors import ALIGNED_BOX, ERT_SIDE, detector_file
from visagist.faces.detection import load_dlib
from visagist.files import sha256_of

POINTS = 68


class Rule(NamedTuple):
    """Weights of corner lift over the inner lips, width of the mouth, its opening, and corners below the nose."""

    weights: tuple[float, float, float, float]
    constant: float


RULES: Mapping[str, Rule] = {
    "Smiling": Rule((3.95, 14.9, 11.36, -17.7), -9.28),
    "Mouth_Slightly_Open": Rule((10.15, 4.99, 35.01, -6.56), -5.03),
}


class GeometryJudge:
    """Probabilities of `attributes` in uint8 faces of CelebA's crops. VisagistError without dlib or its file."""

    name = "geometry"
    attributes = tuple(RULES)

    def __init__(self, crop: str) -> None:
        if crop not in CROPS or not crop.startswith("centre"):
            raise VisagistError(f"the judge by geometry reads faces of CelebA's crops, not {crop}: leave it out")
        path = detector_file("ert68")
        self._dlib = load_dlib()
        try:
            self._predict = self._dlib.shape_predictor(str(path))
        except RuntimeError as error:
            raise VisagistError(f"cannot read {path} as a shape predictor of dlib: {first_line(error)}") from error
        self.sha256 = sha256_of(path)
        left, top, right, _ = CROPS[crop](*ALIGNED_SIZE)
        scale = ERT_SIDE / (right - left)
        self._features = CachedNetwork(self._measure)  # of several attributes
        self._box = tuple(round((edge - start) * scale) for edge, start in zip(ALIGNED_BOX, (left, top, left, top)))

    def read(self, images: Images, attribute: str) -> NDArray[np.float32]:
        """Probabilities [N] of one attribute in faces [N, S, S, 3]."""
        rule = RULES[attribute]
        logits = self._features(images) @ np.array(rule.weights) + rule.constant
        scores: NDArray[np.float32] = (1 / (1 + np.exp(-logits))).astype(np.float32)
        return scores

    def _measure(self, images: Images) -> NDArray[np.float32]:
        """What the rules weigh, [N, 4]."""
        points = np.array([self._outline(image) for image in images], np.float64).reshape(-1, POINTS, 2)
        eyes = [points[:, group].mean(1) for group in (slice(36, 42), slice(42, 48))]
        distance = np.linalg.norm(eyes[1] - eyes[0], axis=1)[:, None]
        across = (eyes[1] - eyes[0]) / distance
        down = np.stack([-across[:, 1], across[:, 0]], 1)
        relative = points - ((eyes[0] + eyes[1]) / 2)[:, None]
        x, y = ((relative * axis[:, None]).sum(2) / distance for axis in (across, down))
        corners, inner_lips = (y[:, 48] + y[:, 54]) / 2, (y[:, 62] + y[:, 66]) / 2
        lifts = corners - inner_lips, x[:, 54] - x[:, 48], y[:, 66] - y[:, 62], corners - y[:, 33]
        return np.stack(lifts, 1).astype(np.float32)

    def _outline(self, image: NDArray[np.uint8]) -> list[tuple[float, float]]:
        enlarged = np.asarray(Image.fromarray(image).resize((ERT_SIDE, ERT_SIDE), Image.Resampling.BICUBIC))
        shape = self._predict(enlarged, self._dlib.rectangle(*self._box))
        if shape.num_parts != POINTS:
            raise VisagistError(f"the judge by geometry needs a predictor of {POINTS} points, got {shape.num_parts}")
        return [(part.x, part.y) for part in shape.parts()]
