"""DFC-VAE, the deep feature consistent variational autoencoder (Hou, Shen, Sun and Qiu, 2017, arXiv:1610.00291).

A VAE whose reconstruction is compared with the photograph not by pixels but by what a trained network makes of both.

    L = alpha L_KL + beta sum over l of L_rec^l,   L_rec^l = 1/(2 C W H) |Phi_l(x) - Phi_l(x_hat)|^2        (eqs. 4, 5)

Phi_l are layers of VGG-19: relu1_1, relu2_1, relu3_1 in their VAE-123, relu3_1, relu4_1, relu5_1 in their VAE-345.

Where the paper is silent
    L_KL is a sum over latent dimensions, in nats.
    The scale of the features, on which alpha and beta depend: see `networks/pretrained/vgg19.py`.
Differs from the paper
    The networks are those of Hou et al. (2019), with residual blocks, for all methods of that comparison.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch

from visagist.losses import feature_distances, reparameterise, summed_kl
from visagist.methods.base import Batch, Code, Losses
from visagist.methods.families.variational_autoencoder import FeatureConsistent
from visagist.settings import file_setting


@dataclass(frozen=True)
class DFCVAEConfig:
    width: int = 64
    latent: int = 100
    layers: tuple[str, ...] = ("relu1_1", "relu2_1", "relu3_1")
    kl_weight: float = 1.0  # alpha
    reconstruction_weight: float = 0.5  # beta
    learning_rate: float = 5e-4
    feature_weights: str | None = file_setting()  # a file; none: $VISAGIST_VGG19, else torchvision's


class DFCVAE(FeatureConsistent):
    """Encoder and decoder, which descend one loss."""

    name = "dfc-vae"
    title = "Deep feature consistent variational autoencoder"
    paper = "Hou et al. (2017), arXiv:1610.00291"
    Config = DFCVAEConfig
    config: DFCVAEConfig

    def training_step(self, batch: Batch) -> Iterator[Losses]:
        c = self.config
        x, _ = batch
        mu, log_var, _ = self.encoder(x)
        x_hat = self.decode(Code(reparameterise(mu, log_var)))
        by_layer = feature_distances(self.vgg(x_hat, c.layers), self.vgg(x, c.layers))
        L_rec, L_kl = torch.stack(list(by_layer.values())).sum(), summed_kl(mu, log_var)
        L = c.kl_weight * L_kl + c.reconstruction_weight * L_rec
        self.log(rec=L_rec, kl=L_kl, **by_layer)
        yield {"encoder": L, "decoder": L}
