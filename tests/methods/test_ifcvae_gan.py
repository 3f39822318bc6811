"""IFcVAE-GAN: its losses against values worked out by hand, and who moves by what."""

from __future__ import annotations

import json
from contextlib import nullcontext
from math import exp, log1p
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_faces import make_faces
from tiny_models import tiny_model
from torch import Tensor, nn

from visagist.methods.base import Batch
from visagist.methods.ifcvae_gan import IFcVAEGAN
from visagist.networks.transport import label_position
from visagist.training.updater import Updater

WEIGHTS = {"kl_weight": 0.3, "class_weight": 0.7, "gan_weight": 0.2, "auxiliary_weight": 0.9}
MU, LOG_VAR, Y_LOGIT, PIXEL_LOGIT, REALNESS, AUX_LOGIT = 0.5, -60.0, 1.5, -0.4, 0.8, -1.1


def model_of(**changes: Any) -> Any:
    return tiny_model(IFcVAEGAN, **{**WEIGHTS, **changes})


def batch_of(count: int = 8) -> Batch:
    faces = make_faces(count, val=1, test=1)
    return Batch(torch.from_numpy(faces.images).permute(0, 3, 1, 2) / 255, torch.from_numpy(faces.labels).float())


def losses_of(model: Any, batch: Batch | None = None, seed: int = 3) -> dict[str, Tensor]:
    torch.manual_seed(seed)
    (losses,) = list(model.training_step(batch or batch_of()))
    return losses


def gradient(loss: Tensor, network: nn.Module) -> Tensor:
    found = torch.autograd.grad(loss, list(network.parameters()), retain_graph=True, allow_unused=True)
    return torch.cat(
        [torch.zeros_like(p).flatten() if g is None else g.flatten() for g, p in zip(found, network.parameters())]
    )


class Says(nn.Module):
    """Whatever it is shown, it answers these numbers, each as wide as asked."""

    def __init__(self, *answers: tuple[float, tuple[int, ...]]) -> None:
        super().__init__()
        self.shapes = [shape for _, shape in answers]
        self.values = nn.ParameterList(nn.Parameter(torch.tensor(value)) for value, _ in answers)

    def forward(self, x: Tensor) -> Any:
        said = tuple(v.expand(len(x), *shape) for v, shape in zip(self.values, self.shapes))
        return said if len(said) > 1 else said[0]


def bce(logit: float, label: float) -> float:
    return log1p(exp(-logit)) * label + log1p(exp(logit)) * (1 - label)


def toy(**changes: Any) -> Any:
    """The method with networks that answer constants, so that every loss is a line of arithmetic."""
    model = model_of(**changes)
    model.encoder = Says((MU, (4,)), (LOG_VAR, (4,)), (Y_LOGIT, (1,)))
    model.decoder = Says((PIXEL_LOGIT, (3, 16, 16)))
    model.discriminator, model.auxiliary = Says((REALNESS, (1,))), Says((AUX_LOGIT, (1,)))
    return model


TOY = Batch(torch.full((4, 3, 16, 16), 0.25), torch.tensor([[1.0], [0.0], [1.0], [1.0]]))
L_REC = 3 * bce(PIXEL_LOGIT, 0.25)
L_KL = 0.5 * (MU**2 + exp(LOG_VAR) - 1 - LOG_VAR)
L_CLASS = bce(Y_LOGIT, 0.75)
L_GAN = (bce(REALNESS, 1) + 2 * bce(REALNESS, 0)) / 3
L_AUX = bce(AUX_LOGIT, 0.75)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, L_REC + 0.3 * L_KL + 0.7 * L_CLASS - 0.2 * L_GAN - 0.9 * L_AUX),
        ({"class_hat_weight": 0.5}, L_REC + 0.3 * L_KL + 1.2 * L_CLASS - 0.2 * L_GAN - 0.9 * L_AUX),
        ({"auxiliary_weight": 0.0}, L_REC + 0.3 * L_KL + 0.7 * L_CLASS - 0.2 * L_GAN),
        (
            {"reduction": "released", "released_batch": 5},
            L_REC + 0.3 * L_KL + (0.7 * L_CLASS - 0.9 * L_AUX) / 5 - 0.2 * L_GAN,
        ),
        (
            {"gan_loss": "non_saturating"},
            L_REC + 0.3 * L_KL + 0.7 * L_CLASS + 0.2 * 2 * bce(REALNESS, 1) / 3 - 0.9 * L_AUX,
        ),
    ],
    ids=["paper", "class-hat", "without-aux", "released", "non-saturating"],
)
def test_losses_equal_the_values_worked_out_by_hand(changes: dict[str, Any], expected: float) -> None:
    losses = losses_of(toy(**changes), TOY)
    assert losses["encoder"].item() == pytest.approx(expected, rel=1e-5)
    assert losses["discriminator"].item() == pytest.approx(L_GAN, rel=1e-5)
    assert losses["auxiliary"].item() == pytest.approx(L_AUX, rel=1e-5)


def test_the_decoder_gets_the_same_gradient_from_the_loss_of_the_encoder_as_from_its_own() -> None:
    """eq. 3 is recomputed here: the terms that only the encoder has are taken off again."""
    model = model_of(class_hat_weight=0.4)
    whole = gradient(losses_of(model)["decoder"], model.decoder)
    bare = tiny_model(
        IFcVAEGAN, **{**WEIGHTS, "class_hat_weight": 0.4, "kl_weight": 0.0, "class_weight": 0.0, "auxiliary_weight": 0.0}
    )
    bare.load_state_dict(tiny_model(IFcVAEGAN, **WEIGHTS).state_dict())
    own = gradient(losses_of(bare)["decoder"], bare.decoder)
    assert own.abs().sum() > 0
    torch.testing.assert_close(whole, own, rtol=0, atol=1e-7)


@pytest.mark.parametrize("beta", [0.0, 0.4])
def test_the_label_read_back_sends_gradient_to_the_decoder_when_it_weighs_something(beta: float) -> None:
    with_beta, without = model_of(class_hat_weight=beta), model_of(class_hat_weight=0.0)
    moved = gradient(losses_of(with_beta)["decoder"], with_beta.decoder)
    difference = (moved - gradient(losses_of(without)["decoder"], without.decoder)).abs().max()
    assert bool(difference > 1e-5) is (beta > 0)


def test_the_discriminator_minimises_the_ordinary_cross_entropy() -> None:
    model, batch = model_of(), batch_of()
    engine = Updater(model, nullcontext, lambda tensors: None)
    before = losses_of(model)["discriminator"]
    torch.manual_seed(3)
    losses = next(iter(model.training_step(batch)))
    moves = engine.gradients({"discriminator": losses["discriminator"]})["discriminator"]
    with torch.no_grad():
        for parameter, g in zip(model.discriminator.parameters(), moves):
            parameter -= 0.05 * g
    assert losses_of(model)["discriminator"] < before


def test_encoder_and_decoder_oppose_the_discriminator_and_the_auxiliary_network() -> None:
    model = model_of(kl_weight=0.0, class_weight=0.0, gan_weight=5.0, auxiliary_weight=5.0)
    only = model_of(kl_weight=0.0, class_weight=0.0, gan_weight=0.0, auxiliary_weight=0.0)
    losses, rec = losses_of(model), losses_of(only)["decoder"]
    adversarial = gradient(losses["decoder"], model.decoder) - gradient(rec, only.decoder)
    torch.testing.assert_close(adversarial, -5 * gradient(losses["discriminator"], model.decoder), rtol=1e-3, atol=1e-6)
    of_encoder = gradient(losses["encoder"], model.encoder) - gradient(rec, only.encoder)
    against = -5 * gradient(losses["discriminator"] + losses["auxiliary"], model.encoder)
    torch.testing.assert_close(of_encoder, against, rtol=1e-3, atol=1e-6)


def test_the_non_saturating_form_pushes_the_decoder_where_minimax_pushes_it() -> None:
    pushes = []
    for form in ("minimax", "non_saturating"):
        strong, none = model_of(gan_loss=form, gan_weight=5.0), model_of(gan_loss=form, gan_weight=0.0)
        pushes.append(
            gradient(losses_of(strong)["decoder"], strong.decoder) - gradient(losses_of(none)["decoder"], none.decoder)
        )
    assert torch.nn.functional.cosine_similarity(*pushes, dim=0) > 0.5
    assert not torch.allclose(*pushes)


def test_without_weight_the_auxiliary_network_watches_and_the_encoder_does_not_mind() -> None:
    model = model_of(auxiliary_weight=0.0)
    before = gradient(losses_of(model)["encoder"], model.encoder)
    with torch.no_grad():
        for parameter in model.auxiliary.parameters():
            parameter.mul_(3)
    losses = losses_of(model)
    assert torch.equal(gradient(losses["encoder"], model.encoder), before)
    assert gradient(losses["auxiliary"], model.auxiliary).abs().sum() > 0


@pytest.mark.parametrize("decoded", ["predicted", "true"])
def test_the_decoder_sees_the_label_that_was_chosen(decoded: str) -> None:
    model, batch, seen = model_of(decoded_label=decoded), batch_of(), []
    model.decoder.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].detach()))
    torch.manual_seed(3)
    next(iter(model.training_step(batch)))
    label = (seen[0][: len(batch.labels), -1] / model.config.label_scale + 1) / 2
    true = batch.labels[:, 0]
    assert torch.allclose(label, true) is (decoded == "true")


def test_prior_samples_carry_labels_of_the_batch() -> None:
    model, batch, seen = model_of(), batch_of(), []
    model.decoder.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].detach()))
    next(iter(model.training_step(batch)))
    label = (seen[0][len(batch.labels) :, -1] / model.config.label_scale + 1) / 2
    assert sorted(label.tolist()) == sorted(batch.labels[:, 0].tolist())


def test_all_four_networks_move_from_one_forward_pass_of_each() -> None:
    model, calls = model_of(), []
    for name, network in model.networks().items():
        network.register_forward_hook(lambda *_, name=name: calls.append(name))
    Updater(model, nullcontext, lambda tensors: None).step([batch_of()], 0)
    assert sorted(calls) == ["auxiliary", "decoder", "discriminator", "discriminator", "discriminator", "encoder"]


def test_optimisers_are_those_of_the_paper() -> None:
    optimizers = model_of().optimizers()
    assert {type(o).__name__ for o in optimizers.values()} == {"RMSprop"}
    momenta = {name: o.param_groups[0]["momentum"] for name, o in optimizers.items()}
    assert momenta == {"encoder": 0, "decoder": 0, "discriminator": 0.5, "auxiliary": 0}


@pytest.mark.parametrize("form", ["dcgan", "residual"])
def test_losses_are_the_recorded_ones(form: str, fixtures: Path, request: pytest.FixtureRequest) -> None:
    model, batch = model_of(form=form, class_hat_weight=0.1), batch_of()
    engine, found = Updater(model, nullcontext, lambda tensors: None), []
    for number in range(3):
        torch.manual_seed(number)
        engine.step([batch], number)
        found.append({name: float(value) for name, value in sorted(model.pop_log().items())})
    path = fixtures / "golden-losses.json"
    golden = json.loads(path.read_text()) if path.exists() else {}
    if request.config.getoption("--write-golden"):
        path.write_text(json.dumps({**golden, form: found}, indent=1, sort_keys=True) + "\n")
        pytest.skip("recorded anew")
    for expected, step in zip(golden[form], found, strict=True):
        assert step == pytest.approx(expected, rel=1e-5)


def test_a_draw_of_a_code_is_transported_as_its_mean_is() -> None:
    plain, moved = (tiny_model(IFcVAEGAN, ("Smiling",), transport=target).eval() for target in ("none", "marginal"))
    moved.load_state_dict(plain.state_dict(), strict=False)
    latent, images = plain.latent, torch.rand(4, 3, plain.image_size, plain.image_size)
    means = torch.stack([torch.zeros(latent), torch.ones(latent)])
    moved.transport.set_attribute(0, means, torch.eye(latent), 2 * torch.ones(latent))
    drawn = []
    for model in (plain, moved):
        torch.manual_seed(0)
        drawn.append(model.encode_sampled(images))
    torch.testing.assert_close(drawn[1].z, moved.transport.forget(drawn[0].z, label_position(drawn[0].y)))
    assert not torch.allclose(drawn[0].z, drawn[1].z)


def test_codes_are_transported_in_fp32_where_the_networks_compute_in_bf16() -> None:
    model = tiny_model(IFcVAEGAN, ("Smiling",), transport="marginal").eval()
    images, target, amount = batch_of().images, torch.ones(8, 1), torch.ones(8, 1)
    with torch.inference_mode():
        exact = model.edit_prepared(model.prepare(images), target, amount)
        with torch.autocast("cpu", torch.bfloat16):
            code = model.prepare(images)
            quick = model.edit_prepared(code, target, amount)
            decoded = model.decode(code)
    assert code.z.dtype == quick.dtype == decoded.dtype == torch.float32
    assert (exact - quick).abs().max() < 0.05
