"""VGG-19 up to relu5_1 (Simonyan and Zisserman, 2015, arXiv:1409.1556), of which losses compare the named layers.

The weights come from outside (`feature_weights.py`) and never move; gradients pass through to the images.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from visagist.errors import VisagistError

CONVOLUTIONS = (2, 2, 4, 4, 1)  # of each block, as far as they are needed; a pooling lies between two blocks
LAYERS = tuple(f"relu{block}_1" for block in range(1, 6))
WIDTHS = (64, 128, 256, 512, 512)
NAMES = tuple(f"conv{block}_{number}" for block, count in enumerate(CONVOLUTIONS, 1) for number in range(1, count + 1))


def block_of(layer: str) -> int:
    """The block, 1 to 5, at whose beginning a layer is; VisagistError for a name that is none."""
    if layer not in LAYERS:
        raise VisagistError(f"no feature layer {layer!r}: it is one of {', '.join(LAYERS)}")
    return LAYERS.index(layer) + 1


class VGG19(nn.Module):
    """Images [B, 3, S, S] in [0, 1], RGB, to features [B, C, S', S'] by the name of their layer.

    `entry`, a 1×1 convolution, makes of pixels what the weights were trained on. `scales` [5] multiply what leaves the
    layers. A thin network has fewer channels (`widths`) and brings them to the full number by a 1×1 convolution and ReLU
    where a layer is read (`heads`). `padding` is zeros, or reflect as the published normalised weights want.
    """

    scales: Tensor

    def __init__(
        self, widths: Sequence[int] = WIDTHS, *, depth: int = 5, heads: bool = False, padding: str = "zeros"
    ) -> None:
        super().__init__()
        self.depth, self.padding = depth, padding
        self.entry = nn.Conv2d(3, 3, 1)
        self.convolutions = nn.ModuleDict()
        channels = 3
        for block, (count, width) in enumerate(zip(CONVOLUTIONS[:depth], widths), 1):
            for number in range(1, 2 if block == depth else count + 1):
                self.convolutions[f"conv{block}_{number}"] = nn.Conv2d(
                    channels, width, 3, padding=0 if self._reflects else 1
                )
                channels = width
        self.heads = nn.ModuleDict()
        if heads:
            self.heads.update({layer: nn.Conv2d(a, b, 1) for layer, a, b in zip(LAYERS[:depth], widths, WIDTHS)})
        self.register_buffer("scales", torch.ones(len(LAYERS)))

    @property
    def _reflects(self) -> bool:
        return self.padding == "reflect"

    @property
    def layers(self) -> tuple[str, ...]:
        """The layers that this network has."""
        return LAYERS[: self.depth]

    def forward(self, x: Tensor, layers: Sequence[str] = LAYERS) -> dict[str, Tensor]:
        """Features of `layers`, in the precision they are computed in; nothing beyond the deepest of them is computed."""
        deepest = max(block_of(layer) for layer in layers)
        if deepest > self.depth:
            raise VisagistError(f"these weights end at {self.layers[-1]}, {LAYERS[deepest - 1]} was asked for: take others")
        found: dict[str, Tensor] = {}
        h = self.entry(x)
        for name, convolution in self.convolutions.items():
            block, number = int(name[4]), int(name[6])
            if number == 1 and block > 1:
                h = F.max_pool2d(h, 2)
            h = F.relu(convolution(F.pad(h, (1, 1, 1, 1), mode="reflect") if self._reflects else h))
            layer = LAYERS[block - 1]
            if number == 1 and layer in layers:
                scale = self.scales[block - 1]
                if layer in self.heads:  # ReLU is homogeneous, so that few weights are scaled in place of many pixels
                    head = cast(nn.Conv2d, self.heads[layer])
                    bias = None if head.bias is None else head.bias * scale
                    found[layer] = F.relu(F.conv2d(h, head.weight * scale, bias))
                else:
                    found[layer] = h * scale
            if number == 1 and block == deepest:
                break
        return found
