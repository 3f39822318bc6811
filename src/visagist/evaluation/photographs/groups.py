"""Who is on a photograph, for figures by group: perceived gender and age by label, and how light the skin is."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from visagist.data.crops import template
from visagist.data.faces import Faces
from visagist.evaluation.context import Images
from visagist.faces.skin import skin_lightness

# Of 600 validation faces of CelebA one in six is below the first, and half are above the second.
DARK, LIGHT = 55.0, 70.0
GROUPS = {
    "men": "men", "women": "women", "young": "young", "older": "older",
    "dark_skin": f"L* of the cheeks below {DARK:g}", "medium_skin": "between", "light_skin": f"L* of {LIGHT:g} and more",
}  # fmt: skip
_LABELS = {"men": ("Male", 1), "women": ("Male", 0), "young": ("Young", 1), "older": ("Young", 0)}


def lightness_of(images: Images, crop: str) -> NDArray[np.float64]:
    """L* [N] of the cheeks of aligned faces [N, S, S, 3] of a crop."""
    points = template(crop, images.shape[1])
    return np.array([skin_lightness(image, points) for image in images])


def groups_of(faces: Faces, rows: NDArray[np.int64], lightness: NDArray[np.float64]) -> dict[str, NDArray[np.bool_]]:
    """Whether each of the faces of these rows is in each of `GROUPS`, without those that no label tells."""
    members = {
        group: np.asarray(faces.column(name))[rows] == value
        for group, (name, value) in _LABELS.items() if name in faces.names
    }  # fmt: skip
    dark, light = lightness < DARK, lightness >= LIGHT
    return {**members, "dark_skin": dark, "medium_skin": ~dark & ~light, "light_skin": light}
