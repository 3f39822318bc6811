"""Networks that paint an edited part of a face anew: a U-Net, and a discriminator of patches inside a mask.

Shape letters: B batch, K numbers of a code, S image size.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

GROUPS = 8
SLOPE = 0.2
STRIDE = 16  # sides of images are multiples of it


class ResidualBlock(nn.Module):
    """Group norm, SiLU, conv, twice, beside a shortcut (He et al., 2016b; Wu and He, 2018)."""

    def __init__(self, channels_in: int, channels: int) -> None:
        super().__init__()
        self.norm_in, self.norm = nn.GroupNorm(GROUPS, channels_in), nn.GroupNorm(GROUPS, channels)
        self.conv_in, self.conv = nn.Conv2d(channels_in, channels, 3, 1, 1), nn.Conv2d(channels, channels, 3, 1, 1)
        self.shortcut: nn.Module = nn.Conv2d(channels_in, channels, 1) if channels_in != channels else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        h = self.conv_in(F.silu(self.norm_in(x)))
        return self.shortcut(x) + self.conv(F.silu(self.norm(h)))


class RefinementNetwork(nn.Module):
    """A face of which a part is painted anew, from what is visible of it, a blurred sketch, masks and a code.

    Images [B, 3, H, W] in [0, 1], masks [B, 1, H, W], code [B, K] of which attributes change and to what; H and W are
    multiples of 16. Gives the sketch with what the network adds, [B, 3, H, W], not bounded; at first it adds nothing.
    """

    def __init__(self, codes: int, widths: Sequence[int]) -> None:
        super().__init__()
        w = tuple(widths)
        self.first, self.last = nn.Conv2d(32, w[0], 3, 1, 1), nn.Conv2d(w[0], 12, 3, 1, 1)
        self.down = nn.ModuleList(ResidualBlock(width, width) for width in w[:-1])
        self.shrink = nn.ModuleList(nn.Conv2d(a, b, 3, 2, 1) for a, b in pairwise(w))
        self.middle = nn.ModuleList(ResidualBlock(w[-1], w[-1]) for _ in range(2))
        self.narrow = nn.ModuleList(nn.Conv2d(b, a, 1) for a, b in pairwise(w))
        self.up = nn.ModuleList(ResidualBlock(2 * width, width) for width in w[:-1])
        self.conditions = nn.ModuleList(nn.Linear(codes, width) for width in w)
        for layer in (self.last, *self.conditions):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, visible: Tensor, sketch: Tensor, mask: Tensor, hidden: Tensor, code: Tensor) -> Tensor:
        seen = torch.cat([(visible - 0.5) * (1 - hidden), sketch - 0.5, mask, hidden], 1)
        h, skips = self.first(F.pixel_unshuffle(2 * seen, 2)), []
        for block, shrink, condition in zip(self.down, self.shrink, self.conditions, strict=False):
            h = block(h + condition(code)[:, :, None, None])
            skips.append(h)
            h = shrink(h)
        h = h + self.conditions[-1](code)[:, :, None, None]
        for block in self.middle:
            h = block(h)
        for block, narrow, skip in zip(reversed(self.up), reversed(self.narrow), reversed(skips)):
            doubled = F.interpolate(narrow(h), scale_factor=2.0)
            h = block(torch.cat([doubled, skip], 1))
        return sketch + 0.5 * F.pixel_shuffle(self.last(h), 2).float()


class PatchDiscriminator(nn.Module):
    """Whether patches of a picture [B, 3, H, W] are of a photograph, beside the sketch and the mask: [B, 1, H/8, W/8].

    Spectrally normalised (Miyato et al., 2018); patches as in Isola et al. (2017).
    """

    def __init__(self, widths: Sequence[int]) -> None:
        super().__init__()
        channels = (7, *widths)
        self.layers = nn.ModuleList(
            spectral_norm(nn.Conv2d(a, b, 4, 2, 1) if i < 3 else nn.Conv2d(a, b, 3, 1, 1))
            for i, (a, b) in enumerate(pairwise(channels))
        )
        self.score = spectral_norm(nn.Conv2d(channels[-1], 1, 3, 1, 1))

    def forward(self, x: Tensor, sketch: Tensor, mask: Tensor) -> Tensor:
        h = torch.cat([2 * x - 1, 2 * sketch - 1, mask], 1)
        for layer in self.layers:
            h = F.leaky_relu(layer(h), SLOPE)
        return self.score(h)
