"""Shapes, ranges and sizes of the architectures, in both forms."""

from __future__ import annotations

import pytest
import torch

from visagist.errors import VisagistError
from visagist.networks.convolutional import LabelNetwork, LatentClassifier, Posterior, frozen_statistics, join, widths
from visagist.networks.forms import build_decoder, build_discriminator, build_encoder

FORMS = ("dcgan", "residual")


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("size", [32, 64, 128])
def test_networks_fit_together_at_every_size(form: str, size: int) -> None:
    x = torch.rand(2, 3, size, size)
    backbone, features = build_encoder(form, size, 2)  # type: ignore[arg-type]
    assert backbone(x).shape == (2, features)
    decoded = build_decoder(form, size, 2, 7)(torch.randn(2, 7))  # type: ignore[arg-type]
    assert decoded.shape == x.shape
    assert build_discriminator(form, size, 2)(decoded).shape == (2, 1)  # type: ignore[arg-type]


@pytest.mark.parametrize("form", FORMS)
def test_an_output_pixel_can_take_any_value(form: str) -> None:
    """Logits, not pixels: nothing squashes or clips them."""
    decoder = build_decoder(form, 32, 2, 5)  # type: ignore[arg-type]
    logits = decoder(100 * torch.randn(16, 5))
    assert logits.min() < 0 < logits.max()


@pytest.mark.parametrize("form", FORMS)
def test_every_weight_is_reached(form: str) -> None:
    backbone, _ = build_encoder(form, 32, 2)  # type: ignore[arg-type]
    decoder, critic = build_decoder(form, 32, 2, 5), build_discriminator(form, 32, 2)  # type: ignore[arg-type]
    x = torch.rand(4, 3, 32, 32)
    for network, given in ((backbone, x), (decoder, torch.randn(4, 5)), (critic, x)):
        network(given).square().sum().backward()
        assert all(p.grad is not None for p in network.parameters())


def test_a_size_that_does_not_fit_is_refused() -> None:
    with pytest.raises(VisagistError, match="image_size 50 does not fit these networks: use 32, 64 or 128"):
        widths(50, 64)


def test_channels_double_at_each_halving() -> None:
    assert widths(64, 64) == [64, 128, 256, 512]
    assert widths(32, 64) == [64, 128, 256]


def test_a_posterior_splits_its_heads_and_bounds_the_log_variance() -> None:
    backbone, features = build_encoder("dcgan", 16, 2)
    mu, log_var, y_logits = Posterior(backbone, features, 6, 3)(1000 * torch.randn(4, 3, 16, 16))
    assert (mu.shape, log_var.shape, y_logits.shape) == ((4, 6), (4, 6), (4, 3))
    assert log_var.abs().max() <= 10
    assert Posterior(backbone, features, 6, 0)(torch.rand(4, 3, 16, 16))[2].shape == (4, 0)


def test_classifiers_give_one_logit_for_each_attribute() -> None:
    assert LabelNetwork(*build_encoder("dcgan", 16, 2), 3)(torch.rand(4, 3, 16, 16)).shape == (4, 3)
    assert LatentClassifier(6, 3, 8)(torch.randn(4, 6)).shape == (4, 3)


def test_the_decoder_is_shown_labels_around_nought_after_the_code() -> None:
    joined = join(torch.full((2, 3), 7.0), torch.tensor([[0.0, 1.0], [0.5, 0.25]]))
    assert joined.tolist() == [[7, 7, 7, -1, 1], [7, 7, 7, 0, -0.5]]


def test_frozen_statistics_normalise_by_the_batch_and_remember_nothing_of_it() -> None:
    norm = torch.nn.BatchNorm2d(2)
    network = torch.nn.Sequential(norm).train()
    images = 5 + 3 * torch.randn(8, 2, 4, 4)
    with frozen_statistics(network):
        shown = network(images)
    torch.testing.assert_close(shown.mean((0, 2, 3)), torch.zeros(2), atol=1e-5, rtol=0)
    torch.testing.assert_close(norm.running_mean, torch.zeros(2))
    network(images)
    torch.testing.assert_close(norm.running_mean, 0.1 * images.mean((0, 2, 3)))
