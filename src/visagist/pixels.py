"""Pictures as uint8 arrays and as float tensors in [0, 1], and how far two of them lie apart."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from visagist.errors import VisagistError
from visagist.runtime.arrays import Floats, is_tensor

if TYPE_CHECKING:
    import torch
    from torch import Tensor

SSIM_WINDOW, SIGMA, K1, K2 = 11, 1.5, 0.01, 0.03
LEAST_ERROR = 1e-10


def to_pixels(image: Tensor | Floats) -> NDArray[np.uint8]:
    """An image [3, H, W] or images [N, 3, H, W] in [0, 1] as uint8 [..., H, W, 3] on the CPU; VisagistError as
    `check_finite`."""
    check_finite(image)
    if is_tensor(image):
        import torch

        rounded: Any = (image.float().clamp(0, 1) * 255).round().to(torch.uint8).cpu().numpy()
    else:
        rounded = np.rint(np.clip(image, 0, 1) * np.float32(255)).astype(np.uint8)
    return np.ascontiguousarray(np.moveaxis(rounded, -3, -1))


def to_floats_of(images: NDArray[np.uint8]) -> Floats:
    """uint8 [..., S, S, 3] to float [..., 3, S, S] in [0, 1]."""
    floats: Floats = np.moveaxis(images, -1, -3).astype(np.float32)
    floats /= np.float32(255)
    return np.ascontiguousarray(floats)


def to_float(images: torch.Tensor, device: torch.device) -> torch.Tensor:
    """uint8 [B, S, S, 3] to float [B, 3, S, S] in [0, 1], channels_last in memory, on `device`.

    What goes to CUDA goes from pinned memory, so that the processor need not wait for it.
    """
    if device.type == "cuda" and images.device.type == "cpu":
        images = images.pin_memory()
    return images.to(device, non_blocking=True).permute(0, 3, 1, 2).float().div_(255)


def resize(images: Tensor, side: int) -> Tensor:
    """Images [B, 3, S, S] at another side, smaller ones antialiased, larger ones bicubic, in [0, 1]."""
    import torch.nn.functional as F

    if images.shape[-1] == side:
        return images
    if images.shape[-1] > side:
        return F.interpolate(images, size=(side, side), mode="bilinear", antialias=True, align_corners=False)
    return F.interpolate(images, size=(side, side), mode="bicubic", align_corners=False).clamp(0, 1)


def check_finite(values: Tensor | Floats, what: str = "picture") -> None:
    """Raise VisagistError where a model made numbers that are not finite, which would be shown as black."""
    finite = values.isfinite() if is_tensor(values) else np.isfinite(values)
    if not bool(finite.all()):
        raise VisagistError(
            f"the model made a {what} with values that are not finite: its weights are damaged or too large; take another "
            "checkpoint"
        )


def squared_error(x_hat: Tensor, x: Tensor) -> Tensor:
    """Mean squared error [B] of each image; pixels in [0, 1]."""
    return (x_hat - x).square().flatten(1).mean(1)


def peak_signal_to_noise(mse: Tensor) -> Tensor:
    """PSNR [B] in decibels for pixels in [0, 1]; identical images get 100."""
    return -10 * mse.clamp(min=LEAST_ERROR).log10()


def structural_similarity(x_hat: Tensor, x: Tensor) -> Tensor:
    """SSIM [B] of images [B, C, S, S] in [0, 1], mean over channels; S is at least 11.

    A Gaussian window of 11 pixels, sigma 1.5, only where it fits (Wang, Bovik, Sheikh and Simoncelli, 2004, eq. 13).
    """
    import torch

    at = torch.arange(SSIM_WINDOW, dtype=x.dtype, device=x.device) - SSIM_WINDOW // 2
    bell = torch.exp(-at.square() / (2 * SIGMA**2))
    bell = bell / bell.sum()
    channels = x.shape[1]

    def smooth(image: Tensor) -> Tensor:
        across = torch.nn.functional.conv2d(image, bell.expand(channels, 1, 1, SSIM_WINDOW), groups=channels)
        return torch.nn.functional.conv2d(across, bell[:, None].expand(channels, 1, SSIM_WINDOW, 1), groups=channels)

    c1, c2 = K1**2, K2**2
    mu_x, mu_y = smooth(x), smooth(x_hat)
    var_x, var_y = smooth(x * x) - mu_x**2, smooth(x_hat * x_hat) - mu_y**2
    covariance = smooth(x * x_hat) - mu_x * mu_y
    likeness = (2 * mu_x * mu_y + c1) * (2 * covariance + c2) / ((mu_x**2 + mu_y**2 + c1) * (var_x + var_y + c2))
    return likeness.flatten(1).mean(1)
