"""VAE, VAE/GAN, DCGAN, WGAN and LS-GAN: each update rule against its arithmetic."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import pytest
import torch
from tiny_faces import make_faces
from tiny_models import tiny_model
from torch import Tensor
from torch.nn import functional as F

from visagist.methods.base import Batch, Trainable
from visagist.methods.dcgan import DCGAN
from visagist.methods.ls_gan import LSGAN
from visagist.methods.vae import VAE
from visagist.methods.vae_gan import VAEGAN
from visagist.methods.wgan import WGAN
from visagist.training.updater import Updater


def batch_of(count: int = 10) -> Batch:
    faces = make_faces(count, val=1, test=1)
    return Batch(torch.from_numpy(faces.images).permute(0, 3, 1, 2) / 255, torch.from_numpy(faces.labels).float())


def gradients(model: Trainable, losses: Any) -> dict[str, list[Tensor]]:
    return Updater(model, nullcontext, lambda tensors: None).gradients(losses)


def assert_gradient(got: list[Tensor], loss: Tensor, network: torch.nn.Module) -> None:
    own = torch.autograd.grad(loss, list(network.parameters()), retain_graph=True)
    assert any(float(g.abs().sum()) > 0 for g in own)
    for g, wanted in zip(got, own, strict=True):
        torch.testing.assert_close(g, wanted, rtol=1e-3, atol=1e-5)


def test_vae_descends_the_negative_evidence_bound_in_nats() -> None:
    model, x = tiny_model(VAE, kl_weight=0.5), batch_of().images
    torch.manual_seed(1)
    (losses,) = list(model.training_step(batch_of()))
    torch.manual_seed(1)
    mu, log_var, _ = model.encoder(x)
    p = torch.sigmoid(model.decoder(mu + (log_var / 2).exp() * torch.randn_like(mu)))
    nats = -(x * p.log() + (1 - x) * (1 - p).log()).sum((1, 2, 3)).mean()
    kl = (0.5 * (mu**2 + log_var.exp() - 1 - log_var)).sum(1).mean()
    assert losses["encoder"].item() == pytest.approx((nats + 0.5 * kl).item(), rel=1e-5)
    assert losses["encoder"] is losses["decoder"]


def test_vae_gan_gives_each_network_its_own_sum_of_the_three_terms() -> None:
    model, x = tiny_model(VAEGAN, likeness_weight=0.3, kl_weight=0.6), batch_of().images
    torch.manual_seed(1)
    (losses,) = list(model.training_step(batch_of()))
    got = gradients(model, losses)
    torch.manual_seed(1)
    mu, log_var, _ = model.encoder(x)
    z = mu + (log_var / 2).exp() * torch.randn_like(mu)
    x_hat, x_p = torch.sigmoid(model.decoder(torch.cat([z, torch.randn_like(mu)]))).split(len(x))
    hidden = model.discriminator.layers(torch.cat([x, x_hat, x_p]))
    p = torch.sigmoid(model.discriminator.head(hidden).flatten())
    real, rebuilt, made = p.split(len(x))
    L_gan = real.log().mean() + (1 - rebuilt).log().mean() + (1 - made).log().mean()
    seen, again, _ = hidden.split(len(x))
    L_like = ((again - seen) ** 2).sum((1, 2, 3)).mean() / 2
    L_kl = (0.5 * (mu**2 + log_var.exp() - 1 - log_var)).sum(1).mean()
    assert_gradient(got["encoder"], 0.6 * L_kl + L_like, model.encoder)
    assert_gradient(got["decoder"], 0.3 * L_like + L_gan, model.decoder)
    assert_gradient(got["discriminator"], -L_gan, model.discriminator)


def logits_of_step(model: Any, seed: int = 1) -> tuple[Tensor, Tensor, Tensor]:
    """What the discriminator says of photographs, reconstructions and samples of the step of this seed."""
    x = batch_of().images
    torch.manual_seed(seed)
    mu, log_var, _ = model.encoder(x)
    z = mu + (log_var / 2).exp() * torch.randn_like(mu)
    pictures = torch.sigmoid(model.decoder(torch.cat([z, torch.randn_like(mu)])))
    real, rebuilt, made = model.discriminator.with_hidden(torch.cat([x, pictures]))[0].split(len(x))
    return real, rebuilt, made


def step_of(model: Any, seed: int = 1) -> dict[str, Tensor]:
    torch.manual_seed(seed)
    (losses,) = list(model.training_step(batch_of()))
    return dict(losses)


def test_vae_gan_can_teach_its_decoder_by_what_it_gets_right_and_weigh_both_sides_alike() -> None:
    settings = {"decoder_loss": "non_saturating", "gan_terms": "balanced", "likeness_weight": 0.0}
    losses = step_of(tiny_model(VAEGAN, **settings))
    real, rebuilt, made = (torch.sigmoid(part) for part in logits_of_step(tiny_model(VAEGAN, **settings)))
    fooled = -(rebuilt.log().mean() + made.log().mean()) / 2
    assert losses["decoder"].item() == pytest.approx(fooled.item(), rel=1e-4)
    told = -real.log().mean() - ((1 - rebuilt).log().mean() + (1 - made).log().mean()) / 2
    assert losses["discriminator"].item() == pytest.approx(told.item(), rel=1e-4)


def test_the_discriminator_of_vae_gan_rests_where_it_knows_enough() -> None:
    resting, playing = (tiny_model(VAEGAN, rest_below=limit) for limit in (100.0, 1e-6))
    assert not any(float(g.abs().sum()) for g in gradients(resting, step_of(resting))["discriminator"])
    assert any(float(g.abs().sum()) for g in gradients(playing, step_of(playing))["discriminator"])


def test_dcgan_moves_its_generator_by_the_discriminator_that_has_moved() -> None:
    model, x = tiny_model(DCGAN), batch_of().images
    engine = Updater(model, nullcontext, lambda tensors: None)
    torch.manual_seed(1)
    steps = model.training_step(batch_of())
    first = next(steps)
    torch.manual_seed(1)
    made = torch.sigmoid(model.generator(torch.randn(len(x), model.latent)))
    by_hand = F.softplus(-model.critic(x)).mean() + F.softplus(model.critic(made)).mean()
    assert first["critic"].item() == pytest.approx(by_hand.item(), rel=1e-5)
    for parameter, gradient in zip(model.critic.parameters(), engine.gradients(first)["critic"]):
        parameter.data -= gradient
    second = next(steps)
    assert second["generator"].item() == pytest.approx(F.softplus(-model.critic(made)).mean().item(), rel=1e-4)
    assert next(steps, None) is None


def test_wgan_deals_its_batch_out_to_the_critic_and_clips_it_each_time() -> None:
    model, shown = tiny_model(WGAN, critic_steps=5, clip=0.03), []
    model.critic.register_forward_pre_hook(lambda module, args: shown.append(args[0].detach()))
    batch = batch_of(10)
    order = []
    for losses in model.training_step(batch):
        order += losses
        assert all(float(p.detach().abs().max()) <= 0.03 for p in model.critic.parameters()) or order == ["critic"]
        model.critic.head.bias.data.fill_(7.0)
    assert order == ["critic"] * 5 + ["generator"]
    photographs = [images for images in shown if any(torch.equal(images, part) for part in batch.images.chunk(5))]
    torch.testing.assert_close(torch.cat(photographs), batch.images)


def test_wgan_raises_the_critics_verdict_on_photographs_over_that_on_samples() -> None:
    model, batch = tiny_model(WGAN, critic_steps=1), batch_of()
    torch.manual_seed(1)
    losses = next(model.training_step(batch))
    torch.manual_seed(1)
    made = torch.sigmoid(model.generator(torch.randn(10, model.latent)))
    by_hand = model.critic(batch.images).mean() - model.critic(made).mean()
    assert_gradient(gradients(model, losses)["critic"], -by_hand, model.critic)


def test_ls_gan_asks_for_a_margin_as_large_as_the_difference_of_the_images() -> None:
    model, x = tiny_model(LSGAN, margin_weight=0.4, margin_scale=20.0), batch_of().images
    torch.manual_seed(1)
    steps = model.training_step(batch_of())
    first = next(steps)
    torch.manual_seed(1)
    made = torch.sigmoid(model.generator(torch.randn(len(x), model.latent)))
    real_loss, made_loss = model.critic(torch.cat([x, made])).flatten().split(len(x))
    delta = 20 * (x - made).abs().mean((1, 2, 3))
    short = torch.clamp(delta + real_loss - made_loss, min=0)
    assert short.min().item() > 0
    expected = real_loss.mean() + 0.4 * short.mean()
    assert first["critic"].item() == pytest.approx(expected.item(), rel=1e-4)
    assert next(steps)["generator"].item() == pytest.approx(model.critic(made).mean().item(), abs=1e-5)


@pytest.mark.parametrize("method", [DCGAN, WGAN, LSGAN, VAEGAN])
def test_with_the_architecture_of_dcgan_a_method_has_strided_five_by_five_convolutions_and_learns(method: Any) -> None:
    torch.manual_seed(0)
    model = tiny_model(method, architecture="dcgan")
    kernels = {m.kernel_size for m in model.modules() if isinstance(m, torch.nn.Conv2d | torch.nn.ConvTranspose2d)}
    assert kernels == {(5, 5)}
    before = [p.detach().clone() for p in model.parameters()]
    updater = Updater(model, nullcontext, lambda tensors: None)
    for step in range(2):
        updater.step([batch_of()], step)
    moved = sum(float((old - new).detach().abs().sum()) > 0 for old, new in zip(before, model.parameters()))
    assert moved > 0.9 * len(before)
    assert {p.shape for p in tiny_model(method).parameters()} != {p.shape for p in before}, "the default is shared"


def test_weights_of_the_dcgan_architecture_are_drawn_as_its_paper_draws_them() -> None:
    torch.manual_seed(0)
    model = DCGAN(DCGAN.Config(width=16, critic_width=16, architecture="dcgan"), (), 32)
    weights = torch.cat([p.flatten() for p in model.parameters() if p.ndim > 1])
    scales = torch.cat([m.weight for m in model.modules() if isinstance(m, torch.nn.BatchNorm2d)])
    assert weights.std().item() == pytest.approx(0.02, rel=0.05)
    assert (scales.mean().item(), scales.std().item()) == (pytest.approx(1, abs=0.01), pytest.approx(0.02, rel=0.3))
