"""The residual form: 4×4 convolutions of stride 2, and a residual block where maps are 8×8.

Creswell et al. (2017) used "residual layers as Bao et al." of sizes never published; these are ours, chosen so that the
work happens at small resolutions: at width 24 a training step costs half of the DCGAN form's at width 32.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional as F

from visagist.networks.convolutional import CODE_SIDE, FeatureEncoder, PixelDecoder, strided, upsampling, widths

RESIDUAL_SIDE = 8


class ResidualBlock(nn.Module):
    """ReLU(x + f(x)), f = conv 3×3, BN, ReLU, conv 3×3, BN whose scale starts at 0; [B, C, S, S] to the same."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv_in = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.norm_in = nn.BatchNorm2d(channels)
        self.conv_out = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.norm_out = nn.BatchNorm2d(channels)
        nn.init.zeros_(self.norm_out.weight)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x + self.norm_out(self.conv_out(F.relu(self.norm_in(self.conv_in(x))))))


def _standardise(x: Tensor) -> Tensor:
    """Scale pixels in [0, 1] to about zero mean and unit variance."""
    return (x - 0.45) * 4


class ResidualEncoder(FeatureEncoder):
    """Images [B, 3, S, S] to features [B, F]."""

    def __init__(self, image_size: int, width: int) -> None:
        channels = [3, *widths(image_size, width)]
        super().__init__(self._stages(image_size, channels), channels[-1])

    @staticmethod
    def _stages(side: int, channels: list[int]) -> Iterator[nn.Module]:
        for a, b in pairwise(channels):
            yield from strided(a, b, 4, nn.ReLU(inplace=True))
            side //= 2
            if side == RESIDUAL_SIDE:
                yield ResidualBlock(b)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(_standardise(x))


class ResidualDecoder(PixelDecoder):
    """Codes [B, Z + A] to pixel logits [B, 3, S, S]."""

    def __init__(self, image_size: int, width: int, code: int) -> None:
        channels = [*reversed(widths(image_size, width))]
        super().__init__(code, channels[0], upsampling(channels, 4, ResidualBlock))


class ResidualDiscriminator(nn.Module):
    """Images [B, 3, S, S] to real/fake logits [B, 1]; leaky ReLU .2 and no batch norm."""

    def __init__(self, image_size: int, width: int) -> None:
        super().__init__()
        channels = [3, *widths(image_size, width)]
        layers: list[nn.Module] = []
        for a, b in pairwise(channels):
            layers += [nn.Conv2d(a, b, 4, 2, 1), nn.LeakyReLU(0.2, inplace=True)]
        self.layers = nn.Sequential(*layers)
        self.head = nn.Linear(channels[-1] * CODE_SIDE**2, 1)

    def with_features(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The logits, and what the last layer reads [B, F]."""
        features = self.layers(_standardise(x)).flatten(1)
        return self.head(features).float(), features

    def forward(self, x: Tensor) -> Tensor:
        return self.with_features(x)[0]
