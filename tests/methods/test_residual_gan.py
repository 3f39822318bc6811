"""Residual images: the shapes of Table 1, every loss by hand, and what each network descends."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import pytest
import torch
from tiny_models import tiny_model
from torch.nn import functional as F

from visagist.methods.base import Batch
from visagist.methods.residual_gan import ResidualGAN, ResidualGANConfig
from visagist.networks.transformation import ThreeClassDiscriminator, TransformationNetwork, layer_shapes
from visagist.training.updater import Updater

TRANSFORMATION = [
    ("5×5 conv. 64, stride 1", (64, 128, 128)),
    ("4×4 conv. 128, stride 2", (128, 64, 64)),
    ("4×4 conv. 256, stride 2", (256, 32, 32)),
    ("3×3 conv. 128, stride 1", (128, 32, 32)),
    ("3×3 conv. 64, stride 1", (64, 64, 64)),
    ("4×4 conv. 3, stride 1", (3, 128, 128)),
]
DISCRIMINATOR = [
    ("4×4 conv. 64, stride 2", (64, 64, 64)),
    ("4×4 conv. 128, stride 2", (128, 32, 32)),
    ("4×4 conv. 256, stride 2", (256, 16, 16)),
    ("4×4 conv. 512, stride 2", (512, 8, 8)),
    ("4×4 conv. 1024, stride 2", (1024, 4, 4)),
    ("4×4 conv. 3, stride 1", (3, 1, 1)),
]


@pytest.fixture
def images() -> torch.Tensor:
    """Without and with the attribute by turns."""
    return torch.rand(6, 3, 16, 16, generator=torch.Generator().manual_seed(2))


def model_of(**changes: Any) -> ResidualGAN:
    model = tiny_model(ResidualGAN, **changes)
    with torch.no_grad():
        for p in model.parameters():
            p.mul_(8)  # so that residuals, and what follows from them, are not lost in rounding
    return model.double()


def losses_of(model: ResidualGAN, images: torch.Tensor) -> dict[str, torch.Tensor]:
    (losses,) = list(model.training_step(Batch(images, torch.tensor([[0.0], [1.0]]).repeat(3, 1))))
    return dict(losses)


def by_hand(model: ResidualGAN, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """L_G and L_D from softmax probabilities, image by image."""
    c, n = model.config, len(images) // 2
    x0, x1 = images[0::2], images[1::2]
    once0, once1 = x0 + model.adds(x0), x1 + model.removes(x1)
    back0, back1 = once0 + model.removes(once0), once1 + model.adds(once1)
    scale = (128 / 16) ** 2

    def pass_of(images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        conv1, act, norm1 = model.discriminator.blocks[0]
        conv2, _, norm2 = model.discriminator.blocks[1]
        phi = act(conv2(norm1(act(conv1(images)))))
        return F.softmax(model.discriminator.head(norm2(phi)).flatten(1).float(), 1), phi.float()

    p_real, phi_real = pass_of(torch.cat([x0, x1]))
    p_once, phi_once = pass_of(torch.cat([once0, once1]))
    p_back, _ = pass_of(torch.cat([back0, back1]))
    L_G = -(p_once[:n, 1].log().mean() + p_once[n:, 0].log().mean())
    L_G = L_G - (p_back[:n, 0].log().mean() + p_back[n:, 1].log().mean())
    for r in (once0 - x0, once1 - x1):
        L_G = L_G + c.pixel_weight * scale * r.abs().sum() / n
    L_G = L_G + c.perceptual_weight * scale * (phi_once - phi_real).abs().sum() / n
    L_D = -(p_real[:n, 0].log().sum() + p_real[n:, 1].log().sum()) / (2 * n) - p_once[:, 2].log().mean()
    return L_G, L_D


@pytest.mark.parametrize(
    ("network", "table"),
    [(TransformationNetwork(64), TRANSFORMATION), (ThreeClassDiscriminator(128, 64), DISCRIMINATOR)],
    ids=["transformation", "discriminator"],
)
def test_layers_are_those_of_table_1_with_three_classes(
    network: torch.nn.Module, table: list[tuple[str, tuple[int, ...]]]
) -> None:
    found = layer_shapes(network, 128)
    for (kind, shape), (wanted, size) in zip(found, table):
        print(f"{kind:26} {shape!s:16}  table: {wanted:26} {size}")
    assert found == table


def test_every_weight_starts_small_and_other_sizes_fit() -> None:
    model = ResidualGAN(ResidualGANConfig(), ("Eyeglasses",), 64)
    for name, p in model.named_parameters():
        if p.ndim == 4 and p.numel() > 3000:
            assert float(p.detach().std()) == pytest.approx(0.02, rel=0.1), name
    x = torch.rand(2, 3, 64, 64)
    assert model.adds(x).shape == x.shape
    assert model.discriminator(x).shape == (2, 3)


def test_losses_equal_those_computed_by_hand(images: torch.Tensor) -> None:
    model = model_of(pixel_weight=0.3, perceptual_weight=0.2)
    L_G, L_D = by_hand(model, images.double())
    losses = losses_of(model, images.double())
    assert losses.keys() == {"adds", "removes", "discriminator"}
    torch.testing.assert_close(losses["adds"], L_G, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(losses["removes"], L_G, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(losses["discriminator"], L_D, rtol=1e-5, atol=1e-6)


def test_each_network_receives_the_gradient_of_its_loss_alone(images: torch.Tensor) -> None:
    model = model_of(pixel_weight=0.3, perceptual_weight=0.2)
    L_G, L_D = by_hand(model, images.double())
    wanted = {
        "adds": torch.autograd.grad(L_G, list(model.adds.parameters()), retain_graph=True),
        "removes": torch.autograd.grad(L_G, list(model.removes.parameters()), retain_graph=True),
        "discriminator": torch.autograd.grad(L_D, list(model.discriminator.parameters())),
    }
    seen: dict[str, list[torch.Tensor]] = {}
    engine = Updater(model, nullcontext, lambda tensors: None)
    for name, optimizer in engine.optimizers.items():
        optimizer.register_step_pre_hook(
            lambda opt, *_, name=name: seen.update({name: [p.grad.clone() for g in opt.param_groups for p in g["params"]]})
        )
    engine.step([Batch(images.double(), torch.tensor([[0.0], [1.0]]).repeat(3, 1))], 0)
    for name, gradients in wanted.items():
        for got, hand in zip(seen[name], gradients, strict=True):
            torch.testing.assert_close(got, hand, rtol=1e-4, atol=1e-7)


def test_without_dual_learning_the_way_back_is_not_learned(images: torch.Tensor) -> None:
    with_dual, without = losses_of(model_of(), images.double()), losses_of(model_of(dual=False), images.double())
    assert (with_dual["adds"] > without["adds"]).item()
    torch.testing.assert_close(with_dual["discriminator"], without["discriminator"])


def test_without_residuals_the_networks_give_the_images(images: torch.Tensor) -> None:
    model = model_of(residual=False).eval()
    x, one = images.double(), torch.ones(6, 1, dtype=torch.double)
    torch.testing.assert_close(model.edit(x, one, one / 1.5), model.adds(x).double().clamp(0, 1), rtol=1e-6, atol=1e-6)


def test_the_literal_loss_lets_made_images_pass() -> None:
    from visagist.methods.residual_gan import cross_entropy_to, not_with

    made = torch.tensor([[0.0, -20.0, 20.0]])
    assert float(not_with(made)) == pytest.approx(0, abs=1e-6)
    assert float(cross_entropy_to(made, 0)) == pytest.approx(20, abs=1e-3)
    logits = torch.randn(5, 3, dtype=torch.double)
    torch.testing.assert_close(not_with(logits), -(1 - F.softmax(logits, 1)[:, 1]).log().mean())


def test_an_edit_is_a_multiple_of_the_residual_of_its_side(images: torch.Tensor) -> None:
    model = model_of().eval()
    x = 0.5 + 0 * images.double()
    for target, network in ((1.0, model.adds), (0.0, model.removes)):
        toward, r = torch.full((6, 1), target), network(x)
        r = r / (8 * r.abs().max()) if r.abs().max() > 1 else r
        for amount in (0.1, 2 / 3, 1.0):
            edited = model.edit(x, toward, torch.full((6, 1), amount, dtype=torch.double))
            torch.testing.assert_close(edited, (x + 1.5 * amount * network(x)).clamp(0, 1))
    assert torch.equal(model.reconstruct(x), x)


def test_two_attributes_are_refused() -> None:
    with pytest.raises(ValueError, match="one attribute, got 2"):
        tiny_model(ResidualGAN, ("Smiling", "Young"))


def test_running_statistics_are_of_photographs_and_not_of_what_is_transformed_already(images: torch.Tensor) -> None:
    def remembered(dual: bool) -> dict[str, torch.Tensor]:
        torch.manual_seed(0)
        model = model_of(dual=dual).to(images.dtype)
        losses_of(model, images)
        return {name: value for name, value in model.named_buffers() if "running" in name}

    once, both = remembered(dual=False), remembered(dual=True)
    assert any(name.startswith("adds") for name in once)
    for name, value in once.items():
        torch.testing.assert_close(both[name], value, msg=name)
