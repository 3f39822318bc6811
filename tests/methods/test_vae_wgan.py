"""VAE-WGAN and DFC-VAE: eqs. 4 to 8 by hand, and who opposes whom."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import pytest
import torch
from tiny_faces import make_faces
from tiny_models import tiny_model
from torch import Tensor

from visagist.checkpoints.checkpoint import describe, load_model, save_model
from visagist.errors import VisagistError
from visagist.methods.base import Batch, Code
from visagist.methods.dfc_vae import DFCVAE
from visagist.methods.vae_wgan import VAEWGAN
from visagist.networks.pretrained.vgg19 import LAYERS, load_vgg19
from visagist.training.updater import Updater

SIZE = 32


def batch_of(count: int = 6) -> Batch:
    faces = make_faces(count, image_size=SIZE, val=1, test=1)
    return Batch(torch.from_numpy(faces.images).permute(0, 3, 1, 2) / 255, torch.from_numpy(faces.labels).float())


def model_of(cls: Any = VAEWGAN, **changes: Any) -> Any:
    return tiny_model(cls, image_size=SIZE, **changes)


def still(model: Any) -> tuple[Tensor, Tensor]:
    """Encode without a sample: the noise of z is turned off."""
    model.encoder.heads.weight.data[model.latent :] = 0
    model.encoder.heads.bias.data[model.latent :] = -10
    return model.encoder.heads.weight, model.encoder.heads.bias


def nats(mu: Tensor, log_var: Tensor) -> Tensor:
    return (0.5 * (mu**2 + log_var.exp() - 1 - log_var)).sum(1).mean()


def distances(x_hat: Tensor, x: Tensor, layers: tuple[str, ...]) -> dict[str, Tensor]:
    """1/(2 C W H) of the squared differences summed over a face, mean over faces."""
    vgg = load_vgg19("random")[0]
    found, wanted = vgg(x_hat, layers), vgg(x, layers)
    return {
        layer: ((found[layer] - wanted[layer]) ** 2).flatten(1).sum(1).mean() / (2 * found[layer][0].numel())
        for layer in layers
    }


def test_every_network_gets_the_gradient_of_its_loss_worked_out_by_hand() -> None:
    model, batch = model_of(kl_weight=0.7, reconstruction_weight=0.3, critic_scale=4.0), batch_of()
    still(model)
    torch.manual_seed(1)
    losses = next(model.training_step(batch))
    got = Updater(model, nullcontext, lambda tensors: None).gradients(losses)

    torch.manual_seed(1)
    x, vgg = batch.images, load_vgg19("random")[0]
    mu, log_var, _ = model.encoder(x)
    x_hat = torch.sigmoid(model.decoder(mu + (log_var / 2).exp() * torch.randn_like(mu)))
    channels = {"relu1_1": 64, "relu2_1": 128, "relu3_1": 256, "relu4_1": 512, "relu5_1": 512}
    L_rec = sum(100 / channels[layer] ** 2 * value for layer, value in distances(x_hat, x, LAYERS).items())
    first = [vgg(images, ("relu1_1",))["relu1_1"] for images in (x, x_hat)]
    real, made = model.critic(torch.cat(first)).split(len(x))
    L_gan = 4.0 * (real.mean() - made.mean())
    L = 0.7 * nats(mu, log_var) + 0.3 * L_rec + L_gan
    for name, loss in (("encoder", L), ("decoder", L), ("critic", -L_gan)):
        own = torch.autograd.grad(loss, list(model.networks()[name].parameters()), retain_graph=True)
        for g, wanted in zip(got[name], own, strict=True):
            torch.testing.assert_close(g, wanted, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("reads", ["relu1_1", "pixels"])
def test_what_the_critic_wants_of_a_reconstruction_the_decoder_does_not(reads: str) -> None:
    model, x = model_of(critic_reads=reads, kl_weight=0.0, reconstruction_weight=0.0), batch_of().images
    x_hat = model.decode(Code(model.encoder(x)[0])).detach().requires_grad_()
    _, L_gan = model.compare(x, x_hat)
    (for_decoder,) = torch.autograd.grad(L_gan, x_hat, retain_graph=True)
    (for_critic,) = torch.autograd.grad(-L_gan, x_hat)
    assert float(for_decoder.abs().sum()) > 0
    assert torch.equal(for_decoder, -for_critic)
    # Down the decoder's gradient the critic's verdict on what was made rises towards that on photographs.
    with torch.no_grad():
        assert model.compare(x, x_hat - 1e-3 * for_decoder.sign())[1] < L_gan


def test_labels_of_ten_are_a_factor_of_ten() -> None:
    batch = batch_of()
    gaps = []
    for scale in (1.0, 10.0):
        model = model_of(critic_scale=scale)
        torch.manual_seed(1)
        next(model.training_step(batch))
        gaps.append(float(model.pop_log()["gan"]))
    assert gaps[1] == pytest.approx(10 * gaps[0], rel=1e-4)


def test_the_kl_reaches_the_encoder_alone() -> None:
    batch, grads = batch_of(), []
    for weight in (0.0, 100.0):
        model = model_of(kl_weight=weight)
        torch.manual_seed(1)
        grads.append(Updater(model, nullcontext, lambda tensors: None).gradients(next(model.training_step(batch))))
    for light, heavy in zip(grads[0]["decoder"], grads[1]["decoder"]):
        torch.testing.assert_close(light, heavy)
    assert any(not torch.allclose(light, heavy) for light, heavy in zip(grads[0]["encoder"], grads[1]["encoder"]))


def test_after_its_step_the_critic_alone_is_clipped() -> None:
    model = model_of(clip=0.02)
    before = max(float(p.detach().abs().max()) for p in model.critic.parameters())
    Updater(model, nullcontext, lambda tensors: None).step([batch_of()], 0)
    assert before > 0.02
    assert max(float(p.detach().abs().max()) for p in model.critic.parameters()) == pytest.approx(0.02)
    assert max(float(p.detach().abs().max()) for p in model.decoder.parameters()) > 0.02


def test_borders_of_the_decoder_are_replicated() -> None:
    modes = [m.padding_mode for m in model_of().decoder.modules() if isinstance(m, torch.nn.Conv2d)]
    assert modes
    assert set(modes) == {"replicate"}


@pytest.mark.parametrize("layers", [("relu1_1", "relu2_1", "relu3_1"), ("relu3_1", "relu4_1", "relu5_1")])
def test_dfc_vae_descends_eq_4_without_the_weights_of_layers(layers: tuple[str, ...]) -> None:
    model, x = model_of(DFCVAE, layers=layers, kl_weight=0.9, reconstruction_weight=0.2), batch_of().images
    torch.manual_seed(1)
    (losses,) = list(model.training_step(Batch(x, x[:, :1, 0, 0])))
    torch.manual_seed(1)
    mu, log_var, _ = model.encoder(x)
    x_hat = torch.sigmoid(model.decoder(mu + (log_var / 2).exp() * torch.randn_like(mu)))
    expected = 0.9 * nats(mu, log_var) + 0.2 * sum(distances(x_hat, x, layers).values())
    assert losses["encoder"] is losses["decoder"]
    assert losses["encoder"].item() == pytest.approx(expected.item(), rel=1e-4)
    assert {"rec", "kl", *layers} == model.pop_log().keys()


def test_dimensions_that_say_nothing_of_the_face_are_not_counted_as_active() -> None:
    model = model_of(DFCVAE).eval()
    weight, bias = still(model)
    bias.data[model.latent :] = 0
    bias.data[: model.latent] = torch.tensor([2.0, 0.0, 0.1, 1.0])
    weight.data[:] = 0
    values = model.validation(batch_of())
    assert values["active_units"] == 2  # 2.0 and 0.5 nats; 0.1 has .005
    assert values["kl"].item() == pytest.approx(0.5 * (4 + 0.01 + 1))


def test_the_feature_network_is_neither_trained_nor_saved_but_named(tmp_path: Any) -> None:
    model = model_of()
    assert set(model.networks()) == {"encoder", "decoder", "critic"}
    assert model.borrowed() == {"VGG-19": "random"}
    model.training_step(batch_of())
    assert not any("vgg" in key for key in model.state_dict())
    save_model(tmp_path / "m", describe(model), model.state_dict())
    loaded, _ = load_model(tmp_path / "m")
    assert loaded.sample(torch.zeros(2, 1)).shape == (2, 3, SIZE, SIZE)


def test_training_says_at_once_that_the_weights_are_missing() -> None:
    with pytest.raises(VisagistError, match="no file 'nowhere' with weights of VGG-19"):
        model_of(feature_weights="nowhere").optimizers()


def stepped(clipped: str) -> tuple[Any, dict[str, Tensor], dict[str, list[Tensor]]]:
    """A model after one update, its weights before, and the gradients of the update."""
    model = model_of(clipped=clipped)
    before = {name: value.clone() for name, value in model.critic.named_parameters()}
    torch.manual_seed(3)
    steps = model.training_step(batch_of())
    gradients = Updater(model, nullcontext, lambda tensors: None).gradients(next(steps))
    with torch.no_grad():
        next(steps, None)
    return model, before, gradients


def test_what_of_the_critic_is_clipped_is_weights_or_convolutions_or_gradients() -> None:
    for clipped in ("weights", "convolutions", "gradients"):
        model, before, gradients = stepped(clipped)
        for name, value in model.critic.named_parameters():
            if clipped == "weights" or (clipped == "convolutions" and value.ndim > 1):
                torch.testing.assert_close(value, before[name].clamp(-0.01, 0.01))
            else:
                torch.testing.assert_close(value, before[name])
        largest = max(float(gradient.abs().max()) for gradient in gradients["critic"])
        assert (largest <= 0.01 + 1e-7) == (clipped == "gradients")


def test_clipping_norms_too_switches_the_critic_off_and_the_log_says_so() -> None:
    """The ratio of both gradients on the picture, after the weights have been clipped once."""
    ratios = {}
    for clipped in ("weights", "convolutions"):
        model, _, _ = stepped(clipped)
        model.images_seen = 0
        next(model.training_step(batch_of()))
        ratios[clipped] = float(model.pop_log()["critic_ratio"])
    assert 0 <= ratios["weights"] < 0.1 * ratios["convolutions"]


def test_the_ratio_is_looked_at_once_in_fifty_steps() -> None:
    model = model_of()
    model.batch_images, model.images_seen = 6, 6
    next(model.training_step(batch_of()))
    assert "critic_ratio" not in model.pop_log()
    model.images_seen = 300
    next(model.training_step(batch_of()))
    assert float(model.pop_log()["critic_ratio"]) > 0
