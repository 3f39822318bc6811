"""The optimizer of painters that learn under a discriminator, whose losses have spikes."""

from __future__ import annotations

import torch
from torch import nn

BETAS = (0.5, 0.99)
LARGEST_GRADIENT = 1.0  # norm


def clipped_adam(network: nn.Module, learning_rate: float, *, fused: bool = False) -> torch.optim.Optimizer:
    """Adam over a network whose gradients are cut to the norm `LARGEST_GRADIENT` before each step."""

    def clip(*_: object) -> None:
        nn.utils.clip_grad_norm_(network.parameters(), LARGEST_GRADIENT)

    optimizer = torch.optim.Adam(network.parameters(), learning_rate, BETAS, fused=fused or None)
    optimizer.register_step_pre_hook(clip)
    return optimizer
