"""Build the networks of label-conditioned methods in the form `dcgan` or `residual`."""

from __future__ import annotations

from typing import Literal

from torch import nn

from visagist.networks.convolutional import ConvDecoder, ConvDiscriminator, ConvEncoder
from visagist.networks.residual import ResidualDecoder, ResidualDiscriminator, ResidualEncoder

Form = Literal["dcgan", "residual"]


def build_encoder(form: Form, image_size: int, width: int) -> tuple[nn.Module, int]:
    """A backbone from images [B, 3, S, S] to features [B, F], and F."""
    encoder = (ConvEncoder if form == "dcgan" else ResidualEncoder)(image_size, width)
    return encoder, encoder.features


def build_decoder(form: Form, image_size: int, width: int, code: int) -> nn.Module:
    """A network from codes [B, code] to pixel logits [B, 3, S, S]."""
    return (ConvDecoder if form == "dcgan" else ResidualDecoder)(image_size, width, code)


def build_discriminator(form: Form, image_size: int, width: int) -> ConvDiscriminator | ResidualDiscriminator:
    """A network from images [B, 3, S, S] to real/fake logits [B, 1]."""
    return (ConvDiscriminator if form == "dcgan" else ResidualDiscriminator)(image_size, width)
