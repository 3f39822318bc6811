"""A small network that predicts five points in a picture of a face, and whether it shows one."""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# Mean points of faces, in shares of the box; the network predicts offsets from them.
USUAL = ((0.368, 0.355), (0.632, 0.355), (0.5, 0.517), (0.385, 0.636), (0.615, 0.636))


class LandmarkNet(nn.Module):
    """Faces [B, 3, S, S] in [0, 1] to points [B, 5, 2] in shares of the picture, and logits [B] that it shows a face.

    3×3 convolutions, one at the first width and two at each other, each width at half the side; a hidden layer over
    all positions. Every picture is standardised first, so that dark and flat photographs are read as well.
    """

    def __init__(self, side: int, widths: tuple[int, ...], hidden: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for before, width in pairwise((3, *widths)):
            for channels, stride in ((before, 2), (width, 1))[: 1 if before == 3 else 2]:
                layers += [nn.Conv2d(channels, width, 3, stride, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
        self.layers = nn.Sequential(*layers)
        inside = widths[-1] * (side // 2 ** len(widths)) ** 2
        self.hidden = nn.Sequential(nn.Linear(inside, hidden, bias=False), nn.BatchNorm1d(hidden), nn.ReLU())
        self.places, self.sureness = nn.Linear(hidden, 10), nn.Linear(hidden, 1)
        nn.init.normal_(self.places.weight, std=0.01)
        self.register_buffer("usual", torch.tensor(USUAL), persistent=False)
        self.usual: Tensor

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        x = images - images.mean((1, 2, 3), keepdim=True)
        x = x / (x.square().mean((1, 2, 3), keepdim=True).sqrt() + 0.05)
        h = self.hidden(self.layers(x).flatten(1))
        points = self.usual + 0.25 * self.places(h).unflatten(1, (5, 2))
        return points, self.sureness(h)[:, 0]


def landmark_loss(points: Tensor, targets: Tensor, unit: Tensor, slack: float) -> Tensor:
    """Mean smooth absolute error of points [B, 5, 2] in units [B], a square below `slack` (Girshick, 2015, eq. 3)."""
    return F.smooth_l1_loss(points / unit[:, None, None], targets / unit[:, None, None], beta=slack)
