"""Models that cost nothing: a tiny IFcVAE-GAN, and a painter whose edits can be worked out by hand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from visagist import methods
from visagist.data.faces import Faces
from visagist.editing.editor import Editor
from visagist.methods.base import Code, Method

SIZE = 16
DARK, BRIGHT = 51, 204  # brightness 0.2 and 0.8


@dataclass(frozen=True)
class PainterConfig:
    reach: float = 1.0


class Painter(Method):
    """Attribute i is the brightness of channel i; an edit moves it toward 0 or 1, at most the share `reach` of the way."""

    Config = PainterConfig
    capabilities = frozenset({"autoencode", "edit", "classify"})

    def __init__(self, config: PainterConfig, attributes: tuple[str, ...], image_size: int) -> None:
        super().__init__(config, attributes, image_size)
        self.name = "painter"  # on the instance: a name on the class would register it for every other test
        self.paint = nn.Identity()

    def encode(self, images: Tensor) -> Code:
        return Code(images, images.mean((2, 3))[:, : len(self.attributes)])

    def decode(self, code: Code) -> Tensor:
        assert code.y is not None
        images = code.z.clone()
        images[:, : len(self.attributes)] = code.y[..., None, None]
        return images

    def edit(self, images: Tensor, target: Tensor, amount: Tensor) -> Tensor:
        z, y = self.encode(images)
        assert y is not None
        return self.decode(Code(z, torch.lerp(y, target, self.config.reach * amount)))

    def classify(self, images: Tensor) -> Tensor:
        y = self.encode(images).y
        assert y is not None
        return y


class BrightnessJudge:
    """Its logit for attribute i is ten times how much brighter than middle grey channel i is."""

    def __init__(self, name: str = "judge-64-b", attributes: tuple[str, ...] = ("Smiling", "Eyeglasses")) -> None:
        self.name, self.attributes = name, attributes

    def score(self, images: NDArray[np.uint8]) -> NDArray[np.float32]:
        brightness = images.mean((1, 2))[:, : len(self.attributes)] / 255
        return (1 / (1 + np.exp(-10 * (brightness - 0.5)))).astype(np.float32)


def painter(attributes: tuple[str, ...] = ("Smiling", "Eyeglasses"), reach: float = 1.0) -> Editor:
    return Editor(Painter(PainterConfig(reach), attributes, SIZE), name="painter")


def shaded_faces(names: tuple[str, ...] = ("Smiling", "Eyeglasses"), count: int = 40) -> Faces:
    """Validation faces whose channel i is dark without attribute i and bright with it."""
    labels = (np.arange(count)[:, None] >> np.arange(len(names)) & 1).astype(np.uint8)
    images = np.full((count, SIZE, SIZE, 3), 128, np.uint8)
    for i in range(len(names)):
        images[..., i] = np.where(labels[:, i], BRIGHT, DARK)[:, None, None]
    return Faces(images, labels, names, np.ones(count, np.uint8), tuple(f"{i}.png" for i in range(count)))


def tiny_method(attributes: tuple[str, ...] = ("Smiling",), image_size: int = SIZE, name: str = "ifcvae-gan") -> Any:
    """A method whose labels and paint vary from face to face, although it has learned nothing."""
    torch.manual_seed(3)
    cls = methods.get(name)
    method = cls(cls.Config(width=4, latent=8), attributes, image_size)
    for layer in method.modules():
        if isinstance(layer, nn.BatchNorm2d):
            nn.init.uniform_(layer.weight, 0.5, 1.5)
            nn.init.uniform_(layer.running_mean, -0.1, 0.1)
        elif isinstance(layer, (nn.Linear, nn.ConvTranspose2d, nn.Conv2d)):
            layer.weight.data.mul_(3)
    return method.eval()
