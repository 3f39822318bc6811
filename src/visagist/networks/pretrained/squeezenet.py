"""SqueezeNet 1.1 without its head (Iandola et al., 2016, arXiv:1602.07360; layout 1.1 of its authors)."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional as F

# Name, squeezed channels, channels of each expansion; a pooling goes before fire4 and fire6.
FIRES = (
    ("fire2", 16, 64), ("fire3", 16, 64), ("fire4", 32, 128), ("fire5", 32, 128),
    ("fire6", 48, 192), ("fire7", 48, 192), ("fire8", 64, 256), ("fire9", 64, 256),
)  # fmt: skip
POOLED_BEFORE = ("fire4", "fire6")
FEATURES = 512


class Fire(nn.Module):
    """A 1×1 convolution to few channels, then 1×1 and 3×3 in parallel; [B, C, S, S] to [B, 2·expanded, S, S]."""

    def __init__(self, channels: int, squeezed: int, expanded: int) -> None:
        super().__init__()
        self.squeeze1x1 = nn.Conv2d(channels, squeezed, 1)
        self.expand1x1 = nn.Conv2d(squeezed, expanded, 1)
        self.expand3x3 = nn.Conv2d(squeezed, expanded, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.squeeze1x1(x))
        return F.relu(torch.cat([self.expand1x1(x), self.expand3x3(x)], 1))


class SqueezeNet(nn.Module):
    """Images [B, 3, S, S] normalised for the weights, S at least 48, to the spatial means [B, 512] of the last block."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 3, 2)
        channels = 64
        for name, squeezed, expanded in FIRES:
            self.add_module(name, Fire(channels, squeezed, expanded))
            channels = 2 * expanded

    def maps(self, x: Tensor) -> Iterator[Tensor]:
        """The outputs of the first convolution and of each of the eight blocks, [B, C, S', S']."""
        x = F.relu(self.conv1(x))
        yield x
        x = F.max_pool2d(x, 3, 2)
        for name, _, _ in FIRES:
            if name in POOLED_BEFORE:
                x = F.max_pool2d(x, 3, 2)
            x = self.get_submodule(name)(x)
            yield x

    def forward(self, x: Tensor) -> Tensor:
        *_, last = self.maps(x)
        return last.mean((2, 3))
