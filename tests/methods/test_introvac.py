"""IntroVAC: Algorithm 1 written out with backward, detach and zero_grad gives every network the gradient it gets here."""

from __future__ import annotations

import copy
import dataclasses
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_faces import make_faces
from tiny_models import tiny_model
from torch import Tensor, nn

from visagist.checkpoints.checkpoint import load_model
from visagist.methods.base import Accumulated, Batch, Code
from visagist.methods.introvac import IntroVAC
from visagist.methods.vac import VAC, VACConfig
from visagist.training.config import TrainingConfig
from visagist.training.trainer import train_model
from visagist.training.updater import Updater

PAIR = ("Smiling", "Eyeglasses")
# Far from the paper's, so that no term drowns in another.
WEIGHTS = {"reconstruction_weight": 3.0, "class_weight": 0.7, "kl_weight": 0.4}
WEIGHTS |= {"fooling_weight": 2.0, "detecting_weight": 1.5}
RATE = 0.02
Gradients = dict[str, list[list[Tensor]]]


def model_of(**changes: Any) -> Any:
    return tiny_model(IntroVAC, PAIR, **{**WEIGHTS, "learning_rate": RATE, **changes})


def batch_of(count: int = 8, seed: int = 0) -> Batch:
    faces = make_faces(count, attributes=PAIR, val=1, test=1, seed=seed)
    return Batch(torch.from_numpy(faces.images).permute(0, 3, 1, 2) / 255, torch.from_numpy(faces.labels).float())


def taken(model: Any, batch: Batch, seed: int = 3) -> Gradients:
    """The gradients with which each optimizer steps, step by step, while the engine makes one training step."""
    engine, found = Updater(model, nullcontext, lambda tensors: None), {name: [] for name in model.networks()}
    for name, optimizer in engine.optimizers.items():
        optimizer.register_step_pre_hook(
            lambda *_, name=name: found[name].append([p.grad.clone() for p in model.networks()[name].parameters()])
        )
    torch.manual_seed(seed)
    engine.step([batch], 0)
    return found


def binary(p: Tensor, y: Tensor) -> Tensor:
    return -(y * torch.log(p) + (1 - y) * torch.log(1 - p)).mean()


def by_hand(model: Any, batch: Batch, seed: int = 3, real: float = 0.7) -> tuple[Gradients, dict[str, list[Tensor]]]:
    """Algorithm 1 as one writes it without an engine: what each network steps with, and G's two parts."""
    E, C, G = model.encoder, model.classifier, model.decoder
    adam = {name: torch.optim.Adam(net.parameters(), RATE) for name, net in (("E", E), ("C", C), ("G", G))}

    def grads(net: nn.Module) -> list[Tensor]:
        return [p.grad.clone() if p.grad is not None else torch.zeros_like(p) for p in net.parameters()]

    def paint(*codes: Tensor) -> tuple[Tensor, ...]:
        return torch.sigmoid(G(torch.cat(codes))).chunk(len(codes))

    def probabilities(z: Tensor) -> tuple[Tensor, Tensor]:
        p = torch.sigmoid(C(z))
        return p[:, :2], p[:, 2]

    def reread(x: Tensor) -> tuple[Tensor, Tensor]:
        return probabilities(E(x)[0])

    torch.manual_seed(seed)
    X, Y = batch
    Z_g = torch.randn(len(X), 4)
    mu, log_var, _ = E(X)
    Z_r = mu + torch.exp(log_var / 2) * torch.randn_like(mu)
    classes, fake = probabilities(Z_r)
    X_r, _ = paint(Z_r, Z_g)
    X_rr, X_g = paint(Z_r.detach(), Z_g)
    L_AE = (X - X_r).abs().mean()
    L_real = -torch.log(1 - fake).mean()
    L_reg = (mu**2 + log_var.exp() - 1 - log_var).mean() / 2
    L_EC = -torch.log(reread(X_rr.detach())[1]).mean() - torch.log(reread(X_g.detach())[1]).mean()
    L = 3.0 * L_AE + 0.7 * binary(classes, Y) + real * L_real + 0.4 * L_reg + 1.5 * L_EC
    for net in (E, C, G):
        net.zero_grad()
    L.backward(retain_graph=True)
    found = {"encoder": [grads(E)], "classifier": [grads(C)]}
    own = list(torch.autograd.grad(3.0 * L_AE, list(G.parameters()), retain_graph=True))
    for got, expected in zip(grads(G), own):
        torch.testing.assert_close(got, expected)
    adam["E"].step()
    adam["C"].step()
    classes, fake = reread(X_rr)
    L_G = 2.0 * (binary(classes, Y) - torch.log(1 - fake).mean() - torch.log(1 - reread(X_g)[1]).mean())
    adversarial = list(torch.autograd.grad(L_G, list(G.parameters()), retain_graph=True))
    L_G.backward()
    found["decoder"] = [grads(G)]
    adam["G"].step()
    return found, {"L_AE": own, "L_G": adversarial}


def assert_same(found: list[Tensor], expected: list[Tensor]) -> None:
    for got, wanted in zip(found, expected, strict=True):
        torch.testing.assert_close(got, wanted, rtol=2e-4, atol=2e-6)


@pytest.mark.parametrize("real_weight", [None, 2.5])
def test_each_network_steps_once_with_the_gradient_that_algorithm_1_gives_it(real_weight: float | None) -> None:
    model, batch = model_of(real_weight=real_weight), batch_of()
    twin = copy.deepcopy(model)
    found, (expected, _) = taken(model, batch), by_hand(twin, batch, real=real_weight or WEIGHTS["class_weight"])
    assert {name: len(steps) for name, steps in found.items()} == {"encoder": 1, "classifier": 1, "decoder": 1}
    for name, (wanted,) in expected.items():
        assert sum(float(g.abs().sum()) for g in wanted) > 0.01, name
        assert_same(found[name][0], wanted)


def test_afterwards_every_weight_is_where_algorithm_1_puts_it() -> None:
    model, batch = model_of(), batch_of()
    twin = copy.deepcopy(model)
    taken(model, batch)
    by_hand(twin, batch)
    # Adam's first step is ± its rate: where a gradient is rounding error the sign is a coin's.
    distance = [(a - b).abs() > 0.1 * RATE for a, b in zip(model.parameters(), twin.parameters())]
    assert sum(int(d.sum()) for d in distance) <= 0.02 * sum(d.numel() for d in distance)


def test_the_decoder_steps_with_the_sum_of_both_phases_and_neither_is_small() -> None:
    model, batch = model_of(), batch_of()
    _, parts = by_hand(copy.deepcopy(model), batch)
    (found,) = taken(model, batch)["decoder"]
    assert_same(found, [a + b for a, b in zip(parts["L_AE"], parts["L_G"])])
    for part in parts.values():
        assert sum(float(g.abs().sum()) for g in part) > 0.05 * sum(float(g.abs().sum()) for g in found)


def test_of_the_first_loss_the_decoder_gets_the_reconstruction_alone() -> None:
    model = model_of(reconstruction_weight=0.0)
    first = next(iter(model.training_step(batch_of())))
    engine = Updater(model, nullcontext, lambda tensors: None)
    assert isinstance(first["decoder"], Accumulated)
    assert first["decoder"].loss is first["encoder"] is first["classifier"]
    assert not any(g.any() for g in engine.gradients(first)["decoder"])
    assert any(g.any() for g in engine.gradients(first)["encoder"])


def test_the_second_phase_is_computed_with_encoder_and_classifier_moved() -> None:
    """The decoder's second gradient is another where nothing moved in between, and the decoder itself has not moved yet."""
    model, batch = model_of(), batch_of()
    still = copy.deepcopy(model)
    engine, second = Updater(model, nullcontext, lambda tensors: None), {}
    for name, one in (("moved", model), ("still", still)):
        torch.manual_seed(3)
        steps = one.training_step(batch)
        first = next(steps)
        if name == "moved":
            before = {k: v.clone() for k, v in model.named_parameters()}
            engine._update([first], 0)
            moved = {k.split(".")[0] for k, v in model.named_parameters() if not torch.equal(v, before[k])}
            assert moved == {"encoder", "classifier"}
        (loss,) = next(steps).values()
        second[name] = torch.autograd.grad(loss, list(one.decoder.parameters()))
    _, parts = by_hand(copy.deepcopy(still), batch)
    assert_same(list(second["moved"]), parts["L_G"])
    assert max(float((a - b).abs().max()) for a, b in zip(second["moved"], second["still"])) > 1e-3


def test_the_encoder_remembers_the_statistics_of_photographs_only() -> None:
    model, batch = model_of(), batch_of()
    reader = copy.deepcopy(model.encoder)
    reader(batch.images)
    taken(model, batch)
    statistics = {k: v for k, v in model.encoder.named_buffers() if "running" in k}
    assert statistics
    for name, value in statistics.items():
        torch.testing.assert_close(value, dict(reader.named_buffers())[name], msg=name)


def test_two_parts_of_a_batch_make_one_step_of_the_decoder() -> None:
    model, parts = model_of(), [batch_of(seed=1), batch_of(seed=2)]
    engine, steps = Updater(model, nullcontext, lambda tensors: None), []
    engine.optimizers["decoder"].register_step_pre_hook(lambda *_: steps.append(1))
    engine.step(parts, 0)
    assert steps == [1]
    assert all(torch.isfinite(p).all() for p in model.parameters())


def logits_of(z: Tensor) -> Tensor:
    return torch.stack([2 * z[:, 0], -z[:, 1]], dim=1)


def test_the_fake_logit_is_no_attribute() -> None:
    model, images = model_of().eval(), batch_of().images
    assert model.classifier.weight.shape == (3, 4)
    assert model.directions().shape == (2, 4)
    model.classifier.linear.weight.data = torch.tensor([[2.0, 0, 0, 0], [0, -1.0, 0, 0], [0, 0, 7.0, 0]])
    torch.testing.assert_close(model.classify(images), torch.sigmoid(logits_of(model.encode(images).z)))
    assert not model.directions()[:, 2:].any()


def paired(images_seen: int = 0) -> tuple[Any, Any]:
    """An IntroVAC in its first phase and a VAC with the same weights."""
    intro = model_of(vac_images=1000)
    shared = {field.name: getattr(intro.config, field.name) for field in dataclasses.fields(VACConfig)}
    vac = VAC(VACConfig(**shared), PAIR, 16)
    state = intro.state_dict()
    state["classifier.linear.weight"] = state["classifier.linear.weight"][:2]
    vac.load_state_dict(state)
    intro.images_seen = images_seen
    return intro, vac


def test_while_the_first_images_last_it_is_a_vac() -> None:
    intro, vac = paired()
    fake = intro.classifier.weight[2].detach().clone()
    engines = [Updater(model, nullcontext, lambda tensors: None) for model in (intro, vac)]
    for number in range(4):
        for engine in engines:
            torch.manual_seed(number)
            engine.step([batch_of(seed=number)], number)
    expected = vac.state_dict()
    for name, value in intro.state_dict().items():
        compared = value[:2] if name == "classifier.linear.weight" else value
        torch.testing.assert_close(compared, expected[name], rtol=0, atol=0, msg=name)
    assert torch.equal(intro.classifier.weight[2], fake)


@pytest.mark.parametrize(("images_seen", "phases"), [(0, 1), (992, 1), (999, 1), (1000, 2), (5000, 2)])
def test_the_game_begins_once_the_first_images_are_seen(images_seen: int, phases: int) -> None:
    intro, _ = paired(images_seen)
    assert len(list(intro.training_step(batch_of()))) == phases


@pytest.mark.parametrize(("images", "begun"), [(24, False), (32, True)])
def test_the_trainer_counts_the_images_also_across_a_resumption(images: int, begun: bool, tmp_path: Path) -> None:
    """24 of them as a VAC: the fake logit has moved only in the run that saw more, resumed at 16."""
    faces, start = make_faces(attributes=PAIR), model_of().classifier.weight[2].detach().clone()

    def train(until: int, resume: bool) -> None:
        told = TrainingConfig(images=until, batch_size=8, precision="fp32", validation_faces=8)
        train_model(model_of(vac_images=24), faces, told, tmp_path / "run", resume=resume, device="cpu")

    train(16, resume=False)
    train(images, resume=True)
    trained: Any = load_model(tmp_path / "run" / "last")[0]
    assert torch.equal(trained.classifier.weight[2], start) is not begun


def test_a_sample_ignores_labels_and_comes_from_the_prior() -> None:
    model, seen = model_of().eval(), []
    model.decoder.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    torch.manual_seed(4)
    samples = model.sample(torch.ones(512, 2))
    torch.testing.assert_close(seen[0].mean(), torch.tensor(0.0), atol=0.1, rtol=0)
    torch.testing.assert_close(seen[0].std(), torch.tensor(1.0), atol=0.1, rtol=0)
    torch.testing.assert_close(samples, model.decode(Code(seen[0])))
