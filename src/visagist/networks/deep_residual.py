"""The networks of Hou, Sun, Shen and Qiu (2019), Figure 2: strided or upsampled convolutions, each with a residual block.

    encoder  per halving: conv 4×4 of stride 2, batch norm, leaky ReLU, residual block; from 4×4 to features
    decoder  per doubling: nearest ×2, conv 3×3, batch norm, leaky ReLU, residual block; the last has the convolution alone.
             Borders are replicated, not filled with zeros
    critic   per halving as the encoder; then a conv 4×4 to one number, without sigmoid

The paper's 64-pixel networks have four of each, of 64, 128, 256 and 512 channels; other sizes of images have one fewer or
more. The methods that the paper compares itself with have the same networks here.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from visagist.networks.convolutional import CODE_SIDE, FeatureEncoder, PixelDecoder, strided, widths

SLOPE = 0.2  # of leaky ReLU


class Block(nn.Module):
    """LReLU(x + f(x)), f = conv 3×3, BN, LReLU, conv 3×3, BN; [B, C, S, S] to the same."""

    def __init__(self, channels: int, padding_mode: Literal["zeros", "replicate"] = "zeros") -> None:
        super().__init__()
        self.conv_in = nn.Conv2d(channels, channels, 3, 1, 1, bias=False, padding_mode=padding_mode)
        self.norm_in = nn.BatchNorm2d(channels)
        self.conv_out = nn.Conv2d(channels, channels, 3, 1, 1, bias=False, padding_mode=padding_mode)
        self.norm_out = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        inner = F.leaky_relu(self.norm_in(self.conv_in(x)), SLOPE)
        return F.leaky_relu(x + self.norm_out(self.conv_out(inner)), SLOPE)


def _halvings(channels: list[int]) -> Iterator[nn.Module]:
    for a, b in pairwise(channels):
        yield from (*strided(a, b, 4, nn.LeakyReLU(SLOPE)), Block(b))


def _doublings(channels: list[int]) -> Iterator[nn.Module]:
    for a, b in pairwise(channels):
        yield from (nn.Upsample(scale_factor=2), nn.Conv2d(a, b, 3, 1, 1, bias=False, padding_mode="replicate"))
        yield from (nn.BatchNorm2d(b), nn.LeakyReLU(SLOPE), Block(b, "replicate"))
    yield from (nn.Upsample(scale_factor=2), nn.Conv2d(channels[-1], 3, 3, 1, 1, padding_mode="replicate"))


class DeepEncoder(FeatureEncoder):
    """Images [B, 3, S, S] to features [B, F]."""

    def __init__(self, image_size: int, width: int) -> None:
        channels = [3, *widths(image_size, width)]
        super().__init__(_halvings(channels), channels[-1])


class DeepDecoder(PixelDecoder):
    """Codes [B, Z] to pixel logits [B, 3, S, S]."""

    def __init__(self, image_size: int, width: int, latent: int) -> None:
        channels = [*reversed(widths(image_size, width))]
        super().__init__(latent, channels[0], _doublings(channels), bias=True)

    def activate(self, x: Tensor) -> Tensor:
        return F.leaky_relu(x, SLOPE)


class DeepCritic(nn.Module):
    """Images [B, 3, S, S], or features [B, C, S, S] of as many pixels, to one unbounded number each, [B, 1]."""

    def __init__(self, image_size: int, width: int, channels: int = 3) -> None:
        super().__init__()
        hidden = widths(image_size, width)
        self.layers = nn.Sequential(*_halvings([channels, *hidden]))
        self.head = nn.Conv2d(hidden[-1], 1, CODE_SIDE)

    def forward(self, x: Tensor) -> Tensor:
        return self.with_hidden(x)[0]

    def with_hidden(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The numbers [B, 1] and the last block's maps [B, C, 4, 4], both float32."""
        hidden = self.layers(x)
        return self.head(hidden).flatten(1).float(), hidden.float()


@torch.no_grad()
def clip_weights(network: nn.Module, limit: float, least_dimensions: int = 0) -> None:
    """Bring every weight into [-limit, limit] (Arjovsky, Chintala and Bottou, 2017, Algorithm 1).

    With `least_dimensions` 2 the scales and biases of norms, which have one, stay as they are.
    """
    for parameter in network.parameters():
        if parameter.ndim >= least_dimensions:
            parameter.clamp_(-limit, limit)
