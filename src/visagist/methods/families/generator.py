"""What the adversarial methods without an encoder share: a generator G: z -> x and a critic.

The networks are those of Hou et al. (2019).

These methods sample faces and do no more: there is no code of a given face, so nothing to rebuild or to edit.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from visagist.methods.base import Batch, Method
from visagist.networks.deep_residual import DeepCritic, DeepDecoder


class GeneratorOnly(Method):
    """Generator and critic; no figure tells the best, so `best/` is the newest."""

    capabilities = frozenset({"generate"})
    inference_networks = ("generator",)
    best_metric = None

    def __init__(self, config: Any, attributes: tuple[str, ...], image_size: int) -> None:
        super().__init__(config, attributes, image_size)
        self.latent: int = config.latent
        self.generator = DeepDecoder(image_size, config.width, config.latent)
        self.critic = DeepCritic(image_size, config.critic_width)

    def generate(self, count: int, like: Tensor) -> Tensor:
        """Images [count, 3, S, S] of fresh codes, on the device of `like`."""
        return torch.sigmoid(self.generator(torch.randn(count, self.latent, device=like.device)))

    def sample(self, labels: Tensor) -> Tensor:
        return self.generate(len(labels), labels)

    def validation(self, batch: Batch) -> dict[str, Tensor]:
        """How far the critic sets photographs and samples apart: by its own numbers, which no other model's compare with."""
        made = self.generate(len(batch.images), batch.images)
        return {"critic_gap": self.critic(batch.images).mean() - self.critic(made).mean()}
