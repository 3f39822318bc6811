"""cVAE-GAN: the true label is decoded, a label network reads it back, and nothing keeps it out of z."""

from __future__ import annotations

from typing import Any

import torch
from tiny_faces import make_faces
from tiny_models import tiny_model
from torch import Tensor, nn

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
