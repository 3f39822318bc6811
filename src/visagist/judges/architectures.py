"""Three classifiers of different families that no method uses: images [B, 3, 64, 64] to logits [B, A]."""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def _fold(x: Tensor, fold: int) -> Tensor:
    """[B, 3, S, S] in [0, 1] to [B, 3·fold², S/fold, S/fold], roughly standardised; at 2 the first layers cost a quarter."""
    x = (x - 0.5) * 4
    return (F.pixel_unshuffle(x, fold) if fold > 1 else x).contiguous(memory_format=torch.channels_last)


class SqueezeExcite(nn.Module):
    """Channel gates from global means (Hu, Shen and Sun, 2018); [B, C, S, S] to the same."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        hidden = max(8, channels // 8)
        self.gate = nn.Sequential(nn.Linear(channels, hidden), nn.ReLU(), nn.Linear(hidden, channels), nn.Sigmoid())

    def forward(self, x: Tensor) -> Tensor:
        return x * self.gate(x.mean((2, 3)))[:, :, None, None]


class PreActivationBlock(nn.Module):
    """BN, ReLU, conv, BN, ReLU, conv, squeeze-excite, beside a shortcut (He et al., 2016b).

    With `halve` the side is halved and the shortcut is a mean over 2×2 and a 1×1 convolution; else it is the input.
    """

    def __init__(self, channels_in: int, channels: int, halve: bool) -> None:
        super().__init__()
        self.halve = halve
        self.norm_in = nn.BatchNorm2d(channels_in)
        self.conv_in = nn.Conv2d(channels_in, channels, 3, 2 if halve else 1, 1, bias=False)
        self.norm = nn.BatchNorm2d(channels)
        self.conv = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.gate = SqueezeExcite(channels)
        if halve:
            self.shortcut = nn.Conv2d(channels_in, channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        h = F.relu(self.norm_in(x))
        shortcut = self.shortcut(F.avg_pool2d(h, 2)) if self.halve else x
        return shortcut + self.gate(self.conv(F.relu(self.norm(self.conv_in(h)))))


class SqueezeExciteResNet(nn.Module):
    """judge-64: pre-activation residual blocks with squeeze-excite, each width at half the side, a linear head."""

    def __init__(
        self,
        num_attributes: int,
        image_size: int,
        fold: int,
        stem: int,
        widths: tuple[int, ...],
        depths: tuple[int, ...],
        dropout: float,
    ) -> None:
        super().__init__()
        self.fold = fold
        self.stem = nn.Conv2d(3 * fold**2, stem, 3, 1, 1, bias=False)
        channels = [stem, *widths]
        blocks: list[nn.Module] = []
        for (channels_in, channels_out), depth in zip(pairwise(channels), depths, strict=True):
            blocks.append(PreActivationBlock(channels_in, channels_out, halve=True))
            blocks += [PreActivationBlock(channels_out, channels_out, halve=False) for _ in range(depth - 1)]
        self.blocks = nn.Sequential(*blocks)
        self.norm = nn.BatchNorm2d(channels[-1])
        side = image_size // (fold * 2 ** len(widths))
        self.head = nn.Sequential(nn.Dropout(dropout), nn.Linear(channels[-1] * side**2, num_attributes))

    def maps(self, x: Tensor) -> Tensor:
        """What the head reads, [B, C, S', S']."""
        return F.relu(self.norm(self.blocks(self.stem(_fold(x, self.fold)))))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.maps(x).flatten(1))


class PlainConvNet(nn.Module):
    """judge-64-b: plain 3×3 convolutions with max pooling and a hidden layer (after Simonyan and Zisserman, 2015)."""

    def __init__(
        self,
        num_attributes: int,
        image_size: int,
        fold: int,
        widths: tuple[int, ...],
        depths: tuple[int, ...],
        hidden: int,
        dropout: float,
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        self.fold, channels = fold, 3 * fold**2
        for stage, (width, depth) in enumerate(zip(widths, depths, strict=True)):
            if stage:
                layers.append(nn.MaxPool2d(2))
            for _ in range(depth):
                layers += [nn.Conv2d(channels, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU(inplace=True)]
                channels = width
        self.layers = nn.Sequential(*layers)
        side = image_size // (fold * 2 ** (len(widths) - 1))
        self.head = nn.Sequential(
            nn.Dropout(dropout),
            nn.Linear(channels * side**2, hidden, bias=False),
            nn.BatchNorm1d(hidden),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, num_attributes),
        )

    def maps(self, x: Tensor) -> Tensor:
        """What the head reads, [B, C, S', S']."""
        return self.layers(_fold(x, self.fold))

    def stages(self, x: Tensor) -> list[Tensor]:
        """What each stage gives to the next, [B, C, S', S'], the largest first; images of any side."""
        found, h = [], _fold(x, self.fold)
        for layer in self.layers:
            if isinstance(layer, nn.MaxPool2d):
                found.append(h)
            h = layer(h)
        return [*found, h]

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.maps(x).flatten(1))


class BottleneckBlock(nn.Module):
    """Conv 1×1, conv 3×3, conv 1×1, each with a batch norm, beside a shortcut, then ReLU (He et al., 2016a).

    With `halve` the side is halved by a mean over 2×2 before the 3×3 convolution, so that nothing is skipped (Zhang, 2019).
    """

    def __init__(self, channels_in: int, channels: int, halve: bool) -> None:
        super().__init__()
        hidden = channels // 2
        self.pool: nn.Module = nn.AvgPool2d(2) if halve else nn.Identity()
        self.reduce = nn.Sequential(nn.Conv2d(channels_in, hidden, 1, bias=False), nn.BatchNorm2d(hidden), nn.ReLU())
        self.convolve = nn.Sequential(nn.Conv2d(hidden, hidden, 3, 1, 1, bias=False), nn.BatchNorm2d(hidden), nn.ReLU())
        self.expand = nn.Sequential(nn.Conv2d(hidden, channels, 1, bias=False), nn.BatchNorm2d(channels))
        changes = halve or channels_in != channels
        self.shortcut: nn.Module = nn.Conv2d(channels_in, channels, 1) if changes else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.shortcut(self.pool(x)) + self.expand(self.convolve(self.pool(self.reduce(x)))))


class AttentiveResNet(nn.Module):
    """Bottleneck blocks, then for each attribute a mean of its evidence, weighted by its own attention over places."""

    def __init__(
        self,
        num_attributes: int,
        image_size: int,
        fold: int,
        stem: int,
        widths: tuple[int, ...],
        depths: tuple[int, ...],
        dropout: float,
    ) -> None:
        super().__init__()
        self.fold = fold
        self.stem = nn.Sequential(nn.Conv2d(3 * fold**2, stem, 3, 1, 1, bias=False), nn.BatchNorm2d(stem), nn.ReLU())
        blocks: list[nn.Module] = []
        for (channels_in, channels_out), depth in zip(pairwise((stem, *widths)), depths, strict=True):
            blocks.append(BottleneckBlock(channels_in, channels_out, halve=True))
            blocks += [BottleneckBlock(channels_out, channels_out, halve=False) for _ in range(depth - 1)]
        self.blocks = nn.Sequential(*blocks)
        side = image_size // (fold * 2 ** len(widths))
        self.position = nn.Parameter(torch.zeros(1, num_attributes, side, side))
        self.attention = nn.Conv2d(widths[-1], num_attributes, 1)
        self.dropout = nn.Dropout(dropout)
        self.evidence = nn.Conv2d(widths[-1], num_attributes, 1)

    def maps(self, x: Tensor) -> Tensor:
        """What the attention looks at, [B, C, S', S']."""
        return self.blocks(self.stem(_fold(x, self.fold)))

    def forward(self, x: Tensor) -> Tensor:
        h = self.maps(x)
        weights = (self.attention(h) + self.position).flatten(2).softmax(2)
        return (weights * self.evidence(self.dropout(h)).flatten(2)).sum(2)
