"""Predict five points in the boxes of a face detector by the shipped landmark network."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from visagist import pretrained
from visagist.boundary.schema import conform
from visagist.checkpoints.descriptions import Export
from visagist.checkpoints.folders import read_description
from visagist.errors import VisagistError
from visagist.faces.geometry import Matrix, Reductions, transform_points, warp
from visagist.faces.points import CROP_SCALE, MIRRORED, face_scale, roll
from visagist.passes import Pass, Steps, run
from visagist.pixels import to_floats_of
from visagist.runtime.arrays import Floats
from visagist.runtime.engine import has_onnxruntime
from visagist.runtime.graphs import Graph

if TYPE_CHECKING:
    from visagist.faces.landmark_training import LandmarkFinder
    from visagist.methods.base import Trainable

LANDMARK_MODEL = "landmarks-64"
SURE_FACE = 0.9  # confidence that a picture shows a face; of noise the network is surer than .5 now and then
TAKEN_FOR_A_FACE = 0.5  # confidence of a first reading from which on a face is not read upside down as well
WIDER = 1.25  # times the usual square, of a look at what is not surely a face
BATCH = 64
PASSES = 3
BOX_WIDTH = 2.4  # of a detector's box, in distances of the eyes


@dataclass(frozen=True)
class Candidate:
    """A detected box: center and width in pixels of the photograph, tilt in degrees, the detector's score."""

    center: tuple[float, float]
    width: float
    angle: float
    score: float


class PointReader(Protocol):
    """What places five points: of pictures [B, 3, side, side] in [0, 1] points [B, 5, 2] in shares, and logits [B]."""

    @property
    def side(self) -> int: ...
    @property
    def network(self) -> object: ...  # readers of one network pass their pictures together
    def read(self, images: Floats) -> tuple[Floats, Floats]: ...


class TorchReader:
    """The landmark network by torch."""

    def __init__(self, model: LandmarkFinder) -> None:
        self.model, self.network, self.side = model, model, model.config.side

    def read(self, images: Floats) -> tuple[Floats, Floats]:
        import torch

        with torch.inference_mode():
            x = torch.from_numpy(images).contiguous(memory_format=torch.channels_last)
            points, sureness = self.model(x)
        return points.numpy(), sureness.numpy()


class GraphReader:
    """The landmark network of a folder by onnxruntime."""

    def __init__(self, folder: Path) -> None:
        description = read_description(folder)
        stored = conform(description["export"], Export, "export").graphs["landmarks"]
        self.graph, self.side = Graph(folder / stored.file, stored.sha256), int(description["config"]["side"])
        self.network = self.graph

    def read(self, images: Floats) -> tuple[Floats, Floats]:
        points, sureness = self.graph.run({"images": images})
        return points, sureness


def lookup(name: str) -> type[Trainable]:
    """The trainable class of a landmark network's checkpoint."""
    from visagist.faces.landmark_training import LandmarkFinder

    if name != LandmarkFinder.name:
        raise VisagistError(f"no landmark network of kind {name!r}: it is {LandmarkFinder.name}")
    return LandmarkFinder


@lru_cache(maxsize=4)
def load_landmarks(folder: Path | None = None) -> LandmarkFinder:
    """The landmark network of a model folder, that of the zoo if none is named."""
    import torch

    from visagist.checkpoints import checkpoint
    from visagist.faces.landmark_training import LandmarkFinder

    folder = pretrained.ZOO / LANDMARK_MODEL if folder is None else folder
    model, _ = checkpoint.load_model(folder, lookup, kind=LandmarkFinder.kind)
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return cast(Any, model)


def point_reader() -> PointReader:
    """The shipped landmark network: by onnxruntime where it is installed, which takes half of torch's time for few faces."""
    return _graph_reader() if has_onnxruntime() else _torch_reader()


@lru_cache(maxsize=1)
def _torch_reader() -> TorchReader:
    from visagist.runtime.folding import fold_norms

    model = copy.deepcopy(load_landmarks())
    fold_norms(model)
    return TorchReader(model)


@lru_cache(maxsize=1)
def _graph_reader() -> GraphReader:
    return GraphReader(pretrained.ZOO / LANDMARK_MODEL)


def predict_points(
    pixels: NDArray[np.uint8], candidates: Sequence[Candidate], model: LandmarkFinder | None = None
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Points [N, 5, 2] in pixels of the photograph [H, W, 3] and the network's confidence [N] of a face, in [0, 1].

    Of `PASSES` passes the first reads the box of the detector, the others the box in which the face is upright and centered
    by the pass before.
    """
    return run(predict_steps(pixels, candidates, point_reader() if model is None else TorchReader(model)))


def predict_steps(
    pixels: NDArray[np.uint8], candidates: Sequence[Candidate], reader: PointReader
) -> Steps[tuple[NDArray[np.float32], NDArray[np.float32]]]:
    """The steps of `predict_points`."""
    scale, side, photo = CROP_SCALE / BOX_WIDTH, reader.side, Reductions(pixels)
    points, scores = yield from _read(
        reader, photo, [_square(c.center, scale * c.width, c.angle, side) for c in candidates]
    )
    for _ in range(PASSES - 1):
        points, scores = yield from _read(reader, photo, [_upright_square(p, side) for p in points])
    return points, scores


def refine_either_way_steps(
    photo: Reductions, points: NDArray[np.float32], reader: PointReader
) -> Steps[tuple[NDArray[np.float32], NDArray[np.float32]]]:
    """Read the points [N, 5, 2] of faces once more, and the network's confidence [N], from points that are known nearly.

    A face that the first pass is not sure of is read upside down as well, both ways twice, and the surer reading counts.
    """
    squares = [_upright_square(p, reader.side) for p in points]
    crops = [photo.warp(square, reader.side) for square in squares]
    upright, sureness = yield from _read_crops(reader, squares, crops)
    either = np.flatnonzero(sureness < TAKEN_FOR_A_FACE)
    turned = [_upright_square(p, reader.side) for p in 2 * points[either].mean(1, keepdims=True) - points[either]]
    upside_down, _ = yield from _read_crops(reader, turned, [crops[row][::-1, ::-1] for row in either])
    known = np.concatenate([upright, upside_down])
    read, sureness = yield from _read(reader, photo, [_upright_square(p, reader.side) for p in known])
    rows = np.arange(len(points))
    surer = sureness[len(points) :] > sureness[either]
    rows[either[surer]] = len(points) + np.flatnonzero(surer)
    return read[rows], sureness[rows]


def look_wider_steps(photo: Reductions, points: NDArray[np.float32], reader: PointReader) -> Steps[NDArray[np.float32]]:
    """The network's confidence [N] of faces with these points [N, 5, 2], of squares that show more of what is about them."""
    _, sureness = yield from _read(reader, photo, [_upright_square(p, reader.side, WIDER) for p in points])
    return sureness


def score_faces_at(images: NDArray[np.uint8], points: NDArray[np.float32]) -> NDArray[np.float32]:
    """The network's confidence [N], in [0, 1], that images [N, H, W, 3] show a face about these points [5, 2]."""
    reader = point_reader()
    square, scores = _upright_square(points, reader.side), list[np.float32]()
    for start in range(0, len(images), BATCH):
        crops = [warp(image, square, reader.side) for image in images[start : start + BATCH]]
        scores += [score for _, score in _pass(reader, crops)]
    return np.array(scores, np.float32)


def _upright_square(points: NDArray[np.float32], side: int, wider: float = 1.0) -> Matrix:
    """The square in which a face with these points [5, 2] is upright and centered, `wider` times the usual one."""
    return _square(tuple(points.mean(0)), wider * CROP_SCALE * float(face_scale(points)), float(roll(points)), side)


def _square(center: tuple[float, float], width: float, degrees: float, side: int) -> Matrix:
    """The transform from the pixels of the network's square to those of a box in the photograph."""
    step = max(width, 1.0) / side
    c, s = step * math.cos(math.radians(degrees)), step * math.sin(math.radians(degrees))
    turn = np.array([[c, -s], [s, c]])
    offset = np.full(2, (side - 1) / 2)
    return np.concatenate([turn, (np.asarray(center) - turn @ offset)[:, None]], 1)


def _read(
    reader: PointReader, photo: Reductions, squares: Sequence[Matrix]
) -> Steps[tuple[NDArray[np.float32], NDArray[np.float32]]]:
    """One pass: the means of the network's outputs for each square and its mirror image."""
    return (yield from _read_crops(reader, squares, [photo.warp(square, reader.side) for square in squares]))


def _read_crops(
    reader: PointReader, squares: Sequence[Matrix], crops: Sequence[NDArray[np.uint8]]
) -> Steps[tuple[NDArray[np.float32], NDArray[np.float32]]]:
    """As `_read`, of what each square shows."""
    results = (yield Pass(("landmarks", id(reader.network)), crops, partial(_pass, reader), BATCH)) if crops else []
    points = [transform_points(inside, square) for (inside, _), square in zip(results, squares)]
    return (
        np.stack(points).astype(np.float32) if points else np.zeros((0, 5, 2), np.float32),
        np.array([score for _, score in results], np.float32),
    )


def _pass(reader: PointReader, crops: Sequence[NDArray[np.uint8]]) -> list[tuple[NDArray[np.float32], np.float32]]:
    """The points [5, 2] of each crop, in its pixels, and the logit's sigmoid."""
    side, x = reader.side, to_floats_of(np.stack(crops))
    shares, sureness = reader.read(np.concatenate([x, x[..., ::-1]]))
    plain, mirrored = np.split(shares * np.float32(side) - np.float32(0.5), 2)
    mirrored[..., 0] = side - 1 - mirrored[..., 0]
    inside = (plain + mirrored[:, MIRRORED]) / 2
    return list(zip(inside, _sigmoid(sureness.reshape(2, -1).mean(0))))


def _sigmoid(logits: Floats) -> Floats:
    odds: NDArray[np.float64] = 1 / (1 + np.exp(-logits.astype(np.float64)))
    return odds.astype(np.float32)
