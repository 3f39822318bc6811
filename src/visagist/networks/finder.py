"""A small fully convolutional network that finds faces of 12 to 72 pixels, with five points each, in one pass."""

from __future__ import annotations

import math
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

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
        fine = self.fine(self.stem(4 * (images - 0.5)))
        coarse = self.coarse(fine)
        fine = F.relu(fine + F.interpolate(self.back(coarse), scale_factor=2))
        return self.fine_cells(fine), self.coarse_cells(coarse)

    def fuse(self) -> None:
        """Take the batch norms, as they are in evaluation, into the convolutions before them; for use, not for training."""
        for layers in (self.stem, self.fine, self.coarse):
            for row in range(0, len(layers), 3):
                layers[row] = fuse_conv_bn_eval(cast(nn.Conv2d, layers[row]), cast(nn.BatchNorm2d, layers[row + 1]))
                layers[row + 1] = nn.Identity()


def _block(before: int, width: int, kernel: int = 3, stride: int = 1, padding: int = 1) -> list[nn.Module]:
    return [nn.Conv2d(before, width, kernel, stride, padding, bias=False), nn.BatchNorm2d(width), nn.ReLU(inplace=True)]


def cell_centers(height: int, width: int, stride: int) -> Tensor:
    """The middles [height, width, 2] of a level's cells in pixels of the picture, x before y, pixel centers whole."""
    across, down = (stride * (torch.arange(n) + 0.5) - 0.5 for n in (width, height))
    return torch.stack([across.expand(height, width), down[:, None].expand(height, width)], -1)
