"""The DCGAN form: 5×5 convolutions of stride 2, widths w, 2w, 4w, 8w (Radford, Metz and Chintala, 2016).

Outputs are float32 also where layers run in bfloat16, because losses are computed from them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import chain, pairwise
from typing import Literal

import torch
from torch import Tensor, nn

from visagist.errors import VisagistError

CODE_SIDE = 4
LabelForm = Literal["signed", "binary"]


def widths(image_size: int, width: int) -> list[int]:
    """Channels after each halving from `image_size` down to 4×4: w, 2w, 4w, … at most 16w."""
    halvings = (image_size // CODE_SIDE).bit_length() - 1
    if image_size not in (16, 32, 64, 128, 256):
        raise VisagistError(f"image_size {image_size} does not fit these networks: use 32, 64 or 128")
    return [min(width * 2**i, width * 16) for i in range(halvings)]


def strided(a: int, b: int, kernel: int, activation: nn.Module) -> list[nn.Module]:
    """A convolution of stride 2 that halves the side, batch norm, activation."""
    return [nn.Conv2d(a, b, kernel, 2, (kernel - 1) // 2, bias=False), nn.BatchNorm2d(b), activation]


def doubling(a: int, b: int, kernel: int, *, bias: bool = False) -> nn.ConvTranspose2d:
    """A transposed convolution of stride 2 that doubles the side."""
    return nn.ConvTranspose2d(a, b, kernel, 2, (kernel - 1) // 2, kernel % 2, bias=bias)


class FeatureEncoder(nn.Module):
    """Images [B, 3, S, S] to features [B, F], by layers that end in maps [B, channels, 4, 4]."""

    def __init__(self, layers: Iterable[nn.Module], channels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(*layers)
        self.features = channels * CODE_SIDE**2

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x).flatten(1)


class PixelDecoder(nn.Module):
    """Codes [B, Z] to pixel logits [B, 3, S, S], by a linear layer to maps [B, top, 4, 4] and layers from there.

    `layers` are made after the linear layer, whose weights are drawn first.
    """

    def __init__(self, code: int, top: int, layers: Iterator[nn.Module], *, bias: bool = False) -> None:
        super().__init__()
        self.top = top
        self.entry = nn.Linear(code, top * CODE_SIDE**2, bias=bias)
        self.layers = nn.Sequential(*layers)

    def activate(self, x: Tensor) -> Tensor:
        """The activation behind the linear layer; here none."""
        return x

    def forward(self, code: Tensor) -> Tensor:
        maps = self.activate(self.entry(code)).unflatten(1, (self.top, CODE_SIDE, CODE_SIDE))
        return self.layers(maps).float()


class ConvEncoder(FeatureEncoder):
    """Images [B, 3, S, S] to features [B, F] by strided 5×5 convolutions, batch norm and ReLU."""

    def __init__(self, image_size: int, width: int) -> None:
        channels = [3, *widths(image_size, width)]
        stages = (strided(a, b, 5, nn.ReLU(inplace=True)) for a, b in pairwise(channels))
        super().__init__(chain.from_iterable(stages), channels[-1])


class ConvDecoder(PixelDecoder):
    """Codes [B, Z + A] to pixel logits [B, 3, S, S] by transposed 5×5 convolutions, batch norm and ReLU."""

    def __init__(self, image_size: int, width: int, code: int) -> None:
        channels = [*reversed(widths(image_size, width))]
        super().__init__(code, channels[0], upsampling(channels, 5))


def upsampling(channels: list[int], kernel: int, block: Callable[[int], nn.Module] | None = None) -> Iterator[nn.Module]:
    """Layers from maps [B, channels[0], 4, 4] to pixel logits; `block` of its channels stands where maps are 8×8."""
    yield from (nn.BatchNorm2d(channels[0]), nn.ReLU(inplace=True))
    for stage, (a, b) in enumerate(pairwise(channels)):
        yield from (doubling(a, b, kernel), nn.BatchNorm2d(b), nn.ReLU(inplace=True))
        if block is not None and stage == 0:
            yield block(b)
    yield doubling(channels[-1], 3, kernel, bias=True)


class ConvDiscriminator(nn.Module):
    """Images [B, 3, S, S] to real/fake logits [B, 1]; leaky ReLU .2, no batch norm on the first layer."""

    def __init__(self, image_size: int, width: int) -> None:
        super().__init__()
        channels = [3, *widths(image_size, width)]
        layers: list[nn.Module] = [nn.Conv2d(3, channels[1], 5, 2, 2), nn.LeakyReLU(0.2)]
        for a, b in pairwise(channels[1:]):
            layers += strided(a, b, 5, nn.LeakyReLU(0.2))
        self.layers = nn.Sequential(*layers)
        self.head = nn.Linear(channels[-1] * CODE_SIDE**2, 1)

    def with_features(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The logits, and what the last layer reads [B, F]."""
        features = self.layers(x).flatten(1)
        return self.head(features).float(), features

    def with_hidden(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The same, both float32."""
        logits, features = self.with_features(x)
        return logits, features.float()

    def forward(self, x: Tensor) -> Tensor:
        return self.with_features(x)[0]


class Posterior(nn.Module):
    """A backbone with linear heads: images [B, 3, S, S] to mu [B, Z], log-variance [B, Z], label logits [B, A].

    With no attributes the label logits are [B, 0]. The log-variance is bounded to [-10, 10] nats. With `seen` above 0
    the heads read so many labels beside the features, which `forward` is then given as numbers [B, seen].
    """

    def __init__(self, backbone: nn.Module, features: int, latent: int, num_attributes: int, seen: int = 0) -> None:
        super().__init__()
        self.backbone = backbone
        self.sizes = [latent, latent, num_attributes]
        self.heads = nn.Linear(features + seen, sum(self.sizes))

    def forward(self, x: Tensor, labels: Tensor | None = None) -> tuple[Tensor, Tensor, Tensor]:
        features = self.backbone(x)
        if labels is not None:
            features = torch.cat([features, labels.to(features)], dim=1)
        mu, log_var, y_logits = self.heads(features).float().split(self.sizes, dim=1)
        return mu, log_var.clamp(-10, 10), y_logits


class LabelNetwork(nn.Module):
    """A backbone with one linear head: images [B, 3, S, S] to label logits [B, A]."""

    def __init__(self, backbone: nn.Module, features: int, num_attributes: int) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = nn.Linear(features, num_attributes)

    def with_features(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The logits, and what the head reads [B, F]."""
        features = self.backbone(x)
        return self.head(features).float(), features

    def forward(self, x: Tensor) -> Tensor:
        return self.with_features(x)[0]


class LatentClassifier(nn.Module):
    """A perceptron with two hidden layers by default, z [B, Z] to label logits [B, A]: Z-1000-1000-A with ReLU.

    With `normalised`, each z is first scaled to zero mean and unit variance over its dimensions.
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


@torch.no_grad()
def draw_weights(*networks: nn.Module) -> None:
    """Draw weights as Radford et al. (2016) do: from N(0, .02²), the scales of batch norms from N(1, .02²)."""
    for module in chain.from_iterable(network.modules() for network in networks):
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.weight.normal_(1.0, 0.02)
        elif isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            module.weight.normal_(0.0, 0.02)


def batch_norms(network: nn.Module) -> list[nn.modules.batchnorm._BatchNorm]:
    """The batch norms of a network, of any dimension, in module order."""
    return [module for module in network.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]


@contextmanager
def frozen_statistics(network: nn.Module) -> Iterator[None]:
    """Normalise by the batch as in training within the context, but keep running statistics.

    Use it for the second pass of a network over other images: running statistics of both kinds fit neither in evaluation.
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


def join(z: Tensor, y: Tensor, scale: float = 1.0, form: LabelForm = "signed") -> Tensor:
    """The decoder's input [B, Z + A]; y in [0, 1] is mapped to -scale … scale, in binary form to 0 … scale."""
    return torch.cat([z, scale * (2 * y - 1 if form == "signed" else y)], dim=1)
