"""How light the skin of a face is in a photograph, from patches below its eyes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from visagist.faces.points import face_scale

# From an eye toward the corner of the mouth; outward, and half a side of the patch, in distances of the eyes.
_DOWN, _OUT, _HALF = 0.5, 0.12, 0.14


def skin_lightness(pixels: NDArray[np.uint8], landmarks: NDArray[np.floating]) -> float:
    """Lightness L* (CIE 1976, 0 to 100) of the cheeks of a face with these landmarks [5, 2]: the median of both patches.

    Of an upright sRGB photograph [H, W, 3]; nan where neither cheek lies in it.
    """
    eyes, mouth, scale = landmarks[:2], landmarks[3:], float(face_scale(landmarks))
    outward = (eyes - eyes.mean(0)) / max(float(np.linalg.norm(eyes[1] - eyes[0])) / 2, 1e-6)
    centers = eyes + _DOWN * (mouth - eyes) + _OUT * scale * outward
    half = max(round(_HALF * scale), 1)
    parts = []
    for x, y in np.rint(centers).astype(int):
        part = pixels[max(y - half, 0) : max(y + half + 1, 0), max(x - half, 0) : max(x + half + 1, 0)]
        parts.append(part.reshape(-1, 3))
    patch = np.concatenate(parts)
    return float(np.median(_lightness(patch))) if len(patch) else float("nan")


def _lightness(rgb: NDArray[np.uint8]) -> NDArray[np.float64]:
    """L* of sRGB pixels [N, 3] (IEC 61966-2-1, white D65)."""
    v = rgb / 255
    linear = np.where(v <= 0.04045, v / 12.92, ((v + 0.055) / 1.055) ** 2.4)
    y = linear @ np.array([0.2126, 0.7152, 0.0722])
    return np.where(y > (6 / 29) ** 3, 116 * np.cbrt(y) - 16, y * (29 / 3) ** 3)
