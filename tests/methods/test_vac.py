"""VAC: eq. 5 by hand, and edits that are straight lines along the classifier's weights."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from math import exp, log1p
from typing import Any

import pytest
import torch
from tiny_faces import make_faces
from tiny_models import tiny_model
from torch import Tensor, nn

from visagist.methods.base import Batch, Code, Method
from visagist.methods.introvac import IntroVAC
from visagist.methods.vac import VAC
from visagist.training.updater import Updater

BOTH: list[type[Method]] = [VAC, IntroVAC]
PAIR = ("Smiling", "Eyeglasses")


def batch_of(attributes: tuple[str, ...] = PAIR, count: int = 8) -> Batch:
    faces = make_faces(count, attributes=attributes, val=1, test=1)
    return Batch(torch.from_numpy(faces.images).permute(0, 3, 1, 2) / 255, torch.from_numpy(faces.labels).float())


class Answers(nn.Module):
    """Whatever it is shown, it answers with a function of it and of one parameter that adds nothing."""

    def __init__(self, answer: Callable[[Tensor], Any]) -> None:
        super().__init__()
        self.answer = answer
        self.nothing = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor) -> Any:
        return self.answer(x + self.nothing)


def test_the_loss_is_the_weighted_sum_worked_out_by_hand() -> None:
    """Codes are 0.5 in all of 4 dimensions with next to no variance, pixels are 0.5, the logit is 0.5 · (1 + 2 + 3 - 4)."""
    weights = {"reconstruction_weight": 7.0, "class_weight": 5.0, "kl_weight": 0.3}
    model = tiny_model(VAC, **weights)
    code, log_var, y = 0.5, -60.0, torch.tensor([[1.0], [0.0], [1.0], [1.0]])
    model.encoder = Answers(lambda x: (0 * x[:, 0, 0, :4] + code, 0 * x[:, 0, 0, :4] + log_var, x[:, 0, 0, :0]))
    model.decoder = Answers(lambda z: 0 * z[:, :1, None, None].expand(-1, 3, 16, 16))
    model.classifier.linear.weight.data = torch.tensor([[1.0, 2.0, 3.0, -4.0]])
    (losses,) = list(model.training_step(Batch(torch.full((4, 3, 16, 16), 0.2), y)))
    label = 0.75 * log1p(exp(-1.0)) + 0.25 * log1p(exp(1.0))
    kl = 0.5 * (code**2 + exp(log_var) - 1 - log_var)
    assert losses["encoder"].item() == pytest.approx(7 * 0.3 + 5 * label + 0.3 * kl, rel=1e-5)
    logged = {name: value.item() for name, value in model.pop_log().items()}
    assert logged == pytest.approx({"rec": 0.3, "label": label, "kl": kl}, rel=1e-5)


def test_one_loss_moves_all_three_networks_in_one_backward_pass() -> None:
    (losses,) = list(tiny_model(VAC, PAIR).training_step(batch_of()))
    assert losses.keys() == {"encoder", "classifier", "decoder"}
    assert len({id(loss) for loss in losses.values()}) == 1


def test_the_classifier_reads_the_sampled_code_in_training_and_the_mean_afterwards() -> None:
    model, batch, seen = tiny_model(VAC, PAIR), batch_of(), []
    model.classifier.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].detach()))
    next(iter(model.training_step(batch)))
    mu = model.encoder(batch.images)[0].detach()
    assert not torch.allclose(seen[0], mu, atol=1e-2)
    model.eval()
    expected = torch.sigmoid(model.encode(batch.images).z @ model.classifier.weight.T)
    torch.testing.assert_close(model.classify(batch.images), expected)


@pytest.mark.parametrize("cls", BOTH)
def test_optimisers_are_those_of_the_paper(cls: type[Method]) -> None:
    for optimizer in tiny_model(cls).optimizers().values():
        assert isinstance(optimizer, torch.optim.Adam)
        assert optimizer.param_groups[0]["lr"] == 2e-4


def moved_codes(model: Any, images: Tensor, target: Tensor, amount: Tensor) -> Tensor:
    """The codes that an edit decodes, less those of the reconstruction."""
    seen: list[Tensor] = []
    handle = model.decoder.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].detach()))
    model.reconstruct(images)
    model.edit(images, target, amount)
    handle.remove()
    return seen[1] - seen[0]


@pytest.mark.parametrize("cls", BOTH)
@pytest.mark.parametrize("delta", [3.0, 4.0])
@pytest.mark.parametrize("amount", [0.5, 1.0, 0.15])
def test_an_edit_moves_by_twice_delta_times_the_amount_along_the_unit_normal(
    cls: type[Method], delta: float, amount: float
) -> None:
    model, images = tiny_model(cls, PAIR, edit_delta=delta).eval(), batch_of().images
    for attribute in range(2):
        w = model.classifier.weight[attribute].detach()
        for target, sign in ((1.0, 1), (0.0, -1)):
            amounts = torch.zeros(8, 2)
            amounts[:, attribute] = amount
            shift = moved_codes(model, images, torch.full((8, 2), target), amounts)
            expected = sign * 2 * delta * amount * w / w.square().sum().sqrt()
            torch.testing.assert_close(shift, expected.expand(8, -1), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("cls", BOTH)
def test_the_papers_setting_is_a_move_by_delta(cls: type[Method]) -> None:
    model = tiny_model(cls, PAIR).eval()
    amounts = torch.tensor([[0.0, cls.paper_amount]]).expand(8, -1)
    shift = moved_codes(model, batch_of().images, torch.ones(8, 2), amounts)
    torch.testing.assert_close(shift.norm(dim=1), torch.full((8,), model.config.edit_delta))


@pytest.mark.parametrize("cls", BOTH)
def test_moves_for_several_attributes_add_up(cls: type[Method]) -> None:
    model, images = tiny_model(cls, PAIR).eval(), batch_of().images
    target, amount = torch.tensor([[1.0, 0.0]]).expand(8, -1), torch.rand(8, 2)
    alone = [moved_codes(model, images, target, amount * torch.eye(2)[i]) for i in range(2)]
    torch.testing.assert_close(moved_codes(model, images, target, amount), alone[0] + alone[1], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("cls", BOTH)
@pytest.mark.parametrize("side", [1, -1])
def test_by_the_plane_rule_every_face_ends_so_far_beyond_and_none_goes_back(cls: type[Method], side: int) -> None:
    model, images = tiny_model(cls, PAIR, edit_delta=2.0, edit_rule="plane").eval(), batch_of().images
    z = model.encode(images).z.detach() + torch.linspace(-3, 5, 8)[:, None] * side * model.directions()[:1].detach()
    model.encode = lambda images: Code(z)
    place = side * z @ model.directions()[0].detach()
    target, only = torch.full((8, 2), (side + 1) / 2), torch.tensor([[1.0, 0.0]])
    w = model.directions()[0].detach()
    for amount in (0.25, 0.5, 0.9, 1.0):
        moved = model.move(z, target, amount * only.expand(8, -1)).detach()
        level = 4.0 * (2 * amount - 1)  # 2 delta is 4
        torch.testing.assert_close(side * moved @ w, place.clamp(min=level), rtol=1e-4, atol=1e-4)
        sideways = (moved - z) - ((moved - z) @ w)[:, None] * w
        torch.testing.assert_close(sideways, torch.zeros_like(z), rtol=1e-4, atol=1e-4)
    assert torch.equal(model.move(z, target, torch.zeros(8, 2)), z)
    at_delta = model.move(z, target, model.paper_amount * only.expand(8, -1)).detach()
    assert float((side * at_delta @ model.directions()[0].detach()).min()) == pytest.approx(2.0, abs=1e-4)


def mirror(delta: float) -> Any:
    """A model whose codes are the logits of two colours and whose classifier doubles them: all can be worked out by hand."""
    model = tiny_model(VAC, PAIR, latent=3, edit_delta=delta).eval()
    model.decoder = Answers(lambda z: z[:, :, None, None].expand(-1, 3, 16, 16))
    model.encoder = Answers(lambda x: (torch.logit(x.mean((2, 3))), None, None))
    model.classifier.linear.weight.data = torch.tensor([[2.0, 0.0, 0.0], [0.0, 2.0, 0.0]])
    return model


def coloured(*codes: tuple[float, float]) -> Tensor:
    return torch.sigmoid(torch.tensor([[*code, 0.0] for code in codes]))[:, :, None, None].expand(-1, 3, 16, 16)


def test_each_face_moves_in_steps_until_its_reconstruction_is_confidently_classified() -> None:
    """90 % needs a code of log(9) / 2 = 1.0986; a step of .05 moves by .4 of the range 8. From -1: .3, from .9: .05."""
    images, ones = coloured((-1, 0), (0.9, 0), (1.2, 0)), torch.ones(3, 2)
    limit = torch.tensor([[1.0, 0.0]]).expand(3, -1)
    edited, amount = mirror(4.0).edit_until(images, ones, limit, 0.9)
    torch.testing.assert_close(amount, torch.tensor([[0.3, 0.0], [0.05, 0.0], [0.0, 0.0]]))
    codes = torch.logit(edited[:, :, 0, 0])
    torch.testing.assert_close(codes[:, 0], torch.tensor([1.4, 1.3, 1.2]), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(codes[:, 1:], torch.zeros(3, 2), rtol=0, atol=1e-5)


def test_attributes_stop_one_by_one_and_may_go_either_way() -> None:
    images, target = coloured((-1, 1)), torch.tensor([[1.0, 0.0]])
    _, amount = mirror(4.0).edit_until(images, target, torch.ones(1, 2), 0.9, step=0.1)
    torch.testing.assert_close(amount, torch.tensor([[0.3, 0.3]]))
    _, amount = mirror(4.0).edit_until(coloured((-1, -2)), target, torch.ones(1, 2), 0.9, step=0.1)
    torch.testing.assert_close(amount, torch.tensor([[0.3, 0.0]]))


def test_a_face_that_cannot_be_made_sure_stops_at_its_limit() -> None:
    """From -3 with a range of 2 no amount reaches 1.0986; a limit of .42 is kept to the digit."""
    for limit in (1.0, 0.42):
        edited, amount = mirror(1.0).edit_until(coloured((-3, 0)), torch.ones(1, 2), torch.tensor([[limit, 0.0]]), 0.9)
        assert amount.tolist() == [[pytest.approx(limit), 0.0]]
        assert torch.logit(edited[0, 0, 0, 0]).item() == pytest.approx(-3 + 2 * limit, abs=1e-4)


def test_training_makes_the_classifier_right() -> None:
    model, batch = tiny_model(VAC, learning_rate=1e-2), batch_of(("Smiling",), 32)
    engine = Updater(model, nullcontext, lambda tensors: None)
    before = model.eval().validation(batch)["mse"].item()
    model.train()
    for number in range(60):
        engine.step([batch], number)
    after = model.eval().validation(batch)
    assert after["label_accuracy"] > 0.9
    assert after["mse"] < before


def test_by_the_plane_rule_attributes_that_are_edited_together_all_end_where_they_were_asked_to() -> None:
    """Directions are not orthogonal: one after the other, the second would undo a part of the first."""
    model = tiny_model(VAC, PAIR, edit_delta=2.0, edit_rule="plane").eval()
    weights = torch.tensor([[1.0, 0.0, 0.0, 0.0], [0.8, 0.6, 0.0, 0.0]])
    model.classifier.linear.weight.data = weights
    z = torch.randn(64, 4, generator=torch.Generator().manual_seed(0))
    for target in ([1.0, 1.0], [1.0, 0.0], [0.0, 1.0], [0.0, 0.0]):
        sides = 2 * torch.tensor(target) - 1
        moved = model.move(z, torch.tensor(target).expand(64, 2), torch.full((64, 2), 0.75))
        reached = sides * (moved @ model.directions().T)
        assert (reached > 2.0 - 1e-3).all(), target
        changed = (moved - z).norm(dim=1) > 1e-6
        assert (reached[changed].min(1).values < 2.0 + 1e-3).all(), "and no farther than one of them needs"
        torch.testing.assert_close((moved - z)[:, 2:], torch.zeros(64, 2))
    alone = model.move(z, torch.ones(64, 2), torch.tensor([[0.75, 0.0]]).expand(64, 2))
    torch.testing.assert_close(alone[:, 0], z[:, 0].clamp(min=2.0))
    torch.testing.assert_close(alone[:, 1], z[:, 1])
