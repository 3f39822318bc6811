"""Augmentation of the judges' training faces; each judge has its own, so that their errors differ."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor


def _symmetric(*shape: int) -> Tensor:
    return torch.rand(*shape) * 2 - 1


def _warp(x: Tensor, matrices: Tensor) -> Tensor:
    grid = F.affine_grid(matrices.to(x), list(x.shape), align_corners=False)
    return F.grid_sample(x, grid, padding_mode="border", align_corners=False)


def _affine(a: Tensor, b: Tensor, tx: Tensor, c: Tensor, d: Tensor, ty: Tensor) -> Tensor:
    return torch.stack([torch.stack([a, b, tx], 1), torch.stack([c, d, ty], 1)], 1)


def rotate_shift_erase(
    x: Tensor,
    shift: float = 0.05,
    scale: float = 0.08,
    degrees: float = 6.0,
    jitter: float = 0.2,
    colour: float = 0.06,
    erase: float = 0.3,
) -> Tensor:
    """Mirror, rotate, scale, shift; contrast, brightness and colour; a grey rectangle. [B, 3, S, S] to the same."""
    b, _, height, width = x.shape
    angle, zoom = _symmetric(b) * math.radians(degrees), torch.exp(_symmetric(b) * scale)
    mirror = (torch.rand(b) < 0.5).float() * 2 - 1
    cos, sin = torch.cos(angle) * zoom, torch.sin(angle) * zoom
    matrices = _affine(cos * mirror, -sin, _symmetric(b) * 2 * shift, sin * mirror, cos, _symmetric(b) * 2 * shift)
    x = _warp(x, matrices)
    mean = x.mean((1, 2, 3), keepdim=True)
    contrast, light = 1 + _symmetric(b, 1, 1, 1) * jitter, 1 + _symmetric(b, 1, 1, 1) * jitter
    tint = 1 + _symmetric(b, 3, 1, 1) * colour
    x = ((x - mean) * contrast.to(x) + mean * (light * tint).to(x)).clamp(0, 1)
    rows, columns = torch.rand(b, 1) * height, torch.rand(b, 1) * width
    half_height, half_width = 4 + torch.rand(b, 1) * 8, 4 + torch.rand(b, 1) * 8
    inside_rows = (torch.arange(height)[None] - rows).abs() < half_height
    inside_columns = (torch.arange(width)[None] - columns).abs() < half_width
    hole = inside_rows[:, None, :, None] & inside_columns[:, None, None, :] & (torch.rand(b, 1, 1, 1) < erase)
    return torch.where(hole.to(x.device), mean, x)


def stretch_gamma_shade(
    x: Tensor, zoom: float = 0.12, gamma: float = 0.3, desaturate: float = 0.3, shade: float = 0.2, tone: float = 0.1
) -> Tensor:
    """Mirror and stretch; gamma and saturation; a linear gradient of light. [B, 3, S, S] to the same."""
    b, _, height, width = x.shape
    stretch = 1 - torch.rand(2, b) * zoom * 1.5 + zoom * 0.25
    move = torch.stack([_symmetric(b), _symmetric(b)]) * ((1 - stretch).abs() + 0.06)
    mirror = (torch.rand(b) < 0.5).float() * 2 - 1
    zero = torch.zeros(b)
    x = _warp(x, _affine(stretch[0] * mirror, zero, move[0], zero, stretch[1], move[1])).clamp(1e-3, 1)
    x = x.pow(torch.exp(_symmetric(b, 1, 1, 1) * gamma).to(x))
    grey = x.mean(1, keepdim=True)
    x = grey + (x - grey) * (1 + _symmetric(b, 1, 1, 1) * desaturate).to(x)
    down, across = torch.linspace(-1, 1, height).view(1, 1, -1, 1), torch.linspace(-1, 1, width).view(1, 1, 1, -1)
    light = 1 + _symmetric(b, 1, 1, 1) * tone
    light = light + shade * (_symmetric(b, 1, 1, 1) * down + _symmetric(b, 1, 1, 1) * across)
    return (x * light.to(x)).clamp(0, 1)


def mix_up(x: Tensor, labels: Tensor, alpha: float) -> tuple[Tensor, Tensor]:
    """Each face and its labels blended with another's, by a share from Beta(alpha, alpha) (Zhang et al., 2018)."""
    share = torch.distributions.Beta(alpha, alpha).sample((len(x),)).to(x)
    other = torch.randperm(len(x)).to(x.device)
    share_x, share_labels = share[:, None, None, None], share[:, None]
    return x * share_x + x[other] * (1 - share_x), labels * share_labels + labels[other] * (1 - share_labels)


def _resampled(x: Tensor) -> Tensor:
    """Made smaller, down to a sixth, and enlarged again."""
    side = x.shape[-1]
    small = max(8, round(side * math.exp(-float(torch.rand(())) * math.log(6))))
    down = F.interpolate(x, size=(small, small), mode="bilinear", antialias=True, align_corners=False)
    mode = "bicubic" if torch.rand(()) < 0.5 else "bilinear"
    return F.interpolate(down, size=(side, side), mode=mode, align_corners=False)


def _blurred(x: Tensor) -> Tensor:
    """A Gaussian blur of up to a fortieth of the side."""
    sigma = 0.2 + float(torch.rand(())) * x.shape[-1] / 40
    radius = math.ceil(2.5 * sigma)
    taps = torch.exp(-0.5 * (torch.arange(-radius, radius + 1, device=x.device, dtype=x.dtype) / sigma) ** 2)
    kernel = (taps / taps.sum()).repeat(x.shape[1], 1)
    x = F.pad(x, (radius,) * 4, mode="reflect")
    x = F.conv2d(x, kernel[:, None, None, :], groups=x.shape[1])
    return F.conv2d(x, kernel[:, None, :, None], groups=x.shape[1])


_DCT = torch.tensor(
    [[math.sqrt((1 if k == 0 else 2) / 8) * math.cos(math.pi * (2 * n + 1) * k / 16) for n in range(8)] for k in range(8)]
)


def _block_coded(x: Tensor) -> Tensor:
    """Coarsely rounded cosine coefficients of 8×8 blocks, coarser at high frequencies, as JPEG's are."""
    b, c, height, width = x.shape
    dct = _DCT.to(x)
    frequency = torch.arange(8, device=x.device, dtype=x.dtype)
    step = (1 + frequency[:, None] + frequency[None]) * (0.004 + 0.036 * float(torch.rand(())))
    blocks = x.reshape(b, c, height // 8, 8, width // 8, 8).transpose(3, 4)
    coded = torch.round(dct @ blocks @ dct.T / step) * step
    return (dct.T @ coded @ dct).transpose(3, 4).reshape(b, c, height, width)


def _noisy(x: Tensor) -> Tensor:
    """Gaussian noise of up to 5 % of the range, of single pixels or of spots of two."""
    noise = torch.randn_like(x)
    if torch.rand(()) < 0.5:
        half = F.avg_pool2d(noise, 2) * 2
        noise = F.interpolate(half, size=x.shape[2:], mode="nearest")
    return x + noise * (torch.rand(len(x), 1, 1, 1) * 0.05).to(x)


def _recoloured(x: Tensor) -> Tensor:
    """Another gain and offset of each channel, less or more saturation."""
    gain, offset = 1 + 0.15 * _symmetric(len(x), 3, 1, 1), 0.05 * _symmetric(len(x), 3, 1, 1)
    grey = x.mean(1, keepdim=True)
    return (grey + (x - grey) * (0.6 + 0.6 * torch.rand(len(x), 1, 1, 1)).to(x)) * gain.to(x) + offset.to(x)


def degrade(x: Tensor, share: float, parts: int = 4) -> Tensor:
    """Do to this share of the images [B, 3, S, S] what models do to pictures; S is a multiple of 8.

    Down- and upsampling, blur, coding in blocks, noise and shifts of colour, each with its own chance. Strengths are drawn
    for each of `parts` parts of the batch, as filters have one size a call.
    """
    steps = ((_resampled, 0.6), (_blurred, 0.4), (_recoloured, 0.4), (_noisy, 0.3), (_block_coded, 0.3))
    changed = []
    for part in x.chunk(parts):
        degraded = part
        for step, chance in steps:
            if torch.rand(()) < chance:
                degraded = step(degraded)
        changed.append(torch.where((torch.rand(len(part), 1, 1, 1) < share).to(x.device), degraded.clamp(0, 1), part))
    return torch.cat(changed)
