"""Batch norms taken into the layers before them, for networks of torch that are no longer trained."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn


def fold_norms(network: nn.Module) -> None:
    """Take each batch norm, as it is in evaluation, into the convolution or the linear layer that stands before it."""
    from torch import nn
    from torch.nn.utils.fusion import fuse_conv_bn_eval, fuse_linear_bn_eval

    for layers in [module for module in network.modules() if isinstance(module, nn.Sequential)]:
        for row in range(len(layers) - 1):
            layer, norm = layers[row], layers[row + 1]
            if isinstance(layer, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                layers[row], layers[row + 1] = fuse_conv_bn_eval(layer, norm), nn.Identity()
            elif isinstance(layer, nn.Linear) and isinstance(norm, nn.BatchNorm1d):
                layers[row], layers[row + 1] = fuse_linear_bn_eval(layer, norm), nn.Identity()
