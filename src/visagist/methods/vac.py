"""VAC, the variational classifier (Maggipinto, Terzi and Susto, 2020, "IntroVAC", arXiv:2008.00760).

A variational autoencoder whose z a linear classifier can read. The networks and the edit are those of
`classifier_directions.py`.

    L = beta_AE L_AE + beta_CL L_CL + beta_reg L_reg                                     (eq. 5, with the weights of §4.1)

Where the paper is silent
    L_AE, the L1 loss of §4.1, is the mean over pixels and channels; L_reg, the KL divergence, is the mean over latent
    dimensions; L_CL is the mean over attributes. The weights make sense only under these.
    C reads the sampled z in training and the posterior mean afterwards.
    Adam's betas are torch's; the decoder ends in a sigmoid.
Differs from the paper
    Eq. 5 names the mean squared error and §4.1 replaces it by L1: L1 here.
    C has no fake/real logit, which would have nothing to learn.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from visagist.losses import kl_to_standard_normal, label_cross_entropy, mean_absolute_error, reparameterise
from visagist.methods.base import Batch, Code, Losses
from visagist.methods.families.classifier_directions import ClassifierDirections


@dataclass(frozen=True)
class VACConfig:
    width: int = 32
    latent: int = 256
    reconstruction_weight: float = 100.0  # beta_AE
    class_weight: float = 10.0  # beta_CL
    kl_weight: float = 3.0  # beta_reg
    edit_delta: float = 4.0  # delta of the paper's edits; amount 1 is twice as far
    edit_rule: Literal["step", "plane"] = "step"  # of the paper; or until so far beyond the plane between the classes
    learning_rate: float = 2e-4
    adam_beta1: float = 0.9


def vac_step(model: ClassifierDirections, batch: Batch) -> Iterator[Losses]:
    """Eq. 5: one forward pass, one simultaneous update of all three networks."""
    c = model.config
    x, y = batch
    mu, log_var, _ = model.encoder(x)
    z_r = reparameterise(mu, log_var)
    x_r = model.decode(Code(z_r))

    L_AE = mean_absolute_error(x_r, x)
    L_CL = label_cross_entropy(model.latent_logits(z_r), y)
    L_reg = kl_to_standard_normal(mu, log_var)
    L = c.reconstruction_weight * L_AE + c.class_weight * L_CL + c.kl_weight * L_reg
    model.log(rec=L_AE, label=L_CL, kl=L_reg)
    yield {"encoder": L, "classifier": L, "decoder": L}


class VAC(ClassifierDirections):
    """Encoder, decoder and linear classifier, which descend one loss."""

    name = "vac"
    title = "Variational classifier"
    paper = "Maggipinto, Terzi and Susto (2020), arXiv:2008.00760"
    Config = VACConfig
    config: VACConfig

    def training_step(self, batch: Batch) -> Iterator[Losses]:
        return vac_step(self, batch)
