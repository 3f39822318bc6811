"""VAE-WGAN with deep feature consistency (Hou, Sun, Shen and Qiu, 2019, "Improving variational autoencoder with deep feature
consistent and generative adversarial training", arXiv:1906.01984).

Networks: encoder E: x -> (mu, log-variance of z), decoder D: z -> x, critic Dis. Phi_l are layers of VGG-19, frozen.

    L_rec = sum over l of 100 / C_l^2 * 1/(2 C W H) |Phi_l(x) - Phi_l(x_hat)|^2,   l = relu1_1 ... relu5_1     (eqs. 5, 6)
    L_GAN = s (Dis(Phi_1(x)) - Dis(Phi_1(x_hat))),   s = 10 for the "labels" of +-10 in place of +-1
    E and D descend alpha L_KL + beta L_rec + L_GAN, Dis descends -L_GAN, all by one forward pass              (eqs. 7, 8)
    Dis is clipped to [-.01, .01] after its step                                                        (Algorithm 1)

Where the paper is silent
    L_KL is a sum over latent dimensions, in nats; it does not contain the decoder.
    The scale of the features, on which alpha and beta depend: see `networks/pretrained/vgg19.py`. With others the posterior
    collapses, so the latent dimensions in use are counted whenever the model is validated.
    The critic reads photographs and reconstructions as one batch, so that its norms see both alike.
Differs from the paper
    Algorithm 1 gives every network the same sign of L_GAN; here the critic opposes the other two, which is what it is for.
    The text clips gradients and Algorithm 1 weights: weights, unless `clipped` says otherwise. Clipped weights are those of
    norms too, whose scales fall from 1 to .01, and with them the gradient that reaches a picture: "convolutions" leaves
    norms alone. The ratio of the critic's gradient on the pictures to that of L_rec is logged.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from visagist.losses import reparameterise, summed_kl, weighted_feature_distance
from visagist.methods.base import Batch, Code, Losses
from visagist.methods.families.variational_autoencoder import FeatureConsistent
from visagist.networks.deep_residual import DeepCritic, clip_weights
from visagist.networks.pretrained.vgg19 import LAYERS, WIDTHS
from visagist.settings import file_setting

RATIO_EVERY = 50  # steps between looks at the gradients, which cost a step


@dataclass(frozen=True)
class VAEWGANConfig:
    width: int = 64
    critic_width: int = 64
    latent: int = 100
    layers: tuple[str, ...] = LAYERS
    critic_reads: Literal["relu1_1", "pixels"] = "relu1_1"
    kl_weight: float = 1.0  # alpha
    reconstruction_weight: float = 0.5  # beta
    critic_scale: float = 10.0
    clip: float = 0.01
    clipped: Literal["weights", "convolutions", "gradients"] = "weights"  # of the critic
    learning_rate: float = 5e-4
    feature_weights: str | None = file_setting()  # a file; none: $VISAGIST_VGG19, else torchvision's


class VAEWGAN(FeatureConsistent):
    """Encoder and decoder against a critic, updated together from one forward pass."""

    name = "vae-wgan"
    title = "VAE-WGAN with deep feature consistency"
    paper = "Hou et al. (2019), arXiv:1906.01984"
    Config = VAEWGANConfig
    best_metric = None  # pixels are not what it learns to rebuild
    config: VAEWGANConfig

    def __init__(self, config: VAEWGANConfig, attributes: tuple[str, ...], image_size: int) -> None:
        super().__init__(config, attributes, image_size)
        channels = 3 if config.critic_reads == "pixels" else WIDTHS[0]
        self.critic = DeepCritic(image_size, config.critic_width, channels)
        if config.clipped == "gradients":
            for parameter in self.critic.parameters():
                parameter.register_hook(lambda gradient: gradient.clamp(-config.clip, config.clip))

    def training_step(self, batch: Batch) -> Iterator[Losses]:
        c = self.config
        x, _ = batch
        mu, log_var, _ = self.encoder(x)
        x_hat = self.decode(Code(reparameterise(mu, log_var)))
        L_kl, L_rec, L_gan = summed_kl(mu, log_var), *self.compare(x, x_hat)
        L = c.kl_weight * L_kl + c.reconstruction_weight * L_rec + L_gan
        self.log(rec=L_rec, kl=L_kl, gan=L_gan)
        if c.reconstruction_weight and self.images_seen // max(1, self.batch_images) % RATIO_EVERY == 0:
            self.log(critic_ratio=gradient_norm(L_gan, x_hat) / gradient_norm(c.reconstruction_weight * L_rec, x_hat))
        yield {"encoder": L, "decoder": L, "critic": -L_gan}
        if c.clipped != "gradients":
            clip_weights(self.critic, c.clip, least_dimensions=2 if c.clipped == "convolutions" else 0)

    def compare(self, x: Tensor, x_hat: Tensor) -> tuple[Tensor, Tensor]:
        """L_rec and L_GAN of photographs and their reconstructions, both [B, 3, S, S]."""
        c = self.config
        needed = tuple(dict.fromkeys(("relu1_1", *c.layers) if c.critic_reads == "relu1_1" else c.layers))
        real_features, features = self.vgg(x, needed), self.vgg(x_hat, needed)
        L_rec = weighted_feature_distance({layer: features[layer] for layer in c.layers}, real_features)
        pair = (x, x_hat) if c.critic_reads == "pixels" else (real_features["relu1_1"], features["relu1_1"])
        real, made = self.critic(torch.cat(pair)).chunk(2)
        return L_rec, c.critic_scale * (real.mean() - made.mean())


def gradient_norm(loss: Tensor, images: Tensor) -> Tensor:
    """The Euclidean norm of a loss's gradient on images [B, 3, S, S]; 0 where it does not depend on them."""
    (gradient,) = torch.autograd.grad(loss, images, retain_graph=True, allow_unused=True)
    return torch.zeros((), device=images.device) if gradient is None else gradient.float().norm()
