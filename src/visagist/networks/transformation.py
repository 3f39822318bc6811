"""The networks of Shen and Liu (2017, arXiv:1612.05363), Table 1: image transformation and three-class discriminator.

Widths are given at w = 64 and 128 pixels. Layers read as printed: convolution, leaky ReLU, batch norm.

    transformation  5×5 w; 4×4 2w stride 2; 4×4 4w stride 2; 3×3 2w, doubled; 3×3 w, doubled; 4×4 to 3 channels
    discriminator   4×4 w, 2w, 4w, 8w, 16w, all of stride 2; 4×4 without padding to three logits

Where the table is silent: the slope is .2; nothing follows the last layers; the last 4×4 of a transformation is padded by
(1, 2), so that the side stays; sides are doubled by repeating pixels, after the batch norm, which commutes with it. Its one
output of the discriminator contradicts the text's three classes. Weights of convolutions start from N(0, .02). Another image
size has the same transformation and as many layers of the discriminator as lead to 4×4.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

from visagist.networks.convolutional import widths

SLOPE = 0.2
CLASSES = 3
PERCEPTUAL = 3  # the block of the discriminator whose activation is compared


def _block(a: int, b: int, kernel: int, stride: int) -> nn.Sequential:
    """Convolution, leaky ReLU and batch norm; the side is kept or halved."""
    conv = nn.Conv2d(a, b, kernel, stride, (kernel - 1) // 2)
    return nn.Sequential(conv, nn.LeakyReLU(SLOPE), nn.BatchNorm2d(b))


def _initialise(network: nn.Module) -> None:
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.normal_(module.weight, 0, 0.02)


class TransformationNetwork(nn.Module):
    """Images [B, 3, S, S] to residuals [B, 3, S, S], not bounded; any S that 4 divides."""

    def __init__(self, width: int) -> None:
        super().__init__()
        w = width
        self.layers = nn.Sequential(
            _block(3, w, 5, 1),
            _block(w, 2 * w, 4, 2),
            _block(2 * w, 4 * w, 4, 2),
            _block(4 * w, 2 * w, 3, 1),
            nn.Upsample(scale_factor=2),
            _block(2 * w, w, 3, 1),
            nn.Upsample(scale_factor=2),
            nn.ZeroPad2d((1, 2, 1, 2)),
            nn.Conv2d(w, 3, 4),
        )
        _initialise(self)

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x).float()


class ThreeClassDiscriminator(nn.Module):
    """Images [B, 3, S, S] to logits [B, 3]: real without the attribute, real with it, made."""

    def __init__(self, image_size: int, width: int) -> None:
        super().__init__()
        channels = [3, *widths(image_size, width)]
        self.blocks = [_block(a, b, 4, 2) for a, b in pairwise(channels)]
        self.layers = nn.Sequential(*self.blocks)
        self.head = nn.Conv2d(channels[-1], CLASSES, 4)
        _initialise(self)

    def with_features(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Logits [B, 3], and the activation [B, 4w, S/8, S/8] of the third block, before its batch norm.

        At 16 pixels there are two blocks, and it is the second's.
        """
        features = x
        for index, block in enumerate(self.blocks):
            active = block[:2](x)
            if index < PERCEPTUAL:
                features = active
            x = block[2](active)
        return self.head(x).flatten(1).float(), features.float()

    def forward(self, x: Tensor) -> Tensor:
        return self.with_features(x)[0]


def layer_shapes(network: nn.Module, image_size: int) -> list[tuple[str, tuple[int, ...]]]:
    """The kind and output shape [C, S, S] of every convolution, in the order of the forward pass."""
    shapes: list[tuple[str, tuple[int, ...]]] = []

    def record(module: nn.Module, _: object, out: Tensor) -> None:
        assert isinstance(module, nn.Conv2d)
        kernel, stride = module.kernel_size[0], module.stride[0]
        shapes.append((f"{kernel}×{kernel} conv. {module.out_channels}, stride {stride}", tuple(out.shape[1:])))

    hooks = [m.register_forward_hook(record) for m in network.modules() if isinstance(m, nn.Conv2d)]
    training = network.training
    try:
        with torch.no_grad():
            network.eval()(torch.zeros(1, 3, image_size, image_size))
    finally:
        network.train(training)
        for hook in hooks:
            hook.remove()
    return shapes
