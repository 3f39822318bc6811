"""A small fully convolutional network that finds faces of 12 to 72 pixels, with five points each, in one pass."""

from __future__ import annotations

import copy
import math
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from visagist.networks.finder_levels import LEVELS, OUTPUTS, STRIDE, Level

__all__ = ["LEVELS", "OUTPUTS", "STRIDE", "FinderNet", "Level", "cell_centers"]


USUAL_SHARE = 0.005  # of cells that show a face, before training


class FinderNet(nn.Module):
    """Pictures [B, 3, H, W] in [0, 1], sides multiples of `STRIDE`, to cells [B, 12, H / stride, W / stride] of each level.

    A cell holds the logit of a face, the logit of the hidden share of its box, and the offsets of its points from the middle
    of the cell in the level's unit. One convolution takes the picture to a quarter of its side; the coarse level is
    computed from the fine one and added to it again, as in a feature pyramid (Lin et al., 2017).
    """

    def __init__(self, widths: tuple[int, int, int]) -> None:
        super().__init__()
        first, fine, coarse = widths
        self.stem = nn.Sequential(*_block(3, first, 6, 4, 1), *_block(first, fine, 3, 2, 1))
        self.fine = nn.Sequential(*_block(fine, fine), *_block(fine, fine))
        self.coarse = nn.Sequential(*_block(fine, coarse, 3, 2, 1), *_block(coarse, coarse), *_block(coarse, coarse))
        self.back = nn.Conv2d(coarse, fine, 1)
        self.fine_cells, self.coarse_cells = nn.Conv2d(fine, OUTPUTS, 1), nn.Conv2d(coarse, OUTPUTS, 1)
        bias = torch.zeros(OUTPUTS)
        bias[0] = -math.log(1 / USUAL_SHARE - 1)
        for cells in (self.fine_cells, self.coarse_cells):
            nn.init.normal_(cells.weight, std=0.01)
            cells.bias = nn.Parameter(bias.clone())

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        return self.read_stem(self.stem(4 * (images - 0.5)))

    def read_stem(self, stem: Tensor) -> tuple[Tensor, Tensor]:
        """The cells of each level from what the stem gives."""
        fine = self.fine(stem)
        coarse = self.coarse(fine)
        fine = F.relu(fine + F.interpolate(self.back(coarse), scale_factor=2))
        return self.fine_cells(fine), self.coarse_cells(coarse)


class ByteFinder(nn.Module):
    """A finder in use, its norms folded: pictures [B, H, W, 3] of bytes to cells as `FinderNet` gives them, in `dtype`.

    The scale of bytes is in the weights of the first convolution, which reads four pixels of a row as one of 12 channels, so
    that the picture is written once, and a processor's matrix units are better filled than by three channels.
    """

    def __init__(self, network: FinderNet, dtype: torch.dtype) -> None:
        super().__init__()
        first = cast(nn.Conv2d, network.stem[0])
        across = F.pad(first.weight * (4 / 255), (0, 2)).unflatten(3, (2, 4))  # [C, 3, 6, 2, 4]
        weight = across.permute(0, 4, 1, 2, 3).flatten(1, 2).to(dtype)
        self.weight = nn.Parameter(weight.contiguous(memory_format=torch.channels_last), requires_grad=False)
        bias = cast(Tensor, first.bias) - 2 * first.weight.sum((1, 2, 3))
        self.bias = nn.Parameter(bias.to(dtype), requires_grad=False)
        self.rest = copy.deepcopy(network).to(dtype).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.after = self.rest.stem[2:]

    def forward(self, tiles: Tensor) -> tuple[Tensor, Tensor]:
        b, height, width, _ = tiles.shape
        padded = torch.full((b, height + 2, width + 4, 3), 255 / 2, dtype=self.weight.dtype)
        padded[:, 1:-1, 1 : width + 1] = tiles
        x = padded.view(b, height + 2, width // 4 + 1, 12).permute(0, 3, 1, 2)
        return self.rest.read_stem(self.after(F.conv2d(x, self.weight, self.bias, (4, 1))))


def _block(before: int, width: int, kernel: int = 3, stride: int = 1, padding: int = 1) -> list[nn.Module]:
    return [nn.Conv2d(before, width, kernel, stride, padding, bias=False), nn.BatchNorm2d(width), nn.ReLU(inplace=True)]


def cell_centers(height: int, width: int, stride: int) -> Tensor:
    """The middles [height, width, 2] of a level's cells in pixels of the picture, x before y, pixel centers whole."""
    across, down = (stride * (torch.arange(n) + 0.5) - 0.5 for n in (width, height))
    return torch.stack([across.expand(height, width), down[:, None].expand(height, width)], -1)
