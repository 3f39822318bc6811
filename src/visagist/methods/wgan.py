"""WGAN (Arjovsky, Chintala and Bottou, 2017, arXiv:1701.07875), on DCGAN's networks or those of Hou et al. (2019).

    n times: the critic f ascends E f(x) - E f(G(z)), then is clipped to [-c, c];   then G descends -E f(G(z))  (Algorithm 1)

A batch is dealt out: each of the n critic steps has faces of its own, so `batch_size` is n times the paper's 64.

Differs from the paper
    With `architecture` "shared", the default: the networks of Hou et al. (2019), for all methods of that comparison.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import torch

from visagist.methods.base import Batch, Losses
from visagist.methods.families.generator import GeneratorOnly
from visagist.networks.deep_residual import clip_weights


@dataclass(frozen=True)
class WGANConfig:
    width: int = 64
    critic_width: int = 64
    latent: int = 100
    architecture: Literal["shared", "dcgan"] = "shared"  # the networks of Hou et al., or of Radford et al.
    critic_steps: int = 5  # n
    clip: float = 0.01  # c
    learning_rate: float = 5e-5


class WGAN(GeneratorOnly):
    """Several steps of the critic to one of the generator."""

    name = "wgan"
    title = "Wasserstein GAN"
    paper = "Arjovsky et al. (2017), arXiv:1701.07875"
    Config = WGANConfig
    config: WGANConfig

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        rate = self.config.learning_rate
        return {name: torch.optim.RMSprop(network.parameters(), rate) for name, network in self.networks().items()}

    def training_step(self, batch: Batch) -> Iterator[Losses]:
        c = self.config
        for x in batch.images.chunk(c.critic_steps):
            L_critic = self.critic(self.generate(len(x), x)).mean() - self.critic(x).mean()
            yield {"critic": L_critic}
            clip_weights(self.critic, c.clip)
        L_gen = -self.critic(self.generate(len(x), x)).mean()
        self.log(distance=-L_critic, generator=L_gen)
        yield {"generator": L_gen}
