"""cVAE-GAN of Bao, Chen, Wen, Li and Hua (2017, arXiv:1703.10155), as IFcVAE-GAN is compared with it.

Networks: encoder E: x -> (mu, log-variance of z), decoder D(y, z), discriminator C, label network L: x -> y. The decoder
receives the *true* label in training; the label network is trained on photographs and reads the reconstruction, which
tells the decoder what the label means. There is nothing that keeps the attribute out of z.

    L_dec = L_rec + beta L_class_hat - delta L_gan + phi L_match,   L_enc = L_dec + alpha L_KL

`encoder_sees` "label": E(x, y) reads the true label beside its last features, as in Bao et al., so that z need not hold it.
L_match (phi is `feature_weight`) are their losses of features, each with the 1/2 that they are printed with:

    L_match = 1/2 |f_C(x) - f_C(x_hat)|^2 + 1/2 |f_L(x) - f_L(x_hat)|^2   (pairs)
            + 1/2 |mean f_C(x) - mean f_C(x_p)|^2                               (means)
            + 1/2 |mean f_L(x of a class) - mean f_L(x_p of that class)|^2, of classes

where f_C and f_L are what the last layers of C and L read, and x_p = D(y, z) with z from N(0, I).

Where the papers are silent
    Which label an unlabelled photo gets at test time: the label network's reading of it, for E too.
    Distances of features are means over units and classes; means are of the batch, not moving averages over batches.
Differs from Bao et al.
    By default without L_match and with an encoder that sees the photograph alone, as the shipped model was trained; with the
    networks, the optimiser, the cross-entropy of pixels and the minimax loss of IFcVAE-GAN, as in Creswell et al. §4.3.
    Their decoder learns from features alone what C and L want; here from C's logit and L's reading as well.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from visagist.losses import (
    class_feature_distance,
    discriminator_loss,
    feature_distance,
    kl_to_standard_normal,
    label_cross_entropy,
    mean_feature_distance,
    pixel_cross_entropy,
    reparameterise,
)
from visagist.methods.base import Batch, Losses
from visagist.methods.families.label_conditioned import LabelConditioned, rmsprop
from visagist.networks.convolutional import LabelForm, LabelNetwork, Posterior, frozen_statistics, join
from visagist.networks.forms import build_decoder, build_discriminator, build_encoder


@dataclass(frozen=True)
class CVAEGANConfig:
    form: Literal["dcgan", "residual"] = "residual"
    width: int = 64
    discriminator_width: int = 64
    label_width: int = 32
    latent: int = 100
    label_scale: float = 1.0  # the decoder sees y as ± this
    label_form: LabelForm = "signed"  # binary: as 0 or this, as printed
    prior_share: float = 1.0  # prior samples, and faces for the discriminator, as a share of the batch
    kl_weight: float = 0.005  # alpha
    class_hat_weight: float = 0.1  # beta
    gan_weight: float = 0.005  # delta
    encoder_sees: Literal["image", "label"] = "image"  # label: the image and its label
    feature_weight: float = 0.0  # phi
    learning_rate: float = 2e-4
    discriminator_learning_rate: float = 2e-4
    discriminator_momentum: float = 0.5
    transport: Literal["none", "marginal", "conditional"] = "none"  # of codes once trained: latent/optimal_transport.py


class CVAEGAN(LabelConditioned):
    """Encoder, decoder, discriminator and label network, updated together from one forward pass."""

    name = "cvae-gan"
    title = "Conditional VAE-GAN"
    paper = "Bao et al. (2017), arXiv:1703.10155"
    Config = CVAEGANConfig
    inference_networks = ("encoder", "decoder", "label_network")
    config: CVAEGANConfig

    def __init__(self, config: CVAEGANConfig, attributes: tuple[str, ...], image_size: int) -> None:
        super().__init__(config, attributes, image_size)
        backbone, features = build_encoder(config.form, image_size, config.width)
        seen = len(attributes) if config.encoder_sees == "label" else 0
        self.encoder = Posterior(backbone, features, config.latent, 0, seen)
        self.decoder = build_decoder(config.form, image_size, config.width, config.latent + len(attributes))
        self.discriminator = build_discriminator(config.form, image_size, config.discriminator_width)
        self.label_network = LabelNetwork(*build_encoder(config.form, image_size, config.label_width), len(attributes))

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        c = self.config
        return {
            "decoder": rmsprop(self.decoder, c.learning_rate),
            "encoder": rmsprop(self.encoder, c.learning_rate),
            "discriminator": rmsprop(self.discriminator, c.discriminator_learning_rate, c.discriminator_momentum),
            "label_network": rmsprop(self.label_network, c.learning_rate),
        }

    def training_step(self, batch: Batch) -> Iterator[Losses]:
        c = self.config
        x, y = batch
        judged_faces = max(1, round(c.prior_share * len(x)))
        mu, log_var, _ = self.encoder(x, self._shown(y))
        z_hat, z = reparameterise(mu, log_var), torch.randn_like(mu[:judged_faces])
        y_prior = y[torch.randperm(len(y), device=y.device)[:judged_faces]]
        # One batch for both, so that batch norm normalises them alike in training and in evaluation.
        codes = [join(part, label, c.label_scale, c.label_form) for part, label in ((z_hat, y), (z, y_prior))]
        logits = self.decoder(torch.cat(codes))
        x_logits, x_hat, x_sample = logits[: len(x)], torch.sigmoid(logits[: len(x)]), torch.sigmoid(logits[len(x) :])
        parts = [x[:judged_faces], x_hat[:judged_faces], x_sample]
        (real, f_real), (fake, f_fake), (sample, f_sample) = (self.discriminator.with_features(part) for part in parts)

        L_rec = pixel_cross_entropy(x_logits, x)
        L_kl = kl_to_standard_normal(mu, log_var)
        read, g_real = self.label_network.with_features(x)
        L_class = label_cross_entropy(read, y)
        with frozen_statistics(self.label_network):
            read_hat, g_hat = self.label_network.with_features(x_hat)
            L_class_hat = label_cross_entropy(read_hat, y)
        L_gan = (discriminator_loss(real, True) + discriminator_loss(fake, False) + discriminator_loss(sample, False)) / 3

        L_dec = L_rec + c.class_hat_weight * L_class_hat - c.gan_weight * L_gan
        if c.feature_weight:
            with frozen_statistics(self.label_network):
                g_sample = self.label_network.with_features(x_sample)[1]
            L_match = (
                feature_distance(f_real, f_fake) + feature_distance(g_real, g_hat) + mean_feature_distance(f_real, f_sample)
                + class_feature_distance(g_real, y, g_sample, y_prior)
            )  # fmt: skip
            L_dec = L_dec + c.feature_weight * L_match
            self.log(match=L_match)
        L_enc = L_dec + c.kl_weight * L_kl
        self.log(rec=L_rec, kl=L_kl, label=L_class, label_hat=L_class_hat, gan=L_gan)
        # L_KL does not contain the decoder: its gradient of L_enc is that of L_dec, in one pass.
        yield {"decoder": L_enc, "encoder": L_enc, "discriminator": L_gan, "label_network": L_class}

    def _shown(self, y: Tensor) -> Tensor | None:
        """What the encoder sees of labels [B, A]."""
        return y if self.config.encoder_sees == "label" else None

    def posterior(self, images: Tensor) -> tuple[Tensor, Tensor]:
        mu, log_var, _ = self.encoder(images, self._shown(torch.sigmoid(self.label_network(images))))
        return mu, log_var

    def posterior_mean(self, images: Tensor) -> tuple[Tensor, Tensor]:
        y_logits = self.label_network(images)
        return self.encoder(images, self._shown(torch.sigmoid(y_logits)))[0], y_logits
