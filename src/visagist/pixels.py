"""Pictures as uint8 arrays, and as float tensors in [0, 1]."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from visagist.errors import VisagistError


def to_pixels(image: Tensor) -> NDArray[np.uint8]:
    """An image [3, H, W] or images [N, 3, H, W] in [0, 1] as uint8 [..., H, W, 3] on the CPU; VisagistError as
    `check_finite`."""
    check_finite(image)
    rounded = (image.float().clamp(0, 1) * 255).round().to(torch.uint8)
    return np.ascontiguousarray(rounded.movedim(-3, -1).cpu().numpy())


def to_float(images: torch.Tensor, device: torch.device) -> torch.Tensor:
    """uint8 [B, S, S, 3] to float [B, 3, S, S] in [0, 1], channels_last in memory, on `device`.

    What goes to CUDA goes from pinned memory, so that the processor need not wait for it.
    """
    if device.type == "cuda" and images.device.type == "cpu":
        images = images.pin_memory()
    return images.to(device, non_blocking=True).permute(0, 3, 1, 2).float().div_(255)


def check_finite(values: Tensor, what: str = "picture") -> None:
    """Raise VisagistError where a model made numbers that are not finite, which would be shown as black."""
    if not bool(torch.isfinite(values).all()):
        raise VisagistError(
            f"the model made a {what} with values that are not finite: its weights are damaged or too large; take another "
            "checkpoint"
        )
