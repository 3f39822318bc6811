"""The residual form of IntroVAC (Maggipinto, Terzi and Susto): residual layers of w, 2w, 4w, … channels, pooled by halves.

The paper gives five layers of 32-64-128-256-512 channels at 128 pixels, average pooling, latent 256, a mirrored decoder,
and a figure of the blocks that its text does not repeat; "similar to" IntroVAE. The reading here has 13.80 million
parameters in the encoder, its heads included, and 9.37 million in the decoder:

    the first layer is a 5×5 convolution, the others are residual blocks; each is followed by a pooling to half the side
    a last residual block keeps the channels and works at 4×4, from which one linear layer gives mean and log-variance
    a block that changes the number of channels carries its input past by a 1×1 convolution
    the decoder opens with a linear layer, doubles the side after each of its blocks, and closes with a 5×5 convolution

Half the image size is one layer fewer, the widest, so that 4×4 is always what the linear layers see.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional as F

from visagist.networks.convolutional import FeatureEncoder, PixelDecoder, widths

SLOPE = 0.2  # of leaky ReLU


class ResidualLayer(nn.Module):
    """LReLU(skip(x) + f(x)), f = conv 3×3, BN, LReLU, conv 3×3, BN; [B, a, S, S] to [B, b, S, S]."""

    def __init__(self, a: int, b: int) -> None:
        super().__init__()
        self.skip: nn.Module = nn.Identity() if a == b else nn.Conv2d(a, b, 1, bias=False)
        self.conv_in = nn.Conv2d(a, b, 3, 1, 1, bias=False)
        self.norm_in = nn.BatchNorm2d(b)
        self.conv_out = nn.Conv2d(b, b, 3, 1, 1, bias=False)
        self.norm_out = nn.BatchNorm2d(b)

    def forward(self, x: Tensor) -> Tensor:
        inner = F.leaky_relu(self.norm_in(self.conv_in(x)), SLOPE)
        return F.leaky_relu(self.skip(x) + self.norm_out(self.conv_out(inner)), SLOPE)


class IntrospectiveEncoder(FeatureEncoder):
    """Images [B, 3, S, S] to features [B, F]."""

    def __init__(self, image_size: int, width: int) -> None:
        channels = widths(image_size, width)
        first, last = channels[0], channels[-1]
        layers: list[nn.Module] = [nn.Conv2d(3, first, 5, 1, 2, bias=False), nn.BatchNorm2d(first), nn.LeakyReLU(SLOPE)]
        layers.append(nn.AvgPool2d(2))
        for a, b in pairwise(channels):
            layers += [ResidualLayer(a, b), nn.AvgPool2d(2)]
        layers.append(ResidualLayer(last, last))
        super().__init__(layers, last)


class IntrospectiveDecoder(PixelDecoder):
    """Codes [B, Z] to pixel logits [B, 3, S, S]."""

    def __init__(self, image_size: int, width: int, latent: int) -> None:
        channels = [*reversed(widths(image_size, width))]
        super().__init__(latent, channels[0], self._stages(channels), bias=True)

    @staticmethod
    def _stages(channels: list[int]) -> Iterator[nn.Module]:
        for a, b in pairwise([channels[0], *channels]):
            yield from (ResidualLayer(a, b), nn.Upsample(scale_factor=2))
        yield from (ResidualLayer(channels[-1], channels[-1]), nn.Conv2d(channels[-1], 3, 5, 1, 2))

    def activate(self, x: Tensor) -> Tensor:
        return F.relu(x)


class LinearClassifier(nn.Module):
    """Codes z [B, Z] to logits [B, K] = z wᵀ, without bias; row k of `weight` [K, Z] is the direction of class k."""

    def __init__(self, latent: int, classes: int) -> None:
        super().__init__()
        self.linear = nn.Linear(latent, classes, bias=False)

    @property
    def weight(self) -> Tensor:
        return self.linear.weight

    def forward(self, z: Tensor) -> Tensor:
        return self.linear(z).float()
