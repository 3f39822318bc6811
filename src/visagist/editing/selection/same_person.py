"""Whether an edit left a person who they are, to an embedder of faces."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from visagist.faces.alignment import align
from visagist.faces.detection import Face

CROP, SIDE = "centre148", 148  # what embedders are shown of a face


@dataclass(frozen=True)
class PersonCheck:
    """An embedder of uint8 faces [N, S, S, 3], and from where on two faces are two people to it.

    by_distance  whether `limit` is the longest distance of one person's embeddings, else the least cosine
    """

    embed: Callable[[NDArray[np.uint8]], NDArray[np.float32]]
    name: str
    limit: float
    by_distance: bool = False

    def warn(self, before: NDArray[np.uint8], after: NDArray[np.uint8], faces: Sequence[Face]) -> tuple[str, ...]:
        """Warnings of faces that are another person after an edit, in photographs [H, W, 3] before and after it."""
        if not faces:
            return ()
        alignments = [align(face.landmarks, CROP, SIDE) for face in faces]
        first, second = (
            self.embed(np.stack([alignment.face(pixels) for alignment in alignments])).astype(np.float64)
            for pixels in (before, after)
        )
        if self.by_distance:
            measured, word = np.linalg.norm(first - second, axis=1), "distance"
            other = measured > self.limit
        else:
            measured = (first * second).sum(1) / (np.linalg.norm(first, axis=1) * np.linalg.norm(second, axis=1)).clip(1e-12)
            other, word = measured < self.limit, "cosine"
        return tuple(
            f"face {number}: another person to {self.name}: {word} {measured[number]:.2f} to the photograph, of one person "
            f"{'at most' if self.by_distance else 'at least'} {self.limit:g}"
            for number in np.flatnonzero(other)
        )
