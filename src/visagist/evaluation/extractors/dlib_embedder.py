"""The identity embedder that a pip package ships: dlib's ResNet of 29 layers, in `face_recognition_models`.

Its author puts it into the public domain (CC0). It looks at chips of 150 pixels, aligned by dlib's five points, and was
trained so that photographs of one person lie within .6 of each other (King, 2017, "High Quality Face Recognition with Deep
Metric Learning").
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from visagist.errors import VisagistError
from visagist.evaluation.context import Images
from visagist.evaluation.extractors.landmark_detectors import face_finder
from visagist.evaluation.reading_cache import fingerprint_of
from visagist.faces.detection import load_dlib
from visagist.files import find_in_package, sha256_of

DLIB = "dlib"
SAME_PERSON = 0.6  # the distance of embeddings of one person, at most
PACKAGE, NETWORK, POINTS = (
    "face_recognition_models", "models/dlib_face_recognition_resnet_model_v1.dat",
    "models/shape_predictor_5_face_landmarks.dat",
)  # fmt: skip
CHIP, PADDING = 150, 0.25
SIDE = 256  # pixels to which smaller faces are enlarged, as points lie on whole pixels
BATCH = 32


class DlibEmbedder:
    """Embeddings [N, 128] of uint8 faces [N, S, S, 3] that are aligned as CelebA's, in one of its centred crops.

    VisagistError where the package or dlib is missing, and for another crop.
    """

    name = "dlib-resnet-v1"

    def __init__(self, crop: str = "centre148") -> None:
        network, points = (find_in_package(PACKAGE, part) for part in (NETWORK, POINTS))
        if network is None or points is None:
            raise VisagistError("dlib's face embedder is not installed: pip install 'visagist[landmarks]'")
        if not crop.startswith("centre"):
            raise VisagistError(f"dlib's embedder sees faces in crops such as centre148, not {crop!r}")
        dlib = load_dlib()
        self.dlib = dlib
        self.network, self.points = dlib.face_recognition_model_v1(str(network)), dlib.shape_predictor(str(points))
        self.box: list[float] = face_finder(crop)(torch.zeros(1, 3, 1, 1))[0].tolist()
        self.sha256 = sha256_of(network)
        self.fingerprint = fingerprint_of(self.name, self.sha256, crop, dlib.__version__)

    def __call__(self, images: Images) -> NDArray[np.float32]:
        rows = []
        for start in range(0, len(images), BATCH):
            chips = [self._chip(image) for image in images[start : start + BATCH]]
            rows += [np.asarray(row, np.float32) for row in self.network.compute_face_descriptor(chips)]
        return np.stack(rows) if rows else np.zeros((0, 128), np.float32)

    def _chip(self, image: NDArray[np.uint8]) -> Any:
        picture = Image.fromarray(np.ascontiguousarray(image))
        side = max(SIDE, picture.width)
        pixels = np.asarray(picture.resize((side, side), Image.Resampling.BICUBIC))
        left, top, right, bottom = (round(edge * side) for edge in self.box)
        shape = self.points(pixels, self.dlib.rectangle(left, top, right - 1, bottom - 1))
        return self.dlib.get_face_chip(pixels, shape, CHIP, PADDING)
