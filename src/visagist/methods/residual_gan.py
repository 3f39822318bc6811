"""Residual images (Shen and Liu, 2017, "Learning Residual Images for Face Attribute Manipulation", arXiv:1612.05363).

Networks: G0 adds the attribute and G1 removes it, each by a residual to its input; discriminator D of three classes: real
without the attribute (0), real with it (1), made (2). x0 are faces without, x1 faces with, as many of each.

    x~0 = x0 + r0, r0 = G0(x0)      x~1 = x1 + r1, r1 = G1(x1)                                          (2)
    x^0 = x~0 + G1(x~0)             x^1 = x~1 + G0(x~1)           back again: dual learning
    L_D = cross-entropy of D: x0 to 0, x1 to 1, x~0 and x~1 to 2                                        (4), (9)
    L_GAN = cross-entropy of D(x~0) to 1, of D(x~1) to 0                                                (6)
    L_dual = cross-entropy of D(x^0) to 0, of D(x^1) to 1                                               (7)
    L_pix = |r0|_1 + |r1|_1         L_per = |phi(x0) - phi(x~0)|_1 + |phi(x1) - phi(x~1)|_1             (3), (5)
    G0 and G1 descend L_GAN + L_dual + alpha L_pix + beta L_per, beta = .1 alpha                        (8)

Where the paper is silent or unclear
    (6) for G1 reads -log(1 - D), and D has three outputs: 1 - p1 would also let "made" pass. Cross-entropy toward class 0
    is the reading here; `literal` gives 1 - p1, in (7) too.
    L_pix and L_per are sums over pixels and units, means over the batch, of pixels in [0, 1] at 128. With S² pixels alpha
    stands for alpha (128/S)², so that it weighs a residual of the same extent alike.
    phi is the activation of D's third block, before its batch norm.
    D sees real, once and twice transformed images in three passes, each with batch statistics of its own. What is
    transformed twice leaves the running statistics of all three networks alone: an edit is of photographs.
    G0, G1 and D move at the same time. Adam's first moment decays by .5.
Differs from the paper
    An edit is x + a r, clipped to [0, 1]; a = 1 is the paper's. Trained networks without `residual` give images, and r is
    what these differ by.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from visagist.methods.base import Batch, Losses, Method
from visagist.networks.convolutional import frozen_statistics
from visagist.networks.transformation import ThreeClassDiscriminator, TransformationNetwork

WITHOUT, WITH, MADE = 0, 1, 2
RANGE = 1.5  # the end of the range of edits, in residuals
PAPER_SIZE = 128  # pixels a side, at which alpha is given


@dataclass(frozen=True)
class ResidualGANConfig:
    width: int = 64
    discriminator_width: int = 64
    pixel_weight: float = 5e-4  # alpha; 1e-6 for attributes that are not local
    perceptual_weight: float = 5e-5  # beta
    residual: bool = True
    dual: bool = True
    literal: bool = False
    learning_rate: float = 2e-4
    adam_beta1: float = 0.5

    def __post_init__(self) -> None:
        if min(self.pixel_weight, self.perceptual_weight) < 0:
            raise ValueError("pixel_weight and perceptual_weight are at least 0")


class ResidualGAN(Method):
    """Two transformation networks, one each way, of one attribute."""

    name = "residual-gan"
    title = "Residual images by two dual transformations"
    paper = "Shen and Liu (2017), arXiv:1612.05363"
    Config = ResidualGANConfig
    capabilities = frozenset({"edit"})
    paper_amount = 1 / RANGE
    best_metric = None  # no metric of the method ranks edits
    inference_networks = ("adds", "removes")
    paired = True
    config: ResidualGANConfig

    def __init__(self, config: ResidualGANConfig, attributes: tuple[str, ...], image_size: int) -> None:
        super().__init__(config, attributes, image_size)
        if len(attributes) != 1:
            raise ValueError(f"it learns one attribute, got {len(attributes)}: train one model for each")
        self.adds = TransformationNetwork(config.width)
        self.removes = TransformationNetwork(config.width)
        self.discriminator = ThreeClassDiscriminator(image_size, config.discriminator_width)

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        rate, betas = self.config.learning_rate, (self.config.adam_beta1, 0.999)
        return {name: torch.optim.Adam(network.parameters(), rate, betas) for name, network in self.networks().items()}

    def transform(self, network: TransformationNetwork, x: Tensor) -> Tensor:
        """Apply one of the two networks to images [B, 3, S, S], without clipping."""
        return x + network(x) if self.config.residual else network(x)

    def training_step(self, batch: Batch) -> Iterator[Losses]:
        c = self.config
        x0, x1 = batch.images[0::2], batch.images[1::2]  # `paired`: the training data come so
        x = torch.cat([x0, x1])
        once = torch.cat([self.transform(self.adds, x0), self.transform(self.removes, x1)])
        half, two = len(x0), len(x)

        logits_real, phi_real = self.discriminator.with_features(x)
        logits_once, phi_once = self.discriminator.with_features(once)
        L_real = cross_entropy_to(logits_real[:half], WITHOUT) + cross_entropy_to(logits_real[half:], WITH)
        L_D = (L_real + 2 * cross_entropy_to(logits_once, MADE)) / 2

        scale = (PAPER_SIZE / self.image_size) ** 2
        L_gan = cross_entropy_to(logits_once[:half], WITH) + self._loss_to_without(logits_once[half:])
        L_pix = scale * 2 / two * (once - x).abs().sum()
        L_per = scale * 2 / two * (phi_once - phi_real).abs().sum()
        L_G = L_gan + c.pixel_weight * L_pix + c.perceptual_weight * L_per
        if c.dual:
            with frozen_statistics(self.adds), frozen_statistics(self.removes), frozen_statistics(self.discriminator):
                back = torch.cat([self.transform(self.removes, once[:half]), self.transform(self.adds, once[half:])])
                logits_back = self.discriminator(back)
            L_dual = self._loss_to_without(logits_back[:half]) + cross_entropy_to(logits_back[half:], WITH)
            L_G = L_G + L_dual
            self.log(dual=L_dual, returned=F.l1_loss(back, x))
        self.log(discriminator=L_D, gan=L_gan, pixels=F.l1_loss(once, x), perceptual=L_per)
        yield {"adds": L_G, "removes": L_G, "discriminator": L_D}

    def _loss_to_without(self, logits: Tensor) -> Tensor:
        return not_with(logits) if self.config.literal else cross_entropy_to(logits, WITHOUT)

    def reconstruct(self, images: Tensor) -> Tensor:
        """The images themselves: nothing passes through a code."""
        return images

    def prepare(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The images, and both residuals."""
        added, removed = (self.transform(network, images) - images for network in (self.adds, self.removes))
        return images, added, removed

    def edit(self, images: Tensor, target: Tensor, amount: Tensor) -> Tensor:
        return self.edit_prepared(self.prepare(images), target, amount)

    def edit_prepared(self, prepared: tuple[Tensor, Tensor, Tensor], target: Tensor, amount: Tensor) -> Tensor:
        images, added, removed = prepared
        change = torch.where(target[:, :, None, None] > 0.5, added, removed)
        return (images + RANGE * amount[:, :, None, None] * change).clamp(0, 1)

    def reconstruct_prepared(self, prepared: tuple[Tensor, Tensor, Tensor]) -> Tensor:
        return self.reconstruct(prepared[0])

    def validation(self, batch: Batch) -> dict[str, Tensor]:
        """The mean change of a pixel, and the share of faces that D takes for real ones of the other class."""
        target = 1 - batch.labels
        edited = self.edit(batch.images, target, torch.full_like(target, 1 / RANGE))
        taken = self.discriminator(edited).argmax(1) == target[:, 0].long()
        return {"pixels": F.l1_loss(edited, batch.images), "fooled": taken.float().mean()}


def cross_entropy_to(logits: Tensor, kind: int) -> Tensor:
    """-log of the softmax probability of class `kind`, mean over the batch; logits [B, 3]."""
    return F.cross_entropy(logits, torch.full((len(logits),), kind, device=logits.device))


def not_with(logits: Tensor) -> Tensor:
    """-log(1 - p1), mean over the batch, as (6) and (7) are printed; logits [B, 3]."""
    return (torch.logsumexp(logits, 1) - torch.logsumexp(logits[:, [WITHOUT, MADE]], 1)).mean()
