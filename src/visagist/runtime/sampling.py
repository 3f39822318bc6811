"""Bicubic samples of images, by whichever library is there."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

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
