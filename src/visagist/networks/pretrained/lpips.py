"""LPIPS: distances of pictures in a classifier's layers, weighed by what people call alike (Zhang et al., 2018).

    d(a, b) = sum over layers of the mean over places of w · (u(a) − u(b))², u of length 1 over channels

The backbone is torchvision's of ImageNet, the weights w are version 0.1 of the authors; each is made for the other, and a
distance with another backbone is no LPIPS. `alex` is the authors' own choice for judging, `vgg` for training.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from visagist.errors import VisagistError

SHIFT, SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)  # of pixels in [-1, 1]
LEAST = 1e-10


class Convolution(NamedTuple):
    """One convolution of a backbone: its place in torchvision's `features`, channels, and how it is applied."""

    number: int
    channels_in: int
    channels: int
    kernel: int
    stride: int = 1
    pad: int = 0


class Backbone(NamedTuple):
    """A backbone: layers, each convolutions or fires with ReLU; `pool` before all layers but the first.

    first_digits  of the SHA-256 of torchvision's files, as their names have it
    """

    layers: tuple[tuple[Convolution, ...], ...]
    pooled: frozenset[int]
    pool: tuple[int, int]
    first_digits: tuple[str, ...]


def _vgg_layers() -> tuple[tuple[Convolution, ...], ...]:
    widths, counts, index, channels, layers = (64, 128, 256, 512, 512), (2, 2, 3, 3, 3), 0, 3, []
    for width, count in zip(widths, counts):
        layer = []
        for _ in range(count):
            layer.append(Convolution(index, channels, width, 3, 1, 1))
            channels, index = width, index + 2
        layers.append(tuple(layer))
        index += 1
    return tuple(layers)


BACKBONES = {
    "alex": Backbone(
        (
            (Convolution(0, 3, 64, 11, 4, 2),), (Convolution(3, 64, 192, 5, 1, 2),), (Convolution(6, 192, 384, 3, 1, 1),),
            (Convolution(8, 384, 256, 3, 1, 1),), (Convolution(10, 256, 256, 3, 1, 1),),
        ),
        frozenset({1, 2}), (3, 2), ("7be5be79", "4df8aa71"),
    ),
    "vgg": Backbone(_vgg_layers(), frozenset({1, 2, 3, 4}), (2, 2), ("397923af",)),
}  # fmt: skip


class Lpips(nn.Module):
    """The distance [B] of images [B, 3, S, S] in [0, 1]; S at least 64."""

    shift: Tensor
    scale: Tensor

    def __init__(self, name: str) -> None:
        super().__init__()
        self.backbone = BACKBONES[name]
        self.convolutions = nn.ModuleDict({
            str(c.number): nn.Conv2d(c.channels_in, c.channels, c.kernel, c.stride, c.pad)
            for layer in self.backbone.layers for c in layer
        })  # fmt: skip
        self.weights = nn.ParameterList(torch.ones(layer[-1].channels) for layer in self.backbone.layers)
        self.register_buffer("shift", torch.tensor(SHIFT).view(1, 3, 1, 1))
        self.register_buffer("scale", torch.tensor(SCALE).view(1, 3, 1, 1))

    def maps(self, images: Tensor) -> Iterator[Tensor]:
        """The layers' outputs [B, C, S', S']."""
        h = (2 * images - 1 - self.shift) / self.scale
        for number, layer in enumerate(self.backbone.layers):
            if number in self.backbone.pooled:
                h = F.max_pool2d(h, *self.backbone.pool)
            for convolution in layer:
                h = F.relu(self.convolutions[str(convolution.number)](h))
            yield h

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        distance = torch.zeros(len(a), device=a.device)
        for weight, x, y in zip(self.weights, self.maps(a), self.maps(b)):
            difference = (_unit(x) - _unit(y)).square()
            distance = distance + (difference * weight.view(1, -1, 1, 1)).sum(1).mean((1, 2))
        return distance


def _unit(x: Tensor) -> Tensor:
    return x / (x.square().sum(1, keepdim=True).sqrt() + LEAST)


def build_lpips(name: str, backbone: Mapping[str, Tensor], heads: Mapping[str, Tensor]) -> Lpips:
    """Build the network of torchvision's weights (`features.0.weight`) and LPIPS's (`lin0.model.1.weight`), version 0.1.

    VisagistError where they are of something else.
    """
    network = Lpips(name)
    state = network.state_dict()
    try:
        for index in network.convolutions:
            for part in ("weight", "bias"):
                state[f"convolutions.{index}.{part}"] = backbone[f"features.{index}.{part}"]
        for number in range(len(network.weights)):
            state[f"weights.{number}"] = heads[f"lin{number}.model.1.weight"].flatten()
        network.load_state_dict(state)
    except (KeyError, RuntimeError) as error:
        raise VisagistError(
            f"these are not the weights of LPIPS with {name}: {' '.join(str(error).split())[:200]}; give torchvision's file "
            f"and LPIPS's {name}.pth of version 0.1"
        ) from error
    return network.eval().requires_grad_(False)
