"""Samples of images and their other sizes, by whichever library is there."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from visagist.runtime.arrays import Floats
from visagist.runtime.engine import uses_torch
from visagist.runtime.graphs import Graph

SAMPLER = Path(__file__).with_name("grid_sample.onnx")


def sample_bicubic(image: Floats, grid: NDArray[np.float32]) -> Floats:
    """An image [C, H, W] at points [h, w, 2], [C, h, w]: x and y from -1 to 1 are its edges, which are repeated beyond."""
    if uses_torch():
        import torch
        import torch.nn.functional as F

        tensor = torch.from_numpy(image)[None]
        sampled: Floats = F.grid_sample(
            tensor, torch.from_numpy(grid)[None], "bicubic", "border", align_corners=False
        )[0].numpy()  # fmt: skip
        return sampled
    return _sampler().run({"image": image[None], "grid": grid[None]})[0][0]


@cache
def _sampler() -> Graph:
    return Graph(SAMPLER)


def resize_lanczos(pixels: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """Pixels [H, W, 3] as a square [side, side, 3], antialiased. The libraries differ by one level, in few pixels.

    Pillow alone enlarges, where they would differ by two.
    """
    if min(pixels.shape[:2]) >= side and uses_torch() and _torch_has_lanczos():
        import torch
        import torch.nn.functional as F

        image = torch.from_numpy(np.require(pixels, requirements=("C", "W"))).permute(2, 0, 1)[None]
        resized = F.interpolate(image, (side, side), mode="lanczos", antialias=True)[0]
        return np.asarray(resized.permute(1, 2, 0))
    return np.asarray(Image.fromarray(np.ascontiguousarray(pixels)).resize((side, side), Image.Resampling.LANCZOS))


@cache
def _torch_has_lanczos() -> bool:
    """Whether this torch has the filter, which takes a quarter of Pillow's time; those before 2.13 have not."""
    import torch
    import torch.nn.functional as F

    try:
        F.interpolate(torch.zeros(1, 3, 16, 16, dtype=torch.uint8), (8, 8), mode="lanczos", antialias=True)
    except (NotImplementedError, ValueError):
        return False
    return True
