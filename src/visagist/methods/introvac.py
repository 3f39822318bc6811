"""IntroVAC, the introspective variational classifier (Maggipinto, Terzi and Susto, 2020, arXiv:2008.00760).

A VAC (`vac.py`) whose classifier has one more logit: is this image a photograph or the decoder's? Encoder and classifier
learn to tell, and the decoder learns to be taken for a photograph of the right class.

    L   = beta_AE L_AE + beta_CL L_CL + beta_reg L_reg + beta_E,C (L^r_E,C + L^g_E,C)   moves E and C      (lines 9 to 11)
    L_G = beta_G (L^r_G + L^g_G), by the E and C that have moved    moves G, by the gradients of L and L_G (lines 12 to 14)

    L^r_E,C = -log C_fake(E(dt(x_rr)))      L^r_G = class cross-entropy of C(E(x_rr)) - log(1 - C_fake(E(x_rr)))   (eq. 6)
    L^g_E,C = -log C_fake(E(dt(x_g)))       L^g_G = -log(1 - C_fake(E(x_g)))                                       (eq. 7)

dt(.) stops gradients, so that of L the decoder gets beta_AE L_AE alone, and the encoder no advice through its own codes.

Where the paper is silent
    Nothing in its equations says what is real, without which C_fake = 1 for everything would win: on photographs L_CL is
    the cross-entropy of the classes plus -log(1 - C_fake), the same two terms as L^r_G. Such a photograph weighs a thousand
    times what a made image does, and there is no game; `real_weight` weighs the second term by itself.
    C_fake, called a logit inside a logarithm, is its sigmoid. E(.) of a made image is the posterior mean.
    Batch norm: E reads made images in batches of their own but remembers the statistics of photographs only, because in
    evaluation it encodes photographs. G decodes z_r and z_g as one batch, because one set of statistics must then serve
    edits and samples; decoding z_r twice would give the same pixels twice, hence x_rr = x_r.
    Reductions and Adam's betas as in `vac.py`.
Differs from the paper
    `vac_images` begins with a VAC, as the released code does for five epochs; 0, the paper's text, is the default.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from visagist.losses import (
    fake_loss,
    kl_to_standard_normal,
    label_cross_entropy,
    mean_absolute_error,
    real_class_loss,
    real_loss,
    reparameterise,
)
from visagist.methods.base import Accumulated, Batch, Code, Losses
from visagist.methods.families.classifier_directions import ClassifierDirections
from visagist.methods.vac import vac_step
from visagist.networks.convolutional import frozen_statistics


@dataclass(frozen=True)
class IntroVACConfig:
    width: int = 32
    latent: int = 256
    reconstruction_weight: float = 100.0  # beta_AE
    class_weight: float = 10.0  # beta_CL
    kl_weight: float = 3.0  # beta_reg
    fooling_weight: float = 5.0  # beta_G
    detecting_weight: float = 0.01  # beta_E,C
    real_weight: float | None = None  # of -log(1 - C_fake) on photographs; none: beta_CL, as a part of L_CL
    vac_images: int = 0  # trained as a VAC before the fake/real game begins
    edit_delta: float = 4.0  # delta of the paper's edits; amount 1 is twice as far
    edit_rule: Literal["step", "plane"] = "step"  # of the paper; or until so far beyond the plane between the classes
    learning_rate: float = 2e-4
    adam_beta1: float = 0.9


class IntroVAC(ClassifierDirections):
    """Encoder and linear classifier against the decoder, in two phases of one step."""

    name = "introvac"
    title = "Introspective variational classifier"
    paper = "Maggipinto, Terzi and Susto (2020), arXiv:2008.00760"
    Config = IntroVACConfig
    other_classes = 1
    best_metric = None  # the game raises the MSE: the least would be that of the VAC before it
    config: IntroVACConfig

    def training_step(self, batch: Batch) -> Iterator[Losses]:
        """Algorithm 1 from line 2 on; while the first `vac_images` last, eq. 5 instead."""
        if self.images_seen < self.config.vac_images:
            return vac_step(self, batch)
        return self.introspective_step(batch)

    def introspective_step(self, batch: Batch) -> Iterator[Losses]:
        """Algorithm 1, lines 2 to 15."""
        c = self.config
        x, y = batch
        z_g = torch.randn(len(x), c.latent, device=x.device)
        mu, log_var, _ = self.encoder(x)
        z_r = reparameterise(mu, log_var)
        y_hat = self.classifier(z_r)
        x_r, x_g = self.decode(Code(torch.cat([z_r, z_g]))).chunk(2)
        x_rr = x_r  # of line 8 only the decoder's gradient is taken, which asks nothing of z_r

        L_AE = mean_absolute_error(x_r, x)
        L_CL, L_real = label_cross_entropy(y_hat[:, :-1], y), real_loss(y_hat)
        L_reg = kl_to_standard_normal(mu, log_var)
        L_r_EC, L_g_EC = fake_loss(self.classify_generated(x_rr.detach())), fake_loss(self.classify_generated(x_g.detach()))
        L = c.reconstruction_weight * L_AE + c.class_weight * L_CL + c.kl_weight * L_reg
        L = L + (c.class_weight if c.real_weight is None else c.real_weight) * L_real
        L = L + c.detecting_weight * (L_r_EC + L_g_EC)
        yield {"encoder": L, "classifier": L, "decoder": Accumulated(L)}

        L_r_G, L_g_G = real_class_loss(self.classify_generated(x_rr), y), real_loss(self.classify_generated(x_g))
        self.log(rec=L_AE, label=L_CL, kl=L_reg, real=L_real, detect_rec=L_r_EC, detect_sample=L_g_EC)
        self.log(fool_rec=L_r_G, fool_sample=L_g_G)
        yield {"decoder": c.fooling_weight * (L_r_G + L_g_G)}

    def classify_generated(self, images: Tensor) -> Tensor:
        """Logits [B, A + 1] of images of the decoder, at their posterior means."""
        with frozen_statistics(self.encoder):
            return self.classifier(self.encoder(images)[0])
