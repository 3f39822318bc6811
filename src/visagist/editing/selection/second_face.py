"""Whether an edit made another face appear: models of frontal faces may paint one beside a face that is turned away."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from visagist.faces.detection import Box, detect


def second_face(before: NDArray[np.uint8], after: NDArray[np.uint8], box: Box) -> tuple[str, ...]:
    """Say that more faces are found in a box of a photograph [H, W, 3] after an edit of its one face than before."""
    left, top, right, bottom = box
    was, now = (len(detect(np.ascontiguousarray(pixels[top:bottom, left:right]))) for pixels in (before, after))
    return ("another face appears beside it",) if now > max(was, 1) else ()
