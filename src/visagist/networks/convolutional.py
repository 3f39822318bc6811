"""The DCGAN form: 5×5 convolutions of stride 2, widths w, 2w, 4w, 8w (Radford, Metz and Chintala, 2016).

What leaves a network is float32 also where its layers run in bfloat16, for losses are taken of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise

import torch
from torch import Tensor, nn

from visagist.errors import VisagistError

CODE_SIDE = 4


def widths(image_size: int, width: int) -> list[int]:
    """Channels after each halving from `image_size` down to 4×4: w, 2w, 4w, … at most 16w."""
    halvings = (image_size // CODE_SIDE).bit_length() - 1
    if image_size not in (16, 32, 64, 128, 256):
        raise VisagistError(f"image_size {image_size} does not fit these networks: use 32, 64 or 128")
    return [min(width * 2**i, width * 16) for i in range(halvings)]


class ConvEncoder(nn.Module):
    """Images [B, 3, S, S] to features [B, F] by strided 5×5 convolutions, batch norm and ReLU."""

    def __init__(self, image_size: int, width: int) -> None:
        super().__init__()
        channels = [3, *widths(image_size, width)]
        layers: list[nn.Module] = []
        for a, b in pairwise(channels):
            layers += [nn.Conv2d(a, b, 5, 2, 2, bias=False), nn.BatchNorm2d(b), nn.ReLU(inplace=True)]
        self.layers = nn.Sequential(*layers)
        self.features = channels[-1] * CODE_SIDE**2

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x).flatten(1)


class ConvDecoder(nn.Module):
    """Codes [B, Z + A] to pixel logits [B, 3, S, S] by transposed 5×5 convolutions, batch norm and ReLU."""

    def __init__(self, image_size: int, width: int, code: int) -> None:
        super().__init__()
        channels = [*reversed(widths(image_size, width)), 3]
        self.top = channels[0]
        self.entry = nn.Linear(code, self.top * CODE_SIDE**2, bias=False)
        layers: list[nn.Module] = [nn.BatchNorm2d(self.top), nn.ReLU(inplace=True)]
        for a, b in pairwise(channels[:-1]):
            layers += [nn.ConvTranspose2d(a, b, 5, 2, 2, 1, bias=False), nn.BatchNorm2d(b), nn.ReLU(inplace=True)]
        layers.append(nn.ConvTranspose2d(channels[-2], 3, 5, 2, 2, 1))
        self.layers = nn.Sequential(*layers)

    def forward(self, code: Tensor) -> Tensor:
        return self.layers(self.entry(code).unflatten(1, (self.top, CODE_SIDE, CODE_SIDE))).float()


class ConvDiscriminator(nn.Module):
    """Images [B, 3, S, S] to real/fake logits [B, 1]; leaky ReLU .2, no batch norm on the first layer."""

    def __init__(self, image_size: int, width: int) -> None:
        super().__init__()
        channels = [3, *widths(image_size, width)]
        layers: list[nn.Module] = [nn.Conv2d(3, channels[1], 5, 2, 2), nn.LeakyReLU(0.2)]
        for a, b in pairwise(channels[1:]):
            layers += [nn.Conv2d(a, b, 5, 2, 2, bias=False), nn.BatchNorm2d(b), nn.LeakyReLU(0.2)]
        self.layers = nn.Sequential(*layers)
        self.head = nn.Linear(channels[-1] * CODE_SIDE**2, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.layers(x).flatten(1)).float()


class Posterior(nn.Module):
    """A backbone with linear heads: images [B, 3, S, S] to mu [B, Z], log-variance [B, Z], label logits [B, A].

    With no attributes the label logits are [B, 0]. The log-variance is bounded to [-10, 10] nats.
    """

    def __init__(self, backbone: nn.Module, features: int, latent: int, num_attributes: int) -> None:
        super().__init__()
        self.backbone = backbone
        self.sizes = [latent, latent, num_attributes]
        self.heads = nn.Linear(features, sum(self.sizes))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        mu, log_var, y_logits = self.heads(self.backbone(x)).float().split(self.sizes, dim=1)
        return mu, log_var.clamp(-10, 10), y_logits


class LabelNetwork(nn.Module):
    """A backbone with one linear head: images [B, 3, S, S] to label logits [B, A]."""

    def __init__(self, backbone: nn.Module, features: int, num_attributes: int) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = nn.Linear(features, num_attributes)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.backbone(x)).float()


class LatentClassifier(nn.Module):
    """A perceptron with two hidden layers unless told otherwise, z [B, Z] to label logits [B, A]: Z-1000-1000-A with ReLU.

    With `normalised`, each z is first brought to zero mean and unit variance over its dimensions.
    """

    def __init__(
        self, latent: int, num_attributes: int, hidden: int = 1000, normalised: bool = False, hidden_layers: int = 2
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.LayerNorm(latent, elementwise_affine=False) if normalised else nn.Identity()]
        for width in [latent, *[hidden] * (hidden_layers - 1)]:
            layers += [nn.Linear(width, hidden), nn.ReLU()]
        self.layers = nn.Sequential(*layers, nn.Linear(hidden, num_attributes))

    def forward(self, z: Tensor) -> Tensor:
        return self.layers(z).float()


def batch_norms(network: nn.Module) -> list[nn.modules.batchnorm._BatchNorm]:
    """The batch norms of a network, of whatever dimension, in its own order."""
    return [module for module in network.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]


@contextmanager
def frozen_statistics(network: nn.Module) -> Iterator[None]:
    """Within, batch norm normalises by the batch as in training but leaves its running statistics alone.

    For a network that reads what it is used on and, in a second pass, something else: running statistics of both would fit
    neither in evaluation.
    """
    norms = batch_norms(network)
    before = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 0.0
    try:
        yield
    finally:
        for norm, momentum in zip(norms, before):
            norm.momentum = momentum


def join(z: Tensor, y: Tensor, scale: float = 1.0) -> Tensor:
    """The decoder's input [B, Z + A]; y in [0, 1] is shown to it as -scale … scale."""
    return torch.cat([z, scale * (2 * y - 1)], dim=1)
