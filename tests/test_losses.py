"""Every loss against arithmetic, reduction included."""

from __future__ import annotations

from math import exp, log, log1p

import pytest
import torch

from visagist import losses
from visagist.losses import (
    discriminator_loss,
    fake_loss,
    feature_distances,
    kl_by_dimension,
    kl_to_standard_normal,
    label_cross_entropy,
    mean_absolute_error,
    mean_squared_error,
    pixel_cross_entropy,
    real_class_loss,
    real_loss,
    reparameterise,
    summed_kl,
    summed_pixel_cross_entropy,
    weighted_feature_distance,
)


def test_pixel_cross_entropy_sums_over_channels_and_means_over_positions_and_batch() -> None:
    logits, x = torch.zeros(2, 3, 4, 4), torch.rand(2, 3, 4, 4)
    assert float(pixel_cross_entropy(logits, x)) == pytest.approx(3 * log(2), rel=1e-6)
    logits[0, 0, 0, 0], x[0, 0, 0, 0] = 2.0, 1.0
    expected = 3 * log(2) + (log1p(exp(-2)) - log(2)) / (2 * 16)
    assert float(pixel_cross_entropy(logits, x)) == pytest.approx(expected, rel=1e-6)


def test_pixel_cross_entropy_is_least_at_the_pixel_itself() -> None:
    x = torch.tensor(0.3).expand(1, 3, 1, 1)
    losses = [float(pixel_cross_entropy(torch.logit(torch.tensor(p)).expand(1, 3, 1, 1), x)) for p in (0.2, 0.3, 0.4)]
    assert losses[1] < min(losses[0], losses[2])


def test_kl_is_nought_at_the_prior_and_the_closed_form_elsewhere() -> None:
    assert float(kl_to_standard_normal(torch.zeros(3, 5), torch.zeros(3, 5))) == 0
    mu, log_var = torch.randn(3, 5), torch.randn(3, 5)
    normal = torch.distributions.Normal(mu, (0.5 * log_var).exp())
    expected = torch.distributions.kl_divergence(normal, torch.distributions.Normal(0.0, 1.0)).mean()
    torch.testing.assert_close(kl_to_standard_normal(mu, log_var), expected)


def test_label_cross_entropy_is_the_mean_over_attributes_and_batch() -> None:
    logits, labels = torch.tensor([[0.0, 2.0], [-1.0, 0.5]]), torch.tensor([[1.0, 1.0], [0.0, 0.0]])
    expected = (log(2) + log1p(exp(-2)) + log1p(exp(-1)) + log1p(exp(0.5))) / 4
    assert float(label_cross_entropy(logits, labels)) == pytest.approx(expected, rel=1e-6)


def test_a_discriminator_is_judged_by_ordinary_cross_entropy() -> None:
    logits = torch.tensor([[2.0], [-1.0]])
    assert float(discriminator_loss(logits, True)) == pytest.approx((log1p(exp(-2)) + log1p(exp(1))) / 2, rel=1e-6)
    assert float(discriminator_loss(logits, False)) == pytest.approx((log1p(exp(2)) + log1p(exp(-1))) / 2, rel=1e-6)


def test_mean_squared_error_is_the_mean_over_everything() -> None:
    assert float(mean_squared_error(torch.full((2, 3, 4, 4), 0.5), torch.zeros(2, 3, 4, 4))) == pytest.approx(0.25)


def test_mean_absolute_error_is_the_mean_over_everything() -> None:
    x_hat = torch.full((2, 3, 4, 4), 0.5)
    x_hat[0, 0, 0, 0] = 0.0
    assert float(mean_absolute_error(x_hat, torch.full_like(x_hat, 0.25))) == pytest.approx(0.25)
    x_hat[0, 0, 0, 1] = 1.0
    assert float(mean_absolute_error(x_hat, torch.full_like(x_hat, 0.25))) == pytest.approx((95 * 0.25 + 0.75) / 96)


def test_the_last_logit_says_fake_and_the_classes_do_not_count() -> None:
    logits = torch.tensor([[5.0, -3.0, 2.0], [-4.0, 9.0, -1.0]])
    sigmoid = [1 / (1 + exp(-2)), 1 / (1 + exp(1))]
    assert float(fake_loss(logits)) == pytest.approx(-sum(log(p) for p in sigmoid) / 2, rel=1e-6)
    assert float(real_loss(logits)) == pytest.approx(-sum(log(1 - p) for p in sigmoid) / 2, rel=1e-6)


def test_an_image_called_real_and_of_its_class_costs_the_sum_of_both() -> None:
    logits, labels = torch.tensor([[0.0, 2.0, 1.5], [-1.0, 0.5, -0.5]]), torch.tensor([[1.0, 1.0], [0.0, 0.0]])
    classes = (log(2) + log1p(exp(-2)) + log1p(exp(-1)) + log1p(exp(0.5))) / 4
    real = (log1p(exp(1.5)) + log1p(exp(-0.5))) / 2
    assert float(real_class_loss(logits, labels)) == pytest.approx(classes + real, rel=1e-6)


def test_a_reparameterised_sample_has_the_mean_and_deviation_and_lets_gradient_through() -> None:
    mu = torch.full((20_000, 1), 3.0, requires_grad=True)
    log_var = torch.full((20_000, 1), 2 * log(0.5), requires_grad=True)
    z = reparameterise(mu, log_var)
    assert float(z.detach().mean()) == pytest.approx(3, abs=0.02)
    assert float(z.detach().std()) == pytest.approx(0.5, abs=0.02)
    z.sum().backward()
    assert mu.grad is not None
    assert torch.equal(mu.grad, torch.ones_like(mu))
    torch.testing.assert_close(log_var.grad, 0.5 * (z - mu).detach())


def test_the_summed_losses_sum_over_pixels_and_dimensions_and_mean_over_the_batch() -> None:
    logits, x = torch.zeros(2, 3, 4, 4), torch.rand(2, 3, 4, 4)
    assert float(summed_pixel_cross_entropy(logits, x)) == pytest.approx(48 * log(2), rel=1e-6)
    mu, log_var = torch.tensor([[1.0, 0.0, 0.0], [3.0, 0.0, 0.0]]), torch.tensor([[0.0, 2.0, 0.0]] * 2)
    by_hand = [0.5 * (1 + 9) / 2, 0.5 * (exp(2) - 1 - 2), 0.0]
    assert kl_by_dimension(mu, log_var).tolist() == pytest.approx(by_hand)
    assert float(summed_kl(mu, log_var)) == pytest.approx(sum(by_hand))


def test_feature_distances_are_those_of_eqs_5_and_6_on_two_layers_by_hand() -> None:
    """One face; a layer of 2 channels, 1×2, and one of 4 channels, 1×1."""
    wanted = {"low": torch.zeros(1, 2, 1, 2), "high": torch.zeros(1, 4, 1, 1)}
    found = {
        "low": torch.tensor([[[[1.0, 2.0]], [[0.0, 3.0]]]]),
        "high": torch.tensor([1.0, 0.0, 0.0, 5.0]).view(1, 4, 1, 1),
    }
    low, high = (1 + 4 + 9) / (2 * 2 * 1 * 2), (1 + 25) / (2 * 4 * 1 * 1)
    by_layer = feature_distances(found, wanted)
    assert {layer: float(value) for layer, value in by_layer.items()} == pytest.approx({"low": low, "high": high})
    assert float(weighted_feature_distance(found, wanted)) == pytest.approx(100 / 4 * low + 100 / 16 * high)
    twice = {layer: torch.cat([maps, maps]) for layer, maps in found.items()}
    none = {layer: torch.cat([maps, maps]) for layer, maps in wanted.items()}
    assert float(weighted_feature_distance(twice, none)) == pytest.approx(100 / 4 * low + 100 / 16 * high)


def test_old_names_of_losses_are_still_imported_and_say_the_new_ones() -> None:
    for old, new in (("judged", losses.discriminator_loss), ("called_fake", losses.fake_loss)):
        with pytest.warns(DeprecationWarning, match=new.__name__):
            assert getattr(losses, old) is new
    with pytest.raises(ImportError, match="no_such_loss"):
        exec("from visagist.losses import no_such_loss")
