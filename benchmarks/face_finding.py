"""How well `find_faces` finds faces and places their points: aligned test faces laid askew into larger photographs.

An aligned picture is turned by up to 30 degrees, enlarged or reduced, and laid anywhere into a photograph; around it is a
blurred copy of itself, which shows no face. A second detector, which the landmark network never learned from, reads the
aligned picture, and its reading goes through the same transform. Errors are distances of points in distances of the eyes of
that reading.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from visagist.errors import VisagistError
from visagist.evaluation.extractors.landmark_detectors import ERT_POINTS
from visagist.evaluation.statistics import Measure, mean_ci, means_ci
from visagist.faces.detection import Face, detect
from visagist.faces.geometry import Matrix, compose, invert, transform_points
from visagist.faces.points import inter_ocular
from visagist.networks.pretrained.face_api import ALIGNED_BOX, SIDE, read_face_api

DEGREES, SCALES, PHOTO = 30.0, (0.8, 2.5), 768
MATCHED = 0.5  # a face is found where the middle of its points is off by less than this distance of the eyes
Pixels = NDArray[np.uint8]


def face_api_points(pictures: Pixels, folder: Path) -> NDArray[np.float64]:
    """Five points [N, 5, 2] of aligned pictures [N, 218, 178, 3], by the 68-point network of face-api.js in this folder.

    The mean of a picture's and its mirror image's reading: of the picture alone it leans to the left by a pixel.
    VisagistError where the folder holds something else.
    """
    network = read_face_api(folder)
    left, top, side = ALIGNED_BOX
    x = torch.from_numpy(pictures[:, top : top + side, left : left + side].copy()).permute(0, 3, 1, 2).float()
    x = F.interpolate(x, size=SIDE, mode="bilinear", antialias=True, align_corners=False)
    with torch.inference_mode():
        plain, mirrored = (torch.cat([network(part) for part in y.split(64)]) for y in (x, x.flip(3)))
    mirrored = torch.stack([1 - mirrored[..., 0], mirrored[..., 1]], -1)
    five, other = (torch.stack([p[:, list(group)].mean(1) for group in ERT_POINTS["ert68"]], 1) for p in (plain, mirrored))
    mean = (five + other[:, [1, 0, 2, 4, 3]]) / 2
    return mean.double().numpy() * side + np.array([left, top]) - 0.5


def askew(picture: Pixels, draw: np.random.Generator, degrees: float = DEGREES) -> tuple[Pixels, Matrix]:
    """A photograph with this aligned picture somewhere in it, and the transform from the picture to the photograph."""
    height, width = picture.shape[:2]
    scale, angle = np.exp(draw.uniform(*np.log(SCALES))), np.radians(draw.uniform(-degrees, degrees))
    c, s = scale * np.cos(angle), scale * np.sin(angle)
    turn = np.array([[c, -s], [s, c]])
    reach = np.abs(turn) @ np.array([width, height]) / 2
    room = PHOTO / 2 - reach  # the face stays inside; the picture's corners need not
    middle = PHOTO / 2 + draw.uniform(-1, 1, 2) * np.maximum(room, 0)
    matrix = np.concatenate([turn, (middle - turn @ np.array([(width - 1) / 2, (height - 1) / 2]))[:, None]], 1)
    return laid(picture, matrix, backdrop(picture)), matrix


def backdrop(picture: Pixels, side: int = PHOTO) -> Image.Image:
    """A photograph of the picture's colours that shows nothing."""
    return Image.fromarray(picture).resize((24, 24)).filter(ImageFilter.GaussianBlur(3)).resize((side, side))


def laid(picture: Pixels, matrix: Matrix, ground: Image.Image) -> Pixels:
    """The picture laid on a photograph by a transform."""
    # Reduced smoothly first, so that small faces are as a camera would have them; Pillow counts from corners of pixels.
    scale = min(float(np.hypot(matrix[0, 0], matrix[1, 0])), 1.0)
    size = (max(round(picture.shape[1] * scale), 1), max(round(picture.shape[0] * scale), 1))
    small = Image.fromarray(picture).resize(size, Image.Resampling.LANCZOS)
    ratio = np.array(size) / np.array(picture.shape[1::-1])
    reduce = np.array([[ratio[0], 0, ratio[0] / 2 - 0.5], [0, ratio[1], ratio[1] / 2 - 0.5]])
    back = compose(invert(matrix), reduce)
    shift = back[:, 2] + 0.5 - back[:, :2] @ np.array([0.5, 0.5])
    data = (back[0, 0], back[0, 1], shift[0], back[1, 0], back[1, 1], shift[1])
    mask = Image.new("L", size, 255).transform(ground.size, Image.Transform.AFFINE, data, Image.Resampling.BILINEAR)
    whole = ground.copy()
    whole.paste(small.transform(ground.size, Image.Transform.AFFINE, data, Image.Resampling.BICUBIC), (0, 0), mask)
    return np.asarray(whole)


def nearest_face(faces: Sequence[Face], points: NDArray[np.float64]) -> Face | None:
    """The face whose middle is nearest to that of these points [5, 2], if it is near enough to be the same."""
    far = [float(np.linalg.norm(face.landmarks.mean(0) - points.mean(0))) for face in faces]
    if not far or min(far) > MATCHED * inter_ocular(points):
        return None
    return faces[int(np.argmin(far))]


def measure_finding(
    pictures: Pixels, readings: Mapping[str, NDArray[np.float64]], seed: int = 0, degrees: float = DEGREES
) -> dict[str, Measure]:
    """Finding in aligned pictures [N, 218, 178, 3] laid askew, against points [N, 5, 2] that detectors read in them.

    find.found         faces that are found, of all
    find.astray        faces found in a photograph where none is
    find.error.NAME    distance of the found faces' points from those of the detector NAME
    readings.A.B       distance of two detectors from each other, in the aligned pictures: what no error can be far below

    VisagistError without a reading to compare with.
    """
    if not readings:
        raise VisagistError("no detector's points are given: give those of one or more, by name")
    draw, names = np.random.default_rng(seed), list(readings)
    found, astray, errors = [], [], []
    for row, picture in enumerate(pictures):
        photo, matrix = askew(picture, draw, degrees)
        true = [transform_points(readings[name][row], matrix) for name in names]
        faces = detect(photo)
        face = nearest_face(faces, true[0])
        found.append(face is not None)
        astray.append(len(faces) - (face is not None))
        if face is not None:
            errors.append([distance(face.landmarks, points) for points in true])
    return {
        "find.found": mean_ci(found, seed),
        "find.astray": mean_ci(astray, seed),
        **{f"find.error.{name}": measure for name, measure in zip(names, means_ci(errors, seed) if errors else [])},
        **{
            f"readings.{a}.{b}": mean_ci([distance(p, q) for p, q in zip(readings[a], readings[b])], seed)
            for i, a in enumerate(names)
            for b in names[i + 1 :]
        },
    }


def distance(points: NDArray[np.floating], reading: NDArray[np.floating]) -> float:
    """Mean distance of five points from a reading of them, in distances of the reading's eyes."""
    return float((np.linalg.norm(points - reading, axis=-1) / inter_ocular(reading)).mean())
