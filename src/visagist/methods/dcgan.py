"""DCGAN (Radford, Metz and Chintala, 2016, arXiv:1511.06434), on its own networks or those of Hou et al. (2019).

    Dis descends -log Dis(x) - log(1 - Dis(G(z))), then G descends -log Dis(G(z)) by the Dis that has moved

(the second form of Goodfellow et al., 2014, §3, as the paper's code has it).

Where the paper is silent
    Photographs and samples pass through Dis in batches of their own, whose norms are theirs, as is usual.
Differs from the paper
    Pixels in [0, 1] by a sigmoid, not in [-1, 1] by a hyperbolic tangent; z is normal, not uniform. With `architecture`
    "shared", the default: the networks of Hou et al. (2019), residual blocks, nearest upsampling, leaky ReLU everywhere.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import torch

from visagist.losses import discriminator_loss
from visagist.methods.base import Batch, Losses
from visagist.methods.families.generator import GeneratorOnly


@dataclass(frozen=True)
class DCGANConfig:
    width: int = 64
    critic_width: int = 64
    latent: int = 100
    architecture: Literal["shared", "dcgan"] = "shared"  # the networks of Hou et al., or of Radford et al.
    learning_rate: float = 2e-4
    adam_beta1: float = 0.5


class DCGAN(GeneratorOnly):
    """Generator and discriminator in turns."""

    name = "dcgan"
    title = "Deep convolutional GAN"
    paper = "Radford et al. (2016), arXiv:1511.06434"
    Config = DCGANConfig
    config: DCGANConfig

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        rate, betas = self.config.learning_rate, (self.config.adam_beta1, 0.999)
        return {name: torch.optim.Adam(network.parameters(), rate, betas) for name, network in self.networks().items()}

    def training_step(self, batch: Batch) -> Iterator[Losses]:
        x, _ = batch
        made = self.generate(len(x), x)
        L_dis = discriminator_loss(self.critic(x), True) + discriminator_loss(self.critic(made), False)
        yield {"critic": L_dis}
        L_gen = discriminator_loss(self.critic(made), True)
        self.log(discriminator=L_dis, generator=L_gen)
        yield {"generator": L_gen}
