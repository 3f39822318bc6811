"""A method whose codes a linear classifier reads, with a decoder of one layer: what chains need, and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from visagist.methods.base import Code, Method

SIZE = 8


@dataclass(frozen=True)
class LinearToyConfig:
    latent: int = 6
    steepness: float = 8.0  # norm of each attribute's weights


class LinearToy(Method):
    """classifier z -> logits without bias, decoder z -> picture, encoder picture -> z."""

    Config = LinearToyConfig
    config: LinearToyConfig
    capabilities = frozenset({"generate", "autoencode", "classify", "classify_latent"})

    def __init__(self, config: LinearToyConfig, attributes: tuple[str, ...], image_size: int) -> None:
        super().__init__(config, attributes, image_size)
        self.name = "linear-toy"  # on the instance: a name on the class would register it for every other test
        self.latent = config.latent
        self.encoder = nn.Linear(3 * image_size**2, config.latent)
        self.decoder = nn.Linear(config.latent, 3 * image_size**2)
        self.classifier = nn.Linear(config.latent, len(attributes), bias=False)
        self.classifier.weight.data *= config.steepness / self.classifier.weight.data.norm(dim=1, keepdim=True)

    def encode(self, images: Tensor) -> Code:
        return Code(self.encoder(images.flatten(1)))

    def decode(self, code: Code) -> Tensor:
        return torch.sigmoid(self.decoder(code.z)).unflatten(1, (3, self.image_size, self.image_size))

    def latent_logits(self, z: Tensor) -> Tensor:
        return self.classifier(z)

    def directions(self) -> Tensor:
        return nn.functional.normalize(self.classifier.weight, dim=1)

    def classify(self, images: Tensor) -> Tensor:
        return torch.sigmoid(self.latent_logits(self.encode(images).z))

    def sample(self, labels: Tensor) -> Tensor:
        return self.decode(Code(torch.randn(len(labels), self.latent, device=labels.device)))


def linear_toy(attributes: tuple[str, ...] = ("Eyeglasses", "Smiling"), **changes: float) -> LinearToy:
    """A toy whose weights are the same every time."""
    torch.manual_seed(2)
    return LinearToy(LinearToyConfig(**changes), attributes, SIZE).eval()  # type: ignore[arg-type]


class Slopes:
    """A classifier z [B, Z] -> z W^T for weights that are given, and no pictures."""

    def __init__(self, *rows: Sequence[float]) -> None:
        self.weight = torch.tensor(rows)
        self.latent = self.weight.shape[1]
        self.attributes = ("Eyeglasses", "Smiling")[: len(rows)]

    def latent_logits(self, z: Tensor) -> Tensor:
        return z @ self.weight.T.to(z)


@dataclass(frozen=True)
class PictureCodeConfig:
    labelled: bool = False


class PictureCode(Method):
    """z is the picture itself, flattened. With labels y is its first number, and is painted over its last."""

    Config = PictureCodeConfig
    config: PictureCodeConfig
    capabilities = frozenset({"generate", "autoencode"})

    def __init__(self, config: PictureCodeConfig, attributes: tuple[str, ...], image_size: int) -> None:
        super().__init__(config, attributes, image_size)
        self.name = "picture-code"  # on the instance: a name on the class would register it for every other test
        self.nothing = nn.Linear(1, 1)

    def encode(self, images: Tensor) -> Code:
        z = images.flatten(1)
        return Code(z, z[:, :1] if self.config.labelled else None)

    def decode(self, code: Code) -> Tensor:
        z = code.z if code.y is None else torch.cat([code.z[:, :-1], code.y], dim=1)
        return z.unflatten(1, (3, self.image_size, self.image_size)).clamp(0, 1)

    def sample(self, labels: Tensor) -> Tensor:
        return torch.rand(len(labels), 3, self.image_size, self.image_size)


def picture_code(labelled: bool = False, image_size: int = 4) -> PictureCode:
    """A model whose codes can be read off its pictures."""
    return PictureCode(PictureCodeConfig(labelled), ("Smiling",), image_size).eval()


@dataclass(frozen=True)
class DialsConfig:
    reads: tuple[float, ...] = (1.0, 1.0, 1.0)
    turns: tuple[float, ...] = (0.0, 1.0, 0.0)
    log_var: tuple[float, ...] = (0.0, 0.0, 0.0)


class Dials(Method):
    """z_k is `reads`_k times the picture's brightness; a picture is as bright as the sigmoid of the sum of `turns`_k z_k."""

    Config = DialsConfig
    config: DialsConfig
    capabilities = frozenset({"autoencode"})

    def __init__(self, config: DialsConfig, attributes: tuple[str, ...], image_size: int) -> None:
        super().__init__(config, attributes, image_size)
        self.name = "dials"
        self.nothing = nn.Linear(1, 1)

    def encode(self, images: Tensor) -> Code:
        return Code(images.mean((1, 2, 3))[:, None] * torch.tensor(self.config.reads))

    def decode(self, code: Code) -> Tensor:
        bright = torch.sigmoid(code.z @ torch.tensor(self.config.turns))
        return bright[:, None, None, None].expand(-1, 3, self.image_size, self.image_size)


class DialsWithPosterior(Dials):
    """Dials that say how sure they are: the log-variance of every face is `log_var`."""

    def posterior(self, images: Tensor) -> tuple[Tensor, Tensor]:
        mu = self.encode(images).z
        return mu, torch.tensor(self.config.log_var).expand_as(mu)


def dials(posterior: bool = False, **changes: tuple[float, ...]) -> Dials:
    """Dials with one attribute and pictures of 8 pixels."""
    cls = DialsWithPosterior if posterior else Dials
    return cls(DialsConfig(**changes), ("Smiling",), SIZE).eval()
