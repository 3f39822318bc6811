"""Inception v3 of 2015-12-05, of whose features FID, KID and the inception score are (Szegedy et al., 2016,
arXiv:1512.00567).

The network and the names of its parts are those of the published conversion of TensorFlow's graph,
`pt_inception-2015-12-05-6726825d.pth`: means over 3×3 places leave the padding out, and the last block takes the largest of
3×3 places where the others take means. Weights are read from a file; none are shipped or fetched here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SIDE = 299
FEATURES, CLASSES = 2048, 1008

Kernel = int | tuple[int, int]
MEAN, LARGEST, REDUCED = "mean", "largest", "reduced"  # poolings of 3×3 places; the last halves the side
Step = str | tuple[str, ...]  # a unit, a pooling, or units side by side


class Unit(nn.Module):
    """A convolution without bias, batch norm and ReLU."""

    def __init__(self, channels_in: int, channels: int, kernel: Kernel, stride: int = 1, pad: Kernel = 0) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels_in, channels, kernel, stride, pad, bias=False)
        self.bn = nn.BatchNorm2d(channels, eps=0.001)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.bn(self.conv(x)), inplace=True)


class UnitSize(NamedTuple):
    """What `Unit` takes."""

    channels_in: int
    channels: int
    kernel: Kernel
    stride: int = 1
    pad: Kernel = 0


class Mixed(nn.Module):
    """Branches beside each other, each a row of steps, their channels one after the other."""

    def __init__(self, units: Mapping[str, UnitSize], branches: Sequence[Sequence[Step]]) -> None:
        super().__init__()
        for name, size in units.items():
            self.add_module(name, Unit(*size))
        self.branches = branches

    def forward(self, x: Tensor) -> Tensor:
        outputs = []
        for branch in self.branches:
            h = x
            for step in branch:
                h = self._take(step, h)
            outputs.append(h)
        return torch.cat(outputs, 1)

    def _take(self, step: Step, h: Tensor) -> Tensor:
        if isinstance(step, tuple):
            return torch.cat([self.get_submodule(name)(h) for name in step], 1)
        if step == MEAN:
            return F.avg_pool2d(h, 3, 1, 1, count_include_pad=False)
        if step == LARGEST:
            return F.max_pool2d(h, 3, 1, 1)
        if step == REDUCED:
            return F.max_pool2d(h, 3, 2)
        return self.get_submodule(step)(h)


def _mixed_35(channels: int, pooled: int) -> Mixed:
    """At 35×35: 1×1, 5×5, two 3×3, and a pooling."""
    units = {
        "branch1x1": UnitSize(channels, 64, 1), "branch5x5_1": UnitSize(channels, 48, 1),
        "branch5x5_2": UnitSize(48, 64, 5, 1, 2), "branch3x3dbl_1": UnitSize(channels, 64, 1),
        "branch3x3dbl_2": UnitSize(64, 96, 3, 1, 1), "branch3x3dbl_3": UnitSize(96, 96, 3, 1, 1),
        "branch_pool": UnitSize(channels, pooled, 1),
    }  # fmt: skip
    threes = [f"branch3x3dbl_{i}" for i in (1, 2, 3)]
    return Mixed(units, [["branch1x1"], ["branch5x5_1", "branch5x5_2"], threes, [MEAN, "branch_pool"]])


def _reduce_35(channels: int) -> Mixed:
    units = {
        "branch3x3": UnitSize(channels, 384, 3, 2), "branch3x3dbl_1": UnitSize(channels, 64, 1),
        "branch3x3dbl_2": UnitSize(64, 96, 3, 1, 1), "branch3x3dbl_3": UnitSize(96, 96, 3, 2),
    }  # fmt: skip
    return Mixed(units, [["branch3x3"], [f"branch3x3dbl_{i}" for i in (1, 2, 3)], [REDUCED]])


def _mixed_17(channels: int, inner: int) -> Mixed:
    """At 17×17: 1×1, and 7×7 in two and in four parts of one row or column each."""
    across, down = ((1, 7), (0, 3)), ((7, 1), (3, 0))
    units = {"branch1x1": UnitSize(channels, 192, 1), "branch7x7_1": UnitSize(channels, inner, 1)}
    for i, (kernel, pad) in enumerate((across, down), 2):
        units[f"branch7x7_{i}"] = UnitSize(inner, 192 if i == 3 else inner, kernel, 1, pad)
    units["branch7x7dbl_1"] = UnitSize(channels, inner, 1)
    for i, (kernel, pad) in enumerate((down, across, down, across), 2):
        units[f"branch7x7dbl_{i}"] = UnitSize(inner, 192 if i == 5 else inner, kernel, 1, pad)
    units["branch_pool"] = UnitSize(channels, 192, 1)
    sevens, doubled = [f"branch7x7_{i}" for i in (1, 2, 3)], [f"branch7x7dbl_{i}" for i in (1, 2, 3, 4, 5)]
    return Mixed(units, [["branch1x1"], sevens, doubled, [MEAN, "branch_pool"]])


def _reduce_17(channels: int) -> Mixed:
    units = {
        "branch3x3_1": UnitSize(channels, 192, 1), "branch3x3_2": UnitSize(192, 320, 3, 2),
        "branch7x7x3_1": UnitSize(channels, 192, 1), "branch7x7x3_2": UnitSize(192, 192, (1, 7), 1, (0, 3)),
        "branch7x7x3_3": UnitSize(192, 192, (7, 1), 1, (3, 0)), "branch7x7x3_4": UnitSize(192, 192, 3, 2),
    }  # fmt: skip
    return Mixed(units, [["branch3x3_1", "branch3x3_2"], [f"branch7x7x3_{i}" for i in (1, 2, 3, 4)], [REDUCED]])


def _mixed_8(channels: int, pooling: str) -> Mixed:
    """At 8×8: 1×1, and 3×3 in a row and a column side by side, once and after another 3×3."""
    across, down = ((1, 3), (0, 1)), ((3, 1), (1, 0))
    units = {
        "branch1x1": UnitSize(channels, 320, 1), "branch3x3_1": UnitSize(channels, 384, 1),
        "branch3x3_2a": UnitSize(384, 384, across[0], 1, across[1]), "branch3x3_2b": UnitSize(384, 384, down[0], 1, down[1]),
        "branch3x3dbl_1": UnitSize(channels, 448, 1), "branch3x3dbl_2": UnitSize(448, 384, 3, 1, 1),
        "branch3x3dbl_3a": UnitSize(384, 384, across[0], 1, across[1]),
        "branch3x3dbl_3b": UnitSize(384, 384, down[0], 1, down[1]), "branch_pool": UnitSize(channels, 192, 1),
    }  # fmt: skip
    return Mixed(units, [
        ["branch1x1"], ["branch3x3_1", ("branch3x3_2a", "branch3x3_2b")],
        ["branch3x3dbl_1", "branch3x3dbl_2", ("branch3x3dbl_3a", "branch3x3dbl_3b")], [pooling, "branch_pool"],
    ])  # fmt: skip


class InceptionV3(nn.Module):
    """Pixels [B, 3, S, S] from 0 to 255 to features [B, 2048] and logits without their bias [B, 1008]."""

    def __init__(self) -> None:
        super().__init__()
        self.Conv2d_1a_3x3 = Unit(3, 32, 3, 2)
        self.Conv2d_2a_3x3 = Unit(32, 32, 3)
        self.Conv2d_2b_3x3 = Unit(32, 64, 3, 1, 1)
        self.Conv2d_3b_1x1 = Unit(64, 80, 1)
        self.Conv2d_4a_3x3 = Unit(80, 192, 3)
        self.Mixed_5b, self.Mixed_5c, self.Mixed_5d = _mixed_35(192, 32), _mixed_35(256, 64), _mixed_35(288, 64)
        self.Mixed_6a = _reduce_35(288)
        self.Mixed_6b, self.Mixed_6c = _mixed_17(768, 128), _mixed_17(768, 160)
        self.Mixed_6d, self.Mixed_6e = _mixed_17(768, 160), _mixed_17(768, 192)
        self.Mixed_7a = _reduce_17(768)
        self.Mixed_7b, self.Mixed_7c = _mixed_8(1280, MEAN), _mixed_8(2048, LARGEST)
        self.fc = nn.Linear(FEATURES, CLASSES)

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        x = (resize_as_tensorflow(pixels.float(), SIDE) - 128) / 128
        x = self.Conv2d_2b_3x3(self.Conv2d_2a_3x3(self.Conv2d_1a_3x3(x)))
        x = self.Conv2d_4a_3x3(self.Conv2d_3b_1x1(F.max_pool2d(x, 3, 2)))
        x = F.max_pool2d(x, 3, 2)
        for block in ["5b", "5c", "5d", "6a", "6b", "6c", "6d", "6e", "7a", "7b", "7c"]:
            x = self.get_submodule(f"Mixed_{block}")(x)
        features = x.mean((2, 3))
        return features, features @ self.fc.weight.T


def resize_as_tensorflow(x: Tensor, side: int) -> Tensor:
    """Images [B, C, H, W] at another side as TensorFlow 1 resizes: bilinear, not antialiased, pixel i from i · H / side."""
    for dim in (3, 2):
        size = x.shape[dim]
        places = torch.arange(side, dtype=torch.float32, device=x.device) * torch.tensor(size / side)
        low = places.long()
        share = (places - low).view([-1 if axis == dim else 1 for axis in range(4)])
        below, above = x.index_select(dim, low), x.index_select(dim, (low + 1).clamp(max=size - 1))
        x = below + (above - below) * share
    return x
