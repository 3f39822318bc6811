"""IFcVAE-GAN: adversarial information factorisation (Creswell, Mohamed, Sengupta and Bharath, 2017, arXiv:1711.05175).

Networks: encoder E: x -> (mu, log-variance of z; y-hat), decoder D(y, z), discriminator C, auxiliary A(z) -> y-tilde.
The encoder is trained to make A fail, so that what identifies the attribute moves from z to y-hat, and an edit is a
switch of y.

    L_dec = L_rec + beta L_class_hat - delta L_gan                                      (eq. 3)
    L_enc = L_rec + alpha L_KL + beta L_class_hat + rho L_class - delta L_gan - L_aux    (eqs. 4 and 6)

Where the paper is silent
    L_rec is summed over channels and mean over positions; L_KL is mean over dimensions; the others are means.
    The label of a sample from the prior is drawn from the batch's labels. beta is taken equal to rho where it is on.
    Residual sizes were never published; those in `networks/residual.py` are ours.
Differs from the paper
    Line 13 of Algorithm 1 ascends L_gan; with L_bce printed there without its minus sign that means the discriminator
    minimises the ordinary cross-entropy, as it does here.
Not of the paper, and off unless set
    The settings from `auxiliary_layers` on, which remove more of y from z: `families/latent_adversary.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import torch

from visagist.losses import (
    discriminator_loss,
    kl_to_standard_normal,
    label_cross_entropy,
    pixel_cross_entropy,
    reparameterise,
)
from visagist.methods.base import Batch, Losses
from visagist.methods.families.label_conditioned import rmsprop
from visagist.methods.families.latent_adversary import LatentAdversary
from visagist.networks.convolutional import LabelForm, Posterior, frozen_statistics, join
from visagist.networks.forms import build_decoder, build_discriminator, build_encoder


@dataclass(frozen=True)
class IFcVAEGANConfig:
    form: Literal["dcgan", "residual"] = "dcgan"
    width: int = 64
    discriminator_width: int = 64
    latent: int = 100
    label_scale: float = 1.0  # the decoder sees y as ± this
    label_form: LabelForm = "signed"  # binary: as 0 or this, as printed
    prior_share: float = 1.0  # prior samples, and faces for the discriminator, as a share of the batch
    kl_weight: float = 0.2  # alpha
    class_hat_weight: float = 0.0  # beta
    class_weight: float = 0.1  # rho
    gan_weight: float = 0.1  # delta
    auxiliary_weight: float = 1.0  # 0: the naive cVAE-GAN of §4; A then only watches
    auxiliary_hidden: int = 1000
    auxiliary_normalised: bool = False  # A sees z scaled to unit variance per face, so that E cannot win by its scale
    decoded_label: Literal["predicted", "true"] = "predicted"
    gan_loss: Literal["minimax", "non_saturating"] = "minimax"
    reduction: Literal["mean", "released"] = "mean"  # released: class and auxiliary terms divided by released_batch
    released_batch: int = 64  # of the released code; not this run's, which may be shared among processes or parts
    learning_rate: float = 2e-4
    discriminator_learning_rate: float = 2e-4
    auxiliary_learning_rate: float = 2e-4
    discriminator_momentum: float = 0.5
    transport: Literal["none", "marginal", "conditional"] = "none"  # of codes once trained: latent/optimal_transport.py
    auxiliary_layers: int = 2  # hidden ones
    auxiliary_steps: int = 1  # updates of A for one of the rest; those before it on fresh samples of z
    auxiliary_members: int = 1  # A as so many networks, and L_aux as the mean of theirs
    auxiliary_restart_images: int = 0  # each time so many were seen, the oldest member starts anew; 0: never
    auxiliary_sees: Literal["sample", "mean", "both"] = "sample"  # of z, which A and the two terms below read
    auxiliary_goal: Literal["fail", "chance"] = "fail"  # of E: that A is wrong, or that A says one half
    auxiliary_warmup_images: int = 0  # over which the weight of that goal rises from 0
    erasure: Literal["none", "linear"] = "none"  # of y from z, before decoder and A see it
    erasure_decay: float = 0.99  # share of the eraser's statistics that stays at each step
    independence_weight: float = 0.0  # of HSIC(z, y) in L_enc
    information_weight: float = 0.0  # of the bound CLUB of I(z; y) in L_enc, nats


class IFcVAEGAN(LatentAdversary):
    """Encoder, decoder, discriminator and auxiliary network, updated together from one forward pass."""

    name = "ifcvae-gan"
    title = "Adversarial information factorisation"
    paper = "Creswell et al. (2017), arXiv:1711.05175"
    Config = IFcVAEGANConfig
    inference_networks = ("encoder", "decoder")
    config: IFcVAEGANConfig

    def __init__(self, config: IFcVAEGANConfig, attributes: tuple[str, ...], image_size: int) -> None:
        super().__init__(config, attributes, image_size)
        backbone, features = build_encoder(config.form, image_size, config.width)
        self.encoder = Posterior(backbone, features, config.latent, len(attributes))
        self.decoder = build_decoder(config.form, image_size, config.width, config.latent + len(attributes))
        self.discriminator = build_discriminator(config.form, image_size, config.discriminator_width)
        self.build_adversaries()

    def optimizers(self) -> dict[str, torch.optim.Optimizer]:
        c = self.config
        return {
            "decoder": rmsprop(self.decoder, c.learning_rate),
            "encoder": rmsprop(self.encoder, c.learning_rate),
            "discriminator": rmsprop(self.discriminator, c.discriminator_learning_rate, c.discriminator_momentum),
            **self.adversary_optimizers(),
        }

    def training_step(self, batch: Batch) -> Iterator[Losses]:
        """Algorithm 1: one forward pass through all networks, one simultaneous update."""
        c = self.config
        x, y = batch
        judged_faces = max(1, round(c.prior_share * len(x)))
        self.restart_when_due()
        mu, log_var, y_logits = self.encoder(x)
        self.update_eraser(mu, log_var, y)
        z_hat, z = self.erase(reparameterise(mu, log_var)), self.erase(torch.randn_like(mu[:judged_faces]))
        y_hat = torch.sigmoid(y_logits) if c.decoded_label == "predicted" else y
        y_prior = y[torch.randperm(len(y), device=y.device)[:judged_faces]]
        # One batch for both, so that batch norm normalises them alike in training and in evaluation.
        codes = torch.cat([join(z_hat, y_hat, c.label_scale, c.label_form), join(z, y_prior, c.label_scale, c.label_form)])
        logits = self.decoder(codes)
        x_logits, x_hat, x_sample = logits[: len(x)], torch.sigmoid(logits[: len(x)]), torch.sigmoid(logits[len(x) :])
        for _ in range(c.auxiliary_steps - 1):
            L_aux, _ = self.adversarial_losses(self.adversary_input(self.erase(reparameterise(mu, log_var)), mu), y)
            yield {"auxiliary": L_aux}
        codes_seen = self.adversary_input(z_hat, mu)
        parts = [x[:judged_faces], x_hat[:judged_faces], x_sample]
        real, fake, sample = (self.discriminator(part) for part in parts)

        L_rec = pixel_cross_entropy(x_logits, x)
        L_kl = kl_to_standard_normal(mu, log_var)
        L_class = label_cross_entropy(y_logits, y)
        L_class_hat = x.new_zeros(())
        if c.class_hat_weight:
            with frozen_statistics(self.encoder):
                L_class_hat = label_cross_entropy(self.encoder(x_hat)[2], y)
        L_gan = (discriminator_loss(real, True) + discriminator_loss(fake, False) + discriminator_loss(sample, False)) / 3
        L_aux, L_hide = self.adversarial_losses(codes_seen, y)  # L_hide = -auxiliary_weight L_aux, in the paper
        L_dependence, estimated = self.dependence(codes_seen, y)  # 0 and none, in the paper
        fooled = L_gan
        if c.gan_loss == "non_saturating":
            fooled = -(discriminator_loss(fake, True) + discriminator_loss(sample, True)) / 3
        light = 1 / c.released_batch if c.reduction == "released" else 1.0

        L_dec = L_rec + light * c.class_hat_weight * L_class_hat - c.gan_weight * fooled
        L_enc = L_dec + c.kl_weight * L_kl + light * (c.class_weight * L_class + L_hide) + L_dependence
        self.log(rec=L_rec, kl=L_kl, label=L_class, label_hat=L_class_hat, gan=L_gan, aux=L_aux)
        # The terms that L_enc adds do not contain the decoder: its gradient of L_enc is that of L_dec, in one pass.
        yield {"decoder": L_enc, "encoder": L_enc, "discriminator": L_gan, "auxiliary": L_aux, **estimated}
