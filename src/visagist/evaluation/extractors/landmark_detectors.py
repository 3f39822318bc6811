"""Where eyes, nose and mouth are: detectors of five points behind one interface.

    ert68   ensemble of regression trees (Kazemi and Sullivan, 2014) by dlib, 68 points, trained on iBUG 300-W
    ert5    the same by other data of dlib's author, five points, of which the eyes are used
    onet    the output network of MTCNN (Zhang et al., 2016), trained on points in CelebA's own manner

All are shown the same box of the picture. Faces are aligned, so it is a fixed one: a reading before an edit and one after it
then differ by pixels alone, and no face is lost. dlib's finder of faces loses some, more of those with glasses. It is asked
only where the crop does not say how faces lie.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from visagist.data.crops import ALIGNED_SIZE, CROPS
from visagist.errors import VisagistError, first_line, nearest
from visagist.faces.detection import load_detector, load_dlib
from visagist.faces.points import POINTS
from visagist.files import find_in_package, sha256_of
from visagist.networks.pretrained.onet import SIDE, read_onet
from visagist.pixels import to_float, to_pixels

DEFAULT = ("ert68", "ert5")
INSTALL = "pip install 'visagist[landmarks]'"
TERMS = "the 68-point detector was trained on iBUG 300-W, whose licence excludes commercial use"
# The box of a face (left, top, right, bottom): in pixels of CelebA's aligned pictures, and in shares of a drawn face.
ALIGNED_BOX = (43, 83, 136, 176)
DRAWN_BOX = (0.165, 0.264, 0.835, 0.934)
WHOLE = (0.0, 0.0, 1.0, 1.0)
ERT_SIDE, HOG_SIDE = 512, 256  # pixels to which smaller pictures are enlarged first; dlib answers in whole ones

BATCH = 64

Finder = Callable[[Tensor], Tensor]
# Which of a detector's own points make each of the five: their mean. An empty place is a point that it does not know.
ERT_POINTS: Mapping[str, tuple[tuple[int, ...], ...]] = {
    "ert68": (tuple(range(36, 42)), tuple(range(42, 48)), (30,), (48,), (54,)),
    "ert5": ((2, 3), (0, 1), (), (), ()),
}
ERT_NUMBER = {"ert68": 68, "ert5": 5}
_FILES = {
    "ert68": ("face_recognition_models", "models/shape_predictor_68_face_landmarks.dat", INSTALL),
    "ert5": ("face_recognition_models", "models/shape_predictor_5_face_landmarks.dat", INSTALL),
    "onet": ("facenet_pytorch", "data/onet.pt", "pip install --no-deps facenet-pytorch"),
}


class LandmarkDetector(Protocol):
    """Anything that places the five points.

    name   as it stands in keys and tables
    about  facts for the manifest, such as the file and its hash
    """

    name: str
    about: Mapping[str, Any]

    def aimed(self, crop: str | None) -> LandmarkDetector:
        """The same detector for faces of a crop, whose name tells where in the picture they lie."""
        ...

    def __call__(self, images: Tensor) -> Tensor:
        """Points [B, 5, 2] as in `POINTS` of images [B, 3, S, S] in [0, 1]; left is the picture's left.

        In pixels, x before y, whole numbers being pixel centres; NaN where no face is found, and for points that the
        detector does not know.
        """
        ...


class Finds(Protocol):
    """What `detected` asks of a detector: of images [B, 3, S, S] the five `POINTS` [B, 5, 2], as `LandmarkDetector` says."""

    def __call__(self, images: Tensor) -> Tensor: ...


def detected(
    detector: Finds, images: NDArray[np.uint8], advance: Callable[[int], None] = lambda done: None
) -> NDArray[np.float64]:
    """Landmarks [N, 5, 2] of uint8 images [N, S, S, 3]; `advance` hears how many more are done.

    VisagistError where the detector gives another shape.
    """
    landmarks = [np.zeros((0, len(POINTS), 2))]
    for start in range(0, len(images), BATCH):
        part = torch.from_numpy(np.array(images[start : start + BATCH], order="C"))
        points = np.asarray(detector(to_float(part, torch.device("cpu"))), np.float64)
        shape = (len(part), len(POINTS), 2)
        if points.shape != shape:
            raise VisagistError(f"a detector of landmarks gives {list(shape)}, got {list(points.shape)}: use another")
        landmarks.append(points)
        advance(len(part))
    return np.concatenate(landmarks)


class Ert:
    """A shape predictor of dlib.

    68 points: an eye is the mean of the six points of its outline (36–41 the picture's left, 42–47 its right), the tip of
    the nose is 30, the corners of the mouth are 48 and 54. Five points: an eye is the mean of its corners (2 and 3, 0 and
    1); the fifth is the base of the nose, not its tip, and the mouth is not known. VisagistError where dlib or the file is
    missing, or is something else.
    """

    def __init__(self, name: str, path: Path) -> None:
        self.name, self._groups, self._find = name, ERT_POINTS[name], _fixed(WHOLE)
        self._dlib = load_dlib()
        try:
            self._predict = self._dlib.shape_predictor(str(path))
        except RuntimeError as error:
            raise VisagistError(f"cannot read {path} as a shape predictor of dlib: {first_line(error)}") from error
        terms = {"terms": TERMS} if name == "ert68" else {}
        self.about: Mapping[str, Any] = {"file": path.name, "sha256": sha256_of(path), **terms}

    def aimed(self, crop: str | None) -> Ert:
        return _aimed(self, crop)

    def __call__(self, images: Tensor) -> Tensor:
        enlarged = _enlarged(images, ERT_SIDE)
        side = enlarged.shape[-1]
        landmarks = torch.full((len(images), len(POINTS), 2), math.nan)
        for row, (pixels, box) in enumerate(zip(to_pixels(enlarged), self._find(images))):
            if box.isnan().any():
                continue
            shape = self._predict(pixels, self._dlib.rectangle(*(round(edge * side) for edge in box.tolist())))
            if shape.num_parts != ERT_NUMBER[self.name]:
                raise VisagistError(f"the file of {self.name} gives {shape.num_parts} points: name the one of its kind")
            parts = torch.tensor([[part.x, part.y] for part in shape.parts()], dtype=torch.float32)
            for point, group in enumerate(self._groups):
                if group:
                    landmarks[row, point] = parts[list(group)].mean(0)
        return (landmarks + 0.5) * (images.shape[-1] / side) - 0.5


class ONetDetector:
    """MTCNN's output network, shown the face's box alone. VisagistError where the file holds something else."""

    def __init__(self, path: Path) -> None:
        self.name, self._find = "onet", _fixed(WHOLE)
        self._network = read_onet(path)
        self.about: Mapping[str, Any] = {"file": path.name, "sha256": sha256_of(path)}

    def aimed(self, crop: str | None) -> ONetDetector:
        return _aimed(self, crop)

    @torch.inference_mode()
    def __call__(self, images: Tensor) -> Tensor:
        boxes = self._find(images)
        size = images.shape[-1]
        # Twice what the network sees, so that a box sampled out of it is neither blurred nor jagged.
        seen = images.float().cpu()
        if size > 2 * SIDE:
            seen = F.interpolate(seen, size=2 * SIDE, mode="bilinear", antialias=True)
        corner, extent = boxes[:, None, :2], (boxes[:, 2:] - boxes[:, :2])[:, None]
        steps = (torch.arange(SIDE) + 0.5) / SIDE
        across, down = (corner[..., i] + extent[..., i] * steps for i in (0, 1))
        grid = torch.stack([across[:, None].expand(-1, SIDE, -1), down[:, :, None].expand(-1, -1, SIDE)], -1)
        shown = F.grid_sample(seen, grid.nan_to_num(0.5) * 2 - 1, padding_mode="border", align_corners=False)
        # 255 x comes to (255 x − 127.5) / 128; where no face was found, the box's NaN makes the points NaN.
        return (corner + extent * self._network((255 * shown - 127.5) / 128)) * size - 0.5


Aimed = TypeVar("Aimed", Ert, ONetDetector)


def _aimed(detector: Aimed, crop: str | None) -> Aimed:
    other = copy.copy(detector)  # what was read from the file is shared
    other._find = face_finder(crop)
    return other


def load_detectors(names: Sequence[str]) -> list[LandmarkDetector]:
    """The detectors of these names, each as `NAME` or `NAME:FILE`; until aimed they take the picture for the face's box.

    VisagistError for an unknown or repeated name, and for what is not installed.
    """
    detectors: list[LandmarkDetector] = []
    for asked in names:
        name, _, given = asked.partition(":")
        if name not in _FILES:
            raise VisagistError(f"no landmark detector {name!r}: {nearest(name, _FILES)}")
        if name in (other.name for other in detectors):
            raise VisagistError(f"the detector {name} is named twice: name each once")
        path = detector_file(name, given)
        detectors.append(ONetDetector(path) if name == "onet" else Ert(name, path))
    if not detectors:
        raise VisagistError(f"no landmark detector is named: give one of {', '.join(_FILES)}")
    return detectors


def detector_file(name: str, given: str = "") -> Path:
    """The file that a detector is read from, the one `given` or of its package; VisagistError where there is none."""
    if given:
        path = Path(given).expanduser()
        if not path.is_file():
            raise VisagistError(f"no file {given!r} for the detector {name}: name the one that it is read from")
        return path
    package, part, how = _FILES[name]
    # The package of dlib's models cannot be imported, with a setuptools of today.
    if installed := find_in_package(package, part):
        return installed
    raise VisagistError(f"the detector {name} is not installed: {how}, or give its file as {name}:FILE")


def face_finder(crop: str | None) -> Finder:
    """What gives the box [B, 4] of the face in images [B, 3, S, S], in shares of the picture; NaN where there is none.

    Fixed for drawn faces and for the crops of CelebA's aligned pictures; otherwise by dlib's finder of faces.
    """
    if crop == "drawn":
        return _fixed(DRAWN_BOX)
    if crop is not None and crop.startswith("centre"):
        left, top, right, _ = CROPS[crop](*ALIGNED_SIZE)
        corner = (left, top, left, top)
        return _fixed([(edge - start) / (right - left) for edge, start in zip(ALIGNED_BOX, corner)])
    return _hog(load_detector())


def _fixed(box: Sequence[float]) -> Finder:
    return lambda images: torch.tensor(box, dtype=torch.float32).expand(len(images), 4)


def _hog(detector: Any) -> Finder:
    def find(images: Tensor) -> Tensor:
        enlarged = _enlarged(images, HOG_SIDE)
        boxes = torch.full((len(images), 4), math.nan)
        for row, pixels in enumerate(to_pixels(enlarged)):
            faces, scores, _ = detector.run(pixels, 0, 0.0)
            if len(faces):
                best = faces[max(range(len(scores)), key=scores.__getitem__)]
                edges = (best.left(), best.top(), best.right() + 1, best.bottom() + 1)
                boxes[row] = torch.tensor(edges) / enlarged.shape[-1]
        return boxes

    return find


def _enlarged(images: Tensor, side: int) -> Tensor:
    """Images [B, 3, S, S] at this side, if they are smaller."""
    if images.shape[-1] >= side:
        return images
    return F.interpolate(images.float(), size=side, mode="bicubic", align_corners=False).clamp(0, 1)
