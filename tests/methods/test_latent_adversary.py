"""What makes IFcVAE-GAN's code forget, beside the paper: each setting alone, and nothing of it by default."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace
from math import log
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_faces import make_faces
from tiny_models import tiny_model
from torch import Tensor

from visagist.checkpoints.checkpoint import describe, load_model, save_model
from visagist.methods.base import Batch
from visagist.methods.ifcvae_gan import IFcVAEGAN, IFcVAEGANConfig
from visagist.reproduction.scales import with_amounts
from visagist.training.batch_norm import recompute_batch_norm
from visagist.training.updater import Updater

FOUR = {"encoder", "decoder", "discriminator", "auxiliary"}
REMEDIES: dict[str, dict[str, Any]] = {
    "larger": {"auxiliary_layers": 3},
    "steps": {"auxiliary_steps": 3},
    "members": {"auxiliary_members": 3},
    "restart": {"auxiliary_restart_images": 8},
    "mean": {"auxiliary_sees": "mean"},
    "both": {"auxiliary_sees": "both"},
    "chance": {"auxiliary_goal": "chance"},
    "warm-up": {"auxiliary_warmup_images": 16},
    "erasure": {"erasure": "linear"},
    "hsic": {"independence_weight": 0.5},
    "club": {"information_weight": 0.5},
}
REMEDIES["all"] = {key: value for one in REMEDIES.values() for key, value in one.items()}


def model_of(**changes: Any) -> Any:
    return tiny_model(IFcVAEGAN, **changes)


def batch_of(count: int = 8) -> Batch:
    faces = make_faces(count, val=1, test=1)
    return Batch(torch.from_numpy(faces.images).permute(0, 3, 1, 2) / 255, torch.from_numpy(faces.labels).float())


def phases_of(model: Any, batch: Batch | None = None) -> list[Any]:
    torch.manual_seed(3)
    return list(model.training_step(batch or batch_of()))


def engine_of(model: Any) -> Updater:
    return Updater(model, nullcontext, lambda tensors: None)


def read_by(network: Any) -> list[Tensor]:
    """What the network will have been shown."""
    seen: list[Tensor] = []
    network.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].detach()))
    return seen


def weights(network: Any) -> list[Tensor]:
    return [parameter.detach().clone() for parameter in network.parameters()]


def moved(network: Any, before: list[Tensor]) -> bool:
    return any(not torch.equal(now, then) for now, then in zip(network.parameters(), before))


def covariance(z: Tensor, y: Tensor) -> Tensor:
    return (z - z.mean(0)).T @ (y - y.mean(0)) / len(z)


def test_by_default_there_are_the_four_networks_of_the_paper_in_one_phase() -> None:
    model = model_of()
    assert set(model.networks()) == FOUR
    assert model.inference_networks == ("encoder", "decoder")
    (losses,) = phases_of(model)
    assert set(losses) == FOUR
    assert [key for key in model.state_dict() if key.startswith("auxiliary")] == [
        f"auxiliary.layers.{layer}.{kind}" for layer in (1, 3, 5) for kind in ("weight", "bias")
    ]


@pytest.mark.parametrize("remedy", REMEDIES)
def test_each_setting_trains_every_network_in_parts_of_a_batch_and_in_evaluation_is_still_itself(remedy: str) -> None:
    model = model_of(**REMEDIES[remedy])
    model.batch_images = 16
    before = {name: weights(network) for name, network in model.networks().items()}
    engine = engine_of(model)
    for number in range(3):
        model.images_seen = 16 * number
        engine.step([batch_of(), batch_of()], number)
    assert all(moved(network, before[name]) for name, network in model.networks().items() if before[name])
    assert all(torch.isfinite(value).all() for value in model.state_dict().values())
    model.eval().requires_grad_(False)
    faces = batch_of(16)
    assert torch.equal(model.reconstruct(faces.images), model.reconstruct(faces.images))


@pytest.mark.parametrize("remedy", ["erasure", "club", "members"])
def test_what_is_needed_in_use_is_saved_and_no_more(remedy: str, tmp_path: Path) -> None:
    model, batch = model_of(**REMEDIES[remedy]), batch_of()
    engine_of(model).step([batch], 0)
    model.eval().requires_grad_(False)
    kept = {key: value for key, value in model.state_dict().items() if key.split(".")[0] in model.inference_networks}
    save_model(tmp_path / "model", describe(model), kept)
    loaded: Any = load_model(tmp_path / "model")[0]
    assert torch.equal(loaded.reconstruct(batch.images), model.reconstruct(batch.images))
    assert torch.equal(loaded.posterior(batch.images)[0], loaded.encode(batch.images).z)
    assert ("eraser" in loaded.inference_networks) is (remedy == "erasure")


def test_more_layers_are_hidden_ones() -> None:
    linear = [layer for layer in model_of(auxiliary_layers=4).auxiliary.layers if isinstance(layer, torch.nn.Linear)]
    assert [layer.out_features for layer in linear] == [8, 8, 8, 8, 1]


def test_further_updates_of_the_adversary_come_first_each_on_fresh_samples_of_one_posterior() -> None:
    model = model_of(auxiliary_steps=3)
    shown, faces = read_by(model.auxiliary), read_by(model.encoder)
    phases = phases_of(model)
    assert [set(losses) for losses in phases] == [{"auxiliary"}, {"auxiliary"}, FOUR]
    assert len(faces) == 1
    assert len(shown) == 3
    assert not torch.equal(shown[0], shown[1])
    assert not torch.equal(shown[1], shown[2])


def test_an_adversary_that_moves_more_often_knows_more() -> None:
    found = []
    for steps in (1, 8):
        model = model_of(auxiliary_steps=steps, learning_rate=0.0, discriminator_learning_rate=0.0)
        engine, batch = engine_of(model), batch_of(32)
        for number in range(12):
            torch.manual_seed(number)
            engine.step([batch], number)
        found.append(model.pop_log()["aux"].item())
    assert found[1] < found[0]


def test_the_encoder_plays_against_the_mean_of_the_members_losses() -> None:
    model, batch = model_of(auxiliary_members=3, auxiliary_weight=2.0), batch_of()
    (shown,) = [read_by(model.auxiliary)]
    (losses,) = phases_of(model, batch)
    alone = [
        torch.nn.functional.binary_cross_entropy_with_logits(member(shown[0]), batch.labels)
        for member in model.auxiliary.members
    ]
    assert len({loss.item() for loss in alone}) == 3
    torch.testing.assert_close(losses["auxiliary"], torch.stack(alone).mean())
    without = model_of(auxiliary_members=3, auxiliary_weight=0.0)
    (bare,) = phases_of(without, batch)
    torch.testing.assert_close(losses["encoder"], bare["encoder"] - 2 * torch.stack(alone).mean())


@pytest.mark.parametrize("members", [1, 3])
def test_the_oldest_member_starts_anew_at_the_image_that_was_named_and_not_before(members: int) -> None:
    model = model_of(auxiliary_members=members, auxiliary_restart_images=20)
    model.batch_images = 8
    one_by_one = list(model.auxiliary.members) if members > 1 else [model.auxiliary]
    restarted = []
    for seen in range(0, 96, 8):
        before, model.images_seen = [weights(member) for member in one_by_one], seen
        model.restart_when_due()
        restarted += [(seen, i) for i, member in enumerate(one_by_one) if moved(member, before[i])]
    assert restarted == [(seen, i % members) for i, seen in enumerate((24, 40, 64, 80))]


def test_new_weights_are_those_of_the_image_whatever_was_drawn_before_and_disturb_no_other_noise() -> None:
    found, noise = [], []
    for seed in (1, 2):
        model = model_of(auxiliary_restart_images=8)
        model.batch_images = model.images_seen = 8
        torch.manual_seed(seed)
        model.restart_when_due()
        found.append(weights(model.auxiliary))
        noise.append(torch.rand(1))
    assert all(torch.equal(a, b) for a, b in zip(*found))
    torch.manual_seed(1)
    assert torch.equal(noise[0], torch.rand(1))
    assert noise[0] != noise[1]


@pytest.mark.parametrize(("sees", "count"), [("sample", 8), ("mean", 8), ("both", 16)])
def test_the_adversary_sees_samples_means_or_both(sees: str, count: int) -> None:
    model, batch = model_of(auxiliary_sees=sees), batch_of()
    shown, decoded = read_by(model.auxiliary), read_by(model.decoder)
    (losses,) = phases_of(model, batch)
    mu, sample = model.encoder(batch.images)[0].detach(), decoded[0][:8, :-1]
    assert len(shown[0]) == count
    torch.testing.assert_close(shown[0][-8:], sample if sees == "sample" else mu)
    torch.testing.assert_close(shown[0][:8], mu if sees == "mean" else sample)
    alone = torch.nn.functional.binary_cross_entropy_with_logits
    parts = [alone(model.auxiliary(part), batch.labels) for part in shown[0].split(8)]
    torch.testing.assert_close(losses["auxiliary"], torch.stack(parts).mean())


def test_the_goal_of_chance_is_reached_where_the_adversary_says_one_half() -> None:
    model, y = model_of(auxiliary_goal="chance"), torch.tensor([[1.0], [0.0], [1.0]])
    said = torch.linspace(-4, 4, 81)
    paid = []
    torch.nn.init.zeros_(model.auxiliary.layers[-1].weight)
    for logit in said:
        torch.nn.init.constant_(model.auxiliary.layers[-1].bias, logit.item())
        paid.append(model.adversarial_losses(torch.zeros(3, 4), y)[1])
    least = torch.stack(paid).argmin()
    assert said[least].item() == pytest.approx(0.0, abs=1e-6)
    assert paid[int(least)].item() == pytest.approx(log(2))


@pytest.mark.parametrize("goal", ["fail", "chance"])
def test_an_encoder_with_the_goal_of_chance_makes_the_adversary_undecided_and_one_that_wins_makes_it_wrong(
    goal: str,
) -> None:
    y = (torch.arange(16) % 2).float()[:, None]
    z, model = torch.randn(16, 4), model_of(auxiliary_goal=goal)
    for _ in range(400):
        z.requires_grad_()
        (slope,) = torch.autograd.grad(model.adversarial_losses(z, y)[1], z)
        z = (z - 20 * slope).detach()
    said = torch.sigmoid(model.auxiliary(z))
    if goal == "chance":
        assert (said - 0.5).abs().max() < 0.04
    else:
        assert ((said > 0.5).float() == y).float().mean() < 0.2
        assert (said - 0.5).abs().max() > 0.1


def test_the_weight_of_the_encoders_goal_rises_over_the_images_that_were_named() -> None:
    model, y, z = model_of(auxiliary_warmup_images=100, auxiliary_weight=0.8), torch.ones(3, 1), torch.randn(3, 4)
    shares = []
    for model.images_seen in (0, 25, 50, 100, 1000):
        L_aux, L_hide = model.adversarial_losses(z, y)
        shares.append((-L_hide / L_aux).item())
    assert shares == pytest.approx([0.0, 0.2, 0.4, 0.8, 0.8])


def test_amounts_of_images_shrink_with_the_budget() -> None:
    config = replace(IFcVAEGANConfig(), auxiliary_warmup_images=1000, auxiliary_restart_images=400)
    smaller = with_amounts(config, 0.5)
    assert (smaller.auxiliary_warmup_images, smaller.auxiliary_restart_images) == (500, 200)


def test_decoder_and_adversary_see_erased_codes_of_faces_and_of_the_prior() -> None:
    model, batch = model_of(erasure="linear", auxiliary_sees="both"), batch_of(64)
    shown, decoded = read_by(model.auxiliary), read_by(model.decoder)
    phases_of(model, batch)
    for codes in (*shown[0].split(64), *decoded[0][:, :-1].split(64)):
        torch.testing.assert_close(model.eraser(codes), codes, atol=1e-5, rtol=1e-4)
    mu = model.encoder(batch.images)[0].detach()
    assert covariance(mu, batch.labels).abs().max() > 1e-3
    torch.testing.assert_close(shown[0][64:], model.eraser(mu))
    assert covariance(shown[0][64:], batch.labels).abs().max() < 1e-5


def test_statistics_retaken_in_evaluation_leave_no_label_in_the_codes_that_are_used() -> None:
    model, batch = model_of(erasure="linear"), batch_of(64)
    engine = engine_of(model)
    for number in range(5):
        engine.step([batch], number)
    recompute_batch_norm(model, model.validation, [batch])
    unfit = covariance(model.encode(batch.images).z.detach(), batch.labels).abs().max()
    with torch.no_grad():
        assert model.refit([Batch(*(part[rows] for part in batch)) for rows in torch.arange(64).split(20)])
    settled = covariance(model.encode(batch.images).z.detach(), batch.labels).abs().max()
    assert settled < 1e-5
    assert unfit > 10 * settled
    torch.manual_seed(0)
    code = read_by(model.decoder)
    model.sample(batch.labels)
    torch.testing.assert_close(model.eraser(code[0][:, :-1]), code[0][:, :-1], atol=1e-5, rtol=1e-4)


def test_without_an_eraser_there_is_nothing_to_retake() -> None:
    def unread() -> Iterator[Batch]:
        raise AssertionError("read a face")
        yield

    assert model_of().refit(unread()) is False


@pytest.mark.parametrize(("weight", "term"), [("independence_weight", "hsic"), ("information_weight", "club")])
@pytest.mark.parametrize("sees", ["sample", "both"])
def test_the_encoder_pays_for_dependence_by_its_weight(weight: str, term: str, sees: str) -> None:
    batch, with_term, without = batch_of(), model_of(**{weight: 3.0}, auxiliary_sees=sees), model_of(auxiliary_sees=sees)
    if term == "club":
        torch.nn.init.normal_(with_term.estimator.linear.weight)
    (losses,), (bare,) = phases_of(with_term, batch), phases_of(without, batch)
    paid = with_term.pop_log()[term]
    assert paid.abs() > 1e-4
    torch.testing.assert_close(losses["encoder"], bare["encoder"] + 3 * paid)
    slopes = [torch.autograd.grad(loss["encoder"], list(m.encoder.parameters()), retain_graph=True, allow_unused=True)
              for loss, m in ((losses, with_term), (bare, without))]  # fmt: skip
    assert any(a is not None and not torch.allclose(a, b) for a, b in zip(*slopes))


def test_the_estimator_learns_the_gaussian_of_each_class_as_a_network_of_its_own() -> None:
    model = model_of(information_weight=0.1, auxiliary_learning_rate=0.05)
    assert set(model.networks()) == {*FOUR, "estimator"}
    y = (torch.arange(4000) % 2).float()[:, None]
    z = torch.randn(4000, 4) * (1 + y) + torch.tensor([1.0, -1.0, 0.0, 2.0]) * y
    engine = engine_of(model)
    for _ in range(200):
        (gradient,) = engine.gradients({"estimator": model.dependence(z, y)[1]["estimator"]}).values()
        for parameter, g in zip(model.estimator.parameters(), gradient):
            parameter.data -= 0.5 * g
    mean, log_var = model.estimator(torch.tensor([[0.0], [1.0]]))
    torch.testing.assert_close(mean[1], torch.tensor([1.0, -1.0, 0.0, 2.0]), atol=0.15, rtol=0)
    torch.testing.assert_close(log_var.exp().sqrt().mean(1), torch.tensor([1.0, 2.0]), atol=0.1, rtol=0)
    assert model.dependence(z, y)[0] > 0
