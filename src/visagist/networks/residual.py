"""The residual form: strided 4×4 convolutions with residual blocks at the small resolutions. Sizes are ours."""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn

from visagist.networks.convolutional import CODE_SIDE, ConvDiscriminator, widths


class ResidualBlock(nn.Module):
    """x + f(x), f = conv 3×3, BN, ReLU, conv 3×3, BN; [B, C, S, S] to the same."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(channels, channels, 3, 1, 1, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(inplace=True),
            nn.Conv2d(channels, channels, 3, 1, 1, bias=False),
            nn.BatchNorm2d(channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.relu(x + self.layers(x))


class ResidualEncoder(nn.Module):
    def __init__(self, image_size: int, width: int) -> None:
        super().__init__()
        channels = [3, *widths(image_size, width)]
        layers: list[nn.Module] = []
        for i, (a, b) in enumerate(pairwise(channels)):
            layers += [nn.Conv2d(a, b, 4, 2, 1, bias=False), nn.BatchNorm2d(b), nn.ReLU(inplace=True)]
            if i >= len(channels) - 3:
                layers.append(ResidualBlock(b))
        self.layers = nn.Sequential(*layers)
        self.features = channels[-1] * CODE_SIDE**2

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x).flatten(1)


class ResidualDecoder(nn.Module):
    def __init__(self, image_size: int, width: int, code: int) -> None:
        super().__init__()
        channels = [*reversed(widths(image_size, width)), 3]
        self.top = channels[0]
        self.entry = nn.Linear(code, self.top * CODE_SIDE**2, bias=False)
        layers: list[nn.Module] = [nn.BatchNorm2d(self.top), nn.ReLU(inplace=True)]
        for i, (a, b) in enumerate(pairwise(channels[:-1])):
            if i < 2:
                layers.append(ResidualBlock(a))
            layers += [nn.ConvTranspose2d(a, b, 4, 2, 1, bias=False), nn.BatchNorm2d(b), nn.ReLU(inplace=True)]
        layers.append(nn.ConvTranspose2d(channels[-2], 3, 4, 2, 1))
        self.layers = nn.Sequential(*layers)

    def forward(self, code: Tensor) -> Tensor:
        return self.layers(self.entry(code).unflatten(1, (self.top, CODE_SIDE, CODE_SIDE)))


class ResidualDiscriminator(ConvDiscriminator):
    pass
