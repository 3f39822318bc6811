"""Faces made of numpy, in milliseconds and without a file."""

from __future__ import annotations

import numpy as np

from visagist.data.faces import Faces


def make_faces(
    count: int = 48,
    *,
    attributes: tuple[str, ...] = ("Smiling",),
    image_size: int = 16,
    val: int = 8,
    test: int = 8,
    seed: int = 0,
) -> Faces:
    """Random smooth faces whose attributes brighten one band each; the last rows are validation and test faces."""
    draw = np.random.default_rng(seed)
    labels = draw.integers(0, 2, (count, len(attributes)), dtype=np.uint8)
    labels[:2] = [[0], [1]]
    tone = draw.integers(60, 160, (count, 1, 1, 3))
    images = np.broadcast_to(tone, (count, image_size, image_size, 3)).copy()
    images[:, :, : image_size // 3] //= 2  # no face is its own mirror image
    for column in range(len(attributes)):
        top = image_size * (column + 1) // (len(attributes) + 1)
        images[:, top : top + 2] += (labels[:, column, None, None, None] * 80).astype(images.dtype)
    split = np.zeros(count, np.uint8)
    split[count - val - test : count - test] = 1
    split[count - test :] = 2
    return Faces(
        images=images.clip(0, 255).astype(np.uint8),
        labels=labels,
        names=attributes,
        split=split,
        files=tuple(f"{i:06d}.png" for i in range(count)),
        manifest={"source": f"numpy:{count}", "crop": "none", "size": image_size, "count": count},
    )
