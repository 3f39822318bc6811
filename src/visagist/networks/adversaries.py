"""Adversaries of an encoder that read its latent code."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn


class Ensemble(nn.Module):
    """Several classifiers of one code, z [B, Z] to the label logits of each [M, B, A]."""

    def __init__(self, members: Iterable[nn.Module]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)

    def forward(self, z: Tensor) -> Tensor:
        return torch.stack([member(z) for member in self.members])


class LabelGaussian(nn.Module):
    """q(z|y), labels [B, A] to mean and log-variance [B, Z]: a diagonal Gaussian for each class of one attribute.

    Mean and log-variance are linear in y, so that several attributes add up. At first it is N(0, I) whatever the label.
    The log-variance is bounded to [-10, 10] nats.
    """

    def __init__(self, num_attributes: int, latent: int) -> None:
        super().__init__()
        self.linear = nn.Linear(num_attributes, 2 * latent)
        nn.init.zeros_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)

    def forward(self, y: Tensor) -> tuple[Tensor, Tensor]:
        mean, log_var = self.linear(y).float().chunk(2, dim=1)
        return mean, log_var.clamp(-10, 10)
