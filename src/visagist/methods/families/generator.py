"""What adversarial methods without an encoder share: a generator G: z -> x and a critic.

The networks are those of Hou et al. (2019), or with `architecture` "dcgan" those of Radford et al. (2016), on which DCGAN,
WGAN and LS-GAN were published: transposed and strided 5×5 convolutions, weights drawn from N(0, .02²).

These methods only sample faces: without codes of given faces there are no reconstructions and no edits.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from visagist.methods.base import Batch, Method
from visagist.networks.convolutional import ConvDecoder, ConvDiscriminator, draw_weights
from visagist.networks.deep_residual import DeepCritic, DeepDecoder


class GeneratorOnly(Method):
    """Generator and critic; no metric ranks checkpoints, so `best/` is the newest."""

    capabilities = frozenset({"generate"})
    inference_networks = ("generator",)
    best_metric = None

    def __init__(self, config: Any, attributes: tuple[str, ...], image_size: int) -> None:
        super().__init__(config, attributes, image_size)
        self.latent: int = config.latent
        dcgan = config.architecture == "dcgan"
        self.generator = (ConvDecoder if dcgan else DeepDecoder)(image_size, config.width, config.latent)
        self.critic = (ConvDiscriminator if dcgan else DeepCritic)(image_size, config.critic_width)
        if dcgan:
            draw_weights(self.generator, self.critic)

    def generate(self, count: int, like: Tensor) -> Tensor:
        """Images [count, 3, S, S] of fresh codes, on the device of `like`."""
        return torch.sigmoid(self.generator(torch.randn(count, self.latent, device=like.device)))

    def sample(self, labels: Tensor) -> Tensor:
        return self.generate(len(labels), labels)

    def validation(self, batch: Batch) -> dict[str, Tensor]:
        """The mean difference of the critic between photographs and samples; not comparable between models."""
        samples = self.generate(len(batch.images), batch.images)
        return {"critic_gap": self.critic(batch.images).mean() - self.critic(samples).mean()}
