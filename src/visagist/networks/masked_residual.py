"""A U-Net that changes a face by a masked residual, and a discriminator with a head for each attribute and class.

Shape letters: B batch, A attributes, S image size.
"""

from __future__ import annotations

from collections.abc import Sequence
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


class CodedUNet(nn.Module):
    """Planes [B, C, S, S] and features [B, F, S/8, S/8] of faces [B, 3, S, S] in [0, 1], by a code [B, K]."""

    STRIDE = 8  # sides of images are multiples of it

    def __init__(self, codes: int, width: int, planes: int) -> None:
        super().__init__()
        w = width, 2 * width, 10 * width // 3
        self.first = nn.Conv2d(12, w[0], 3, 1, 1)
        self.down = nn.ModuleList(Modulated(width, width, codes) for width in w[:-1])
        self.shrink = nn.ModuleList(nn.Conv2d(a, b, 3, 2, 1) for a, b in pairwise(w))
        self.middle = nn.ModuleList(Modulated(w[-1], w[-1], codes) for _ in range(2))
        self.narrow = nn.ModuleList(nn.Conv2d(b, a, 1) for a, b in pairwise(w))
        self.up = nn.ModuleList(Modulated(2 * width, width, codes) for width in w[:-1])
        self.fine = nn.Conv2d(w[0] + 3, FINE, 3, 1, 1)
        self.last = nn.Conv2d(FINE, planes, 3, 1, 1)
        nn.init.normal_(self.last.weight, std=0.02)

    def read(self, x: Tensor, code: Tensor) -> tuple[Tensor, Tensor]:
        seen = 2 * x - 1
        h, skips = self.first(F.pixel_unshuffle(seen, 2)), []
        for block, shrink in zip(self.down, self.shrink, strict=True):
            h = block(h, code)
            skips.append(h)
            h = shrink(h)
        for block in self.middle:
            h = block(h, code)
        deep = h
        for block, narrow, skip in zip(reversed(self.up), reversed(self.narrow), reversed(skips)):
            h = block(torch.cat([F.interpolate(narrow(h), scale_factor=2.0), skip], 1), code)
        doubled = F.interpolate(h, scale_factor=2.0)
        return self.last(F.leaky_relu(self.fine(torch.cat([doubled, seen], 1)), SLOPE)).float(), deep


class MaskedResidualNetwork(CodedUNet):
    """The change [B, 3, S, S] of faces: a mask in [0, 1] times a residual."""

    def __init__(self, codes: int, width: int) -> None:
        super().__init__(codes, width, planes=4)

    def forward(self, x: Tensor, code: Tensor) -> Tensor:
        planes, _ = self.read(x, code)
        return torch.sigmoid(planes[:, :1] - CLOSED) * planes[:, 1:]


class MaskedColourNetwork(CodedUNet):
    """The change [B, 3, S, S] of faces: transforms of colour, each the same all over a face, inside masks of their own.

    A transform takes every colour to another, so that what a photograph shows of hair and skin stays, and what is given has
    few colours: the network cannot draw coloured spots. `shared` masks are those of a face, whatever is edited: of hair,
    which every one of its colours is to find.
    """

    def __init__(self, codes: int, width: int, colours: int, shared: bool = False) -> None:
        super().__init__(codes, width, planes=colours)
        self.shared = shared
        transforms = nn.Linear(96, 12 * colours)
        nn.init.normal_(transforms.weight, std=0.02)
        self.mix = nn.Sequential(nn.Linear(2 * (10 * width // 3) + codes + 6, 96), nn.LeakyReLU(SLOPE), transforms)

    def masks_and_transforms(self, x: Tensor, code: Tensor) -> tuple[Tensor, Tensor]:
        """Masks [B, M, S, S] in [0, 1], and what is added to a colour: [B, M, 3, 4] of red, green, blue and 1."""
        planes, deep = self.read(x, torch.zeros_like(code) if self.shared else code)
        seen = torch.cat([deep.mean((2, 3)), deep.amax((2, 3)), code, x.mean((2, 3)), x.std((2, 3))], 1)
        transforms = self.mix(seen).float().unflatten(1, (planes.shape[1], 3, 4))
        return torch.sigmoid(planes - CLOSED), transforms

    def forward(self, x: Tensor, code: Tensor) -> Tensor:
        masks, transforms = self.masks_and_transforms(x, code)
        return blend_colours(x, masks, transforms)


def blend_colours(x: Tensor, masks: Tensor, transforms: Tensor) -> Tensor:
    """The change [B, 3, S, S] of images by transforms of colour [B, M, 3, 4] inside masks [B, M, S, S]."""
    flat = torch.cat([x.float(), torch.ones_like(x[:, :1], dtype=torch.float32)], 1).flatten(2)
    moved = (transforms.flatten(1, 2) @ flat).unflatten(1, transforms.shape[1:3]).unflatten(3, x.shape[2:])
    return (masks[:, :, None] * moved).sum(1)


class ClassHeads(nn.Module):
    """Of faces [B, 3, S, S]: maps of scores [B, 2A, h, w], whether each part of them is of real faces of each attribute's
    classes, at several sizes; and which attributes they have, logits [B, A].

    A branch for each class is of StarGAN v2 (Choi et al., 2020), reading labels of StarGAN and AttGAN (Choi et al., 2018;
    He et al., 2019), spectral norm of Miyato et al. (2018). Features of a network that is trained already, where their
    channels are given, are judged as well: a discriminator learns from them in a fraction of the time (Sauer et al., 2021).
    To each class's score what is common to all of them is added, which learns from every face.
    """

    def __init__(self, attributes: int, width: int, feature_channels: Sequence[int] = ()) -> None:
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
        self.feature_heads = nn.ModuleList(_feature_head(c, width, 2 * attributes + 1) for c in feature_channels)

    def forward(self, x: Tensor, features: Sequence[Tensor] = ()) -> tuple[list[Tensor], Tensor]:
        h = 2 * x - 1
        for layer in self.layers:
            h = F.leaky_relu(layer(h), SLOPE)
        deep = self.deep(h)
        pooled = F.adaptive_avg_pool2d(deep, 2).flatten(1)
        whole = self.whole(deep.mean((2, 3)))[:, :, None, None]
        seen = [head(map_) for head, map_ in zip(self.feature_heads, features, strict=True)]
        scores = [self.patch(h), whole, *(score[:, :-1] + score[:, -1:] for score in seen)]
        return [score.float() for score in scores], self.labels(4 * pooled).float()


def _feature_head(channels_in: int, width: int, scores: int) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(channels_in, width, 1), nn.LeakyReLU(SLOPE),
        nn.Conv2d(width, width, 4, 2, 1), nn.LeakyReLU(SLOPE),
        nn.Conv2d(width, scores, 3, 1, 1),
    )  # fmt: skip
