"""LS-GAN, the loss-sensitive GAN (Qi, 2017, arXiv:1701.06264), on the networks of DCGAN or of Hou et al. Not least squares.

A loss function L learns to be smaller for a photograph than for a sample, by a margin that is their distance:

    L descends E L(x) + lambda E max(0, Delta(x, G(z)) + L(x) - L(G(z))),   then G descends E L(G(z))

Where the paper is silent
    Delta is the L1 distance of pixels, here their mean times `margin_scale`, between a photograph and the sample beside it.
    The Lipschitz condition on L is kept by weight decay, as the paper's own experiments do.
Differs from the paper
    With `architecture` "shared", the default: the networks of Hou et al. (2019), for all methods of that comparison.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import torch
from torch.nn import functional as F

from visagist.methods.base import Batch, Losses
from visagist.methods.families.generator import GeneratorOnly


@dataclass(frozen=True)
class LSGANConfig:
    width: int = 64
    critic_width: int = 64
    latent: int = 100
    architecture: Literal["shared", "dcgan"] = "shared"  # the networks of Hou et al., or of Radford et al.
    margin_weight: float = 1.0  # lambda
    margin_scale: float = 1.0
    weight_decay: float = 5e-4  # of the loss function
    learning_rate: float = 2e-4
    adam_beta1: float = 0.5


class LSGAN(GeneratorOnly):
    """Generator and loss function in turns."""

    name = "ls-gan"
    title = "Loss-sensitive GAN"
    paper = "Qi (2017), arXiv:1701.06264"
    Config = LSGANConfig
    config: LSGANConfig

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        c = self.config
        betas = (c.adam_beta1, 0.999)
        return {
            "generator": torch.optim.Adam(self.generator.parameters(), c.learning_rate, betas),
            "critic": torch.optim.Adam(self.critic.parameters(), c.learning_rate, betas, weight_decay=c.weight_decay),
        }

    def training_step(self, batch: Batch) -> Iterator[Losses]:
        c = self.config
        x, _ = batch
        made = self.generate(len(x), x)
        real_loss, made_loss = self.critic(torch.cat([x, made])).flatten().chunk(2)
        margin = c.margin_scale * (x - made).abs().mean((1, 2, 3))
        short = F.relu(margin + real_loss - made_loss).mean()
        yield {"critic": real_loss.mean() + c.margin_weight * short}
        L_gen = self.critic(made).mean()
        self.log(real=real_loss.mean(), short=short, generator=L_gen)
        yield {"generator": L_gen}
