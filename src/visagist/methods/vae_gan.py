"""VAE/GAN (Larsen, Sonderby, Larochelle and Winther, 2016, "Autoencoding beyond pixels", arXiv:1512.09300).

A VAE whose reconstruction is compared with the photograph by a hidden layer of the discriminator that it plays against.

    L_like = 1/2 |Dis_l(x) - Dis_l(x_hat)|^2
    L_GAN = log Dis(x) + log(1 - Dis(x_hat)) + log(1 - Dis(x_p)),   x_p = Dec(z_p), z_p from N(0, I)
    E descends L_KL + L_like, Dec descends gamma L_like + L_GAN, Dis descends -L_GAN, by one forward pass    (Algorithm 1)

Where the paper is silent
    gamma has no value in the text: see the config.
    log(1 - Dis) stops teaching Dec once Dis is sure: `decoder_loss` "non_saturating" has Dec descend -log Dis in its place
    (Goodfellow et al., 2014). `gan_terms` "balanced" halves the terms of the two made pictures, so that they weigh as much
    as the photograph's. `rest_below` is the mean cross-entropy below which Dis stands still for a step.
    Algorithm 1 has the other sign before L_GAN for Dec and Dis; only that they oppose each other matters.
    L_KL is a sum over latent dimensions; L_like a sum over units of the hidden layer, half of it, mean over the batch.
    Dis_l is the last hidden layer, that before the number; photographs, reconstructions and samples pass as one batch.
Differs from the paper
    The networks are those of Hou et al. (2019), for all methods of that comparison, and so is the hidden layer; with
    `architecture` "dcgan" those of the DCGAN form, which are near the paper's own: 5×5 convolutions of stride 2 each way.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import torch
from torch.nn import functional as F

from visagist.losses import discriminator_loss, reparameterise, summed_kl
from visagist.methods.base import Batch, Code, Losses
from visagist.methods.families.variational_autoencoder import LatentAutoencoder
from visagist.networks.convolutional import ConvDecoder, ConvDiscriminator, ConvEncoder, Posterior
from visagist.networks.deep_residual import DeepCritic


@dataclass(frozen=True)
class VAEGANConfig:
    width: int = 64
    critic_width: int = 64
    latent: int = 100
    architecture: Literal["shared", "dcgan"] = "shared"  # the networks of Hou et al., or of Radford et al.
    likeness_weight: float = 1e-3  # gamma
    kl_weight: float = 1.0
    decoder_loss: Literal["minimax", "non_saturating"] = "minimax"
    gan_terms: Literal["printed", "balanced"] = "printed"
    rest_below: float = 0.0  # nats
    learning_rate: float = 3e-4


class VAEGAN(LatentAutoencoder):
    """Encoder, decoder and discriminator, which is also the measure of likeness."""

    name = "vae-gan"
    title = "VAE/GAN with learned similarity"
    paper = "Larsen et al. (2016), arXiv:1512.09300"
    Config = VAEGANConfig
    best_metric = None  # pixels are not what it learns to rebuild
    config: VAEGANConfig

    def __init__(self, config: VAEGANConfig, attributes: tuple[str, ...], image_size: int) -> None:
        super().__init__(config, attributes, image_size)
        if config.architecture == "shared":
            self.discriminator: DeepCritic | ConvDiscriminator = DeepCritic(image_size, config.critic_width)
            return
        backbone = ConvEncoder(image_size, config.width)
        self.encoder = Posterior(backbone, backbone.features, config.latent, 0)
        self.decoder = ConvDecoder(image_size, config.width, config.latent)
        self.discriminator = ConvDiscriminator(image_size, config.critic_width)

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        rate = self.config.learning_rate
        return {name: torch.optim.RMSprop(network.parameters(), rate) for name, network in self.networks().items()}

    def training_step(self, batch: Batch) -> Iterator[Losses]:
        c = self.config
        x, _ = batch
        mu, log_var, _ = self.encoder(x)
        z, z_p = reparameterise(mu, log_var), torch.randn_like(mu)
        x_hat, x_p = self.decode(Code(torch.cat([z, z_p]))).chunk(2)
        logits, hidden = self.discriminator.with_hidden(torch.cat([x, x_hat, x_p]))
        real, rebuilt, made = logits.chunk(3)

        L_kl = summed_kl(mu, log_var)
        hidden_real, hidden_rebuilt, _ = hidden.chunk(3)
        L_like = 0.5 * F.mse_loss(hidden_rebuilt, hidden_real, reduction="sum") / len(x)
        share = 1.0 if c.gan_terms == "printed" else 0.5
        L_real, L_made = discriminator_loss(real, True), discriminator_loss(rebuilt, False) + discriminator_loss(made, False)
        L_gan = -(L_real + share * L_made)
        L_dec = L_gan
        if c.decoder_loss == "non_saturating":
            L_dec = share * (discriminator_loss(rebuilt, True) + discriminator_loss(made, True))
        rests = (-L_gan / (1 + 2 * share)).detach() < c.rest_below
        self.log(like=L_like, kl=L_kl, gan=L_gan, rests=rests.float())
        yield {
            "encoder": c.kl_weight * L_kl + L_like,
            "decoder": c.likeness_weight * L_like + L_dec,
            "discriminator": -L_gan if not c.rest_below else torch.where(rests, 0.0, -L_gan),
        }
