"""Photographs of the public-domain portrait that ships with the package and of drawn faces, laid where a test wants."""

from __future__ import annotations

from functools import lru_cache
from importlib import resources

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from visagist.data.drawn.synthetic import SyntheticFaces
from visagist.faces.geometry import transform_points

# Where the portrait's points lie, in its own 148×148 pixels.
POINTS = np.array([[53.6, 78.0], [94.5, 78.8], [73.4, 98.6], [52.6, 115.6], [92.6, 117.0]])


@lru_cache
def portrait() -> NDArray[np.uint8]:
    with resources.files("visagist").joinpath("demo_face.png").open("rb") as file:
        return np.asarray(Image.open(file).convert("RGB"))


@lru_cache
def drawn(index: int, size: int = 160) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """A drawn face and its points."""
    faces = SyntheticFaces(40, image_size=size, seed=3, prevalence={"Eyeglasses": 0.2, "Wearing_Hat": 0.1})
    return faces.image(index), faces.landmarks(index).astype(np.float64)


def photograph(size: tuple[int, int]) -> NDArray[np.uint8]:
    """A photograph of this width and height that shows nothing: a sky that grows dark."""
    width, height = size
    shade = np.linspace(200, 90, height)[:, None, None] * np.array([0.8, 0.9, 1.0])
    return np.broadcast_to(shade, (height, width, 3)).round().astype(np.uint8)


def lay(
    photo: NDArray[np.uint8], face: NDArray[np.uint8], centre: tuple[float, float], scale: float, degrees: float = 0
) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """The photograph with a picture of a face laid on it, and the transform from that picture to it."""
    from face_finding import laid

    c, s = scale * np.cos(np.radians(degrees)), scale * np.sin(np.radians(degrees))
    turn = np.array([[c, -s], [s, c]])
    middle = (np.array(face.shape[1::-1]) - 1) / 2
    matrix = np.concatenate([turn, (np.array(centre) - turn @ middle)[:, None]], 1)
    return laid(face, matrix, Image.fromarray(photo)), matrix


def portrait_photo(
    size: tuple[int, int] = (360, 300), scale: float = 1.4, degrees: float = 0
) -> tuple[NDArray[np.uint8], NDArray[np.float64]]:
    """A photograph of the portrait, and where its points are."""
    photo, matrix = lay(photograph(size), portrait(), (size[0] / 2, size[1] / 2), scale, degrees)
    return photo, transform_points(POINTS, matrix)
