"""A U-Net that changes a face by a masked residual, and a discriminator with a head for each attribute and class.

Shape letters: B batch, A attributes, S image size.
"""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

SLOPE = 0.2
FINE = 24  # channels at the full size
CLOSED = 1.5  # logits below 0 at which the mask begins


class Modulated(nn.Module):
    """Two convolutions beside a shortcut, of features that a code scales and shifts first; nothing is normalised."""

    def __init__(self, channels_in: int, channels: int, codes: int) -> None:
        super().__init__()
        self.conv_in, self.conv = nn.Conv2d(channels_in, channels, 3, 1, 1), nn.Conv2d(channels, channels, 3, 1, 1)
        self.shortcut: nn.Module = nn.Conv2d(channels_in, channels, 1) if channels_in != channels else nn.Identity()
        self.condition = nn.Linear(codes, 2 * channels_in)
        nn.init.kaiming_normal_(self.conv_in.weight, SLOPE)
        nn.init.normal_(self.conv.weight, std=0.01)
        nn.init.normal_(self.condition.weight, std=0.2)

    def forward(self, x: Tensor, code: Tensor) -> Tensor:
        scale, shift = self.condition(code)[:, :, None, None].chunk(2, 1)
        h = F.leaky_relu(torch.addcmul(x + shift, x, scale), SLOPE)
        return self.shortcut(x) + self.conv(F.leaky_relu(self.conv_in(h), SLOPE))


class MaskedResidualNetwork(nn.Module):
    """Mask [B, 1, S, S] in [0, 1] and residual [B, 3, S, S] of faces [B, 3, S, S] in [0, 1], by a code [B, K]."""

    STRIDE = 8  # sides of images are multiples of it

    def __init__(self, codes: int, width: int) -> None:
        super().__init__()
        w = width, 2 * width, 10 * width // 3
        self.first = nn.Conv2d(12, w[0], 3, 1, 1)
        self.down = nn.ModuleList(Modulated(width, width, codes) for width in w[:-1])
        self.shrink = nn.ModuleList(nn.Conv2d(a, b, 3, 2, 1) for a, b in pairwise(w))
        self.middle = nn.ModuleList(Modulated(w[-1], w[-1], codes) for _ in range(2))
        self.narrow = nn.ModuleList(nn.Conv2d(b, a, 1) for a, b in pairwise(w))
        self.up = nn.ModuleList(Modulated(2 * width, width, codes) for width in w[:-1])
        self.fine = nn.Conv2d(w[0] + 3, FINE, 3, 1, 1)
        self.last = nn.Conv2d(FINE, 4, 3, 1, 1)
        nn.init.normal_(self.last.weight, std=0.02)

    def forward(self, x: Tensor, code: Tensor) -> tuple[Tensor, Tensor]:
        seen = 2 * x - 1
        h, skips = self.first(F.pixel_unshuffle(seen, 2)), []
        for block, shrink in zip(self.down, self.shrink, strict=True):
            h = block(h, code)
            skips.append(h)
            h = shrink(h)
        for block in self.middle:
            h = block(h, code)
        for block, narrow, skip in zip(reversed(self.up), reversed(self.narrow), reversed(skips)):
            h = block(torch.cat([F.interpolate(narrow(h), scale_factor=2.0), skip], 1), code)
        doubled = F.interpolate(h, scale_factor=2.0)
        out = self.last(F.leaky_relu(self.fine(torch.cat([doubled, seen], 1)), SLOPE)).float()
        return torch.sigmoid(out[:, :1] - CLOSED), out[:, 1:]


class ClassHeads(nn.Module):
    """Of faces [B, 3, S, S]: whether patches [B, 2A, S/8, S/8] and the whole [B, 2A] are of real faces of each attribute's
    classes, and which attributes they have, logits [B, A].

    Spectrally normalised (Miyato et al., 2018). A branch for each class is of StarGAN v2 (Choi et al., 2020), reading labels
    of StarGAN and AttGAN (Choi et al., 2018; He et al., 2019).
    """

    def __init__(self, attributes: int, width: int) -> None:
        super().__init__()
        channels = 3, width, 2 * width, 3 * width
        self.layers = nn.ModuleList(spectral_norm(nn.Conv2d(a, b, 4, 2, 1)) for a, b in pairwise(channels))
        self.patch = spectral_norm(nn.Conv2d(channels[-1], 2 * attributes, 3, 1, 1))
        self.deep = nn.Sequential(
            spectral_norm(nn.Conv2d(channels[-1], channels[-1], 3, 1, 1)), nn.LeakyReLU(SLOPE),
            spectral_norm(nn.Conv2d(channels[-1], channels[-1], 4, 2, 1)), nn.LeakyReLU(SLOPE),
        )  # fmt: skip
        self.whole = spectral_norm(nn.Linear(channels[-1], 2 * attributes))
        self.labels = nn.Linear(channels[-1] * 4, attributes)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        h = 2 * x - 1
        for layer in self.layers:
            h = F.leaky_relu(layer(h), SLOPE)
        deep = self.deep(h)
        pooled = F.adaptive_avg_pool2d(deep, 2).flatten(1)
        return self.patch(h).float(), self.whole(deep.mean((2, 3))).float(), self.labels(4 * pooled).float()
