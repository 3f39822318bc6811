"""The residual form of IntroVAC: its size is the paper's, and its parts fit together."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from visagist.networks.convolutional import Posterior
from visagist.networks.introspective import IntrospectiveDecoder, IntrospectiveEncoder, LinearClassifier

# In millions at 128 pixels, width 32 and latent 256.
PAPER = {"encoder": 13.8, "decoder": 9.4}
EXACT = {"encoder": 13_796_000, "decoder": 9_373_027}


def weights(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def posterior(size: int, width: int, latent: int) -> Posterior:
    backbone = IntrospectiveEncoder(size, width)
    return Posterior(backbone, backbone.features, latent, 0)


def test_networks_have_as_many_parameters_as_the_papers() -> None:
    found = {"encoder": weights(posterior(128, 32, 256)), "decoder": weights(IntrospectiveDecoder(128, 32, 256))}
    for name, count in found.items():
        print(f"{name}: {count:,} parameters, the paper's {PAPER[name]} million")
        assert count == pytest.approx(PAPER[name] * 1e6, rel=0.02)
    assert found == EXACT


def test_the_encoder_has_five_residual_layers_of_the_papers_channels_and_five_poolings() -> None:
    layers = list(IntrospectiveEncoder(128, 32).layers)
    first = layers[0]
    assert isinstance(first, nn.Conv2d)
    assert (first.kernel_size, first.out_channels) == ((5, 5), 32)
    assert [layer.conv_out.out_channels for layer in layers if hasattr(layer, "conv_out")] == [64, 128, 256, 512, 512]
    assert sum(isinstance(layer, nn.AvgPool2d) for layer in layers) == 5


@pytest.mark.parametrize("size", [16, 32, 64, 128])
def test_networks_fit_together_at_every_size(size: int) -> None:
    x = torch.rand(2, 3, size, size)
    mu, log_var, _ = posterior(size, 2, 6)(x)
    assert mu.shape == log_var.shape == (2, 6)
    assert IntrospectiveDecoder(size, 2, 6)(mu).shape == x.shape


def test_half_the_size_is_one_layer_fewer() -> None:
    blocks = {size: sum(hasattr(m, "conv_out") for m in IntrospectiveEncoder(size, 2).layers) for size in (32, 64, 128)}
    assert blocks == {128: 5, 64: 4, 32: 3}


def test_every_weight_is_reached_and_an_output_pixel_can_take_any_value() -> None:
    encoder, decoder = posterior(32, 2, 5), IntrospectiveDecoder(32, 2, 5)
    mu, log_var, _ = encoder(torch.rand(4, 3, 32, 32))
    logits = decoder(50 * torch.randn(16, 5))
    assert logits.min() < 0 < logits.max()
    (mu.square().sum() + log_var.square().sum() + logits.square().sum()).backward()
    assert all(p.grad is not None for network in (encoder, decoder) for p in network.parameters())


def test_what_leaves_a_network_is_float32_in_bfloat16_too() -> None:
    with torch.autocast("cpu", torch.bfloat16):
        mu, log_var, _ = posterior(16, 2, 4)(torch.rand(2, 3, 16, 16))
        x_logits, logits = IntrospectiveDecoder(16, 2, 4)(mu), LinearClassifier(4, 3)(mu)
    assert {t.dtype for t in (mu, log_var, x_logits, logits)} == {torch.float32}


def test_the_classifier_is_linear_without_bias() -> None:
    classifier, z = LinearClassifier(6, 3), torch.randn(5, 6)
    assert [p.shape for p in classifier.parameters()] == [(3, 6)]
    torch.testing.assert_close(classifier(z), z @ classifier.weight.T)
    assert not classifier(torch.zeros(1, 6)).any()
