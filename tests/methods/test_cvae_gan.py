"""cVAE-GAN: the true label is decoded, a label network reads it back, and nothing keeps it out of z."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from tiny_faces import make_faces
from tiny_models import tiny_model
from torch import Tensor, nn

from visagist.losses import class_feature_distance, feature_distance, mean_feature_distance
from visagist.methods.base import Batch
from visagist.methods.cvae_gan import CVAEGAN


def batch_of(count: int = 8) -> Batch:
    faces = make_faces(count, val=1, test=1)
    return Batch(torch.from_numpy(faces.images).permute(0, 3, 1, 2) / 255, torch.from_numpy(faces.labels).float())


def losses_of(model: Any) -> dict[str, Tensor]:
    torch.manual_seed(3)
    (losses,) = list(model.training_step(batch_of()))
    return losses


def gradient(loss: Tensor, network: nn.Module) -> Tensor:
    found = torch.autograd.grad(loss, list(network.parameters()), retain_graph=True, allow_unused=True)
    return torch.cat(
        [torch.zeros_like(p).flatten() if g is None else g.flatten() for g, p in zip(found, network.parameters())]
    )


def test_the_decoder_sees_the_true_label() -> None:
    model, seen = tiny_model(CVAEGAN), []
    model.decoder.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].detach()))
    losses_of(model)
    label = (seen[0][:8, -1] / model.config.label_scale + 1) / 2
    torch.testing.assert_close(label, batch_of().labels[:, 0])


def test_the_decoder_is_taught_by_the_label_read_from_its_reconstruction() -> None:
    taught, untaught = tiny_model(CVAEGAN, class_hat_weight=1.0), tiny_model(CVAEGAN, class_hat_weight=0.0)
    moved = gradient(losses_of(taught)["decoder"], taught.decoder)
    assert (moved - gradient(losses_of(untaught)["decoder"], untaught.decoder)).abs().max() > 1e-5


def test_an_encoder_that_sees_the_label_gives_another_code_for_another_label() -> None:
    model, batch = tiny_model(CVAEGAN, encoder_sees="label").eval(), batch_of()
    codes = [model.encoder(batch.images, torch.full((8, 1), label))[0] for label in (0.0, 1.0)]
    assert (codes[0] - codes[1]).abs().min() > 0
    shown = torch.sigmoid(model.label_network(batch.images))
    torch.testing.assert_close(model.encode(batch.images).z, model.encoder(batch.images, shown)[0])
    torch.testing.assert_close(model.posterior(batch.images)[0], model.encode(batch.images).z)


def test_in_training_the_encoder_sees_the_true_label() -> None:
    model, seen = tiny_model(CVAEGAN, encoder_sees="label"), []
    model.encoder.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[1]))
    losses_of(model)
    torch.testing.assert_close(seen[0], batch_of().labels)


def test_matching_features_moves_encoder_and_decoder_and_neither_of_those_that_are_matched() -> None:
    plain, matched = tiny_model(CVAEGAN), tiny_model(CVAEGAN, feature_weight=1.0)
    losses, others = losses_of(matched), losses_of(plain)
    for name in ("decoder", "encoder"):
        network = getattr(matched, name)
        assert (gradient(losses[name], network) - gradient(others[name], getattr(plain, name))).abs().max() > 1e-6
    for name in ("discriminator", "label_network"):
        torch.testing.assert_close(losses[name], others[name])


def test_features_are_matched_in_the_mean_of_each_class() -> None:
    first, labels = torch.tensor([[0.0], [2.0], [10.0]]), torch.tensor([[0.0], [0.0], [1.0]])
    second, other_labels = torch.tensor([[1.0], [12.0], [14.0]]), torch.tensor([[0.0], [1.0], [1.0]])
    assert class_feature_distance(first, labels, second, other_labels) == (0.5 * 0 + 0.5 * 9) / 2
    assert class_feature_distance(first, labels, second[:1], other_labels[:1]) == 0
    assert mean_feature_distance(first, second) == 0.5 * 25
    assert feature_distance(first, second) == pytest.approx(0.5 * (1 + 100 + 16) / 3)


def test_the_label_network_learns_from_photographs_alone() -> None:
    model = tiny_model(CVAEGAN)
    losses = losses_of(model)
    assert gradient(losses["label_network"], model.decoder).abs().sum() == 0
    assert gradient(losses["label_network"], model.encoder).abs().sum() == 0
    assert gradient(losses["label_network"], model.label_network).abs().sum() > 0


def test_the_weights_of_kl_and_adversary_are_linear_in_the_loss_of_the_encoder() -> None:
    def loss(**changes: float) -> float:
        return losses_of(tiny_model(CVAEGAN, **changes))["encoder"].item()

    base = loss(kl_weight=0.0, gan_weight=0.0)
    kl, gan = loss(kl_weight=1.0, gan_weight=0.0) - base, loss(kl_weight=0.0, gan_weight=1.0) - base
    assert kl > 0
    assert gan < 0
    assert abs(loss(kl_weight=2.0, gan_weight=3.0) - (base + 2 * kl + 3 * gan)) < 1e-4


def test_an_edit_reads_the_label_of_a_face_that_has_none() -> None:
    model = tiny_model(CVAEGAN).eval()
    images = batch_of().images
    torch.testing.assert_close(model.encode(images).y, torch.sigmoid(model.label_network(images)))
